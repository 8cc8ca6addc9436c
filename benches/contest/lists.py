"""CRLs with many entries: built, checked, signed and stored by `crl refresh`, against `openssl ca -gencrl` over an index of
the same serials; and what memory that takes beyond a CRL without entries."""

import json

from .bench import Failed
from .table import Row, mebibytes, median

NEEDS = ["openssl"]
ABOUT = "CRLs of 100,000 and of 1,000,000 entries: openssl ca -gencrl"
PEAK = "its peak memory, and how far beyond that with none"
CONFIG = """\
[ca]
default_ca = ours
[ours]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 30
crl_extensions = extensions
[extensions]
authorityKeyIdentifier = keyid
"""


def estimate(bench):
    """Seconds that it takes, roughly."""
    return sum(size / 4000 + bench.runs(5) * size / 100_000 for size in sizes(bench)) + 10


def sizes(bench):
    return [size for size in bench.size([100_000, 1_000_000], [2_000]) if size <= bench.options.most]


def measure(bench):
    """The rows."""
    empty = bench.authority("crl-0")
    nothing = bench.turns({"ours": lambda: refreshed(bench, empty)}, bench.runs(5))["ours"]["memory"].median
    return [row for size in sizes(bench) for row in of_size(bench, size, nothing)]


def of_size(bench, size, nothing):
    directory, theirs = bench.filled("crl", size, revoked=size), bench.directory("openssl-ca")
    index(bench, directory, theirs, size)
    took = bench.turns(
        {"ours": lambda: refreshed(bench, directory), "theirs": lambda: bench.timed(["openssl", *GENCRL], theirs)},
        bench.runs(5),
    )
    ours, openssl = took["ours"]["seconds"], took["theirs"]["seconds"]
    memory, their_memory = (took[who]["memory"].median for who in ("ours", "theirs"))
    work, against = f"a CRL of {size:,} entries", "openssl ca -gencrl"
    more = f"{mebibytes(memory)}, with none {mebibytes(nothing)}"
    return [
        Row(work, median(ours), against, median(openssl), openssl.median / ours.median, at_least=10),
        Row(PEAK, more, against, mebibytes(their_memory), memory - nothing, at_most=32, unit=" MiB"),
    ]


GENCRL = ["ca", "-gencrl", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.crt", "-out", "crl.pem"]


def refreshed(bench, directory):
    return bench.vpnpki(["crl", "refresh", "--no-publish", "--quiet"], directory)


def index(bench, directory, theirs, size):
    """A CA of openssl with an index of the serials that are revoked in the authority."""
    (theirs / "ca.cnf").write_text(CONFIG)
    (theirs / "crlnumber").write_text("01\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    out = ["-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca"]
    bench.call(["openssl", "req", "-x509", *curve, *out], theirs)
    listed = bench.call([bench.program, "list", "--status", "revoked", "--jsonl"], directory).decode()
    rows = [json.loads(line) for line in listed.splitlines()]
    rows = [row for row in rows if row.get("status") == "revoked"]
    if len(rows) != size:
        raise Failed(f"{len(rows)} clients are revoked, not {size}")
    with open(theirs / "index.txt", "w") as file:
        for number, row in enumerate(rows):
            file.write(f"R\t360101000000Z\t260101000000Z\t{row['serial']}\tunknown\t/CN=client-{number}\n")
