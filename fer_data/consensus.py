"""What several reviewers say together about one face."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fer_data.decision_log import Decision
from fer_data.errors import FerError

_FLOOR = 1e-5  # of probabilities: a certain model would never be outvoted


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


@dataclass(frozen=True)
class Knowledge:
    """What a rule may go by besides the verdicts.

    Attributes:
        seniority: names of reviewers, the most senior first.
        labels: K canonical names, the order of `probabilities`.
        probabilities: float64 [N, K], what a model that never saw these labels gives each face, a row of NaN where it
            says nothing; None without a model.
    """

    seniority: Sequence[str] = ()
    labels: Sequence[str] = ()
    probabilities: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Settled:
    """What reviewers say together, and the names of those whose word it is."""

    verdict: Verdict
    voices: tuple[str, ...]


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


def settle(rule: str, ratings: Sequence[Mapping[str, Verdict]], knowledge: Knowledge) -> list[Settled]:
    """Bring reviewers together, face by face.

    Args:
        rule: a name of CONSENSUS.
        ratings: per face, reviewer → verdict; at least one reviewer each.
        knowledge: what the rule may go by.

    Raises:
        FerError: an unknown rule, or it lacks what it goes by.
    """
    if rule not in CONSENSUS:
        raise FerError(f"consensus {rule!r}: expected one of {', '.join(CONSENSUS)}")
    return CONSENSUS[rule](ratings, knowledge)


def majority(ratings: Sequence[Mapping[str, Verdict]], knowledge: Knowledge) -> list[Settled]:
    """The verdict of more than half of a face's reviewers; unsure where there is none (a tie, say)."""
    return [Settled(_majority(list(said.values())), tuple(said)) for said in ratings]


def seniority(ratings: Sequence[Mapping[str, Verdict]], knowledge: Knowledge) -> list[Settled]:
    """The word of a face's most senior reviewer, unsure too; a majority where none of them has a rank.

    Raises:
        FerError: nobody has a rank.
    """
    if not knowledge.seniority:
        raise FerError("consensus 'seniority': expected an order of reviewers, found none; add --seniority anna,bo")
    settled = []
    for said in ratings:
        senior = next((name for name in knowledge.seniority if name in said), None)
        voices = tuple(said) if senior is None else (senior,)
        settled.append(Settled(_majority([said[name] for name in voices]), voices))
    return settled


def crowdlab(ratings: Sequence[Mapping[str, Verdict]], knowledge: Knowledge) -> list[Settled]:
    """Of the labels that reviewers named, the one that is most probable by them, their records and a model.

    Faces with one label, those without a model's opinion, and those that half of the reviewers or more drop are
    settled by majority: the method weighs labels only. Who is unsure has no say in the weighing.

    CROWDLAB (Goh, Tkachenko and Mueller, "CROWDLAB: Supervised learning to infer consensus labels and quality scores
    for data with multiple annotators", 2022, arXiv 2210.06812), by cleanlab.

    Raises:
        FerError: there are no probabilities, or cleanlab is not installed.
    """
    if knowledge.probabilities is None:
        raise FerError(
            "consensus 'crowdlab': expected a model's probabilities, found none; give them: fer apply … --audit TABLE"
        )
    settled = majority(ratings, knowledge)
    said = _labels_by_reviewer(ratings, knowledge)
    drops = np.asarray([2 * list(rating.values()).count(DROP) >= len(rating) for rating in ratings], dtype=bool)
    told = ~np.isnan(knowledge.probabilities).any(axis=1) & ~np.isnan(said).all(axis=1)
    open_ = told & ~drops & np.asarray([len(set(row[~np.isnan(row)])) > 1 for row in said], dtype=bool)
    if open_.any():
        quality = np.full(said.shape, -np.inf)
        quality[told] = _label_quality(said[told], knowledge.probabilities[told])
        for face in np.flatnonzero(open_).tolist():
            label = knowledge.labels[int(said[face, quality[face].argmax()])]
            settled[face] = Settled(Verdict("label", label), tuple(ratings[face]))
    return settled


Rule = Callable[[Sequence[Mapping[str, Verdict]], Knowledge], list[Settled]]
CONSENSUS: Mapping[str, Rule] = MappingProxyType({"majority": majority, "seniority": seniority, "crowdlab": crowdlab})


def _majority(said: Sequence[Verdict]) -> Verdict:
    verdict, count = Counter(said).most_common(1)[0]
    return verdict if 2 * count > len(said) else UNSURE


def _labels_by_reviewer(ratings: Sequence[Mapping[str, Verdict]], knowledge: Knowledge) -> NDArray[np.float64]:
    """Index of the label that each reviewer gave each face, float64 [N, R]; NaN where none of the set was."""
    code = {label: index for index, label in enumerate(knowledge.labels)}
    column = {name: index for index, name in enumerate(sorted({name for rating in ratings for name in rating}))}
    said = np.full((len(ratings), len(column)), np.nan)
    for face, rating in enumerate(ratings):
        for name, verdict in rating.items():
            if verdict.label in code:
                said[face, column[name]] = code[verdict.label]
    return said


def _label_quality(said: NDArray[np.float64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """How probable each reviewer's label is, float64 [N, R]; -inf where there is none."""
    try:
        from cleanlab.multiannotator import get_label_quality_multiannotator
    except ImportError:
        raise FerError(
            "consensus 'crowdlab': cleanlab is not installed; pip install 'fer-data-studio[audit]'"
        ) from None
    asked = ~np.isnan(said).all(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few faces on which nobody agrees: then the model weighs more
        judged = get_label_quality_multiannotator(
            said[:, asked],
            np.maximum(probabilities, _FLOOR),
            consensus_method="best_quality",
            return_detailed_quality=True,
            return_annotator_stats=False,
            verbose=False,
        )
    quality = np.full(said.shape, -np.inf)
    quality[:, asked] = judged["detailed_label_quality"].fillna(-np.inf).to_numpy(dtype=np.float64)
    return quality
