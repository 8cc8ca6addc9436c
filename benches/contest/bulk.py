"""Ten thousand clients in one call: against the arithmetic it must do, and against easy-rsa in a loop."""

import json

from .bench import Taken
from .clients import ELLIPTIC
from .table import Row, mebibytes, median, seconds

NEEDS = ["easyrsa"]
ABOUT = "10,000 clients in one call: the arithmetic alone, easy-rsa in a loop"


def estimate(bench):
    """Seconds that it takes, roughly."""
    return bench.runs(5) * (bench.size(10_000, 500) / 1000 + 2) + bench.size(100, 5) * 0.25 + 30


def measure(bench):
    """The rows."""
    count = bench.size(10_000, 500)
    return against_arithmetic(bench, count) + against_easyrsa(bench, count)


def against_arithmetic(bench, count):
    arithmetic = bench.helper("arithmetic")
    each = []

    def alone():
        found = json.loads(bench.call([arithmetic, count]))
        each.append(found["each"])
        return {"seconds": found["seconds"]}

    took = bench.turns({"ours": lambda: issued(bench, count, ["--no-export"]), "alone": alone}, bench.runs(5))
    ours, limit = took["ours"]["seconds"], took["alone"]["seconds"]
    parts = " + ".join(f"{name} {Taken(one[name] for one in each).median:.0f}" for name in each[0])
    work = f"{count:,} P-256 clients, sealed and durable, no bundles"
    against = f"their arithmetic on all cores ({parts} µs)"
    peak = took["ours"]["memory"].median
    return [
        Row(work, median(ours), against, median(limit), ours.median / limit.median, at_most=1.75),
        Row("peak memory of that", mebibytes(peak)),
    ]


def against_easyrsa(bench, count):
    runs = bench.runs(5)
    ours = Taken(issued(bench, count, ["-o", "out"])["seconds"] for _ in range(runs))
    loop = bench.size(100, 5)
    theirs = bench.easyrsa("theirs", ELLIPTIC)
    names = [bench.name() for _ in range(loop)]
    # one shell that calls it again and again, as people do
    script = 'for name in "$@"; do easyrsa build-client-full "$name" nopass || exit 1; done'
    took = bench.timed(["sh", "-c", script, "sh", *names], theirs, ELLIPTIC)["seconds"]
    scaled = took / loop * count
    work, against = f"{count:,} P-256 clients with .ovpn files", f"easy-rsa in a loop ({loop}, scaled)"
    return [Row(work, median(ours), against, seconds(scaled), scaled / ours.median, at_least=500)]


def issued(bench, count, options):
    """One call that issues to so many, in an authority of its own. That stays where it is: for minutes ext4 gives no inode
    anew that was freed, and looks at each of them again for every new file (`recently_deleted`, fs/ext4/ialloc.c), so that
    a run would pay for the removal of the one before."""
    directory = bench.authority(f"bulk-{bench.name()}")
    (directory / "out").mkdir()
    rows = "".join(f"{bench.name()}\n" for _ in range(count))
    (directory / "list.csv").write_text("name\n" + rows)
    return bench.vpnpki(["issue", "--from", "list.csv", "--quiet", *options], directory)
