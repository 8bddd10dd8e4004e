import numpy as np
import pytest

from experiments.results import score_views
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.simulated_review import default_rule


class Oracle:
    """Answers the first label, always."""

    labels, size_px, channels = BASIC7, 12, 1

    def probabilities(self, images):
        return np.eye(7, dtype=np.float32)[np.zeros(len(images), dtype=int)]


def test_both_splits_are_scored_and_twins_are_left_out_of_one(noise_manifest):
    scores = score_views(noise_manifest(["anger", "fear", "anger"], ["train", "test", "test"]), Oracle())
    assert [view["accuracy"] for view in scores.values()] == [0.5, 0.5]
    assert set(scores) == {
        "official test split, given labels",
        "test split without exact twins in train or val, given labels",
    }


def test_what_cannot_be_scored_is_refused(noise_manifest):
    with pytest.raises(FerError, match="expected test faces, found none"):
        score_views(noise_manifest(["anger"], ["train"], name="a"), Oracle())
    other = Oracle()
    other.labels = BASIC7[:3]
    with pytest.raises(FerError, match="expected a classifier of anger"):
        score_views(noise_manifest(["anger"], ["test"], name="b"), other)


def test_the_rule_of_a_review_is_that_of_the_truth_there_is(noise_manifest):
    planted = noise_manifest(["anger"], ["train"], name="a", facts=[{"true_label": "fear"}])
    assert default_rule(planted) == "planted_truth"
    with pytest.raises(FerError, match="expected votes or planted truth, found neither"):
        default_rule(noise_manifest(["anger"], ["train"], name="b"))
