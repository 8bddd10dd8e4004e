"""Faces as fidelity sees them: pictures, what is stated about them, and where they lie in each space."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_data import conditions, links
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.similarity.fingerprints import PICTURE_PX, Thumbnails, gradient_histograms, mirrored, thumbnails
from generators.contract import Judge
from generators.fidelity.estimates import Floats, Rows, some
from generators.fidelity.memorisation import View

JUDGE, PIXELS, GRADIENTS = "judge", "pixels", "gradients"
Embeddings = Mapping[str, Callable[[NDArray[np.uint8]], Floats]]


Mix = tuple[tuple[str, int], ...]  # labels, and how many faces of the first there are to how many of the second, …


class Key(NamedTuple):
    """What a group of faces has in common; level is "all", "label", "condition" or "cell"."""

    level: str
    label: str | None = None
    occlusion: str | None = None
    light: str | None = None


@dataclass(frozen=True)
class Faces:
    """N faces.

    Attributes:
        pictures: uint8 [N, C, S, S].
        labels, occlusions, lights: object [N], words or None.
        groups: int64 [N], group_id.
        thumbnails: uint16 [N, 24, 24]; histograms: float32 [N, 128], their gradients.
        points: float32 [N, F] per feature space: "judge", "gradients" and every embedding. A judge looks for the
            expression and overlooks what makes a face; the gradients of the whole picture do not.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[Any]
    occlusions: NDArray[Any]
    lights: NDArray[Any]
    groups: NDArray[np.int64]
    thumbnails: Thumbnails
    histograms: Floats
    points: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.pictures)

    def words(self) -> tuple[list[str | None], list[str | None], list[str | None]]:
        """Labels, occlusions and lights."""
        return self.labels.tolist(), self.occlusions.tolist(), self.lights.tolist()

    def rows(self, key: Key, *, exactly: bool) -> Rows:
        """Rows of a group: with the same words, or, not exactly, also where the key states none."""
        chosen = np.ones(len(self), dtype=bool)
        if key.label is not None:
            chosen &= self.labels == key.label
        if key.level in ("condition", "cell"):
            for words, word in ((self.occlusions, key.occlusion), (self.lights, key.light)):
                if exactly or word is not None:
                    chosen &= words == word
        return np.flatnonzero(chosen)

    def views(self) -> dict[str, View]:
        """Per space in which memory is sought: pixels as unit vectors of mean 0, gradients, and the feature spaces."""
        pixels = _unit_pixels(self.thumbnails)
        flipped = _unit_pixels(self.thumbnails[:, :, ::-1])
        shown = {PIXELS: View(pixels, flipped), GRADIENTS: View(self.histograms, mirrored(self.histograms))}
        return shown | {space: View(points) for space, points in self.points.items() if space != GRADIENTS}


def read_faces(manifest: Manifest, rows: NDArray[np.bool_], judge: Judge, embed: Embeddings, size_px: int) -> Faces:
    """Read some rows of a manifest, bool [N]; null words become None."""
    pictures = manifest.pictures(size_px, _channels(manifest, rows), rows)
    small = thumbnails(manifest.pictures(PICTURE_PX, 1, rows)[:, 0])
    facts = manifest.facts(["occlusion", "light"], rows)
    histograms = gradient_histograms(small)
    points = {
        JUDGE: judge.features(pictures),
        GRADIENTS: histograms * histograms.shape[1] ** 0.5,  # of length 1 per dimension, as kernels expect
        **{name: features(pictures) for name, features in embed.items()},
    }
    return Faces(
        pictures,
        _words(manifest.frame["label"][rows]),
        _words(facts["occlusion"]),
        _words(facts["light"]),
        groups=manifest.frame["group_id"].to_numpy()[rows],
        thumbnails=small,
        histograms=histograms,
        points={space: np.asarray(found, dtype=np.float32) for space, found in points.items()},
    )


def picture_size(*manifests: Manifest) -> int:
    """The side in px that loses least and adds nothing: the smallest of the manifests' usual (median) shorter sides."""
    sides = [manifest.facts(["width_px", "height_px"]).min(axis=1) for manifest in manifests]
    return int(min(side.median() for side in sides))


def real_rows(real: Manifest, held_out: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Real, labelled rows of train, and of the held-out split apart from every other split; bool [N] each.

    Faces that were derived from real ones are none: what we drew on them is not what real faces are like.

    Raises:
        FerError: fewer than two on a side.
    """
    frame = real.frame
    labelled = (frame["origin"] == "real").to_numpy() & frame["label"].notna().to_numpy()
    training = labelled & (frame["split"] == "train").to_numpy()
    others = tuple(split for split in ("train", *links.HELD_OUT_SPLITS) if split != held_out)
    mixed = links.crossing_groups(real) | links.twins_across(real, held_out, others)
    apart = labelled & (frame["split"] == held_out).to_numpy() & ~mixed
    for split, rows in (("train", training), (held_out, apart)):
        if rows.sum() < 2:
            raise FerError(
                f"{real.path}: expected real labelled faces in {split} to compare with, found {int(rows.sum())}"
                "; give the manifest that the generator was trained on, with its validation faces"
            )
    return training, apart


def with_real_conditions(faces: Faces, lit_faces: int, seed: int) -> Faces:
    """Real faces with conditions: no fact means no occlusion; light is measured for at most `lit_faces` of them."""
    occlusions, lights = faces.occlusions.copy(), faces.lights.copy()
    occlusions[_is_null(occlusions)] = "none"
    unknown = np.flatnonzero(_is_null(lights))
    chosen = unknown[some(len(unknown), lit_faces, np.random.default_rng(seed))]
    pictures = faces.pictures[chosen]
    images = pictures[:, 0] if pictures.shape[1] == 1 else pictures.transpose(0, 2, 3, 1)
    lights[chosen] = np.asarray(conditions.measure_light(list(images)), dtype=object)
    return replace(faces, occlusions=occlusions, lights=lights)


def keys_of(faces: Faces, labels: Sequence[str], *, per_condition: bool) -> list[Key]:
    """All; each label that occurs; each stated condition; each cell with a stated condition."""
    present = [label for label in labels if (faces.labels == label).any()]
    keys = [Key("all"), *(Key("label", label) for label in present)]
    if not per_condition:
        return keys
    stated = list(dict.fromkeys(zip(faces.occlusions, faces.lights, strict=True)))
    ordered = sorted((pair for pair in stated if pair != (None, None)), key=lambda pair: tuple(map(str, pair)))
    keys += [Key("condition", None, *pair) for pair in ordered]
    cells = set(zip(faces.labels, faces.occlusions, faces.lights, strict=True))
    return keys + [Key("cell", label, *pair) for label in present for pair in ordered if (label, *pair) in cells]


def mix_of(labels: NDArray[Any]) -> Mix:
    """The mix of labels among N faces, object [N], in smallest numbers; faces without a label do not count."""
    names, counts = np.unique(labels[~_is_null(labels)].astype(str), return_counts=True)
    return tuple(zip(names.tolist(), (counts // np.gcd.reduce(counts, initial=0)).tolist(), strict=True))


def in_mix(rows: Rows, labels: NDArray[Any], mix: Mix, seed: int) -> Rows:
    """As many of the rows as there are in a mix of labels, at random, ascending; none where a label has none.

    Faces of two labels beside real ones of all labels would differ from these however good they are.

    Args:
        labels: object [N], of all faces.
    """
    found = [rows[labels[rows] == label] for label, _ in mix]
    parts = np.asarray([part for _, part in mix])
    most = min((len(own) / part for own, part in zip(found, parts, strict=True)), default=0.0)
    counts = np.floor(most * parts + 1e-9).astype(int)
    random = np.random.default_rng(seed)
    chosen = [own[some(len(own), int(count), random)] for own, count in zip(found, counts, strict=True)]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))


def halves(groups: NDArray[np.int64], seed: int) -> tuple[Rows, Rows]:
    """Two halves of N faces, ascending, no group in both."""
    names = np.unique(groups)
    first = np.isin(groups, np.random.default_rng(seed).permutation(names)[: (len(names) + 1) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)


def _channels(manifest: Manifest, rows: NDArray[np.bool_]) -> int:
    """1 where every picture is grey, else 3."""
    return 1 if (manifest.facts(["mode"], rows)["mode"] == "L").all() else 3


def _is_null(words: NDArray[Any]) -> NDArray[np.bool_]:
    return np.fromiter((word is None for word in words), dtype=bool, count=len(words))


def _words(column: Any) -> NDArray[Any]:
    values = column.astype(object)
    return np.asarray(values.where(values.notna(), None).to_numpy(), dtype=object)


def _unit_pixels(small: Thumbnails) -> Floats:
    flat = small.reshape(len(small), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), dtype=np.float32)
