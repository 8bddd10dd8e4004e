import numpy as np
import pytest
from cleanlab.count import compute_confident_joint, estimate_joint

from fer_data.auditing import joints
from fer_data.auditing.evidence import Repeat
from fer_data.auditing.noise import estimate_noise
from fer_data.errors import FerError

NAMES = ("anger", "fear", "sadness", "neutral")
CONFUSION = np.array([[0.9, 0.1, 0, 0], [0.0, 0.8, 0.2, 0], [0, 0.1, 0.9, 0], [0.05, 0.0, 0.25, 0.7]])  # given | true


def draw(count, seed=0, *, clearness=4.0, confusion=CONFUSION):
    """True labels, given labels, and probabilities of the given labels as a perfectly trained classifier has them."""
    rng = np.random.default_rng(seed)
    size = len(confusion)
    logits = rng.normal(0, 1, (count, size)) + clearness * np.eye(size)[rng.integers(0, size, count)]
    shown = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (shown.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    given = (confusion[truth].cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return truth, given, shown @ confusion


def joint_of(given, truth, size=4):
    counts = np.zeros((size, size))
    np.add.at(counts, (given, truth), 1)
    return counts / counts.sum()


def holds(bounded):
    ordered = (bounded.low <= bounded.value).all() and (bounded.value <= bounded.high).all()
    return ordered and (bounded.low >= 0).all() and (bounded.high <= 1).all()


def every(noise):
    return (noise.joint, noise.conditional, noise.error_rates, noise.sampled_rates, noise.error_rate)


def test_the_confident_joint_is_cleanlabs():
    _, given, probabilities = draw(3000)
    tally = joints.tally_faces(given, probabilities, np.zeros(3000, dtype=np.int64), 1)
    assert np.array_equal(tally.confident[0], compute_confident_joint(given, probabilities, calibrate=False))
    confident, _ = joints.joints_of(tally)
    # cleanlab rounds to whole faces.
    assert np.abs(confident[0] - estimate_joint(given, probabilities)).max() < 1.5 / 3000


def test_a_planted_matrix_is_found_closer_than_by_confident_learning_alone():
    truth, given, probabilities = draw(20_000)
    real = joint_of(given, truth)
    noise = estimate_noise(given, probabilities, np.arange(20_000))
    error = np.abs(noise.joint.value - real).mean()
    assert error < 0.01
    assert error < np.abs(estimate_joint(given, probabilities) - real).mean()
    assert np.abs(noise.conditional.value - real / real.sum(axis=1, keepdims=True)).mean() < 0.03
    assert float(noise.error_rate.value) == pytest.approx((given != truth).mean(), abs=0.05)
    assert noise.joint.value.sum() == pytest.approx(1)
    assert np.allclose(noise.joint.value.sum(axis=1), np.bincount(given) / 20_000)
    assert np.allclose(noise.conditional.value.sum(axis=1), 1)
    assert np.allclose(noise.error_rates.value, 1 - np.diag(noise.conditional.value))
    assert np.array_equal(noise.given, np.bincount(given))


@pytest.mark.parametrize("clearness", [2.5, 4.0, 6.0])
def test_the_intervals_cover_planted_matrices(clearness):
    covered = []
    for seed in range(3):
        truth, given, probabilities = draw(4000, seed, clearness=clearness)
        real = joint_of(given, truth)
        noise = estimate_noise(given, probabilities, np.arange(4000) // 2, fold=np.arange(4000) % 4, seed=seed)
        assert all(holds(bounded) for bounded in every(noise))
        covered.append((noise.joint.low - 1e-9 <= real) & (real <= noise.joint.high + 1e-9))
        shares = real / real.sum(axis=1, keepdims=True)
        covered.append((noise.conditional.low - 1e-9 <= shares) & (shares <= noise.conditional.high + 1e-9))
    assert np.mean(covered) >= 0.9


def test_the_direction_of_a_confusion_widens_the_rates_of_classes_but_not_the_total():
    _, given, probabilities = draw(6000)
    noise = estimate_noise(given, probabilities, np.arange(6000))
    wide, narrow = noise.error_rates, noise.sampled_rates
    assert np.array_equal(wide.value, narrow.value)
    assert (wide.high - wide.low).mean() > 1.5 * (narrow.high - narrow.low).mean()
    assert float(noise.error_rate.high - noise.error_rate.low) < 0.2


def test_twins_and_folds_widen_the_intervals():
    _, given, probabilities = draw(500)
    twins = np.tile(given, 8), np.tile(probabilities, (8, 1))
    apart = estimate_noise(*twins, np.arange(4000)).error_rate
    together = estimate_noise(*twins, np.tile(np.arange(500), 8)).error_rate
    assert together.high - together.low > apart.high - apart.low
    # One fold's classifier that doubts every label is a classifier that another draw might not have had.
    worse = np.where(np.arange(4000)[:, None] % 4 == 0, 0.5 * twins[1] + 0.125, twins[1])
    blind = estimate_noise(twins[0], worse, np.arange(4000)).error_rate
    aware = estimate_noise(twins[0], worse, np.arange(4000), fold=np.arange(4000) % 4).error_rate
    assert aware.high - aware.low > blind.high - blind.low


def test_repeats_give_the_spread_and_the_mean_the_value():
    _, given, probabilities = draw(2000)
    rng = np.random.default_rng(1)

    def repeat(noise_level):
        logits = np.log(probabilities) + rng.normal(0, noise_level, probabilities.shape)
        judged = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return Repeat((np.arange(2000) % 4).astype(np.int16), judged.astype(np.float32), given)

    groups = np.arange(2000)
    alone = estimate_noise(given, probabilities, groups)
    repeated = estimate_noise(given, probabilities, groups, repeats=[repeat(0.1), repeat(2.0)], resamples=201)
    assert np.array_equal(alone.joint.value, repeated.joint.value)
    width = [float(noise.error_rate.high - noise.error_rate.low) for noise in (alone, repeated)]
    assert width[1] > 1.2 * width[0]


def test_the_same_seed_gives_the_same_intervals():
    _, given, probabilities = draw(300)
    first, again, other = (estimate_noise(given, probabilities, np.arange(300), seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(first.joint.high, again.joint.high)
    assert not np.array_equal(first.joint.high, other.joint.high)
    assert np.array_equal(first.joint.value, other.joint.value)


@pytest.mark.filterwarnings("error")
def test_few_faces_and_an_empty_class_are_told_as_unknown():
    given = np.repeat([0, 1], [25, 15])
    probabilities = np.full((40, 3), 0.1)
    probabilities[np.arange(40), np.where(np.arange(40) % 5 == 0, 1 - given, given)] = 0.8
    noise = estimate_noise(given, probabilities, np.arange(40), fold=np.zeros(40, dtype=np.int16))
    assert all(np.isfinite([b.value, b.low, b.high]).all() for b in (noise.joint, noise.conditional, noise.error_rates))
    assert all(holds(bounded) for bounded in every(noise))
    assert noise.conditional.value[2].tolist() == [0, 0, 1]
    assert noise.conditional.low[2].tolist() == [0, 0, 0]
    assert noise.conditional.high[2].tolist() == [1, 1, 1]
    told = noise.as_dict(("a", "b", "c"))
    assert told["error_rates"]["c"] is None
    assert told["conditional"]["value"][2] is None
    assert told["given"] == {"a": 25, "b": 15, "c": 0}
    single = estimate_noise(given[:1], probabilities[:1], np.arange(1))
    assert float(single.error_rate.high) == pytest.approx(0.975)


def test_a_cell_that_was_never_seen_is_not_ruled_out():
    given = np.repeat([0, 1], 100)
    noise = estimate_noise(given, np.where(given[:, None] == [0, 1], 0.99, 0.01), np.arange(200))
    assert float(noise.conditional.value[0, 1]) < 1e-3
    assert float(noise.conditional.high[0, 1]) == pytest.approx(1 - 0.025 ** (1 / 100))


def test_what_follows_from_the_joint():
    _, given, probabilities = draw(20_000)
    noise = estimate_noise(given, probabilities, np.arange(20_000))
    assert noise.true_shares.sum() == pytest.approx(1)
    assert np.allclose(noise.transition.sum(axis=1), 1)
    assert np.abs(noise.transition - CONFUSION).max() < 0.15
    told = noise.as_dict(NAMES)
    assert told["error_rate"]["low"] <= told["error_rate"]["value"] <= told["error_rate"]["high"]
    assert told["joint"]["value"][1] == noise.joint.value[1].tolist()
    assert list(told["error_rates"]) == list(NAMES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(0, dtype=np.int64)}, "one or more faces"),
        ({"groups": np.arange(3)}, "one or more faces"),
        ({"labels": np.array([0, 1, 2, 7])}, "expected labels 0 to 2, found 0 to 7"),
        ({"labels": np.array([0, 1, -1, 2])}, "leave faces without a label out"),
        ({"resamples": 1}, "expected 2 or more resamples"),
    ],
)
def test_what_cannot_be_estimated_is_refused(change, message):
    values = {"labels": np.array([0, 1, 2, 0]), "probabilities": np.full((4, 3), 1 / 3), "groups": np.arange(4)}
    with pytest.raises(FerError, match=message):
        estimate_noise(**{**values, **change})
