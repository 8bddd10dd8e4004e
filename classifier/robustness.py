"""The same test faces covered and in low light: how much worse a classifier reads them.

Every face is covered by a mask, sunglasses, a hand over the mouth or the eyes, hair and a patch, darkened, and both at
once, at five severities each (`fer_data.conditions`, `fer_data.low_light`). What is done to a face follows from its
sample_id and a seed, so that every classifier sees the same pictures; a higher severity covers more with the same
thing, or is darker and noisier. The pictures are made once:

    <cache>/<key>-<condition>.npy    uint8 [5, N, C, S, S], mapped into memory; may be deleted at any time
"""

import base64
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.data import step_seed
from classifier.metrics import aggregates, confusion
from fer_data import images
from fer_data.conditions import SEVERITIES, CoverableFace, relight
from fer_data.errors import FerError
from fer_data.expressions import OCCLUSIONS
from fer_data.files import atomic_file, sha256_json
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter

Pixels = NDArray[np.uint8]
Integers = NDArray[np.int64]

CONDITIONS = (*OCCLUSIONS[1:], "low", "both")  # both: one of the occlusions, drawn for the face, in low light

_VERSION = 2  # raise it where the same faces come out as other pictures
_LANDMARKS = 2 * 68
_LEAST_LOSS = 0.005  # of a metric: a ratio to less tells nothing


class Judge(Protocol):
    """What is asked of a classifier."""

    def probabilities(self, images: Pixels) -> NDArray[np.float32]: ...


class RobustnessSet:
    """Faces under every condition and severity.

    Attributes:
        conditions: their names.
        severities: 1..5.
        faces: N.
        key: identity of the pictures, 32 hex digits.
    """

    severities = SEVERITIES

    def __init__(self, pictures: Mapping[str, Pixels], key: str) -> None:
        self._pictures, self.key = dict(pictures), key
        self.conditions = tuple(self._pictures)
        self.faces = next(iter(self._pictures.values())).shape[1]

    @classmethod
    def open(
        cls,
        manifest: Manifest,
        rows: NDArray[np.bool_],
        size_px: int,
        channels: int,
        cache_dir: Path,
        *,
        conditions: Sequence[str] = CONDITIONS,
        seed: int = 0,
        reporter: Reporter = SILENT,
    ) -> "RobustnessSet":
        """The pictures of some rows of a manifest, from `cache_dir` or made now.

        They are made from the stored pictures, by 68 landmarks where the facts have them, and then brought to a size.

        Args:
            rows: bool, one per row of the manifest; the faces keep its order.
            size_px, channels: of the pictures, as the classifiers look at them.
            conditions: which of CONDITIONS.
            seed: with a face's sample_id it decides all that is done to it.

        Raises:
            FerError: no rows, an unknown condition, or a picture that cannot be read.
        """
        if not rows.any():
            raise FerError(f"{manifest.path}: expected faces to cover and darken, found none; choose another split")
        unknown = [name for name in conditions if name not in CONDITIONS]
        if unknown or not conditions:
            raise FerError(
                f"robustness: expected conditions out of {', '.join(CONDITIONS)}, found {', '.join(unknown) or 'none'}"
            )
        faces = _Faces.of(manifest, rows)
        shape = (len(SEVERITIES), len(faces.ids), channels, size_px, size_px)
        key = sha256_json([_VERSION, faces.ids, faces.sha256, faces.landmarks, size_px, channels, seed])[:32]
        pictures = {}
        for condition in conditions:
            path = cache_dir / f"{key}-{condition}.npy"
            if _open(path, shape) is None:
                with reporter.stage(f"faces with {condition}", len(faces.ids)) as stage:
                    _make(path, shape, faces, condition, seed, stage.advance)
            pictures[condition] = _require_open(path, shape)
        return cls(pictures, key)

    def pictures(self, condition: str, severity: int) -> Pixels:
        """The faces under one condition, uint8 [N, C, S, S]."""
        return np.array(self._pictures[condition][severity - 1])


def judge(classifier: Judge, faces: RobustnessSet, reporter: Reporter = SILENT) -> dict[str, Any]:
    """What a classifier sees in every picture, JSON-able and small.

    Returns:
        set (key of the pictures), faces (N), severities, and predicted: condition → index of the predicted label
        per severity and face, as `pack_predictions` writes it.

    Raises:
        FerError: probabilities that are not finite.
    """
    predicted = {}
    with reporter.stage("covered and dark faces", len(faces.conditions) * len(SEVERITIES)) as stage:
        for condition in faces.conditions:
            found = []
            for severity in SEVERITIES:
                probabilities = classifier.probabilities(faces.pictures(condition, severity))
                if not np.isfinite(probabilities).all():
                    raise FerError(f"robustness: expected probabilities, found others for {condition}; train again")
                found.append(probabilities.argmax(axis=1))
                stage.advance(note=condition)
            predicted[condition] = pack_predictions(np.stack(found))
    return {"set": faces.key, "faces": faces.faces, "severities": list(SEVERITIES), "predicted": predicted}


def pack_predictions(predicted: NDArray[np.integer[Any]]) -> dict[str, Any]:
    """Indices of labels 0..255, of any shape, as JSON: bytes in order, deflated, base64."""
    data = zlib.compress(np.ascontiguousarray(predicted, dtype=np.uint8).tobytes(), level=9)
    return {"dtype": "uint8", "shape": list(predicted.shape), "deflate_base64": base64.b64encode(data).decode()}


def unpack_predictions(packed: Mapping[str, Any]) -> NDArray[np.int64]:
    """What `pack_predictions` packed, int64."""
    data = zlib.decompress(base64.b64decode(packed["deflate_base64"]))
    return np.frombuffer(data, dtype=np.uint8).reshape(packed["shape"]).astype(np.int64)


def score_conditions(truth: Integers, judged: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """How well the covered and dark faces are read.

    Args:
        truth: int [N], index into `labels` of the faces of the set; -1 where a face is to be left out.
        judged: what `judge` told.

    Returns:
        Condition → a list by severity of severity, accuracy, balanced_accuracy and macro_f1, each 0..1.

    Raises:
        FerError: another number of faces than was judged, or none with a truth.
    """
    if len(truth) != judged["faces"] or not (truth >= 0).any():
        raise FerError(
            f"robustness: expected the truth of the {judged['faces']:,} faces that were judged, at least one of them "
            f"among the labels, found {len(truth):,} of which {int((truth >= 0).sum()):,} are"
        )
    known = truth >= 0
    return {
        condition: [
            {"severity": severity, **aggregates(confusion(truth[known], found[known], len(labels)))}
            for severity, found in zip(judged["severities"], unpack_predictions(packed), strict=True)
        ]
        for condition, packed in judged["predicted"].items()
    }


def corruption_errors(
    scores: Mapping[str, Any],
    clean: float,
    baseline: Mapping[str, Any],
    baseline_clean: float,
    metric: str = "accuracy",
) -> dict[str, Any]:
    """Errors under the conditions relative to a baseline's.

    Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
    2019, section 4.2: CE is the sum of errors over the severities, divided by the baseline's; relative CE is the same
    of what the errors grow by over those on clean faces. The error is 1 less the metric.

    Args:
        scores, baseline: what `score_conditions` told of the classifier and of the baseline, same conditions.
        clean, baseline_clean: the metric of both on the same faces as they are, 0..1.

    Returns:
        mce and relative_mce, means over the conditions (1: as the baseline; low = good), and per_condition: condition
        → ce and relative_ce; null where the baseline makes no error, or loses less than half
        a point.
    """
    per_condition = {}
    for condition, rows in scores.items():
        own = sum(1 - row[metric] for row in rows)
        base = sum(1 - row[metric] for row in baseline[condition])
        own_growth, base_growth = own - len(rows) * (1 - clean), base - len(rows) * (1 - baseline_clean)
        per_condition[condition] = {
            "ce": own / base if base > 0 else None,
            "relative_ce": own_growth / base_growth if base_growth > _LEAST_LOSS * len(rows) else None,
        }
    return {
        "mce": _mean([entry["ce"] for entry in per_condition.values()]),
        "relative_mce": _mean([entry["relative_ce"] for entry in per_condition.values()]),
        "per_condition": per_condition,
    }


def real_slices(manifest: Manifest, rows: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Really covered, dark or turned faces, as the dataset itself or a published list names them.

    Args:
        rows: bool, one per row of the manifest.

    Returns:
        Name ("ran_occlusion", "light: low") → bool [N] over the chosen rows; empty where nothing is stated.
    """
    facts = manifest.facts(["slices", "occlusion", "light", "pose", "condition_source"], rows)
    found: dict[str, NDArray[np.bool_]] = {}
    for name in sorted({name for names in facts["slices"].dropna() for name in names}):
        listed = [names is not None and name in names for names in facts["slices"]]
        found[name] = np.array(listed, dtype=bool)
    stated = (facts["condition_source"] == "dataset").to_numpy(dtype=bool)
    for attribute, usual in (("occlusion", "none"), ("light", "normal"), ("pose", "frontal")):
        for value in sorted(set(facts.loc[stated, attribute].dropna()) - {usual}):
            found[f"{attribute}: {value}"] = stated & (facts[attribute] == value).to_numpy(dtype=bool)
    return found


class _Faces:
    """The faces that are covered: where they lie, and what identifies them."""

    def __init__(self, stored: list[tuple[Any, int]], ids: list[str], sha256: list[str], landmarks: list[Any]) -> None:
        self.stored, self.ids, self.sha256, self.landmarks = stored, ids, sha256, landmarks

    @classmethod
    def of(cls, manifest: Manifest, rows: NDArray[np.bool_]) -> "_Faces":
        frame, facts = manifest.frame[rows], manifest.facts(["pixel_sha256", "landmarks"], rows)
        stored = [
            (manifest.stores[store], int(row)) for store, row in zip(frame["store"], frame["store_row"], strict=True)
        ]
        landmarks = [
            [float(value) for value in points] if points is not None and len(points) == _LANDMARKS else None
            for points in facts["landmarks"]
        ]
        return cls(stored, frame["sample_id"].tolist(), facts["pixel_sha256"].tolist(), landmarks)


def _make(path: Path, shape: tuple[int, ...], faces: _Faces, condition: str, seed: int, advance: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as partial:
        channels, size_px = shape[2:4]
        out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        for number, (store, row) in enumerate(faces.stored):
            own = step_seed(seed, f"robustness of {faces.ids[number]}", 0)
            for severity, changed in enumerate(_changed(store.image(row), faces.landmarks[number], condition, own)):
                out[severity, number] = images.as_view(changed, size_px, channels)
            advance()
        out.flush()
        del out


def _changed(image: Pixels, landmarks: Any, condition: str, seed: int) -> list[Pixels]:
    """A face under a condition at every severity."""
    if condition == "low":
        return [relight(image, "low", seed, severity) for severity in SEVERITIES]
    face = CoverableFace(image, landmarks)
    if condition != "both":
        return [face.cover(condition, seed, severity) for severity in SEVERITIES]
    occlusion = OCCLUSIONS[1 + seed % (len(OCCLUSIONS) - 1)]
    return [relight(face.cover(occlusion, seed, severity), "low", seed, severity) for severity in SEVERITIES]


def _open(path: Path, shape: tuple[int, ...]) -> Pixels | None:
    """Pictures that were kept, or None where they are not there or not whole."""
    try:
        kept: Pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == shape and kept.dtype == np.uint8 else None


def _require_open(path: Path, shape: tuple[int, ...]) -> Pixels:
    kept = _open(path, shape)
    if kept is None:
        raise FerError(f"{path}: expected the pictures that were just written, found others; delete it and run again")
    return kept


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None
