"""The majority rule against FER+'s own words for it, and the reference that evaluations are held to."""

import numpy as np
import pandas as pd
import pytest

from fer_data import images, licenses, manifest
from fer_data.errors import FerError
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.votes import FERPLUS_COLUMNS, majority, reference_labels


def published_majority(counts: list[int]) -> str | None:
    """The rule vote by vote, as the paper's authors describe it, slow and independent of the code under test."""
    counts = [0 if count == 1 else count for count in counts]
    for name, count in zip(FERPLUS_COLUMNS, counts, strict=True):
        if count > sum(counts) / 2:
            return name
    return None


def test_majority_agrees_with_the_rule_applied_one_by_one():
    rng = np.random.default_rng(0)
    votes = np.concatenate([rng.multinomial(10, rng.dirichlet([0.3] * 10)) for _ in range(3000)]).reshape(-1, 10)
    expected = [published_majority(counts) for counts in votes.tolist()]
    assert majority(votes).tolist() == expected
    assert {*expected} == {*FERPLUS_COLUMNS, None}


@pytest.mark.parametrize(
    ("counts", "winner"),
    [
        ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], None),  # exactly half is no majority
        ([5, 4, 0, 0, 0, 0, 0, 0, 1, 0], "neutral"),  # the single vote does not count: 5 of 9
        ([5, 3, 2, 0, 0, 0, 0, 0, 0, 0], None),
        ([1] * 10, None),
        ([0] * 10, None),
        ([2, 1, 1, 1, 1, 1, 1, 1, 1, 0], "neutral"),
        ([0, 0, 0, 0, 0, 0, 0, 0, 6, 4], "unknown"),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], "NF"),
    ],
)
def test_majority_by_hand(counts, winner):
    assert majority(np.array([counts])).tolist() == [winner]


def test_majority_of_no_rows_and_of_what_are_no_counts():
    assert majority(np.empty((0, 10), dtype=np.int32)).shape == (0,)
    with pytest.raises(FerError, match=r"expected counts \[N, 10\], found an array \[2, 9\]"):
        majority(np.zeros((2, 9), dtype=np.int32))
    with pytest.raises(FerError, match="found -1"):
        majority(np.full((1, 10), -1))


CLEAR_FEAR = [0, 0, 0, 0, 0, 0, 10, 0, 0, 0]


def make(project, facts, votes_labels=FERPLUS_COLUMNS):
    with StoreWriter("s", project, licence=licenses.DRAWN.as_dict(), source="s", votes_labels=votes_labels) as writer:
        for row, given in enumerate(facts):
            pixels = np.full((4, 4), row, dtype=np.uint8)
            writer.add(Sample(str(row), images.encode_png(pixels), "anger", "anger", None, f"row {row}", given))
        store = writer.close()
    frame = manifest.new_rows(
        len(facts),
        sample_id=[f"s/{row}" for row in range(len(facts))],
        store=f"stores/{store.path.name}",
        store_row=np.arange(len(facts)),
        label="anger",
        group_id=np.arange(len(facts)),
    )
    return manifest.write(frame, project / "m", label_set="basic7", command="test", licence=licenses.DRAWN.as_dict())


def test_reference_is_the_vote_where_there_are_votes(project):
    contempt = [0] * 7 + [10, 0, 0]
    unclear = [5, 5] + [0] * 8
    made = make(project, [{"votes": CLEAR_FEAR}, {"votes": contempt}, {"votes": unclear}, {}])
    labels, name = reference_labels(made)
    assert (labels.tolist(), name) == (["fear", None, None, None], "FER+ majority")
    some, _ = reference_labels(made, np.array([False, False, True, False]) | (np.arange(4) == 0))
    assert some.tolist() == ["fear", None]


def test_planted_truth_goes_before_votes(project):
    made = make(project, [{"true_label": "sadness"}, {"votes": CLEAR_FEAR, "true_label": "anger"}, {}])
    labels, name = reference_labels(made)
    assert (labels.tolist(), name) == (["sadness", "anger", None], "planted truth and FER+ majority")
    (project / "other").mkdir()
    (project / "other" / "fer.toml").write_text("")
    only = make(project / "other", [{"true_label": "no face"}, {"true_label": "sadness"}])
    labels, name = reference_labels(only)
    assert (labels.tolist(), name) == ([None, "sadness"], "planted truth")


def test_no_reference_is_said(project):
    labels, name = reference_labels(make(project, [{}, {}]))
    assert (labels.tolist(), name) == ([None, None], "none")


def test_votes_of_another_kind_are_refused(project):
    with pytest.raises(FerError, match="no majority rule is known"):
        reference_labels(make(project, [{"votes": [1, 2]}], votes_labels=("yes", "no")))


@pytest.mark.real_data
def test_usable_votes_of_real_fer2013_are_close_to_the_published_counts(real_data):
    columns = [f"votes_{name}" for name in FERPLUS_COLUMNS]
    table = pd.read_parquet(real_data / "fer2013.parquet", columns=["usage", *columns])
    usable = pd.Series(majority(table[columns].to_numpy())).isin(FERPLUS_COLUMNS[:8])
    counts = usable.groupby(table["usage"]).sum()
    for usage, published in {"Training": 25_057, "PublicTest": 3_199, "PrivateTest": 3_152}.items():
        assert published - 10 <= counts[usage] <= published
