"""One seed out of several numbers: of a step in a training, of a face in a plan."""

import numpy as np


def derived_seed(*numbers: int) -> int:
    """A seed, 0..2**63 - 1, that these non-negative numbers in this order always give.

    `numpy.random.SeedSequence` (O'Neill, "Developing a seed_seq Alternative", 2015) mixes them, so that neighbouring
    numbers give unrelated seeds.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
