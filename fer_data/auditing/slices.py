"""Groups of faces that do worse than the rest: by source, split, person, occlusion, light, age and the like."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Labels
from fer_data.intervals import holm, wilson
from fer_data.manifest import Manifest
from fer_data.tabular.attributes import attributes
from fer_data.tabular.columns import mixed, shared_values, sources_of, value_codes

# What groups are made of; `source` is the part of the sample_id before the first "/".
ATTRIBUTES = ("source", "split", "subject_id", "occlusion", "light", "pose", "age", "gender", "race")

_FEW = 10  # twins or persons in a group of faces: with fewer of them, how they differ tells nothing
_TINY = 1e-12

Scores = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Slice:
    """Faces that share the value of an attribute, against the other faces.

    Attributes:
        attribute, value: what they share.
        faces: how many.
        agreement: share of them for which the most probable label is the given one, 0..1; low, high: its 95 % interval
            (Wilson, JASA 22, 1927).
        expected: the same share among the other faces, at this slice's mix of given labels.
        error_rate: estimated share of wrong labels, 0..1.
        p_value: one-sided, that the slice agrees as often as expected, adjusted for all slices (Holm, Scandinavian
            Journal of Statistics 6, 1979).
        is_worse: significantly, and by more than what was asked.
    """

    attribute: str
    value: str
    faces: int
    agreement: float
    low: float
    high: float
    expected: float
    error_rate: float
    p_value: float
    is_worse: bool

    def as_dict(self) -> dict[str, Any]:
        """What a table's metadata holds."""
        return asdict(self)


@dataclass(frozen=True)
class Slicing:
    """What is known of each face by one attribute.

    Attributes:
        attribute: its name.
        codes: int64 [N], which value, -1 for unknown.
        values: their names.
    """

    attribute: str
    codes: Codes
    values: tuple[str, ...]


def slicings(manifest: Manifest, rows: Codes, names: Sequence[str] = ATTRIBUTES) -> list[Slicing]:
    """How the attributes that are known divide some rows of a manifest; those with one value only are left out.

    Args:
        rows: int64 [N], positions in the manifest.
        names: "source", or what `tabular.attributes` knows.

    Raises:
        FerError: there is no such attribute, or its values are lists.
    """
    sources, source_names = value_codes(sources_of(manifest.table["sample_id"]))
    stored = [name for name in names if name != "source"]
    known = {"source": (sources, source_names), **dict(zip(stored, attributes(manifest, stored), strict=True))}
    found = []
    for name in names:
        codes, values = known[name][0].astype(np.int64), tuple(map(str, known[name][1]))
        if name == "subject_id" and len(values) and len(source_names) > 1:  # two sources may both call a person "S005"
            codes = np.where(codes >= 0, sources * len(values) + codes, -1)
            values = tuple(f"{source}/{value}" for source in source_names for value in values)
        codes = codes[rows]
        if len(codes) and codes.min() < codes.max():
            found.append(Slicing(name, codes, values))
    return found


def worse_slices(
    divisions: Sequence[Slicing],
    labels: Labels,
    agrees: NDArray[np.bool_],
    score: Scores,
    groups: NDArray[np.int64],
    *,
    least: int,
    worse_by: float,
    level: float = 0.05,
) -> list[Slice]:
    """Compare every slice with the other faces of the same given labels, the worst first.

    Agreement is standardised: label by label, what the slice should have by the faces outside of it. Its variance
    takes twins and persons (`groups`) for one observation, unless the slice has fewer than ten of them.
    cleanlab's check for under-performing groups looks at clusters of features instead, and names the single worst.

    Args:
        labels: int64 [N], given labels.
        agrees: bool [N], whether the most probable label is the given one.
        score: float64 [N], 0..1, estimated probability that the given label is right.
        groups: int64 [N], faces that are not independent.
        least: slices of fewer faces are left out.
        worse_by: how far below what is expected a slice must be to count as worse, 0..1.
        level: and how small its adjusted p value.
    """
    from scipy.stats import norm

    parts = [_compare(division, labels, agrees, score, groups, least) for division in divisions]
    p_values = holm(norm.sf(np.concatenate([np.empty(0), *(part.deviation for part in parts)])))
    found: list[Slice] = []
    for division, part in zip(divisions, parts, strict=True):
        for place, code in enumerate(part.codes.tolist()):
            faces, agreement, expected = (
                int(part.faces[place]),
                float(part.agreement[place]),
                float(part.expected[place]),
            )
            p_value = float(p_values[len(found)])
            found.append(
                Slice(
                    attribute=division.attribute,
                    value=division.values[code],
                    faces=faces,
                    agreement=agreement,
                    low=float(part.low[place]),
                    high=float(part.high[place]),
                    expected=expected,
                    error_rate=float(part.error_rate[place]),
                    p_value=p_value,
                    is_worse=p_value < level and expected - agreement > worse_by,
                )
            )
    return sorted(found, key=lambda one: (not one.is_worse, one.agreement - one.expected))


@dataclass(frozen=True)
class _Comparison:
    """The slices of one attribute that are large enough, arrays [V]."""

    codes: Codes
    faces: Codes
    agreement: Scores
    low: Scores
    high: Scores
    expected: Scores
    error_rate: Scores
    deviation: Scores


def _compare(
    division: Slicing, labels: Labels, agrees: NDArray[np.bool_], score: Scores, groups: Codes, least: int
) -> _Comparison:
    known = division.codes >= 0
    code, given, count, classes = division.codes[known], labels[known], len(division.values), int(labels.max()) + 1
    cell = code * classes + given
    faces = np.bincount(cell, minlength=count * classes).reshape(count, classes).astype(np.float64)
    hits = np.bincount(cell, agrees[known], count * classes).reshape(count, classes)
    # The others are all other faces, those of which the attribute is unknown too.
    all_faces, all_hits = np.bincount(labels, minlength=classes), np.bincount(labels, agrees, classes)
    outside, outside_hits = all_faces - faces, all_hits - hits
    comparable = outside > 0  # a label that occurs inside the slice only cannot be compared
    usual = np.divide(outside_hits, outside, out=hits / np.maximum(faces, 1), where=comparable)
    total = faces.sum(axis=1)
    deficit = (faces * usual - hits).sum(axis=1)
    overall = all_hits / np.maximum(all_faces, 1)
    error = agrees[known] - overall[given]
    variance = _variance(code, error, groups[known], count)
    variance *= len(labels) / np.maximum(len(labels) - total, 1)  # what the others tell is uncertain too
    large = (total >= least) & (total < len(labels))
    safe = np.maximum(total, 1)
    agreement = hits.sum(axis=1) / safe
    low, high = wilson(hits.sum(axis=1)[large], total[large])
    return _Comparison(
        codes=np.flatnonzero(large),
        faces=total[large].astype(np.int64),
        agreement=agreement[large],
        low=low,
        high=high,
        expected=(agreement + deficit / safe)[large],
        error_rate=(1 - np.bincount(code, score[known], count) / safe)[large],
        deviation=(deficit / np.sqrt(np.maximum(variance, _TINY)))[large],
    )


def _variance(code: Codes, error: Scores, groups: Codes, count: int) -> Scores:
    """The variance of the sum of errors in each slice, float64 [V]: at least that of independent faces."""
    plain = np.bincount(code, error**2, count)
    shared = shared_values(groups, mixed(groups))  # only faces that share their group need a closer look
    pairs = np.stack([code[shared], np.unique(groups[shared], return_inverse=True)[1]])
    (owner, _), pair = np.unique(pairs, axis=1, return_inverse=True)
    together = np.bincount(owner, np.bincount(pair, error[shared]) ** 2, count)
    alone = plain - np.bincount(code[shared], error[shared] ** 2, count)
    clusters = np.bincount(code, minlength=count) - np.bincount(code[shared], minlength=count)
    clusters += np.bincount(owner, minlength=count)
    return np.where(clusters < _FEW, plain, np.maximum(alone + together, plain))
