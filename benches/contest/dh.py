"""Diffie-Hellman parameters of 2048 bits. A search has no memory, so that single ones differ tenfold: what counts is the
expected time, which is the number of tests times the cost of one; whole searches are a check of it."""

import json

from .bench import Taken
from .table import Row, number, seconds

NEEDS = ["openssl"]
ABOUT = "DH parameters of 2048 bits: openssl dhparam"


def estimate(bench):
    """Seconds that it takes, roughly."""
    return bench.runs(20, quick=1) * (20 + 2 + 5 + 1) + 60


def measure(bench):
    """The rows."""
    program, runs = bench.helper("dh"), bench.runs(20, quick=1)
    found = json.loads(bench.call([program, "measure", 2048]))
    openssl = Taken(dhparam(bench) for _ in range(runs))
    theirs = mean(openssl)
    rows = []
    for arithmetic, aim in (("vector", 15), ("portable", 5)):
        parts = found[arithmetic]
        work = f"DH 2048, {arithmetic}, one core, expected"
        if parts is None:
            rows.append(Row(work, "not run: this processor has no AVX-512 IFMA"))
            continue
        ours, ratio = parts["expected_s"], openssl.mean / parts["expected_s"]
        what = f"{seconds(ours)} ({parts['tests']:.0f} tests of {parts['test_ms']:.2f} ms)"
        rows.append(Row(work, what, f"openssl dhparam 2048, {runs} runs", theirs, ratio, at_least=aim))
        rows.append(searches(bench, program, arithmetic, runs, ours))
        if parts.get("of_limit"):
            limit = f"{parts['limit_ms']:.3f} ms"
            rows.append(Row("a test against its multiplications alone", limit, ratio=parts["of_limit"]))
    return rows + whole(bench, runs, openssl)


def dhparam(bench):
    """Seconds of processor that OpenSSL takes, on one thread."""
    return bench.timed(["openssl", "dhparam", "-out", "dh.pem", "2048"])["processor"]


def searches(bench, program, arithmetic, runs, expected):
    """Whole searches: their mean against the expectation, in standard errors."""
    found = json.loads(bench.call([program, "search", runs, arithmetic, 2048]))
    # the time until a success is as scattered as it is long
    error = expected / runs**0.5
    off = abs(found["seconds"] - expected) / error
    measured = f"{seconds(found['seconds'])}, mean of {runs}"
    return Row(
        "whole searches, off by so many standard errors", measured, "expected", seconds(expected), off, at_most=3
    )


def whole(bench, runs, openssl):
    """`dh generate` on every core, as somebody waits for it."""
    generate = ["dh", "generate", "--quiet", "-o"]
    ours = Taken(bench.vpnpki([*generate, f"{bench.name()}.pem"], bench.place)["seconds"] for _ in range(runs))
    theirs = f"openssl dhparam 2048, {runs} runs"
    return [Row("`dh generate`, all cores, waited for", mean(ours), theirs, mean(openssl), openssl.mean / ours.mean)]


def mean(taken):
    return f"{seconds(taken.mean)} ± {number(taken.error)}" if len(taken.values) > 1 else seconds(taken.mean)
