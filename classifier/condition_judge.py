"""Tells how a face is covered and lit: a judge of the conditions that generated faces claim.

It learns from real validation faces, which no generator sees, that `fer_data.conditions` covered and relit, and from
how these faces were lit already; the other half of them tests it, and chooses nothing: the last step is taken. It looks
at pixels alone, so it may contradict the code that covers and relights.

    conditions.json       what it was made of, and how often it is right, per word; written last
    faces.parquet         sample_id, part: "train" (it learnt from this face) or "test"
    checkpoint/, …        a classifier of the pairs (occlusion, light), see classifier/checkpoints.py
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from classifier.augmentation import AugmentationConfig
from classifier.condition_faces import PAIRS, ConditionFaces, make_condition_faces
from classifier.metrics import agreement, confusion
from classifier.prediction import Classifier, load_classifier
from classifier.recipe import TrainConfig
from classifier.training import train
from fer_data import tables
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.files import read_json, write_json
from fer_data.links import joined_groups
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative
from fer_data.tables import code_version
from fer_data.tabular.dealing import deal
from fer_data.tabular.together import same_pictures

Floats = NDArray[np.float32]
Rows = NDArray[np.bool_]

DESCRIPTION = "conditions.json"
FACES = "faces.parquet"
KIND = "condition_faces"


class ConditionTraining(TrainConfig):
    """How the network is trained. Brightness and rectangles are what it has to tell, so they are not varied."""

    model: str = "thin_resnet10"
    epochs: float = Field(8.0, gt=0)
    dynamics: int = Field(0, ge=0)
    augmentation: AugmentationConfig = AugmentationConfig(brightness=0, contrast=0.1, erasing=0)


class ConditionJudgeConfig(Configuration):
    """What a judge of conditions is made of."""

    copies: int = Field(7, ge=1)  # pictures made of each face; seven show every occlusion once
    test_share: float = Field(0.5, gt=0, lt=1)  # of the validation faces: they only test
    train: ConditionTraining = ConditionTraining()
    seed: int = Field(0, ge=0)  # of halving the faces and of what is done to them


class ConditionJudge:
    """A trained judge of conditions.

    Args:
        folder: where its files lie.

    Attributes:
        occlusions, lights: its words, in the order of its probabilities.
        description: what it was made of and how often it is right, as in `conditions.json`.
    """

    occlusions: Sequence[str] = OCCLUSIONS
    lights: Sequence[str] = LIGHTS

    def __init__(self, classifier: Classifier, description: Mapping[str, Any], folder: Path) -> None:
        self.description = description
        self._classifier, self._folder = classifier, folder

    @cached_property
    def learnt_from(self) -> frozenset[str]:
        """sample_ids of the real faces that it learnt from.

        Raises:
            FerError: nothing in its folder tells.
        """
        path = self._folder / FACES
        if not path.is_file():
            raise FerError(
                f"{self._folder}: expected {FACES}, which tells from which faces the judge of conditions learnt, found "
                "none; run the same fer judges again, which adds it"
            )
        table, _ = tables.read_table(path, kind=KIND)
        frame = table.to_pandas()
        return frozenset(frame["sample_id"][frame["part"] == "train"])

    def probabilities(self, images: NDArray[np.uint8]) -> dict[str, Floats]:
        """Probabilities of the words, "occlusion" float32 [N, 7] and "light" float32 [N, 4]; rows sum to 1.

        Args:
            images: uint8 [N, C, H, W], C = 1 or 3, of any size.
        """
        pairs = self._classifier.probabilities(images).reshape(-1, len(OCCLUSIONS), len(LIGHTS))
        return {"occlusion": pairs.sum(axis=2), "light": pairs.sum(axis=1)}


def load_condition_judge(folder: Path) -> ConditionJudge:
    """The judge that `train_condition_judge` left in a folder.

    Raises:
        FerError: there is none, it is unfinished, or its files are damaged.
    """
    description = read_json(folder / DESCRIPTION)
    classifier = load_classifier(folder)
    if classifier.labels != PAIRS:
        raise FerError(
            f"{folder}: expected a judge of {len(PAIRS)} pairs of occlusion and light, found a classifier of "
            f"{len(classifier.labels)} other labels; train the judges again"
        )
    return ConditionJudge(classifier, description, folder)


def train_condition_judge(
    manifest: Manifest,
    config: ConditionJudgeConfig,
    folder: Path,
    reporter: Reporter = SILENT,
    *,
    replace: bool = False,
) -> ConditionJudge:
    """Train and test a judge of conditions on a manifest's validation faces, or open the one that is there.

    A trained one that does not tell which faces it learnt from is not trained again, but tells it then.

    Args:
        folder: of this judge; a killed training goes on in it.
        replace: throw away another judge that lies there.

    Raises:
        FerError: fewer than two independent validation faces, a fact that states an unknown condition, or another
            judge in `folder`.
    """
    identity = {"manifest_sha256": manifest.sha256, "configuration": config.model_dump(mode="json")}
    finished = (folder / DESCRIPTION).is_file() and (folder / FACES).is_file()
    if finished and identity.items() <= read_json(folder / DESCRIPTION).items():
        return load_condition_judge(folder)
    halves = halve(manifest, config)
    recipe = config.train.model_copy(update={"allow_empty_classes": True})  # a few faces show few of the pairs
    learnt, tested = (
        make_condition_faces(
            manifest,
            rows,
            copies=config.copies,
            size_px=recipe.size_px,
            channels=recipe.channels,
            seed=config.seed,
            reporter=reporter,
        )
        for rows in halves
    )
    faces = {"train": int(halves[0].sum()), "test": int(halves[1].sum())}
    trained_on = {"manifest": manifest.name, "manifest_sha256": manifest.sha256, "faces": faces}
    title = "training the judge of conditions"
    labelled = learnt.paired()
    train(labelled, None, PAIRS, recipe, folder, reporter, title=title, trained_on=trained_on, replace=replace)
    _write_faces(manifest, halves, folder / FACES)
    description = {
        "kind": "condition_judge",
        **identity,
        "code_version": code_version(),
        "occlusions": OCCLUSIONS,
        "lights": LIGHTS,
        "faces": faces,
        "held_out": score_conditions(ConditionJudge(load_classifier(folder), {}, folder), tested),
    }
    write_json(folder / DESCRIPTION, description)
    return load_condition_judge(folder)


def halve(manifest: Manifest, config: ConditionJudgeConfig) -> tuple[Rows, Rows]:
    """Real validation faces to learn from and to test with, bool [M] each; no group and no picture is in both.

    Raises:
        FerError: there are fewer than two groups of them.
    """
    frame = manifest.frame
    rows = ((frame["split"] == "val") & (frame["origin"] == "real")).to_numpy(dtype=bool)
    groups = joined_groups(frame["group_id"].to_numpy(), manifest.table["sample_id"], [same_pictures(manifest)])[rows]
    if len(np.unique(groups)) < 2:
        raise FerError(
            f"{manifest.path}: expected at least two validation faces to train and test a judge of conditions, found "
            f"{int(rows.sum())} in {len(np.unique(groups))} groups; give the manifest a validation split"
        )
    shares = np.array([1 - config.test_share, config.test_share])
    part = deal(groups, np.zeros(len(groups), dtype=np.int64), shares, config.seed)
    halves = np.zeros((2, len(rows)), dtype=bool)
    halves[part, np.flatnonzero(rows)] = True
    return halves[0], halves[1]


def score_conditions(judge: ConditionJudge, faces: ConditionFaces) -> dict[str, dict[str, Any]]:
    """How often a judge names the condition of faces, by word: count, agreed, agreement, and its interval (Wilson).

    Returns:
        Keys "occlusion", "light" (made and natural), and "natural_light" (only pictures whose light is the face's
        own); in each, "all" and every word that has a picture.
    """
    judged = {facet: found.argmax(axis=1) for facet, found in judge.probabilities(faces.pictures).items()}
    known = faces.lights >= 0
    looks = {
        "occlusion": (faces.occlusions, judged["occlusion"], OCCLUSIONS),
        "light": (faces.lights[known], judged["light"][known], LIGHTS),
        "natural_light": (faces.lights[known & ~faces.relit], judged["light"][known & ~faces.relit], LIGHTS),
    }
    return {name: agreement(confusion(truth, seen, len(words)), words) for name, (truth, seen, words) in looks.items()}


def _write_faces(manifest: Manifest, halves: tuple[Rows, Rows], path: Path) -> None:
    """Write which faces the judge learnt from and which tested it."""
    names = [manifest.frame["sample_id"][rows].tolist() for rows in halves]
    part = ["train"] * len(names[0]) + ["test"] * len(names[1])
    parents = {relative(manifest.path, manifest.root): manifest.sha256}
    table = pa.table({"sample_id": names[0] + names[1], "part": part})
    tables.write_table(path, table, tables.provenance(KIND, "fer judges", parents=parents), replace=True)
