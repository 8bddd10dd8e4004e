"""A hundred killed imports, and imports on disks that are full at every size."""

import os
import time
from collections import Counter

import numpy as np
import pytest
from stress.disturbed_imports import disturb, make_scene, out_of_disk

KILLS = 50  # for each of the two ways
SIZES = [0, 1, 100, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1 << 20, 4 << 20]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", ["embed", "in_place"])
def test_a_killed_import_leaves_the_old_state_or_the_new_one(tmp_path, way, share, figure):
    seed, start = int.from_bytes(os.urandom(4), "big"), time.monotonic()
    print(f"seed {seed}")
    scene = make_scene(tmp_path, way)
    moments = np.random.default_rng(seed).uniform(0, 1, share(KILLS)).tolist()
    outcomes, faults = disturb(scene, moments)
    figure(
        f"faults after kill -9 of an import ({way})",
        len(faults),
        "faults",
        "0",
        not faults,
        len(moments),
        seeds=[seed],
        seconds=time.monotonic() - start,
        outcomes=dict(outcomes),
    )
    assert faults == []
    assert len(moments) < 20 or outcomes["old"] > 0, outcomes


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", ["embed", "in_place"])
def test_a_full_disk_is_one_sentence_and_leaves_the_old_state(tmp_path, way, share, figure):
    start = time.monotonic()
    scene = make_scene(tmp_path, way)
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    sizes = SIZES[:: max(1, len(SIZES) // share(len(SIZES)))]
    for size in sizes:
        found, wrong = out_of_disk(scene, size)
        outcomes[found] += 1
        faults += [f"files of at most {size} bytes ({way}): {fault}" for fault in wrong]
    figure(
        f"faults after an import on a full disk ({way})",
        len(faults),
        "faults",
        "0",
        not faults,
        len(sizes),
        seconds=time.monotonic() - start,
        outcomes=dict(outcomes),
    )
    assert faults == []
    assert len(sizes) < 10 or (outcomes["refused"] and outcomes["new"]), outcomes
