"""Rare classes lifted after training."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from classifier.data import Faces
from classifier.lifting import lift_run, rare_lift
from classifier.prediction import load_classifier
from classifier.training import train
from fer_data.errors import FerError
from fer_data.expressions import BASIC7


@pytest.fixture
def rare_faces(striped_faces):
    """Faces of which the first class counts little."""
    faces = striped_faces(70)
    faces.weights[faces.targets[:, 0] == 1] = 0.1
    return faces


def faces_of(counts):
    """So many faces of each class, with nothing to see."""
    targets = torch.eye(len(counts)).repeat_interleave(torch.tensor(counts), dim=0)
    pictures = torch.zeros(len(targets), 1, 8, 8, dtype=torch.uint8)
    return Faces(pictures, targets, torch.ones(len(targets)), [str(row) for row in range(len(targets))])


def test_rare_classes_are_lifted_to_the_median_and_frequent_ones_left():
    lift = rare_lift(faces_of([2, 8, 10, 30, 50]))
    np.testing.assert_allclose(lift.numpy(), [np.log(5), np.log(1.25), 0, 0, 0], rtol=1e-6)
    assert rare_lift(faces_of([3] * 7)).abs().max() == 0


def test_a_class_that_was_never_shown_is_not_lifted():
    lift = rare_lift(faces_of([2, 0, 10, 50]))
    np.testing.assert_allclose(lift.numpy(), [np.log(5), 0, 0, 0], rtol=1e-6)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_lifted_run_is_the_plain_one_with_another_bias(tmp_path, rare_faces, striped_faces, tiny, ema):
    val, plain = striped_faces(35, 1), tiny.model_copy(update={"ema": ema})
    lifting = plain.model_copy(update={"lift_rare": True})
    train(rare_faces, val, BASIC7, plain, tmp_path / "plain")
    where = {"manifest": "manifests/rare"}
    trained = train(rare_faces, val, BASIC7, lifting, tmp_path / "trained", trained_on=where)
    lift = rare_lift(rare_faces)
    made = lift_run(tmp_path / "plain", lift, tmp_path / "made", where)
    before, after = (load_file(tmp_path / name / "checkpoint/model.safetensors") for name in ("plain", "trained"))
    assert {key for key in before if not torch.equal(before[key], after[key])} == {"head.bias"}
    assert torch.equal(after["head.bias"], before["head.bias"] + lift)
    assert lift[0] == pytest.approx(np.log(10), rel=1e-5) and lift[1:].max() < 1e-6
    assert (made / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    told, expected = (json.loads((folder / "classifier.json").read_text()) for folder in (made, trained))
    for description in (told, expected):
        del description["chosen"]["seconds"]
    assert told == expected
    assert (tmp_path / "made/run.json").read_bytes() == (tmp_path / "trained/run.json").read_bytes()
    assert told["configuration"]["lift_rare"]
    images = val.images.numpy()
    plainly, lifted = (load_classifier(tmp_path / name / "checkpoint").judge(images)[0] for name in ("plain", "made"))
    assert (lifted[:, 0] > plainly[:, 0]).all()
    assert train(rare_faces, val, BASIC7, lifting, tmp_path / "made") == made  # it is that run


def test_what_is_no_finished_run_is_refused_and_another_run_is_not_overwritten(tmp_path, rare_faces, tiny):
    with pytest.raises(FerError, match="expected a classifier"):
        lift_run(tmp_path / "nothing", rare_lift(rare_faces), tmp_path / "made", {})
    train(rare_faces, None, BASIC7, tiny, tmp_path / "plain")
    train(rare_faces, None, BASIC7, tiny.model_copy(update={"seed": 9}), tmp_path / "other")
    with pytest.raises(FerError, match="holds a run with another configuration"):
        lift_run(tmp_path / "plain", rare_lift(rare_faces), tmp_path / "other", {})
