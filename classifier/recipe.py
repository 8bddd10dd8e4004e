"""How a classifier is trained: the configuration, and what it means for optimiser, learning rate and classes."""

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Optimizer

from classifier.augmentation import AugmentationConfig
from classifier.data import Faces
from fer_data.configuration import Configuration


class TrainConfig(Configuration):
    """How a classifier is trained."""

    model: str = "thin_resnet18"  # see classifier/models.py
    weights: str | None = None  # safetensors file with pretrained weights of the body
    size_px: int = Field(48, ge=8, le=1024)
    channels: Literal[1, 3] = 1
    steps: int | None = Field(None, ge=1)  # optimiser steps: the budget that arms of an experiment share
    epochs: float = Field(15.0, gt=0)  # passes over the faces, where `steps` is not given
    batch_size: int = Field(64, ge=2)
    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = Field(0.01, gt=0)  # the peak of the one-cycle schedule; sgd wants about 0.1
    warmup: float = Field(0.25, ge=0, lt=1)  # share of the steps before the peak
    weight_decay: float = Field(0.05, ge=0)  # not on biases and norms; sgd wants about 0.0005
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    balanced_sampling: bool = False  # draw every class equally often
    logit_adjustment: float = Field(0.0, ge=0)  # tau of Menon et al., ICLR 2021; 1 aims at balanced accuracy
    ema: float = Field(0.99, ge=0, lt=1)  # decay per step of the averaged weights that are kept; 0 for none
    augmentation: AugmentationConfig = AugmentationConfig()
    mirror_average: bool = True  # judge a face together with its mirror image
    dynamics: int = Field(8, ge=0)  # stretches of the training for which every face's margin is kept; 0 for none
    evaluations: int = Field(10, ge=1)  # evenly spread: validation is scored and the state saved
    choose_by: Literal["accuracy", "balanced_accuracy", "macro_f1"] = "accuracy"  # on validation faces
    allow_empty_classes: bool = False  # train although a label has no face
    mixed_precision: Literal["no", "bf16"] = "no"
    threads: int = Field(0, ge=0)  # CPU threads; 0 for torch's own choice
    tensorboard: bool = False  # write events into the run's folder
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _correct_the_prior_once(self) -> "TrainConfig":
        if self.balanced_sampling and self.logit_adjustment:
            raise ValueError("balanced_sampling and logit_adjustment both even out the classes; choose one")
        return self


def build_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """SGD with Nesterov momentum 0.9 or AdamW; weight decay spares biases and norms."""
    decayed = [value for value in model.parameters() if value.ndim > 1]
    spared = [value for value in model.parameters() if value.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, config.learning_rate, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, config.learning_rate, fused=True)


def learning_rate_at(step: int, steps: int, peak: float, warmup: float) -> float:
    """One cycle: from a 25th of the peak up to it, then down to almost nothing, along half cosines.

    Smith & Topin, "Super-Convergence", 2018, in the two-phase form of fast.ai.
    """
    rising = warmup * steps
    if step < rising:
        low, high, share = peak / 25, peak, step / rising
    else:
        low, high, share = peak, peak / 1e4, (step - rising) / max(steps - rising, 1)
    return low + (high - low) * (1 - math.cos(math.pi * share)) / 2


def class_prior(faces: Faces) -> Tensor:
    """Each class's share of the loss, float32 [K], never quite zero so that its logarithm exists."""
    mass = (faces.targets * faces.weights[:, None]).sum(dim=0)
    return (mass / mass.sum()).clamp_min(0.5 / len(faces))


@torch.no_grad()
def average_into(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """Move averaged weights and running statistics towards a model's: averaged × decay + model × (1 - decay)."""
    for mean, value in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
