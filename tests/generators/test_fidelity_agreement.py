import numpy as np
import pytest

from fer_data.errors import FerError
from generators.fidelity import label_agreement
from generators.fidelity.agreement import answers


class FixedJudge:
    """Answers with the label that a picture's first pixel names."""

    labels = ("anger", "fear", "neutral")

    def probabilities(self, images):
        return np.eye(3, dtype=np.float32)[images[:, 0, 0, 0]]

    def features(self, images):
        return images.reshape(len(images), -1).astype(np.float32)


def answering(*answers):
    return np.asarray(answers, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 4, 4), np.uint8)


def test_agreement_per_label_with_chance_and_interval():
    found = label_agreement(FixedJudge(), answering(0, 0, 1, 1), ["anger", "anger", "anger", "fear"])
    assert found["all"].value == 0.75
    assert found["anger"].value == pytest.approx(2 / 3)
    assert found["fear"].value == 1
    # A blind judge that says anger and fear half of the time agrees half of the time.
    assert found["all"].chance == pytest.approx(0.5)
    assert "neutral" not in found
    assert found["all"].as_dict()["count"] == 4


def test_agreement_refuses_what_it_cannot_judge():
    with pytest.raises(FerError, match="found label 'joy'"):
        label_agreement(FixedJudge(), answering(0), ["joy"])
    with pytest.raises(FerError, match="found no faces"):
        label_agreement(FixedJudge(), np.empty((0, 1, 4, 4), np.uint8), [])


def test_what_was_not_stated_or_is_unknown_is_not_asked():
    seen = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    told = answers(["none", None, "mask", "scarf"], ["none", "mask"], seen)
    assert told.asked.tolist() == [0, -1, 1, -1]
    found = told.agreement(np.arange(4))
    assert (found.value, found.count) == (1, 2)
    assert told.agreement(np.array([1, 3])) is None
