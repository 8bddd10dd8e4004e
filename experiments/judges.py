"""Three classifiers that share nothing and never saw a synthetic face, and one that tells conditions.

The *guide* may steer sampling, the *screening* judge drops faces, the *measuring* judge alone is quoted: whoever is
steered or screened by a classifier pleases that classifier. They are different networks, trained on parts of the
training split that have no group and no picture in common; validation faces without twins choose their epochs.

    guide/ screening/ measuring/   runs of classifier.training
    conditions/                    see classifier/condition_judge.py
    parts.parquet                  sample_id, group_id, judge: who learnt from which face
    judges.json                    how they were made and how often they agree with real held-out labels; written last
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from classifier.condition_faces import make_condition_faces
from classifier.condition_judge import ConditionJudge, ConditionJudgeConfig, load_condition_judge, train_condition_judge
from classifier.data import Faces, load_faces
from classifier.metrics import agreement
from classifier.prediction import Classifier, load_classifier
from classifier.recipe import TrainConfig
from classifier.training import train
from experiments.judge_parts import ROLES, Parts, PartShares, deal_parts, write_parts
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.files import read_json, sha256_json, write_json
from fer_data.links import related_across
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.tables import code_version

Rows = NDArray[np.bool_]

DESCRIPTION = "judges.json"
PARTS = "parts.parquet"
CONDITIONS = "conditions"


class GuideTraining(TrainConfig):
    """How the guide is trained; sampling calls it often, so it is small.

    Faces are asked of it class by class, so it is trained as if every class were as frequent. Left to the frequencies
    of a real dataset it would hardly ever see a rare expression: 1.5 % of FER-2013's faces show disgust.
    """

    model: str = "thin_resnet10"
    epochs: float = Field(12.0, gt=0)
    logit_adjustment: float = Field(1.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)  # what it spreads over the classes is as much as a rare one has
    choose_by: Literal["accuracy", "balanced_accuracy", "macro_f1"] = "balanced_accuracy"
    dynamics: int = Field(0, ge=0)


class ScreeningTraining(TrainConfig):
    """How the judge that drops faces is trained: as if every class were as frequent, for the same reason."""

    model: str = "thin_vgg"
    epochs: float = Field(12.0, gt=0)
    logit_adjustment: float = Field(1.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    choose_by: Literal["accuracy", "balanced_accuracy", "macro_f1"] = "balanced_accuracy"
    dynamics: int = Field(0, ge=0)


class MeasuringTraining(TrainConfig):
    """How the judge that is quoted is trained: plainly, no class counts for more than its frequency."""

    model: str = "thin_resnet18"
    epochs: float = Field(28.0, gt=0)
    dynamics: int = Field(0, ge=0)


class JudgesConfig(Configuration):
    """How judges are made."""

    shares: PartShares = PartShares()
    fewest: int = Field(20, ge=1)  # training faces of every class that each judge must get
    guide: GuideTraining = GuideTraining()
    screening: ScreeningTraining = ScreeningTraining()
    measuring: MeasuringTraining = MeasuringTraining()
    # Pictures more of each face that guide and screening judge learn from, covered or relit: who saw bare faces only
    # knows no expression in the dark, and would drop what a plan asks for.
    covered: int = Field(1, ge=0)
    conditions: ConditionJudgeConfig | None = ConditionJudgeConfig()  # null: none is made
    seed: int = Field(0, ge=0)  # of dealing the faces

    @model_validator(mode="after")
    def _apart(self) -> "JudgesConfig":
        names = [self.training(role).model for role in ROLES]
        if len(set(names)) < len(names):
            raise ValueError(f"expected three different networks, found {', '.join(names)}")
        if self.measuring.balanced_sampling or self.measuring.logit_adjustment:
            raise ValueError("expected a plain measuring judge, found one that evens out the classes")
        if any(self.training(role).lift_rare for role in ROLES):
            raise ValueError("lift_rare changes a judge after its agreement was measured; leave it out")
        return self

    def training(self, role: str) -> TrainConfig:
        """How the judge of that role is trained."""
        return {"guide": self.guide, "screening": self.screening, "measuring": self.measuring}[role]


@dataclass(frozen=True)
class Judges:
    """Trained judges. Each is opened when it is first asked for, so that who does not ask cannot have used it.

    Attributes:
        folder: where they lie.
        description: the contents of `judges.json`.
    """

    folder: Path
    description: Mapping[str, Any]

    @cached_property
    def guide(self) -> Classifier:
        """May steer sampling."""
        return load_classifier(self.folder / "guide")

    @cached_property
    def screening(self) -> Classifier:
        """Drops generated faces."""
        return load_classifier(self.folder / "screening")

    @cached_property
    def measuring(self) -> Classifier:
        """The only one that is quoted."""
        return load_classifier(self.folder / "measuring")

    @cached_property
    def conditions(self) -> ConditionJudge | None:
        """Tells occlusion and light; None where it was not trained."""
        return load_condition_judge(self.folder / CONDITIONS) if self.description["conditions"] else None

    @property
    def labels(self) -> tuple[str, ...]:
        """What the three tell apart."""
        return tuple(self.description["labels"])


def load_judges(folder: Path) -> Judges:
    """The judges that `train_judges` left in a folder; none of them is read yet.

    Raises:
        FerError: there are none, or they are not finished.
    """
    if not (folder / DESCRIPTION).is_file():
        raise FerError(
            f"{folder}: expected finished judges ({DESCRIPTION}), found none; run fer judges, or run it again"
        )
    return Judges(folder, read_json(folder / DESCRIPTION))


def train_judges(
    manifest: Manifest, config: JudgesConfig, folder: Path, reporter: Reporter = SILENT, *, replace: bool = False
) -> Judges:
    """Train the judges on a manifest's training split, go on where a killed run ended, or open the finished ones.

    Args:
        folder: where they are put.
        replace: throw away other judges that lie there.

    Raises:
        FerError: synthetic faces in the manifest, too few faces of a class for a judge, no validation faces, or
            other judges in `folder`.
    """
    identity = {"manifest_sha256": manifest.sha256, "configuration": config.model_dump(mode="json")}
    if (folder / DESCRIPTION).is_file():
        if identity.items() <= read_json(folder / DESCRIPTION).items():
            if config.conditions is not None:  # opens it; adds what it learnt from where that is missing
                train_condition_judge(manifest, config.conditions, folder / CONDITIONS, reporter)
            return load_judges(folder)
        if not replace:
            raise FerError(
                f"{folder} holds judges of another manifest or configuration; choose another --out or add --replace"
            )
        (folder / DESCRIPTION).unlink()
    parts = deal_parts(manifest, config.shares, config.fewest, config.seed)
    watched = (manifest.frame["split"] == "val").to_numpy(dtype=bool) & ~related_across(manifest, "val", ("train",))
    found = {
        role: _train_judge(role, manifest, parts, watched, config, folder, reporter, replace=replace) for role in ROLES
    }
    conditions = None
    if config.conditions is not None:
        judge = train_condition_judge(manifest, config.conditions, folder / CONDITIONS, reporter, replace=replace)
        conditions = {key: judge.description[key] for key in ("faces", "held_out")}
    write_parts(manifest, parts, folder / PARTS)
    description = {
        "kind": "judges",
        "manifest": manifest.name,
        **identity,
        "label_set": manifest.label_set,
        "labels": manifest.labels,
        "code_version": code_version(),
        "left_out": parts.left_out,
        "shared_groups": parts.shared_groups,
        "judges": found,
        "conditions": conditions,
    }
    write_json(folder / DESCRIPTION, description)
    return load_judges(folder)


def _train_judge(
    role: str,
    manifest: Manifest,
    parts: Parts,
    watched: Rows,
    config: JudgesConfig,
    folder: Path,
    reporter: Reporter,
    *,
    replace: bool,
) -> dict[str, Any]:
    """Train one judge and tell how; its entry in `judges.json`."""
    recipe = config.training(role)
    own = parts.of_row == ROLES.index(role)
    faces = load_faces(manifest, own, recipe.size_px, recipe.channels)
    if role != "measuring" and config.covered:
        faces = _with_covered(faces, manifest, own, config, reporter)
    val = load_faces(manifest, watched, recipe.size_px, recipe.channels)
    if not len(val):
        raise FerError(
            f"{manifest.path}: expected labelled validation faces without twins in train, which choose the judges' "
            "epochs, found none; give the manifest a validation split"
        )
    facts = {
        "manifest": manifest.name,
        "manifest_sha256": manifest.sha256,
        "judge": role,
        "sample_ids_sha256": sha256_json(sorted(set(faces.sample_ids))),
    }
    title = f"training the {role} judge"
    checkpoint = train(
        faces, val, manifest.labels, recipe, folder / role, reporter, title=title, trained_on=facts, replace=replace
    )
    description = read_json(checkpoint / "classifier.json")
    counts = manifest.frame["label"][own].value_counts()
    return {
        "model": recipe.model,
        "train_faces": int(own.sum()),
        "pictures": len(faces),
        "train_groups": len(np.unique(parts.groups[own])),
        "per_class": {label: int(counts.get(label, 0)) for label in manifest.labels},
        "sample_ids_sha256": facts["sample_ids_sha256"],
        "val_faces": len(val),
        "step": description["chosen"]["step"],
        "steps": description["steps"],
        "accuracy": description["chosen"]["val"]["accuracy"],
        "balanced_accuracy": description["chosen"]["val"]["balanced_accuracy"],
        "agreement": agreement(np.asarray(description["chosen"]["val"]["confusion"]), manifest.labels),
    }


def _with_covered(faces: Faces, manifest: Manifest, own: Rows, config: JudgesConfig, reporter: Reporter) -> Faces:
    """A judge's faces, and of each the pictures that we cover or relight, labelled as it is."""
    size_px, channels = faces.images.shape[2], faces.images.shape[1]
    changed = make_condition_faces(
        manifest, own, copies=config.covered, size_px=size_px, channels=channels, seed=config.seed, reporter=reporter
    )
    place = {sample_id: row for row, sample_id in enumerate(faces.sample_ids)}
    known = np.asarray([sample_id in place for sample_id in changed.sample_ids])
    ids = [sample_id for sample_id in changed.sample_ids if sample_id in place]
    rows = torch.tensor([place[sample_id] for sample_id in ids], dtype=torch.int64)
    return Faces(
        torch.cat([faces.images, torch.from_numpy(changed.pictures[known])]),
        torch.cat([faces.targets, faces.targets[rows]]),
        torch.cat([faces.weights, faces.weights[rows]]),
        [*faces.sample_ids, *ids],
    )
