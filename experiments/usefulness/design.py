"""What is asked, and which faces may answer: every check that costs no training."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from classifier.recipe import TrainConfig
from experiments.held_out import refuse_judged_groups
from fer_data import manifest as manifests
from fer_data.configuration import Configuration, build
from fer_data.errors import FerError
from fer_data.manifest import Manifest


class TrialConfig(Configuration):
    """How classifiers are trained and judged; the same for every arm."""

    held_out: Literal["val", "test"] = "val"  # real faces that judge; test is for what is reported, not for choosing
    labels: Literal["given", "reference"] = "given"  # reference: the truth of drawn faces, the majority of FER+ votes
    seeds: list[int] = Field([1, 2, 3], min_length=2)  # the same for every arm: the seed pairs them
    train: dict[str, Any] = Field({})  # classifier.training.TrainConfig; `steps` is required
    judged_per_class: int = Field(200, ge=1)  # at most so many faces of a class are judged in each condition
    bootstrap: int = Field(2000, ge=100)  # resamples
    seed: int = Field(0, ge=0)  # of the faces that are taken, and of the things put in front of judged faces

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError("expected different numbers of at least 0")
        return seeds

    def classifier(self) -> TrainConfig:
        """How a classifier is trained.

        Raises:
            FerError: `train` lacks `steps`, has a `seed`, or holds what `TrainConfig` refuses.
        """
        if "seed" in self.train or self.train.get("steps") is None:
            raise FerError(
                "train: expected `steps`, the optimiser steps that every arm gets, and no `seed` (`seeds` lists them), "
                f"found {self.train}"
            )
        # Nothing is chosen by real validation faces: it would lend the synthetic arms real labels.
        return build(TrainConfig, {"evaluations": 1, **self.train}, "train")


class UsefulnessConfig(TrialConfig):
    """Do generated faces help a classifier?"""

    kind: Literal["usefulness"] = "usefulness"  # which experiment this is
    name: str = "usefulness"
    real: str  # manifest of real faces: its train split teaches, its held-out split judges
    synthetic: str | None = None  # manifest of generated faces, for the classification accuracy score
    learned: str | None = None  # a plan filled with `conditions: learned`
    afterwards: str | None = None  # the same plan filled with `conditions: afterwards`

    @model_validator(mode="after")
    def _asks_something(self) -> "UsefulnessConfig":
        if (self.learned is None) != (self.afterwards is None):
            raise ValueError("`learned` and `afterwards` are compared with each other; give both or neither")
        if self.synthetic is None and self.learned is None:
            raise ValueError("give `synthetic`, or `learned` and `afterwards`, or all three")
        return self


def prepare(config: UsefulnessConfig, root: Path) -> dict[str, Manifest]:
    """Open every manifest and make every check that costs no training.

    Returns:
        "real" and those of "synthetic", "learned" and "afterwards" that the configuration names.

    Raises:
        FerError: see `TrialConfig.classifier`, `require_generated` and `judged_rows`.
    """
    config.classifier()
    named = {key: getattr(config, key) for key in ("real", "synthetic", "learned", "afterwards")}
    opened = {key: manifests.read(root / path) for key, path in named.items() if path is not None}
    judged_rows(opened["real"], config.held_out)
    for key in set(opened) - {"real"}:
        require_generated(opened[key], opened["real"])
    return opened


def require_generated(synthetic: Manifest, real: Manifest) -> None:
    """Refuse generated faces that cannot be compared.

    Raises:
        FerError: another label set, rows that are not synthetic, or a generator that saw a held-out group.
    """
    if synthetic.label_set != real.label_set:
        raise FerError(
            f"{synthetic.path}: expected the label set {real.label_set} of {real.path}, found {synthetic.label_set}; "
            "generate faces for these labels"
        )
    others = int((synthetic.frame["origin"] != "synthetic").sum())
    if others or not len(synthetic):
        raise FerError(
            f"{synthetic.path}: expected generated faces only, found {others} others among {len(synthetic)} rows; "
            "name what `fer generate` or `fer screen` wrote, before it is merged"
        )
    refuse_judged_groups(str(synthetic.path), synthetic, np.ones(len(synthetic), dtype=bool), real)


def usable_rows(synthetic: Manifest) -> NDArray[np.bool_]:
    """Generated faces that a classifier is trained on, bool: in train, and neither weight nor repeat is zero."""
    frame = synthetic.frame
    return ((frame["split"] == "train") & (frame["repeat"] > 0) & (frame["weight"] > 0)).to_numpy(dtype=bool)


def judged_rows(real: Manifest, held_out: str) -> NDArray[np.bool_]:
    """Labelled rows of the held-out split, bool.

    Raises:
        FerError: there are none.
    """
    frame = real.frame
    rows = ((frame["split"] == held_out) & frame["label"].notna()).to_numpy(dtype=bool)
    if not rows.any():
        raise FerError(f"{real.path}: expected labelled {held_out} faces to judge by, found none; split the manifest")
    return rows
