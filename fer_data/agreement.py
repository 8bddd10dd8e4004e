"""How far reviewers agree, where they do not, and how fast each of them is."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_data.consensus import Verdict, verdict_of
from fer_data.decision_log import Decision, not_undone

PAUSE_MS = 60_000  # a longer look is a pause, and says nothing of the pace

Ratings = Sequence[Sequence[Hashable]]
Standing = Mapping[tuple[str, str], Decision]


@dataclass(frozen=True)
class Pair:
    """Two reviewers on the faces that both decided.

    Attributes:
        reviewers: their names, in the order of the alphabet.
        samples: how many faces both decided.
        observed: share on which they said the same, 0..1.
        kappa: Cohen's, -1..1; None where both only ever said one and the same thing.
    """

    reviewers: tuple[str, str]
    samples: int
    observed: float
    kappa: float | None


@dataclass(frozen=True)
class Pace:
    """One reviewer's work so far.

    Attributes:
        reviewer: name.
        decisions: how many stand, on how many faces.
        faces: on how many different faces.
        undone: how many decisions were taken back.
        actions: action → how many of those that stand.
        median_seconds: the middle of the times that one face took, pauses left out; None where no time is known.
        per_minute: decisions in a minute of looking, pauses left out; None where no time is known.
        first, last: time of the first and the last event, UTC, ISO 8601.
    """

    reviewer: str
    decisions: int
    faces: int
    undone: int
    actions: Mapping[str, int]
    median_seconds: float | None
    per_minute: float | None
    first: str
    last: str


def verdicts(
    standing: Standing, labels: Mapping[str, str | None] = MappingProxyType({})
) -> dict[str, dict[str, Verdict]]:
    """sample_id → reviewer → what that reviewer says of the face now, as `fer_data.decision_log.standing` tells it.

    Args:
        labels: sample_id → present label, for decisions that do not tell which label was confirmed.
    """
    said: dict[str, dict[str, Verdict]] = defaultdict(dict)
    for (sample_id, reviewer), decision in standing.items():
        said[sample_id][reviewer] = verdict_of(decision, labels.get(sample_id))
    return dict(said)


def disagreements(ratings: Mapping[str, Mapping[str, Hashable]]) -> list[str]:
    """Ids of the faces on which reviewers do not say the same.

    Confirming a label and choosing it are the same; being unsure is a word too.

    Args:
        ratings: sample_id → reviewer → category, as `verdicts` tells them.

    Returns:
        The most divided first: those with the smallest share of reviewers behind the most frequent word; of these the
        ones with most reviewers; then as in `ratings`.
    """
    divided = {}
    for sample_id, said in ratings.items():
        most = Counter(said.values()).most_common(1)[0][1]
        if most < len(said):
            divided[sample_id] = most / len(said), -len(said)
    return sorted(divided, key=divided.__getitem__)


def agreement(ratings: Sequence[Mapping[str, Hashable]]) -> dict[str, Any]:
    """How far reviewers agree where at least two rated the same face.

    Args:
        ratings: per sample, reviewer → category.

    Returns:
        `samples` with two reviewers or more, `reviewers` on them, `observed` share of agreeing pairs (0..1),
        `kappa` (-1..1 or None where it is undefined), its `method`: Cohen's for two reviewers, else Fleiss'; and
        Krippendorff's `alpha`.
    """
    shared = [rating for rating in ratings if len(rating) > 1]
    if not shared:
        return {"samples": 0, "reviewers": 0, "observed": None, "kappa": None, "method": None, "alpha": None}
    names = sorted({name for rating in shared for name in rating})
    said = [list(rating.values()) for rating in shared]
    if len(names) == 2:
        kappa = cohen_kappa([rating[names[0]] for rating in shared], [rating[names[1]] for rating in shared])
    else:
        kappa = fleiss_kappa(said)
    return {
        "samples": len(shared),
        "reviewers": len(names),
        "observed": float(np.mean([a == b for row in said for a, b in combinations(row, 2)])),
        "kappa": kappa,
        "method": "cohen" if len(names) == 2 else "fleiss",
        "alpha": krippendorff_alpha(said),
    }


def pairs(ratings: Sequence[Mapping[str, Hashable]]) -> list[Pair]:
    """Every two reviewers who share a face, most shared faces first.

    Args:
        ratings: per sample, reviewer → category.
    """
    both: dict[tuple[str, str], list[tuple[Hashable, Hashable]]] = defaultdict(list)
    for rating in ratings:
        for first, second in combinations(sorted(rating), 2):
            both[first, second].append((rating[first], rating[second]))
    found = []
    for names, said in both.items():
        left, right = zip(*said, strict=True)
        observed = float(np.mean([a == b for a, b in said]))
        found.append(Pair(names, len(said), observed, cohen_kappa(left, right)))
    return sorted(found, key=lambda pair: (-pair.samples, pair.reviewers))


def paces(events: Sequence[Decision]) -> list[Pace]:
    """How each reviewer works, who decided most first.

    Args:
        events: a log's, in its order.
    """
    seen: dict[str, list[Decision]] = defaultdict(list)
    alive: dict[str, list[Decision]] = defaultdict(list)
    for event in events:
        seen[event.reviewer].append(event)
    for event in not_undone(events):
        alive[event.reviewer].append(event)
    found = [_pace(reviewer, mine, alive[reviewer]) for reviewer, mine in seen.items()]
    return sorted(found, key=lambda pace: (-pace.decisions, pace.reviewer))


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Agreement of two raters beyond chance, -1..1; None where both only ever said one and the same thing.

    Args:
        first, second: N categories each, the same N samples in the same order.

    Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological Measurement 20
    (1960).
    """
    total = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / total
    left, right = Counter(first), Counter(second)
    chance = sum(left[name] * right[name] for name in left) / total**2
    return None if chance == 1 else (observed - chance) / (1 - chance)


def fleiss_kappa(ratings: Ratings) -> float | None:
    """Agreement of many raters beyond chance; None where only one category was ever used.

    Args:
        ratings: per sample the categories that its raters gave, at least two; the number may differ between
            samples, which then weigh the same in the observed agreement.

    Fleiss, "Measuring nominal scale agreement among many raters", Psychological Bulletin 76 (1971), eqs. 1-7.
    """
    counts = _counts(ratings)
    raters = counts.sum(axis=1)
    observed = float(np.mean((counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))))
    chance = float(np.sum((counts.sum(axis=0) / counts.sum()) ** 2))
    return None if np.isclose(chance, 1) else (observed - chance) / (1 - chance)


def krippendorff_alpha(ratings: Ratings) -> float | None:
    """Reliability of any number of raters who need not have rated everything; None where one category was used.

    1 is perfect, 0 is chance. Unlike Fleiss' kappa it weighs a sample by how many rated it, and corrects for few.

    Args:
        ratings: per sample the categories that its raters gave; samples with less than two are left out.

    Krippendorff, "Content Analysis" (4th ed., 2019), ch. 12: the nominal case of alpha, with missing values.
    """
    counts = _counts([row for row in ratings if len(row) > 1])
    raters, total = counts.sum(axis=1), counts.sum()
    categories = counts.sum(axis=0)
    expected = total**2 - (categories**2).sum()
    if expected == 0:
        return None
    disagreeing = ((raters**2 - (counts**2).sum(axis=1)) / (raters - 1)).sum()
    return float(1 - (total - 1) * disagreeing / expected)


def _counts(ratings: Ratings) -> NDArray[np.float64]:
    """How often each sample was given each category, [N, C]."""
    categories = {name: index for index, name in enumerate(dict.fromkeys(name for row in ratings for name in row))}
    counts = np.zeros((len(ratings), len(categories)))
    for index, row in enumerate(ratings):
        for name in row:
            counts[index, categories[name]] += 1
    return counts


def _pace(reviewer: str, events: Sequence[Decision], alive: Sequence[Decision]) -> Pace:
    looks = [event.elapsed_ms for event in alive if event.elapsed_ms is not None and event.elapsed_ms <= PAUSE_MS]
    spent_ms = sum(looks)
    return Pace(
        reviewer=reviewer,
        decisions=len(alive),
        faces=len({event.sample_id for event in alive}),
        undone=sum(event.action != "undo" for event in events) - len(alive),
        actions=dict(Counter(event.action for event in alive).most_common()),
        median_seconds=float(np.median(looks)) / 1000 if looks else None,
        per_minute=60_000 * len(looks) / spent_ms if spent_ms else None,
        first=min(event.time for event in events),
        last=max(event.time for event in events),
    )
