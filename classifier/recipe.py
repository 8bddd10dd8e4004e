"""How a classifier is trained: every key, its default and its range."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from classifier.augmentation import AugmentationConfig
from classifier.schedules import Schedule
from classifier.trackers import Tracker
from fer_data.configuration import Configuration
from learning.precision import Precision


class TrainConfig(Configuration):
    """How a classifier is trained."""

    model: str = "thin_resnet18"  # see classifier/models.py
    weights: str | None = None  # safetensors file with pretrained weights of the body
    size_px: int = Field(48, ge=8, le=1024)
    channels: Literal[1, 3] = 1
    steps: int | None = Field(None, ge=1)  # optimiser steps: the budget that arms of an experiment share
    epochs: float = Field(15.0, gt=0)  # passes over the faces, where `steps` is not given
    batch_size: int = Field(64, ge=2)
    optimizer: Literal["sgd", "adamw", "muon"] = "adamw"
    learning_rate: float = Field(0.01, gt=0)  # the peak of the schedule; sgd wants about 0.1
    schedule: Schedule = "one_cycle"
    warmup: float = Field(0.25, ge=0, lt=1)  # share of the steps before the peak
    weight_decay: float = Field(0.05, ge=0)  # not on biases and norms; sgd wants about 0.0005
    label_smoothing: float = Field(0.1, ge=0, lt=1)  # of targets that are distributions
    # What a soft target is: how the truth is distributed; or how likely the label that was given is under each class.
    targets: Literal["distribution", "likelihood"] = "distribution"
    focal: float = Field(0.0, ge=0)  # gamma of Lin et al., ICCV 2017; 0 for cross-entropy
    balanced_sampling: bool = False  # draw every class equally often
    logit_adjustment: float = Field(0.0, ge=0)  # tau of Menon et al., ICLR 2021; 1 aims at balanced accuracy
    lift_rare: bool = False  # after training: classes rarer than the median are lifted, see classifier/lifting.py
    effective_number: float = Field(0.0, ge=0, lt=1)  # beta of Cui et al., CVPR 2019; 0.999 weighs rare classes up
    ema: float = Field(0.99, ge=0, lt=1)  # decay per step of the averaged weights that are kept; 0 for none
    augmentation: AugmentationConfig = AugmentationConfig()
    mixup: float = Field(0.0, ge=0)  # alpha of Zhang et al., ICLR 2018; 0 for none
    cutmix: float = Field(0.0, ge=0)  # alpha of Yun et al., ICCV 2019; with mixup as well, batches take turns by chance
    start_px: int | None = Field(None, ge=8)  # the pictures grow from this side up to `size_px`; none: always full
    grown_by: float = Field(0.5, gt=0, le=1)  # share of the steps after which they are full
    mirror_average: bool = True  # judge a face together with its mirror image
    dynamics: int = Field(8, ge=0)  # stretches of the training for which every face's margin is kept; 0 for none
    evaluations: int = Field(10, ge=1)  # evenly spread: validation is scored and the state saved
    patience: int | None = Field(None, ge=1)  # evaluations without a better score before the run stops; none: never
    choose_by: Literal["accuracy", "balanced_accuracy", "macro_f1"] = "accuracy"  # on validation faces
    allow_empty_classes: bool = False  # train although a label has no face
    mixed_precision: Precision = "no"  # auto: bf16 where the machine computes in it
    threads: int = Field(0, ge=0)  # CPU threads; 0 for torch's own choice
    trackers: tuple[Tracker, ...] | None = None  # none given: TensorBoard where it is installed; []: none
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _correct_the_prior_once(self) -> "TrainConfig":
        ways = ("balanced_sampling", "logit_adjustment", "lift_rare", "effective_number")
        chosen = [name for name in ways if getattr(self, name)]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} both even out the classes; choose one")
        return self

    @model_validator(mode="after")
    def _likelihoods_alone(self) -> "TrainConfig":
        keys = ("focal", "balanced_sampling", "effective_number", "mixup", "cutmix")
        others = [name for name in keys if getattr(self, name)]
        if self.targets == "likelihood" and others:
            raise ValueError(f"targets likelihood does not go with {' and '.join(others)}; leave one out")
        return self

    @model_validator(mode="after")
    def _grow_from_smaller(self) -> "TrainConfig":
        if self.start_px is not None and self.start_px > self.size_px:
            raise ValueError(f"start_px {self.start_px} is larger than size_px {self.size_px}; pictures only grow")
        return self


def completed(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A kept configuration with the keys that are new since, at their defaults; as it is where it has unknown ones."""
    try:
        return TrainConfig.model_validate(dict(configuration)).model_dump(mode="json")
    except ValidationError:
        return dict(configuration)
