"""What several reviewers say together about one face, and how far they agree."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from fer_data.decision_log import Decision


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a face.

    Attributes:
        action: "label" (it shows `label`), "drop" or "unsure".
        label: canonical name where the action is "label"; None there means that an unlabelled face stays so.
    """

    action: str
    label: str | None = None


DROP = Verdict("drop")
UNSURE = Verdict("unsure")


def given_label(decision: Decision, label: str | None) -> str | None:
    """The label that the face had when it was decided; where the event does not tell, `label`, its present one."""
    shown: str | None = decision.shown.get("label", label)
    return shown


def verdict_of(decision: Decision, label: str | None) -> Verdict:
    """One reviewer's verdict: keep and accept confirm the label that was given, whatever button said it.

    Args:
        decision: any event but an undo.
        label: the face's present label.
    """
    if decision.action in ("keep", "accept"):
        return Verdict("label", given_label(decision, label))
    if decision.action == "relabel":
        return Verdict("label", decision.label)
    return UNSURE if decision.action == "unsure" else DROP


def majority(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of more than half of the reviewers; unsure where there is none (a tie, say)."""
    verdict, count = Counter(verdicts).most_common(1)[0]
    return verdict if 2 * count > len(verdicts) else UNSURE


CONSENSUS: Mapping[str, Callable[[Sequence[Verdict]], Verdict]] = MappingProxyType({"majority": majority})


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


def fleiss_kappa(ratings: Sequence[Sequence[Hashable]]) -> float | None:
    """Agreement of many raters beyond chance; None where only one category was ever used.

    Args:
        ratings: per sample the categories that its raters gave, at least two; the number may differ between
            samples, which then weigh the same in the observed agreement.

    Fleiss, "Measuring nominal scale agreement among many raters", Psychological Bulletin 76 (1971), eqs. 1-7.
    """
    categories = {name: index for index, name in enumerate(dict.fromkeys(name for row in ratings for name in row))}
    counts = np.zeros((len(ratings), len(categories)))
    for index, row in enumerate(ratings):
        for name in row:
            counts[index, categories[name]] += 1
    raters = counts.sum(axis=1)
    observed = float(np.mean((counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))))
    chance = float(np.sum((counts.sum(axis=0) / counts.sum()) ** 2))
    return None if np.isclose(chance, 1) else (observed - chance) / (1 - chance)


def agreement(ratings: Sequence[Mapping[str, Hashable]]) -> dict[str, Any]:
    """How far reviewers agree where at least two rated the same face.

    Args:
        ratings: per sample, reviewer → category.

    Returns:
        `samples` with two reviewers or more, `reviewers` on them, `observed` share of agreeing pairs (0..1),
        `kappa` (-1..1 or None where it is undefined), its `method`: Cohen's for two reviewers, else Fleiss'.
    """
    shared = [rating for rating in ratings if len(rating) > 1]
    names = sorted({name for rating in shared for name in rating})
    if not shared:
        return {"samples": 0, "reviewers": 0, "observed": None, "kappa": None, "method": None}
    pairs = [
        (a == b)
        for rating in shared
        for index, a in enumerate(rating.values())
        for b in list(rating.values())[index + 1 :]
    ]
    if len(names) == 2:
        kappa = cohen_kappa([rating[names[0]] for rating in shared], [rating[names[1]] for rating in shared])
    else:
        kappa = fleiss_kappa([list(rating.values()) for rating in shared])
    return {
        "samples": len(shared),
        "reviewers": len(names),
        "observed": float(np.mean(pairs)),
        "kappa": kappa,
        "method": "cohen" if len(names) == 2 else "fleiss",
    }
