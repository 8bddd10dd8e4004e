"""The adapter of drawn faces: what is asked for is planted, row by row, and nothing else."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fer_data.adapters import procedural
from fer_data.adapters.procedural import Options, read
from fer_data.configuration import build
from fer_data.drawn.planting import Defects, apportion, plan_rows
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.images import pixel_sha256
from fer_data.store import FACTS

CLEAN = dict(label_noise=0, exact_duplicates=0, near_duplicates=0, blank=0, not_a_face=0)


@pytest.fixture(scope="module")
def spoiled():
    options = Options(
        count=400, seed=11, label_noise=0.2, exact_duplicates=0.03, near_duplicates=0.03, blank=0.01, not_a_face=0.02
    )
    return list(read(None, options, []).samples)


def plan(options, count):
    defects = Defects(
        options.label_noise, options.noise_rates, options.confusions, options.exact_duplicates,
        options.near_duplicates, options.blank, options.not_a_face,
    )  # fmt: skip
    shares = dict(anger=4953, disgust=547, fear=5121, happiness=8989, sadness=6077, surprise=4002, neutral=6198)
    return plan_rows(count, options.seed, max(3, count // 8), shares, options.occlusions, options.lights, defects)


def test_reading_says_what_it_is():
    rejections = []
    reading = read(None, Options(count=20), rejections)
    assert (reading.form, reading.label_set, reading.total_images, reading.source) == ("drawn", "basic7", 20, None)
    samples = list(reading.samples)
    assert [sample.key for sample in samples] == [f"{row:06d}" for row in range(20)]
    assert not rejections
    assert "tests, demos and simulations" in reading.notes[0] and "planted" in reading.notes[1]
    assert "tests, demos and simulations" in procedural.TITLE and procedural.LICENCE.redistribute


def test_same_options_give_the_same_rows_and_another_seed_others(spoiled):
    options = Options(
        count=400, seed=11, label_noise=0.2, exact_duplicates=0.03, near_duplicates=0.03, blank=0.01, not_a_face=0.02
    )
    again = list(read(None, options, []).samples)[200:220]
    for first, second in zip(spoiled[200:220], again, strict=True):
        assert np.array_equal(first.image, second.image)
        assert (first.label, first.split, first.facts) == (second.label, second.split, second.facts)
    other = next(iter(read(None, options.model_copy(update={"seed": 12}), []).samples))
    assert not np.array_equal(other.image, spoiled[0].image)


def test_facts_have_columns_and_faces_have_all_of_them(spoiled):
    for sample in spoiled:
        assert set(sample.facts) <= set(FACTS.names)
        assert sample.label == sample.source_label and sample.label in BASIC7
        if sample.facts["planted"] in ("blank", "not_a_face"):
            assert "true_label" not in sample.facts and "subject_id" not in sample.facts
        else:
            assert len(sample.facts["landmarks"]) == 136
            assert sample.facts["condition_source"] == "dataset"
            assert sample.facts["true_label"] in BASIC7


def test_every_planted_defect_is_there_in_the_asked_number(spoiled):
    counts = Counter(sample.facts["planted"] for sample in spoiled)
    assert counts["exact_duplicate"] == counts["near_duplicate"] == 12
    assert (counts["blank"], counts["not_a_face"]) == (4, 8)
    faces = 400 - 12 - 12 - 4 - 8
    assert abs(counts["label_noise"] - 0.2 * faces) <= 4
    for sample in spoiled:
        truth, planted = sample.facts.get("true_label"), sample.facts["planted"]
        if planted == "label_noise":
            assert truth != sample.label
        if planted is None:
            assert truth == sample.label


def test_copies_lie_across_splits_and_are_what_they_say(spoiled):
    own = {s.facts["seed"]: s for s in spoiled if s.facts["planted"] in (None, "label_noise")}
    hashes = Counter(pixel_sha256(s.image) for s in spoiled if s.facts["planted"] not in ("blank",))
    for sample in spoiled:
        if sample.facts["planted"] in ("exact_duplicate", "near_duplicate"):
            original = own[sample.facts["seed"]]
            assert sample.split in ("val", "test") and original.split == "train"
            assert sample.facts["subject_id"] == original.facts["subject_id"]
            assert sample.facts["true_label"] == original.facts["true_label"]
            identical = np.array_equal(sample.image, original.image)
            assert identical == (sample.facts["planted"] == "exact_duplicate")
    assert sum(count - 1 for count in hashes.values()) == 12


def test_splits_are_80_10_10_and_share_no_person_but_by_copies(spoiled):
    assert Counter(sample.split for sample in spoiled) == {"train": 320, "val": 40, "test": 40}
    people = {split: set() for split in ("train", "val", "test")}
    for sample in spoiled:
        if sample.facts["planted"] not in ("exact_duplicate", "near_duplicate") and "subject_id" in sample.facts:
            people[sample.split].add(sample.facts["subject_id"])
    assert not people["train"] & people["val"] and not people["train"] & people["test"]
    assert not people["val"] & people["test"]


def test_class_counts_are_those_of_fer2013():
    rows = plan(Options(**CLEAN), 36000)
    share = {label: count / 36000 for label, count in Counter(row.label for row in rows).items()}
    assert abs(share["disgust"] - 0.0152) < 0.0005 and abs(share["happiness"] - 0.2505) < 0.0005


def test_noise_follows_the_rates_and_look_alikes():
    rows = plan(Options(label_noise=0.324, **{k: 0 for k in CLEAN if k != "label_noise"}), 36000)
    wrong = {label: np.mean([r.true_label != r.label for r in rows if r.label == label]) for label in BASIC7}
    assert abs(np.mean([row.true_label != row.label for row in rows]) - 0.324) < 0.002
    assert wrong["fear"] > wrong["disgust"] > wrong["sadness"] > wrong["anger"] > wrong["surprise"]
    assert wrong["happiness"] < wrong["neutral"] < wrong["surprise"]
    truths = Counter(r.true_label for r in rows if r.label == "disgust" and r.true_label != "disgust")
    assert truths.most_common(1)[0][0] == "anger"


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 300),
    noise=st.floats(0, 0.6),
    copies=st.floats(0, 0.08),
    blank=st.floats(0, 0.2),
    seed=st.integers(0, 2**40),
)
def test_any_plan_is_consistent(count, noise, copies, blank, seed):
    options = Options(
        seed=seed, label_noise=noise, exact_duplicates=copies, near_duplicates=copies, blank=blank, not_a_face=blank
    )
    rows = plan(options, count)
    assert [row.number for row in rows] == list(range(count))
    for row in rows:
        if row.picture != row.number:
            assert rows[row.picture].picture == row.picture
            assert rows[row.picture].split == "train" and row.split != "train"
        if row.planted == "label_noise":
            assert row.label != row.true_label
        assert (row.true_label is None) == (row.planted in ("blank", "not_a_face"))


@given(
    total=st.integers(0, 10_000),
    weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=7),
)
def test_apportion_sums_and_stays_within_one(total, weights):
    shares = {str(place): weight for place, weight in enumerate(weights)}
    whole = apportion(total, shares)
    assert sum(whole.values()) == total
    for name, weight in shares.items():
        assert abs(whole[name] - total * weight / sum(weights)) <= 1 + 1e-6


def test_balanced_and_own_class_shares():
    balanced = read(None, Options(count=70, size_px=16, classes="balanced", **CLEAN), []).samples
    assert set(Counter(s.label for s in balanced if s.split == "train").values()) == {8}
    own = read(None, Options(count=10, size_px=16, classes={"fear": 1.0}, **CLEAN), []).samples
    assert {sample.label for sample in own} == {"fear"}


def test_conditions_come_in_the_asked_shares():
    rows = plan(Options(occlusions={"mask": 0.25}, lights={"low": 0.5}, **CLEAN), 1000)
    assert Counter(row.occlusion for row in rows) == {"mask": 250, "none": 750}
    assert Counter(row.light for row in rows) == {"low": 500, "normal": 500}


def test_expressions_can_be_told_apart_but_not_without_error():
    options = Options(count=900, seed=1, size_px=24, classes="balanced", occlusions={}, lights={}, **CLEAN)
    samples = list(read(None, options, []).samples)
    pixels = np.stack([sample.image.ravel() for sample in samples]).astype(float)
    pixels = (pixels - pixels.mean(axis=1, keepdims=True)) / (pixels.std(axis=1, keepdims=True) + 1)
    truth = np.array([sample.facts["true_label"] for sample in samples])
    train = np.array([sample.split == "train" for sample in samples])
    judge = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(pixels[train], truth[train])
    accuracy = judge.score(pixels[~train], truth[~train])
    assert 0.35 < accuracy < 0.95  # chance is 0.14


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"classes": {"joyful": 1.0}}, "found 'joyful'"),
        ({"classes": {"fear": -1.0}}, "at least 0, found -1.0"),
        ({"classes": {"fear": 0.0}}, "shares above 0"),
        ({"occlusions": {"hat": 0.1}}, "found 'hat'"),
        ({"lights": {"low": 0.7, "side": 0.6}}, "at most 1.0, found 1.300"),
        ({"confusions": {"fear": {"fear": 1.0}}}, "found 'fear'"),
        ({"confusions": {}}, "expected weights for 'anger'"),
        ({"count": 0}, "count"),
        ({"subjects": 2}, "subjects"),
        ({"size_px": 8}, "size_px"),
        ({"label_nose": 0.1}, "did you mean 'label_noise'"),
    ],
)
def test_wrong_options_are_told_in_a_sentence(values, message):
    with pytest.raises(FerError, match=message):
        build(Options, values, "configuration")


def test_a_path_is_refused(tmp_path):
    with pytest.raises(FerError, match="expected no path"):
        read(tmp_path, Options(), [])
