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
    against, theirs = "a C program that does nothing", median(took["nothing"])

    def row(what, where, aim):
        milliseconds = took[what].median * 1000
        return Row(
            f"`vpnpki {what}`{where}", median(took[what]), against, theirs, milliseconds, at_most=aim, unit=" ms"
        )

    return [row("--version", "", 3), row("list", ", ten certificates", 5)]
