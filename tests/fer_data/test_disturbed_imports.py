"""A small share of tests/stress/test_disturbed_imports.py, with a fresh seed that a failure prints."""

import os

import numpy as np
from stress.disturbed_imports import disturb, make_scene, out_of_disk


def test_a_killed_import_and_a_full_disk_leave_the_old_state_or_the_new_one(tmp_path):
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    scene = make_scene(tmp_path, ("embed", "in_place")[seed % 2], pictures=60)
    outcomes, faults = disturb(scene, [float(np.random.default_rng(seed).uniform(0, 0.9))])
    assert faults == [] and outcomes.total() == 1
    assert out_of_disk(scene, 2000) == ("refused", [])
