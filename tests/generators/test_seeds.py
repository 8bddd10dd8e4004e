import pytest

from generators.seeds import derived_seed


@pytest.mark.parametrize(
    ("numbers", "seed"),
    [
        ((0, 0), 7896617691693857887),
        ((3, 17), 2963875794002553787),
        ((5, 0, 1), 2153485280332438425),
        ((5, 2, 3), 7935110420765620783),
    ],
)
def test_a_seed_never_changes(numbers, seed):
    """Trainings go on, and faces are drawn again, by seeds of runs that are long over."""
    assert derived_seed(*numbers) == seed


def test_seeds_differ_and_fit_a_signed_integer():
    seeds = [derived_seed(a, b) for a in range(40) for b in range(40)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
