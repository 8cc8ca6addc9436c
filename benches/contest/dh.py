"""Diffie-Hellman parameters of 2048 bits. A search has no memory, so that single ones differ tenfold: what counts is the
expected time, which is the number of tests times the cost of one, of ours and of OpenSSL alike; whole searches are a check
of it. All of this on one core, in turns."""

import ctypes
import json
import os
import time

from .bench import Taken
from .table import Row, number, seconds

NEEDS = ["openssl"]
ABOUT = "DH parameters of 2048 bits: openssl dhparam"

# what a path is for, and how many times as fast as OpenSSL it is to be
PATHS = {
    "AVX-512 IFMA": ("where the processor has it", 15),
    "AVX2": ("where it has that", 5),
    "SSE2": ("on any x86-64 processor", 5),
    "portable": ("on any other", 5),
}


def estimate(bench):
    """Seconds that it takes, roughly."""
    return bench.runs(20, quick=1) * (22 + 1 + 2 + 4 + 6 + 2) + 60


def measure(bench):
    """The rows."""
    program, runs = bench.helper("dh"), bench.runs(20, quick=1)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        theirs, paths = expected(bench, program)
        rows = on_one_core(bench, program, runs, theirs, paths)
    finally:
        os.sched_setaffinity(0, cores)
    return rows + [on_all_cores(bench, runs, theirs)]


def on_one_core(bench, program, runs, theirs, paths):
    """Expected times, and whole searches beside them."""
    rows = []
    for path, (where, aim) in PATHS.items():
        work = f"DH 2048 with {path}, {where}: expected, one core"
        if path not in paths:
            rows.append(Row(work, "not run: not on this processor"))
            continue
        ours, parts = seconds_of(paths[path]), paths[path]
        what = f"{seconds(ours)} ({parts['tests']:.0f} tests of {parts['test_ms']:.2f} ms)"
        against = f"openssl dhparam 2048, expected ({theirs.tests:.0f} of {theirs.cost * 1000:.2f} ms)"
        rows.append(Row(work, what, against, seconds(theirs.seconds), theirs.seconds / ours, at_least=aim))
        rows.append(checked(f"searches with {path}", searches(bench, program, runs, path), runs, ours))
        if parts["limit_ms"]:
            part = f"{parts['limit_ms']:.3f} ms of {parts['test_ms']:.3f} ms"
            rows.append(Row("of a test, its multiplications alone", part, ratio=parts["limit_ms"] / parts["test_ms"]))
    rows.append(checked("openssl dhparam 2048", dhparam(bench, runs).mean, runs, theirs.seconds))
    return rows


def expected(bench, program):
    """Theirs, and of ours what each path's parts take, in turns and the least of each: others only add to it."""
    found = [json.loads(bench.call([program, "measure", 2048]))]
    theirs = OpenSSL(found[0]["candidates_per_hit"])
    theirs.measure()
    for _ in range(bench.runs(5, quick=1)):
        found.append(json.loads(bench.call([program, "measure", 2048])))
        theirs.measure()
    paths = found[0]["paths"]
    for name, parts in paths.items():
        for part in ("test_ms", "sieve_ms", "rounds_ms", "limit_ms"):
            if parts[part] is not None:
                parts[part] = min(one["paths"][name][part] for one in found)
    return theirs, paths


def seconds_of(parts):
    """Of one search on one core, on the average."""
    return (
        parts["tests"] * parts["test_ms"] + parts["windows"] * parts["sieve_ms"] + parts["rounds_ms"]
    ) / 1000


class OpenSSL:
    """OpenSSL's own search, of which the library is asked for a few candidates at a time: it tells of each, and can be
    stopped (BN_GENCB)."""

    def __init__(self, candidates_per_hit):
        self.library = ctypes.CDLL("libcrypto.so.3")
        for name in ("BN_new", "BN_GENCB_new", "DH_new_by_nid", "DH_get0_p"):
            getattr(self.library, name).restype = ctypes.c_void_p
        # crypto/bn/bn_prime.c, probable_prime_dh: neither p nor (p-1)/2 has one of the first 384 primes as a factor when
        # the first round of Miller and Rabin is made, with p; that there is none of 2 and 3 is in the number already
        self.tests = candidates_per_hit
        for prime in first_primes(384)[2:]:
            self.tests *= 1 - 2 / prime
        # crypto/dh/dh_gen.c: p = 23 mod 24, for the generator 2
        self.step, self.rest = self.small(24), self.small(23)
        self.cost = self.proof = float("inf")

    @property
    def seconds(self):
        """Of one search, on the average."""
        return self.tests * self.cost + self.proof

    def small(self, value):
        made = ctypes.c_void_p(self.library.BN_new())
        self.library.BN_set_word(made, ctypes.c_ulong(value))
        return made

    def measure(self):
        """What one candidate costs, in seconds: trial division, a round for p and, where that is passed, for (p-1)/2. And
        the 64 rounds that both of them pass at the end."""
        self.cost = min(self.cost, *(self.candidates(25) / 25 for _ in range(10)))
        self.proof = min(self.proof, self.rounds())

    def candidates(self, count):
        """Seconds of so many."""
        left = count + 1
        function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)

        def told(event, _number, _search):
            nonlocal left
            # 0: a candidate is about to be tested
            left -= event == 0
            return left > 0

        told, callback = function(told), ctypes.c_void_p(self.library.BN_GENCB_new())
        self.library.BN_GENCB_set(callback, told, None)
        prime = ctypes.c_void_p(self.library.BN_new())
        begin = time.process_time()
        found = self.library.BN_generate_prime_ex(prime, 2048, 1, self.step, self.rest, callback)
        took = time.process_time() - begin
        self.library.BN_GENCB_free(callback)
        self.library.BN_free(prime)
        # one search in 400 is that lucky
        return float("inf") if found else took


    def rounds(self):
        """Seconds of the last rounds, with the prime of RFC 7919, which is as long and as safe (NID_ffdhe2048)."""
        group = ctypes.c_void_p(self.library.DH_new_by_nid(1126))
        prime, half = ctypes.c_void_p(self.library.DH_get0_p(group)), ctypes.c_void_p(self.library.BN_new())
        self.library.BN_rshift1(half, prime)
        begin = time.process_time()
        passed = [self.library.BN_is_prime_ex(number, 64, None, None) for number in (prime, half)]
        took = time.process_time() - begin
        self.library.BN_free(half)
        self.library.DH_free(group)
        assert passed == [1, 1]
        return took


def first_primes(count):
    primes = []
    candidate = 2
    while len(primes) < count:
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
        candidate += 1
    return primes


def dhparam(bench, runs):
    """Seconds of processor that OpenSSL takes, on one thread."""
    words = ["openssl", "dhparam", "-out", "dh.pem", "2048"]
    return Taken(bench.timed(words)["processor"] for _ in range(runs))


def searches(bench, program, runs, path):
    """Seconds of processor that a whole search takes, on the average."""
    return bench.timed([program, "search", runs, path, 2048])["processor"] / runs


def on_all_cores(bench, runs, theirs):
    """`dh generate`, as somebody waits for it."""
    generate = ["dh", "generate", "--quiet", "-o"]
    ours = Taken(bench.vpnpki([*generate, f"{bench.name()}.pem"], bench.place)["seconds"] for _ in range(runs))
    what = f"{seconds(ours.mean)} ± {number(ours.error)}" if runs > 1 else seconds(ours.mean)
    against = "openssl dhparam 2048, expected"
    return Row("`dh generate`, all cores, waited for", what, against, seconds(theirs.seconds), theirs.seconds / ours.mean)


def checked(work, mean, runs, awaited):
    """Whole searches against the expectation, in standard errors."""
    # the time until a success is as scattered as it is long
    off = abs(mean - awaited) / (awaited / runs**0.5)
    return Row(
        f"{work}: off by so many standard errors",
        f"{seconds(mean)}, mean of {runs}",
        "expected",
        seconds(awaited),
        off,
        at_most=3,
    )
