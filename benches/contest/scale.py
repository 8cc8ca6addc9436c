"""What a million certificates cost those who want one of them, or all."""

import time

from .table import Row, mebibytes, median

NEEDS = []
ABOUT = "issue, revoke, list, status and show among 1,000,000 certificates and among ten"


def estimate(bench):
    """Seconds that it takes, roughly."""
    return size(bench) / 5000 + bench.runs(5) * 15


def size(bench):
    return min(bench.size(1_000_000, 5_000), bench.options.most)


def measure(bench):
    """The rows."""
    count = size(bench)
    begin = time.monotonic()
    many, few = bench.filled("many", count), bench.filled("few", 10)
    rows = [Row(f"a store of {count:,} certificates filled", f"{time.monotonic() - begin:.0f} s")]
    there = {directory: clients(bench, directory) for directory in (many, few)}
    left = {directory: iter(names[1:]) for directory, names in there.items()}

    def revoked(directory):
        return bench.vpnpki(["revoke", next(left[directory]), "--no-publish", "--quiet"], directory)

    # `status` exits 3: nobody publishes here, which is due
    commands = {
        "issue": lambda directory: bench.vpnpki(["issue", bench.name(), "--quiet"], directory),
        "revoke": revoked,
        "status": lambda directory: bench.vpnpki(["status"], directory, codes=(0, 3)),
        "show": lambda directory: bench.vpnpki(["show", there[directory][0]], directory),
    }
    rows += [flat(bench, f"`{what}` among {count:,}", run, many, few) for what, run in commands.items()]
    return rows + listed(bench, count, many)


def clients(bench, directory):
    """Ten of the names in a store, from all over it."""
    names = bench.call([bench.program, "list", "--role", "client", "--quiet"], directory).decode().split()
    return names[:: len(names) // 10][:10]


def flat(bench, work, run, many, few):
    """A command among many takes about what it takes among few."""
    runs = min(bench.runs(5), 8)
    took = bench.turns({"many": lambda: run(many), "few": lambda: run(few)}, runs)
    shown = [f"{median(one['seconds'])}, {mebibytes(one['memory'].median)}" for one in took.values()]
    ratio = took["many"]["seconds"].median / took["few"]["seconds"].median
    return Row(work, shown[0], "the same among ten", shown[1], ratio, at_most=1.5)


def listed(bench, count, many):
    took = bench.turns({"list": lambda: bench.vpnpki(["list"], many)}, bench.runs(5))["list"]
    wait, peak = took["seconds"], took["memory"].median
    return [
        Row(f"`list` of {count:,}", median(wait), ratio=wait.median, at_most=1, unit=" s"),
        Row("its peak memory", mebibytes(peak), ratio=peak, at_most=32, unit=" MiB"),
    ]
