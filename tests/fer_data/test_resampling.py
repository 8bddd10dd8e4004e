import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_data import manifest
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.resampling import RebalanceConfig, class_weights, describe_rebalance, rebalance

COUNTS = {"anger": 12, "disgust": 3, "fear": 7}


@pytest.fixture
def rare(picture_manifest):
    """Training faces of COUNTS, and rows that no method may touch."""
    labels = [label for label, count in COUNTS.items() for _ in range(count)]
    splits = ["train"] * len(labels)
    labels += ["fear", None, "disgust"]
    splits += ["test", "train", None]
    facts = [{"light": "low"} if row % 4 == 0 else {} for row in range(len(labels))]
    return picture_manifest(range(len(labels)), labels, splits, facts=facts)


def faces(made):
    train = made.frame[(made.frame["split"] == "train") & made.frame["label"].notna()]
    return train.groupby("label")["repeat"].sum().to_dict()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, dict.fromkeys(COUNTS, 12)),
        ("median", {"anger": 12, "disgust": 7, "fear": 7}),
        (20, dict.fromkeys(COUNTS, 20)),
        ("smallest", COUNTS),
    ],
)
def test_rare_faces_are_repeated_up_to_the_target(rare, target, expected):
    made = rebalance(rare, RebalanceConfig(method="repeat", target=target), "manifests/more")
    assert faces(made) == expected
    assert made.frame["sample_id"].tolist() == rare.frame["sample_id"].tolist()
    assert made.frame["repeat"].tolist()[-3:] == [1, 1, 1]
    repeats = made.frame.loc[made.frame["label"].eq("disgust") & made.frame["split"].eq("train"), "repeat"]
    assert repeats.max() - repeats.min() <= 1


def test_common_faces_are_dropped_down_to_the_target(rare):
    made = rebalance(rare, RebalanceConfig(method="drop"), "manifests/fewer")
    assert faces(made) == dict.fromkeys(COUNTS, 3)
    assert len(made) == 9 + 3
    assert made.metadata["rebalance"][0] == {"label": "anger", "had": 12, "has": 3}
    assert describe_rebalance(made.metadata)[0].split() == ["anger", "12", "→", "3"]
    other = rebalance(rare, RebalanceConfig(method="drop", seed=1), "manifests/other")
    assert other.frame["sample_id"].tolist() != made.frame["sample_id"].tolist()


def test_the_choice_does_not_depend_on_the_order_of_rows(rare):
    moved = manifest.write(
        rare.frame.sample(frac=1, random_state=0), "moved", label_set="basic7", command="test", licence={}
    )
    for method in ("drop", "repeat"):
        one = rebalance(rare, RebalanceConfig(method=method, target=5), f"one-{method}").frame
        other = rebalance(moved, RebalanceConfig(method=method, target=5), f"two-{method}").frame
        assert one.set_index("sample_id")["repeat"].to_dict() == other.set_index("sample_id")["repeat"].to_dict()


def test_weights_make_classes_count_alike(rare):
    made = rebalance(rare, RebalanceConfig(method="weight"), "manifests/weighted").frame
    train = made[(made["split"] == "train") & made["label"].notna()]
    sums = train.groupby("label")["weight"].sum()
    assert np.allclose(sums, len(train) / 3)
    assert made["weight"].tolist()[-3:] == [1, 1, 1]


def test_any_attribute_can_be_evened_out_and_unknown_is_one_of_its_values(rare):
    made = rebalance(rare, RebalanceConfig(by=("label", "light")), "manifests/more")
    cells = {(cell["label"], cell["light"]): (cell["had"], cell["has"]) for cell in made.metadata["rebalance"]}
    assert cells == {
        ("anger", "low"): (3, 9), ("anger", None): (9, 9), ("disgust", "low"): (1, 9), ("disgust", None): (2, 9),
        ("fear", "low"): (2, 9), ("fear", None): (5, 9),
    }  # fmt: skip
    assert describe_rebalance(made.metadata)[0].startswith("anger, unknown light")
    by_many = RebalanceConfig(by=("label", "light", "sample_id"), target=1)
    assert len(rebalance(rare, by_many, "manifests/each").metadata["rebalance"]) == 22


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.floats(0, 0.99999))
def test_effective_numbers_are_those_of_the_paper(counts, beta):
    counts = np.array(counts)
    weights = class_weights(counts, "effective_number", beta)
    expected = 1 / (np.array([sum(beta**k for k in range(n)) for n in counts]))  # (1 - beta^n) / (1 - beta), summed
    assert np.allclose(weights / weights[0], expected / expected[0], rtol=1e-5)
    assert np.isclose((weights * counts).sum(), counts.sum())


def test_the_ends_of_beta_are_no_weights_and_inverse_frequencies():
    counts = np.array([10, 100, 1000])
    assert np.allclose(class_weights(counts, "effective_number", 0), 1)
    inverse = class_weights(counts, "inverse_frequency")
    assert np.allclose(inverse * counts, counts.sum() / 3)
    assert np.allclose(class_weights(counts, "effective_number", 1 - 1e-12), inverse, rtol=1e-3)


def test_what_was_rebalanced_already_is_refused(rare, picture_manifest):
    more = rebalance(rare, RebalanceConfig(), "manifests/more")
    with pytest.raises(FerError, match="expected repeat 1 in the training split, found 8 rows with another"):
        rebalance(more, RebalanceConfig(), "manifests/again")
    weighted = rebalance(rare, RebalanceConfig(method="weight"), "manifests/weighted")
    with pytest.raises(FerError, match="expected weight 1"):
        rebalance(weighted, RebalanceConfig(), "manifests/again")
    with pytest.raises(FerError, match="--replace"):
        rebalance(rare, RebalanceConfig(), "manifests/more")
    with pytest.raises(FerError, match="expected labelled faces in the training split, found none"):
        rebalance(picture_manifest([1], ["fear"], ["test"]), RebalanceConfig(), "manifests/none")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["by=[]"], "at least one attribute"),
        (["method=weight", "target=5"], "target belongs to repeat and drop"),
        (["target=0"], "target"),
        (["beta=1"], "beta"),
        (["method=copy"], "method"),
    ],
)
def test_configurations_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(FerError, match=message):
        resolve(RebalanceConfig, settings=settings)
