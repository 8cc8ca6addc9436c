"""What a million certificates cost those who want one of them, or all."""

import time

from .table import Row, mebibytes, median

NEEDS = []
ABOUT = "issue, revoke, list, status and show among 1,000,000 certificates and among ten"


def estimate(bench):
    """Seconds that it takes, roughly."""
    return bench.size(1_000_000, 5_000) / 5000 + bench.runs(5) * 15


def measure(bench):
    """The rows."""
    count = bench.size(1_000_000, 5_000)
    begin = time.monotonic()
    (many, _), (few, _) = bench.filled("many", count), bench.filled("few", 10)
    rows = [Row(f"a store of {count:,} certificates filled", f"{time.monotonic() - begin:.0f} s")]
    there = {"many": iter(range(count)), "few": iter(range(10))}

    def revoked(directory, where):
        client = f"client-{next(there[where]):06}"
        return bench.vpnpki(["revoke", client, "--no-publish", "--quiet"], directory)

    # `status` exits 3: nobody publishes here, which is due
    commands = {
        "issue": lambda directory, _: bench.vpnpki(["issue", bench.name(), "--quiet"], directory),
        "revoke": revoked,
        "status": lambda directory, _: bench.vpnpki(["status"], directory, codes=(0, 3)),
        "show": lambda directory, _: bench.vpnpki(["show", "client-000009"], directory),
    }
    for what, run in commands.items():
        runs = min(bench.runs(5), 8)
        took = bench.turns({"many": lambda: run(many, "many"), "few": lambda: run(few, "few")}, runs)
        rows += flat(what, count, took["many"], took["few"])
    took = bench.turns({"many": lambda: bench.vpnpki(["list"], many)}, bench.runs(5))["many"]
    listing = f"`list` of {count:,}"
    rows.append(Row(listing, median(took["seconds"]), ratio=took["seconds"].median, at_most=1, unit=" s"))
    peak = took["memory"].median
    rows.append(Row(f"peak memory of it", mebibytes(peak), ratio=peak, at_most=32, unit=" MiB"))
    return rows


def flat(what, count, many, few):
    """A command among many takes about what it takes among few."""
    ours, alone = many["seconds"], few["seconds"]
    memory = f"{median(ours)}, {mebibytes(many['memory'].median)}"
    theirs = f"{median(alone)}, {mebibytes(few['memory'].median)}"
    return [Row(f"`{what}` among {count:,}", memory, "the same among ten", theirs, ours.median / alone.median, at_most=1.5)]
