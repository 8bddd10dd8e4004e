"""Rare classes lifted after training."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from classifier.lifting import lift_run, rare_lift
from classifier.losses import class_prior
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


def test_rare_classes_are_lifted_to_the_median_and_frequent_ones_left():
    lift = rare_lift(torch.tensor([0.02, 0.08, 0.1, 0.3, 0.5]))
    np.testing.assert_allclose(lift.numpy(), [np.log(5), np.log(1.25), 0, 0, 0], rtol=1e-6)
    assert rare_lift(torch.full((7,), 1 / 7)).abs().max() == 0


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_lifted_run_is_the_plain_one_with_another_bias(tmp_path, rare_faces, striped_faces, tiny, ema):
    val, plain = striped_faces(35, 1), tiny.model_copy(update={"ema": ema})
    lifting = plain.model_copy(update={"lift_rare": True})
    train(rare_faces, val, BASIC7, plain, tmp_path / "plain")
    trained = train(rare_faces, val, BASIC7, lifting, tmp_path / "trained")
    prior = class_prior(rare_faces)
    made = lift_run(tmp_path / "plain", prior, tmp_path / "made")
    before, after = (load_file(tmp_path / name / "checkpoint/model.safetensors") for name in ("plain", "trained"))
    assert {key for key in before if not torch.equal(before[key], after[key])} == {"head.bias"}
    assert torch.equal(after["head.bias"], before["head.bias"] + rare_lift(prior))
    assert rare_lift(prior)[0] == pytest.approx(np.log(10), rel=1e-5) and rare_lift(prior)[1:].max() < 1e-6
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
        lift_run(tmp_path / "nothing", class_prior(rare_faces), tmp_path / "made")
    train(rare_faces, None, BASIC7, tiny, tmp_path / "plain")
    train(rare_faces, None, BASIC7, tiny.model_copy(update={"seed": 9}), tmp_path / "other")
    with pytest.raises(FerError, match="holds a run with another configuration"):
        lift_run(tmp_path / "plain", class_prior(rare_faces), tmp_path / "other")
