"""Faces whose occlusion and light are known: real ones, as they are and as `fer_data.conditions` changes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from classifier.data import Faces, step_seed
from fer_data import conditions, images
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter

PAIRS = tuple(f"{occlusion} {light}" for occlusion, light in product(OCCLUSIONS, LIGHTS))

_MEASURED = ("normal", "low")  # of light from the side or behind, a measurement is a guess


@dataclass(frozen=True)
class ConditionFaces:
    """Pictures of faces whose condition is known.

    Attributes:
        pictures: uint8 [N, C, S, S].
        occlusions: int64 [N], index into OCCLUSIONS.
        lights: int64 [N], index into LIGHTS; -1 where it is not known.
        relit: bool [N], whether we made the light.
        sample_ids: the N faces that they were made of.
    """

    pictures: NDArray[np.uint8]
    occlusions: NDArray[np.int64]
    lights: NDArray[np.int64]
    relit: NDArray[np.bool_]
    sample_ids: list[str]

    def paired(self) -> Faces:
        """The same as faces labelled with PAIRS; where the light is not known, each light is as likely."""
        light = np.full((len(self.lights), len(LIGHTS)), 1 / len(LIGHTS), dtype=np.float32)
        known = self.lights >= 0
        light[known] = np.eye(len(LIGHTS), dtype=np.float32)[self.lights[known]]
        occlusion = np.eye(len(OCCLUSIONS), dtype=np.float32)[self.occlusions]
        targets = (occlusion[:, :, None] * light[:, None, :]).reshape(len(light), len(PAIRS))
        return Faces(
            torch.from_numpy(self.pictures), torch.from_numpy(targets), torch.ones(len(light)), self.sample_ids
        )


def make_condition_faces(
    manifest: Manifest,
    rows: NDArray[np.bool_],
    *,
    copies: int,
    size_px: int,
    channels: int,
    seed: int,
    reporter: Reporter = SILENT,
) -> ConditionFaces:
    """Show each face `copies` times, every occlusion and light in turn, in an order that is drawn for the face.

    What facts state of a face, and light that is measured as normal or low, is kept: a face that is covered is not
    covered again, and only a face in normal light is relit. A face of which no fact says that it is covered counts
    as not covered.

    Args:
        rows: bool, one per row of the manifest.
        seed: with a face's id it decides all that is done to it.

    Raises:
        FerError: a fact states an unknown occlusion or light.
    """
    frame = manifest.frame[rows].reset_index(drop=True)
    facts = manifest.facts(["occlusion", "light", "landmarks"], rows)
    _require_words(manifest, facts)
    total = len(frame) * copies
    pictures = np.empty((total, channels, size_px, size_px), dtype=np.uint8)
    words: list[tuple[int, int]] = []
    relit: list[bool] = []
    with reporter.stage("covering and relighting faces", len(frame)) as stage:
        for index, sample_id in enumerate(frame["sample_id"]):
            image = manifest.stores[frame["store"][index]].image(int(frame["store_row"][index]))
            known = _Known.of(image, facts["occlusion"][index], facts["light"][index], facts["landmarks"][index])
            random = np.random.default_rng(step_seed(seed, f"condition of {sample_id}", 0))
            for changed, occlusion, light in known.shown(image, copies, random):
                pictures[len(words)] = images.as_view(changed, size_px, channels)
                words.append((OCCLUSIONS.index(occlusion), -1 if light is None else LIGHTS.index(light)))
                relit.append(light != known.light)
            stage.advance()
    occlusions, lights = np.asarray(words, dtype=np.int64).reshape(-1, 2).T
    ids = [sample_id for sample_id in frame["sample_id"] for _ in range(copies)]
    return ConditionFaces(pictures, occlusions, lights, np.asarray(relit, dtype=bool), ids)


@dataclass(frozen=True)
class _Known:
    """What is known of a face before we change it; light is None where nobody knows."""

    occlusion: str
    light: str | None
    landmarks: Any

    @classmethod
    def of(cls, image: images.Pixels, occlusion: Any, light: Any, landmarks: Any) -> "_Known":
        """From the facts of a face, which are None or NaN where they state nothing, and from its picture."""
        if not isinstance(light, str):
            measured = conditions.measure_light([image])[0]
            light = measured if measured in _MEASURED else None
        return cls(occlusion if isinstance(occlusion, str) else "none", light, landmarks)

    def shown(
        self, image: images.Pixels, copies: int, random: np.random.Generator
    ) -> Iterator[tuple[images.Pixels, str, str | None]]:
        """The copies of a face: picture, occlusion and light."""
        occlusions, lights = random.permutation(OCCLUSIONS), random.permutation(LIGHTS)
        for copy in range(copies):
            changed, occlusion, light = image, self.occlusion, self.light
            if occlusion == "none":
                occlusion = str(occlusions[copy % len(occlusions)])
                changed = conditions.occlude(changed, occlusion, int(random.integers(2**31)), self.landmarks)
            if light == "normal":
                light = str(lights[copy % len(lights)])
                changed = conditions.relight(changed, light, int(random.integers(2**31)))
            yield changed, occlusion, light


def _require_words(manifest: Manifest, facts: pd.DataFrame) -> None:
    for fact, known in (("occlusion", OCCLUSIONS), ("light", LIGHTS)):
        strange = sorted(set(facts[fact].dropna()) - set(known))
        if strange:
            raise FerError(
                f"{manifest.path}: {fact} {strange[0]!r} is unknown; expected one of {', '.join(known)}; "
                "correct the table that the dataset was imported from"
            )
