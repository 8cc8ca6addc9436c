"""RSA keys: made one by one on one thread, with all checks, against `openssl genrsa`. Seconds of processor: the search for
primes waits for nothing."""

from .table import Row, seconds

NEEDS = ["openssl"]
ABOUT = "RSA keys of 2048, 3072 and 4096 bits: openssl genrsa"
SIZES = {2048: (100, 0.3), 3072: (50, 0.9), 4096: (30, 1.8)}


def estimate(bench):
    """Seconds that it takes, roughly."""
    return sum(bench.runs(runs, quick=3) * both for runs, both in SIZES.values()) + 20


def measure(bench):
    """The rows."""
    keys = bench.helper("keys")
    return [of_size(bench, keys, bits, usual) for bits, (usual, _) in SIZES.items()]


def of_size(bench, keys, bits, usual):
    took = bench.turns(
        {
            "ours": lambda: bench.timed([keys, f"rsa{bits}"]),
            "theirs": lambda: bench.timed(["openssl", "genrsa", "-out", "/dev/null", bits]),
        },
        bench.runs(usual, quick=3),
    )
    ours, theirs = took["ours"]["processor"], took["theirs"]["processor"]
    shown = [f"{seconds(one.median)}, mean {seconds(one.mean)}" for one in (ours, theirs)]
    work = f"an RSA key of {bits} bits, one thread, {len(ours.values)} keys"
    # whichever says less for us
    ratio = max(ours.median / theirs.median, ours.mean / theirs.mean)
    return Row(work, shown[0], f"openssl genrsa {bits}, its time", shown[1], ratio, at_most=0.5)
