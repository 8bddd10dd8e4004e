"""The diffusion learner: noise levels, which optimiser takes what, and that its loss falls."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest, logistic, norm

from generators.condition import Vocabulary
from generators.diffusion import DiffusionConfig, DiffusionLearner, draw_levels

WORDS = Vocabulary(("anger", "disgust"), ("none", "mask"), ("normal", "low"))


def config(**more: object) -> DiffusionConfig:
    return DiffusionConfig(size_px=16, steps=40, widths=(16, 16), warmup_steps=5, **more)


def test_levels_are_logit_normal():
    random = torch.Generator().manual_seed(0)
    levels = torch.cat([draw_levels(32, random) for _ in range(100)]).numpy()
    assert kstest(logistic.ppf(levels), norm.cdf).pvalue > 0.01


def test_every_batch_spans_easy_and_hard_levels():
    random = torch.Generator().manual_seed(0)
    for _ in range(20):
        places = norm.cdf(logistic.ppf(draw_levels(8, random).numpy()))
        assert sorted(np.floor(places * 8)) == list(range(8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_the_loss_falls(optimiser, channels):
    learner = DiffusionLearner(
        config(optimiser=optimiser, learning_rate=3e-3, adam_rate=2e-3, channels=channels), WORDS
    )
    random = torch.Generator().manual_seed(1)
    faces = torch.rand(16, channels, 1, 1, generator=random).expand(-1, -1, 16, 16) * 2 - 1
    conditions = torch.tensor([[index % 2, 0, 0] for index in range(16)])
    losses = [learner.step(faces, conditions, step / 60, random)["loss"] for step in range(60)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


def test_muon_takes_the_kernels_between_first_and_last_layer_only():
    learner = DiffusionLearner(config(), WORDS)
    learner.step(torch.zeros(4, 1, 16, 16), torch.zeros(4, 3, dtype=torch.int64), 0.0, torch.Generator())
    state = learner.state()
    held = {name: tensor for name, tensor in state.items() if name.startswith("muon.")}
    assert held
    assert all(tensor.ndim >= 2 for tensor in held.values())
    assert any(name.startswith("adamw.") and tensor.ndim == 1 for name, tensor in state.items())
    assert not any(4 in tensor.shape[:2] for tensor in held.values())  # folded pixels come in and go out


def test_a_restored_learner_goes_on_to_the_last_bit():
    def step(learner: DiffusionLearner, index: int) -> float:
        random = torch.Generator().manual_seed(index)
        faces = torch.rand(8, 1, 16, 16, generator=random) * 2 - 1
        return learner.step(faces, torch.zeros(8, 3, dtype=torch.int64), 0.1 * index, random)["loss"]

    learner = DiffusionLearner(config(), WORDS)
    for index in range(3):
        step(learner, index)
    again = DiffusionLearner(config(seed=5), WORDS)
    again.load_state({name: tensor.clone() for name, tensor in learner.state().items()})
    assert step(learner, 3) == step(again, 3)
    assert step(learner, 4) == step(again, 4)
