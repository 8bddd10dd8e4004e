"""The plain networks of older studies: what they are made of, and that each learns."""

import math

import pytest
import torch
from torch.nn import functional as F

from classifier.baseline_models import BASELINES
from classifier.models import build_model
from learning.precision import computes_in_bf16

# Emulated bfloat16 has no LSTM.
PRECISIONS = [torch.float32, *([torch.bfloat16] if computes_in_bf16() else [])]
PARAMETERS = {"baseline_mlp": 1.31, "baseline_lstm": 0.09, "baseline_cnn3": 0.68, "mini_xception": 0.05}


def test_the_parameters_are_as_said():
    assert set(PARAMETERS) == set(BASELINES)
    for name, millions in PARAMETERS.items():
        count = sum(value.numel() for value in build_model(name, 7, 1, 48).parameters())
        assert round(count / 1e6, 2) == millions, name


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(("channels", "size_px"), [(1, 48), (3, 32)])
def test_features_have_the_width_that_is_registered(name, channels, size_px):
    model = build_model(name, 7, channels, size_px).eval()
    features = model.features(torch.rand(2, channels, size_px, size_px))
    assert features.shape == (2, BASELINES[name][1])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", BASELINES)
def test_a_batch_is_learnt_by_heart(name, precision):
    torch.manual_seed(0)
    model = build_model(name, 7, 1, 48).to(memory_format=torch.channels_last)
    images = torch.randn(14, 1, 48, 48).contiguous(memory_format=torch.channels_last)
    truth = torch.arange(14) % 7
    optimiser = torch.optim.AdamW(model.parameters(), 0.003)
    for _ in range(40):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            loss = F.cross_entropy(model(images).float(), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert F.cross_entropy(model.eval()(images), truth) < 0.7 * math.log(7)  # chance is log 7


def test_the_lstm_reads_from_the_top_to_the_bottom():
    """Its answer is that of PyTorch's cell, row after row."""
    model = build_model("baseline_lstm", 7, 1, 16).eval()
    image = torch.rand(1, 1, 16, 16)
    lstm = model.body.lstm
    cell = torch.nn.LSTMCell(16, 128)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in lstm.state_dict().items()})
    state = None
    for row in image[0, 0]:
        state = cell(row[None], state)
    torch.testing.assert_close(model.features(image), state[0])


def test_shortcuts_of_the_separable_net_are_convolutions_of_stride_two():
    """Taken apart for a fault in a kernel: the numbers are the same."""
    block = build_model("mini_xception", 7, 1, 48).eval().body.blocks[1]
    every_second, kernel, norm = block.shortcut
    images = torch.rand(2, 16, 24, 24)
    expected = norm(F.conv2d(images, kernel.weight, stride=2))
    torch.testing.assert_close(block.shortcut(images), expected)
    assert every_second(images).shape[-1] == 12
