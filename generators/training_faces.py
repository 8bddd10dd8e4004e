"""What a generator learns from: faces of the training split only, their conditions, and copies that we occluded.

A face that groups and identical pictures join to validation or test, through whatever rows lie between, is left out,
so that no synthetic face can carry a test face into training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_data import conditions as real_conditions
from fer_data import images, links
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.files import sha256_json
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from generators.condition import Vocabulary
from generators.contract import GeneratorConfig


@dataclass(frozen=True)
class Selection:
    """The rows of a manifest that a generator may learn from.

    Attributes:
        manifest: where they lie.
        rows: bool [M] over its rows.
        frame: the N chosen rows with their facts occlusion, light, landmarks and pixel_sha256; index 0..N-1.
        left_out: how many training rows were left out, by reason.
    """

    manifest: Manifest
    rows: NDArray[np.bool_]
    frame: pd.DataFrame
    left_out: dict[str, int]

    @property
    def sha256(self) -> str:
        """Identity of what is learnt, whenever and wherever the manifest was written."""
        columns = ["sample_id", "label", "group_id", "weight", "repeat", "pixel_sha256", "occlusion", "light"]
        rows = self.frame[columns].astype(object).where(self.frame[columns].notna(), None)
        return sha256_json(rows.to_numpy().tolist())


@dataclass(frozen=True)
class TrainingFaces:
    """Faces in memory, real first, then the copies that were occluded or relit.

    Attributes:
        pictures: uint8 [N + D, C, S, S].
        conditions: int64 [N + D, 3].
        chances: float64 [N], the probability with which a real face is drawn; they sum to 1.
        vocabulary: the words of the conditions.
    """

    pictures: Tensor
    conditions: Tensor
    chances: NDArray[np.float64]
    vocabulary: Vocabulary

    def batch(self, step: int, config: GeneratorConfig) -> tuple[Tensor, Tensor]:
        """The batch of a step: pictures uint8 [B, C, S, S], half of them mirrored, and conditions int64 [B, 3].

        It depends on the seed and the step alone, so a resumed run draws what an undisturbed one would.
        """
        random = np.random.default_rng([config.seed, step])
        count, real = config.batch_size, len(self.chances)
        rows = random.choice(real, size=count, p=self.chances)
        derived = len(self.pictures) - real
        if derived:
            rows = np.where(random.random(count) < config.derive, real + random.integers(derived, size=count), rows)
        pictures = self.pictures[torch.from_numpy(rows)]
        mirrored = torch.from_numpy(random.random(count) < 0.5)
        return torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures), self.conditions[rows]


def select_faces(manifest: Manifest, minimum_per_class: int) -> Selection:
    """Choose the rows to learn from: in train, real, labelled, and apart from validation and test.

    Raises:
        FerError: a class of the label set has fewer than `minimum_per_class` of them, or a fact states an unknown
            occlusion or light.
    """
    frame = manifest.frame.reset_index(drop=True)
    chosen = (frame["split"] == "train").to_numpy()
    reasons = {
        "synthetic": (frame["origin"] == "synthetic").to_numpy(),
        "without label": frame["label"].isna().to_numpy(),
        "weight or repeat is zero": ((frame["weight"] == 0) | (frame["repeat"] == 0)).to_numpy(),
        "group or picture is also in val or test": _joined_to_held_out(manifest),
    }
    left_out = {}
    for reason, rows in reasons.items():
        left_out[reason] = int((chosen & rows).sum())
        chosen = chosen & ~rows
    facts = manifest.facts(["occlusion", "light", "landmarks", "pixel_sha256"], chosen)
    faces = pd.concat([frame[chosen].reset_index(drop=True), facts], axis=1)
    _require_classes(manifest, faces["label"], minimum_per_class, left_out)
    for fact, known in (("occlusion", OCCLUSIONS), ("light", LIGHTS)):
        strange = sorted(set(faces[fact].dropna()) - set(known))
        if strange:
            raise FerError(f"{manifest.path}: {fact} {strange[0]!r} is unknown; expected one of {', '.join(known)}")
    return Selection(manifest, chosen, faces, left_out)


def load_faces(selection: Selection, config: GeneratorConfig, reporter: Reporter = SILENT) -> TrainingFaces:
    """Read the chosen faces, measure light where no fact states it, and make the occluded and relit copies."""
    pictures = selection.manifest.pictures(config.size_px, config.channels, selection.rows)
    words = selection.frame[["label", "occlusion", "light"]].copy()
    unlit = words["light"].isna().to_numpy()
    if unlit.any():
        words.loc[unlit, "light"] = real_conditions.measure_light(list(_as_images(pictures[unlit])))
    chances = _chances(selection.frame, config.balance)
    copies, copied_words = _derive(selection, words, chances, config, reporter)
    words = pd.concat([words, copied_words], ignore_index=True)
    vocabulary = Vocabulary(
        label=selection.manifest.labels,
        occlusion=_seen(words["occlusion"], OCCLUSIONS),
        light=_seen(words["light"], LIGHTS),
    )
    encoded = vocabulary.encode(*(words[facet].tolist() for facet in words), where=str(selection.manifest.path))
    return TrainingFaces(
        torch.from_numpy(np.concatenate([pictures, copies])), torch.from_numpy(encoded), chances, vocabulary
    )


def _joined_to_held_out(manifest: Manifest) -> NDArray[np.bool_]:
    """Rows, bool [N], of the connected components over group_id and picture that reach into validation or test."""
    groups = links.related_groups(manifest)
    held_out = manifest.frame["split"].isin(links.HELD_OUT_SPLITS).to_numpy(dtype=bool)
    return np.isin(groups, groups[held_out])


def _require_classes(manifest: Manifest, labels: "pd.Series[Any]", minimum: int, left_out: dict[str, int]) -> None:
    counts = labels.value_counts()
    for name in manifest.labels:
        found = int(counts.get(name, 0))
        if found < minimum:
            reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
            raise FerError(
                f"{manifest.path}: expected at least {minimum} training faces of {name}, found {found}"
                + (f" (training rows left out: {reasons})" if reasons else "")
                + "; add faces of this class or lower minimum_per_class"
            )


def _chances(frame: pd.DataFrame, balance: float) -> NDArray[np.float64]:
    """A class is drawn in proportion to count**(1 - balance); within it, faces by weight and repeat."""
    mass = frame["weight"].to_numpy(np.float64) * frame["repeat"].to_numpy(np.float64)
    total = pd.Series(mass).groupby(frame["label"]).transform("sum").to_numpy()
    chances = mass * total**-balance
    return chances / chances.sum()


def _derive(
    selection: Selection,
    words: pd.DataFrame,
    chances: NDArray[np.float64],
    config: GeneratorConfig,
    reporter: Reporter,
) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Occluded and relit copies of unoccluded faces: uint8 [D, C, S, S] and their words.

    They are made once, before training, at the size that is stored: cheaper than in every step, and an occluder
    is drawn as sharply as the face.
    """
    eligible = words["occlusion"].isna() | (words["occlusion"] == "none")
    mass = np.where(eligible, chances, 0)
    count = config.derived_faces if config.derive and mass.any() else 0
    shares = mass / mass.sum() if count else mass
    copies = np.empty((count, config.channels, config.size_px, config.size_px), dtype=np.uint8)
    copied = []
    frame = selection.frame
    with reporter.stage("occluding and relighting faces", count) as stage:
        for index in range(count):
            random = np.random.default_rng([config.seed, index, 1])
            row = int(random.choice(len(shares), p=shares))
            label, occlusion, light = words.loc[row, ["label", "occlusion", "light"]]
            kind, lamp = _draw_change(random, can_relight=light is None or light != light or light == "normal")
            image = selection.manifest.stores[frame.at[row, "store"]].image(int(frame.at[row, "store_row"]))
            if kind is not None:
                seed, points = int(random.integers(2**31)), frame.at[row, "landmarks"]
                image, occlusion = real_conditions.occlude(image, kind, seed, landmarks=points), kind
            if lamp is not None:
                image, light = real_conditions.relight(image, lamp, int(random.integers(2**31))), lamp
            copies[index] = images.as_view(image, config.size_px, config.channels)
            copied.append((label, occlusion, light))
            stage.advance()
    return copies, pd.DataFrame(copied, columns=["label", "occlusion", "light"], dtype=object)


def _draw_change(random: np.random.Generator, *, can_relight: bool) -> tuple[str | None, str | None]:
    """An occlusion, a light, or both: each kind of occlusion and each light equally often."""
    occlusion = str(random.choice(OCCLUSIONS[1:]))
    light = str(random.choice(LIGHTS[1:]))
    which = random.choice(["occlusion", "light", "both"]) if can_relight else "occlusion"
    return (occlusion if which != "light" else None), (light if which != "occlusion" else None)


def _seen(words: "pd.Series[Any]", order: Sequence[str]) -> tuple[str, ...]:
    found = set(words.dropna())
    return tuple(word for word in order if word in found)


def _as_images(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [N, C, S, S] to [N, S, S] or [N, S, S, 3]."""
    return pictures[:, 0] if pictures.shape[1] == 1 else pictures.transpose(0, 2, 3, 1)
