"""One machine's place for measuring: programs that are built and installed, authorities of ours and of others, runs that
take turns. Knows no section."""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
EASYRSA = "/usr/share/easy-rsa"
# the package that brings a program
PACKAGES = {"easyrsa": "easy-rsa", "cfssl": "golang-cfssl", "strace": "strace", "openssl": "openssl", "cc": "gcc"}
NO_PASSPHRASE = ["--no-passphrase", "--no-export", "--quiet"]


class Failed(Exception):
    """Why a section has no figures."""


class Taken:
    """What many runs of one thing took: seconds unless said otherwise."""

    def __init__(self, values):
        self.values = sorted(values)

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def mean(self):
        return statistics.mean(self.values)

    @property
    def error(self):
        """The standard error of the mean."""
        if len(self.values) < 2:
            return float("nan")
        return statistics.stdev(self.values) / len(self.values) ** 0.5

    @property
    def spread(self):
        """Between which bounds eight of ten lie."""
        if len(self.values) < 5:
            return self.values[0], self.values[-1]
        return tuple(statistics.quantiles(self.values, n=10, method="inclusive")[::8])


class Bench:
    """A directory on a real disk beside the build, the programs, and how often each is run."""

    def __init__(self, place, path, options):
        self.place, self.options = pathlib.Path(place), options
        # as `install` puts it there: a linker writes a file in pieces, and each piece is a page fault at the start
        self.program = shutil.copy(program(options.quick), self.place / "vpnpki")
        self.environment = {"PATH": path, "HOME": str(place), "LANG": "C.UTF-8", "EASYRSA_BATCH": "1"}
        self.number = 0
        self.launch = self.compiled("launch", (ROOT / "benches/contest/launch.c").read_text())

    def runs(self, usual, quick=5):
        """How often something is run that usually is run so often."""
        return self.options.runs or (quick if self.options.quick else usual)

    def size(self, usual, quick):
        """How many of something there are."""
        return quick if self.options.quick else usual

    def name(self):
        """A client that nobody has yet."""
        self.number += 1
        return f"bench-{self.number}"

    def directory(self, name):
        """A new one; what an earlier section left under this name is gone."""
        path = self.place / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def call(self, words, directory=None, environment=None, codes=(0,)):
        """Runs a command to its end, and gives its output; not measured."""
        words = [str(word) for word in words]
        environment = self.environment | (environment or {})
        directory = directory or self.place
        done = subprocess.run(words, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode not in codes:
            raise Failed(f"`{' '.join(words)}` exited {done.returncode}: {said(done.stderr + done.stdout)}")
        return done.stdout

    def timed(self, words, directory=None, environment=None, codes=(0,)):
        """One run of a command: `seconds` and `processor` (seconds of it), `memory` (its peak in MiB)."""
        out = self.place / "out"
        words = [self.launch, out, *words]
        took = json.loads(self.call(words, directory, environment))
        if took["code"] not in codes:
            words = " ".join(str(word) for word in words[2:])
            raise Failed(f"`{words}` exited {took['code']}: {said(out.read_bytes())}")
        took["memory"] /= 1024
        return took

    def turns(self, contest, runs, warm=1):
        """Runs each so often, in turns and in alternating order, so that a noisy machine is noisy for all.

        `contest` has a function for each name; what they give are dictionaries, and so is what this gives: for each name
        and each of their keys a Taken. The first `warm` rounds only warm the caches."""
        found = {what: [] for what in contest}
        for run in range(runs + warm):
            order = list(contest) if run % 2 else list(reversed(contest))
            for what in order:
                took = contest[what]()
                if run >= warm:
                    found[what].append(took)
        return {
            what: {key: Taken(took[key] for took in all_of_it) for key in all_of_it[0]}
            for what, all_of_it in found.items()
        }

    def vpnpki(self, words, directory, codes=(0,)):
        """One run of ours."""
        return self.timed([self.program, *words], directory, codes=codes)

    def authority(self, name, *options):
        """An authority of ours, without a passphrase; its directory's `pki`."""
        directory = self.directory(name)
        self.call([self.program, "init", "--remote", "vpn.example.com", *NO_PASSPHRASE, *options], directory)
        return directory

    def easyrsa(self, name, environment):
        """A CA of easy-rsa, without a passphrase."""
        directory = self.directory(name)
        for words in (["init-pki"], ["build-ca", "nopass"]):
            self.call(["easyrsa", *words], directory, environment)
        return directory

    def filled(self, name, certificates, revoked=0):
        """An authority of ours with so many clients, of which so many are revoked."""
        directory = self.authority(name)
        words = [self.helper("fill"), "pki", certificates]
        self.call(words + [revoked] if revoked else words, directory)
        return directory

    def compiled(self, name, program, *options):
        """A program in C."""
        source, path = self.place / f"{name}.c", self.place / name
        source.write_text(program)
        self.call(["cc", "-O2", *options, "-o", path, source])
        return path

    def helper(self, name):
        """One of benches/*.rs that is no benchmark by itself; built as the program is."""
        if not (ROOT / "benches" / f"{name}.rs").exists():
            raise Failed(f"there is no benches/{name}.rs")
        words = ["cargo", "bench", "--no-run", "--locked", "--quiet", "--bench", name, "--message-format", "json"]
        if self.options.quick:
            words += ["--profile", "dev"]
        built = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        if built.returncode != 0:
            raise Failed(f"benches/{name}.rs is not built: {said(built.stderr.encode())}")
        lines = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
        named = (line["executable"] for line in lines if line.get("target", {}).get("name") == name)
        return next(path for path in named if path)


def build(quick):
    """Builds the program as it is released; as the tests have it where nobody asks how fast it is."""
    release = [] if quick else ["--release"]
    subprocess.run(["cargo", "build", "--locked", "--quiet", *release], check=True, cwd=ROOT)


def program(quick):
    """Where that is."""
    return TARGET / ("debug" if quick else "release") / "vpnpki"


def install(programs):
    """Installs what is missing; gives the search path that finds all of it."""
    path = f"{os.environ['PATH']}:{EASYRSA}"
    lacking = [PACKAGES[program] for program in sorted(programs) if not shutil.which(program, path=path)]
    if lacking:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-qq"], ["install", "-qq", "--no-install-recommends", *lacking]):
            subprocess.run(
                ["apt-get", *words], check=True, env=environment, stdout=sys.stderr, stdin=subprocess.DEVNULL
            )
    return path


def said(output):
    """The end of what a command said, on one line."""
    return " / ".join(output.decode(errors="replace").strip().splitlines()[-3:])
