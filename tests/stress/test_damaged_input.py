"""More than ten thousand damaged pictures, archives, tables and downloads: a right result, or one sentence."""

import os
import time

import pytest
from stress import fuzz

# cases of each target of fuzz_targets.TARGETS; the first eleven are the "images and archives" and more
COUNTS = {
    "image": 6000,
    "zip": 1200,
    "zip stored": 800,
    "tar": 1200,
    "tar.gz": 600,
    "tar.bz2": 300,
    "tar.xz": 300,
    "table csv": 1000,
    "table parquet": 1000,
    "shard parquet": 600,
    "shard arrow": 800,
    "fer2013 csv": 400,
    "layout": 2000,
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", COUNTS)
def test_damage_is_refused_or_read_right(target, share, figure):
    seed, count, start = int.from_bytes(os.urandom(4), "big"), share(COUNTS[target]), time.monotonic()
    print(f"seed {seed}")
    report = fuzz.run({target: count}, seed)
    bugs = report.outcomes["bug"]
    figure(
        f"bugs found by damaged input: {target}",
        bugs,
        "bugs",
        "0",
        bugs == 0,
        report.outcomes.total(),
        seeds=[seed],
        seconds=time.monotonic() - start,
        right=report.outcomes["right"],
        refused=report.outcomes["refused"],
    )
    assert report.outcomes.total() == count
    assert not report.bugs, "\n\n".join(report.bugs[:5])
    assert count < 50 or min(report.outcomes["right"], report.outcomes["refused"]) > 0, report.outcomes
