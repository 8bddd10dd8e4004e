"""Which rows a drawn data set has, and what is wrong with each: everything is decided before anything is drawn.

A row's given label comes first, so that class counts are exact; the truth behind it follows from the noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fer_data.expressions import BASIC7

SPLIT_SHARES = (("train", 0.8), ("val", 0.1), ("test", 0.1))
# Of FER-2013's 1,516 groups of identical pictures 57 carry conflicting labels.
_CONFLICT_SHARE = 57 / 1516

_STREAMS = {"plan": 0, "image": 1, "subject": 2, "defect": 3}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a drawn data set.

    Attributes:
        label: as the data set gives it; true_label: what is drawn, None where it is no face.
        subject: number of the person, None where it is no face.
        picture: number of the row whose picture this is: its own, or for a copy the original's.
        planted: what is wrong: label_noise, exact_duplicate, near_duplicate, blank, not_a_face, or None.
    """

    number: int
    split: str
    label: str
    true_label: str | None
    subject: int | None
    occlusion: str
    light: str
    picture: int
    planted: str | None = None


@dataclass(frozen=True, slots=True)
class Defects:
    """Shares of all rows, 0..1, and how labels go wrong.

    Attributes:
        rates: given label -> relative rate at which it is wrong.
        confusions: given label -> {truth: weight} where it is wrong.
    """

    label_noise: float
    rates: Mapping[str, float]
    confusions: Mapping[str, Mapping[str, float]]
    exact_duplicates: float
    near_duplicates: float
    blank: float
    not_a_face: float


def stream_seed(seed: int, stream: str, number: int) -> int:
    """A seed of its own for one thing of a data set: 0 .. 2**63 - 1."""
    state = np.random.SeedSequence([seed, _STREAMS[stream], number]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def plan_rows(
    count: int,
    seed: int,
    subjects: int,
    class_shares: Mapping[str, float],
    occlusions: Mapping[str, float],
    lights: Mapping[str, float],
    defects: Defects,
) -> list[Row]:
    """Decide every row: 80 % train, 10 % val, 10 % test, no person in two splits.

    Args:
        subjects: how many people, at least 3.
        class_shares: label -> share of the rows that are given it; they sum to 1.
        occlusions, lights: condition -> share of the faces; the rest is "none" and "normal".
        defects: copies are rows of val and test whose originals lie in train; the class shares are exact but for
            them.
    """
    rng = np.random.default_rng(stream_seed(seed, "plan", 0))
    rows: list[Row] = []
    pools = _subject_pools(subjects)
    for split, size in apportion(count, dict(SPLIT_SHARES)).items():
        labels = [label for label, times in apportion(size, class_shares).items() for _ in range(times)]
        order = rng.permutation(len(labels))
        covered, lit = _conditions("none", occlusions, size, rng), _conditions("normal", lights, size, rng)
        people = rng.integers(*pools[split], size=size)
        for place in range(size):
            number, label = len(rows), labels[order[place]]
            rows.append(
                Row(number, split, label, label, int(people[place]), covered[place], lit[place], picture=number)
            )
    _plant_copies(rows, defects, rng)
    _plant_no_faces(rows, defects, rng)
    _plant_label_noise(rows, defects, rng)
    return _filled_copies(rows, rng)


def apportion(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that sum to `total`, in proportion to `shares` (largest remainders)."""
    weights = np.array(list(shares.values()), dtype=np.float64)
    exact = total * weights / weights.sum()
    whole = np.floor(exact + 1e-9).astype(int)
    for index in np.argsort(-(exact - whole), kind="stable")[: total - whole.sum()]:
        whole[index] += 1
    return dict(zip(shares, whole.tolist(), strict=True))


def _subject_pools(subjects: int) -> dict[str, tuple[int, int]]:
    few = max(1, round(subjects * 0.1))
    cuts = (0, subjects - 2 * few, subjects - few, subjects)
    return {split: (cuts[index], cuts[index + 1]) for index, (split, _) in enumerate(SPLIT_SHARES)}


def _conditions(usual: str, shares: Mapping[str, float], size: int, rng: np.random.Generator) -> list[str]:
    counts = apportion(size, {**shares, usual: max(0.0, 1 - sum(shares.values()))})
    names = [name for name, times in counts.items() for _ in range(times)]
    return [names[index] for index in rng.permutation(size)]


def _draw(rows: Sequence[Row], wanted: int, rng: np.random.Generator) -> list[Row]:
    """Some of the rows, without repeats, in row order."""
    if not rows:
        return []
    chosen = rng.choice(len(rows), size=min(wanted, len(rows)), replace=False)
    return [rows[index] for index in sorted(chosen)]


def _plant_copies(rows: list[Row], defects: Defects, rng: np.random.Generator) -> None:
    train = [row for row in rows if row.split == "train"]
    kinds = (("exact_duplicate", defects.exact_duplicates), ("near_duplicate", defects.near_duplicates))
    for kind, share in kinds:
        held_out = [row for row in rows if row.split != "train" and row.planted is None]
        used = {row.picture for row in rows if row.planted}
        originals = [row for row in train if row.number not in used]
        copies = _draw(held_out, min(round(share * len(rows)), len(originals)), rng)
        sources = _draw(originals, len(copies), rng)
        for copy, index in zip(copies, rng.permutation(len(sources)), strict=True):
            rows[copy.number] = replace(copy, picture=sources[index].number, planted=kind)


def _plant_no_faces(rows: list[Row], defects: Defects, rng: np.random.Generator) -> None:
    originals = {row.picture for row in rows if row.picture != row.number}
    for kind, share in (("blank", defects.blank), ("not_a_face", defects.not_a_face)):
        free = [row for row in rows if row.planted is None and row.number not in originals]
        for row in _draw(free, round(share * len(rows)), rng):
            rows[row.number] = replace(row, true_label=None, subject=None, planted=kind)


def _plant_label_noise(rows: list[Row], defects: Defects, rng: np.random.Generator) -> None:
    by_label = {label: [row for row in rows if row.planted is None and row.label == label] for label in BASIC7}
    for label, wanted in _wrong_counts({name: len(group) for name, group in by_label.items()}, defects).items():
        wrong = _draw(by_label[label], wanted, rng)
        truths = [
            truth for truth, times in apportion(len(wrong), defects.confusions[label]).items() for _ in range(times)
        ]
        for row, index in zip(wrong, rng.permutation(len(wrong)), strict=True):
            rows[row.number] = replace(row, true_label=truths[index], planted="label_noise")


def _wrong_counts(sizes: Mapping[str, int], defects: Defects) -> dict[str, int]:
    """How many rows of each given label are wrong: `label_noise` overall, by the rates, none above 90 %."""
    total = sum(sizes.values())
    rates = np.array([defects.rates.get(label, 0.0) for label in sizes])
    weights = np.array(list(sizes.values())) / max(total, 1)
    low, high = 0.0, 1 / max(float(rates[rates > 0].min(initial=1.0)), 1e-6)
    for _ in range(60):  # the factor at which the capped rates give the wanted share
        factor = (low + high) / 2
        below = float(weights @ np.minimum(rates * factor, 0.9)) < defects.label_noise
        low, high = (factor, high) if below else (low, factor)
    shares = np.minimum(rates * high, 0.9) if defects.label_noise > 0 else np.zeros(len(rates))
    return {label: round(float(share) * sizes[label]) for label, share in zip(sizes, shares, strict=True)}


def _filled_copies(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """Copies take over all of their original; now and then under another label, as in FER-2013."""
    filled = []
    for row in rows:
        if row.picture == row.number:
            filled.append(row)
            continue
        copy = replace(rows[row.picture], number=row.number, split=row.split, planted=row.planted)
        if rng.random() < _CONFLICT_SHARE:
            others = [label for label in BASIC7 if label != copy.label]
            copy = replace(copy, label=str(rng.choice(others)))
        filled.append(copy)
    return filled
