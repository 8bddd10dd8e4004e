import pytest
import torch

from classifier.models import build_model
from classifier.optimisers import build_optimisers, inner_kernels, set_learning_rate
from classifier.recipe import TrainConfig


@pytest.fixture
def model():
    return build_model("thin_resnet10", 7, 1, 16).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_weight_decay_spares_biases_and_norms(model, name):
    *muon, other = build_optimisers(model, TrainConfig(optimizer=name, weight_decay=0.1))
    decayed, spared = other.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert all(value.ndim > 1 for value in decayed["params"]) and all(value.ndim == 1 for value in spared["params"])
    assert all(group["weight_decay"] == 0.1 for optimiser in muon for group in optimiser.param_groups)
    count = sum(value.numel() for each in (*muon, other) for group in each.param_groups for value in group["params"])
    assert count == sum(value.numel() for value in model.parameters())  # every weight is moved, and by one of them
    set_learning_rate([*muon, other], 0.5)
    assert {group["lr"] for each in (*muon, other) for group in each.param_groups} == {0.5}


def test_muon_moves_all_kernels_but_the_first_and_the_head(model):
    kernels = inner_kernels(model)
    assert len(kernels) == sum(isinstance(layer, torch.nn.Conv2d) for layer in model.body.modules()) - 1
    assert all(kernel is not model.body.stem[0].weight and kernel is not model.head.weight for kernel in kernels)


def test_kernels_without_a_gradient_stay(model):
    before = [kernel.detach().clone() for kernel in inner_kernels(model)]
    build_optimisers(model, TrainConfig(optimizer="muon"))[0].step()
    assert all(torch.equal(a, b) for a, b in zip(before, inner_kernels(model), strict=True))
