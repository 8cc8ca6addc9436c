"""The table: what was done, what it took, against what, the ratio, the aim, and whether it is met. Knows no measuring."""

HEADINGS = ["work", "vpnpki", "against", "theirs", "ratio", "aim", "met"]


class Row:
    """One line. `aim` is a number and which side of it is right; none where only a figure is reported."""

    def __init__(self, work, ours, against="", theirs="", ratio=None, at_least=None, at_most=None, unit=""):
        self.work, self.ours, self.against, self.theirs = work, ours, against, theirs
        self.ratio, self.at_least, self.at_most, self.unit = ratio, at_least, at_most, unit

    def without_aim(self):
        """The same, where nobody asks how fast it was."""
        self.at_least = self.at_most = None
        return self

    @property
    def met(self):
        """Whether the ratio is on the right side; none without an aim."""
        if self.ratio is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or self.ratio >= self.at_least) and (
            self.at_most is None or self.ratio <= self.at_most
        )

    def cells(self):
        aim = ""
        if self.at_least is not None:
            aim = f"≥ {self.at_least:g}{self.unit}"
        if self.at_most is not None:
            aim = f"≤ {self.at_most:g}{self.unit}"
        ratio = "" if self.ratio is None else f"{number(self.ratio)}{self.unit}"
        met = {None: "", True: "yes", False: "NO"}[self.met]
        return [self.work, self.ours, self.against, self.theirs, ratio, aim, met]


def text(rows):
    """Columns of equal width."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(padded)


def markdown(rows):
    """A table for the README."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value):
    """Three digits of it."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def seconds(value):
    """In the unit that people would choose."""
    if value < 1:
        return f"{number(value * 1000)} ms"
    return f"{number(value)} s" if value < 600 else f"{number(value / 60)} min"


def median(taken):
    """A median, and between what most runs lie."""
    low, high = taken.spread
    return f"{seconds(taken.median)} ({seconds(low)} to {seconds(high)})"


def mebibytes(value):
    return f"{value:.1f} MiB"
