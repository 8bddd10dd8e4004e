"""A small share of `make stress`, with a fresh seed that a failure prints."""

import os

import numpy as np
from stress import fuzz
from stress.mutations import mutate

SHARE = {
    "image": 60,
    "zip": 15,
    "tar.gz": 8,
    "table csv": 15,
    "table parquet": 10,
    "shard arrow": 10,
}


def test_damaged_input_is_refused_or_read_right():
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    report = fuzz.run(SHARE, seed)
    assert report.bugs == [], "\n\n".join(report.bugs)
    assert report.outcomes.total() == sum(SHARE.values())
    assert report.outcomes["refused"] > 20


def test_bugs_are_noticed_and_the_run_goes_on():
    report = fuzz.run({"planted": 4}, 4)
    assert report.outcomes.total() == 4 and report.outcomes["refused"] and len(report.bugs) == report.outcomes["bug"]
    assert any("KeyError: 'planted'" in bug for bug in report.bugs)
    assert any("the process ended with -11" in bug for bug in report.bugs)
    assert report.bugs[0].startswith("python -m stress.fuzz --seed 4 --first ")


def test_mutations_differ_from_case_to_case():
    data = bytes(range(256)) * 4
    damaged = {mutate(data, np.random.default_rng(seed)) for seed in range(200)}
    assert len(damaged) > 190 and data not in damaged - {data}
    assert mutate(data, np.random.default_rng(7)) == mutate(data, np.random.default_rng(7))
    assert isinstance(mutate(b"", np.random.default_rng(0)), bytes)
