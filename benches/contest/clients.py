"""One client, whole processes: `issue` with its durable commit against what others do for one."""

import json

from .table import Row, median

NEEDS = ["easyrsa", "cfssl", "openssl", "strace"]
ABOUT = "one client: easy-rsa, cfssl, openssl genrsa"
ELLIPTIC = {"EASYRSA_ALGO": "ec", "EASYRSA_CURVE": "prime256v1"}
RSA = {"EASYRSA_ALGO": "rsa", "EASYRSA_KEY_SIZE": "2048"}


def estimate(bench):
    """Seconds that it takes, roughly."""
    return bench.runs(50) * 1.2 + 5


def measure(bench):
    """The rows."""
    return elliptic(bench) + rsa(bench) + fsyncs(bench)


def elliptic(bench):
    ours, theirs, cfssl = bench.authority("ours"), bench.easyrsa("theirs", ELLIPTIC), ca_of_cfssl(bench)
    gencert = [
        "cfssl",
        "gencert",
        "-loglevel=5",
        "-ca=ca.pem",
        "-ca-key=ca-key.pem",
        "-config=config.json",
        "client.json",
    ]
    took = bench.turns(
        {
            "ours": lambda: bench.vpnpki(["issue", bench.name()], ours),
            "bare": lambda: bench.vpnpki(["issue", bench.name(), "--no-export"], ours),
            "easyrsa": lambda: bench.timed(["easyrsa", "build-client-full", bench.name(), "nopass"], theirs, ELLIPTIC),
            "cfssl": lambda: bench.timed(gencert, cfssl),
        },
        bench.runs(50),
    )
    easyrsa, gencert = (took[what]["seconds"] for what in ("easyrsa", "cfssl"))
    rows = []
    # easy-rsa and cfssl make no bundle
    for what, work in (("ours", "one P-256 client and its .ovpn"), ("bare", "one P-256 client, no bundle")):
        mine = took[what]["seconds"]
        ratios = easyrsa.median / mine.median, mine.median / gencert.median
        rows += [
            Row(work, median(mine), "easy-rsa (EC)", median(easyrsa), ratios[0], at_least=20),
            Row(work, median(mine), "cfssl gencert, its time", median(gencert), ratios[1], at_most=1.5),
        ]
    return rows


def rsa(bench):
    ours, theirs = bench.authority("ours-rsa", "--key", "rsa2048"), bench.easyrsa("theirs-rsa", RSA)
    took = bench.turns(
        {
            "ours": lambda: bench.vpnpki(["issue", bench.name()], ours),
            "easyrsa": lambda: bench.timed(["easyrsa", "build-client-full", bench.name(), "nopass"], theirs, RSA),
            "genrsa": lambda: bench.timed(["openssl", "genrsa", "-out", "key", "2048"], theirs),
        },
        bench.runs(50),
    )
    mine, easyrsa, genrsa = (took[what]["seconds"] for what in ("ours", "easyrsa", "genrsa"))
    work = "one rsa2048 client"
    return [
        Row(work, median(mine), "easy-rsa (RSA)", median(easyrsa), easyrsa.median / mine.median, at_least=1),
        Row(work, median(mine), "openssl genrsa 2048", median(genrsa), genrsa.median / mine.median, at_least=1),
    ]


def fsyncs(bench):
    """How often one `issue` waits for the disk."""
    directory, trace = bench.place / "ours", bench.place / "trace"
    calls = "trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync"
    bench.call(["strace", "-f", "-e", calls, "-o", trace, bench.program, "issue", bench.name()], directory)
    counted = sum("sync" in line and "+++" not in line for line in trace.read_text().splitlines())
    return [Row("fsyncs of one issue", str(counted), ratio=counted, at_most=7)]


def ca_of_cfssl(bench):
    """A CA of cfssl, and what it is asked to sign."""
    directory = bench.directory("cfssl")
    request = {"CN": "laptop-7", "key": {"algo": "ecdsa", "size": 256}}
    (directory / "ca.json").write_text(json.dumps(request | {"CN": "openvpn"}))
    (directory / "client.json").write_text(json.dumps(request))
    usages = ["digital signature", "client auth"]
    profile = {"signing": {"default": {"expiry": "19800h", "usages": usages}}}
    (directory / "config.json").write_text(json.dumps(profile))
    made = json.loads(bench.call(["cfssl", "genkey", "-initca", "ca.json"], directory))
    (directory / "ca.pem").write_text(made["cert"])
    (directory / "ca-key.pem").write_text(made["key"])
    return directory
