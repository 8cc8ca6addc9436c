"""How long it takes to start: commands that have next to nothing to do, beside a program in C that has nothing to do."""

from .table import Row, median

NEEDS = ["cc"]
ABOUT = "start-up: a C program that does nothing"


def estimate(bench):
    """Seconds that it takes, roughly."""
    return bench.runs(200, quick=20) * 0.05 + 3


def measure(bench):
    """The rows."""
    directory, nothing = bench.authority("small"), bench.compiled("nothing", "int main(void) { return 0; }\n")
    bench.call([*map(str, ["sh", "-c", ":"])])
    for _ in range(9):
        bench.vpnpki(["issue", bench.name(), "--no-export", "--quiet"], directory)
    took = bench.turns(
        {
            "--version": lambda: bench.vpnpki(["--version"], directory),
            "list": lambda: bench.vpnpki(["list"], directory),
            "nothing": lambda: bench.timed([nothing], directory),
        },
        bench.runs(200, quick=20),
    )
    took = {what: one["seconds"] for what, one in took.items()}
    theirs = median(took["nothing"])
    return [
        Row(f"`vpnpki {what}`{where}", median(took[what]), "a C program that does nothing", theirs, took[what].median * 1000, at_most=aim, unit=" ms")
        for what, where, aim in (("--version", "", 3), ("list", ", ten certificates", 5))
    ]
