"""What is told of the judged runs besides scores and contrasts: calibration, votes, fairness by stated attributes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.confidence import distribution_scores, reliability
from classifier.fairness import fairness, read_attributes
from classifier.metrics import aggregates, confusion
from classifier.robustness import real_slices
from experiments.design import Design
from experiments.records import unpack
from experiments.results import Question
from experiments.schedule import Record, Run
from experiments.views import PRIMARY_SPLIT, View
from fer_data.votes import label_shares

NO_ATTRIBUTES = "The manifest states no age, gender or race of the people shown, so no metric can be split by them."


def reliability_of(designs: Sequence[Design], views: Sequence[View], found: Mapping[Run, Record]) -> dict[str, Any]:
    """Main arm → bins of its reliability diagram, over all seeds, in the view of the primary contrast."""
    question = designs[0].question
    view = _primary_view(question, views)
    bins = {}
    for arm in question.arms:
        runs = [_pooled(found, arm, seed, len(designs))[view.rows] for seed in question.seeds]
        truth = np.tile(view.truth[view.rows], len(runs))
        bins[arm] = reliability(truth, np.concatenate(runs).astype(np.float64))
    return bins


def votes_of(
    designs: Sequence[Design], views: Sequence[View], found: Mapping[Run, Record]
) -> dict[str, dict[str, Any]] | None:
    """Main arm → how far its probabilities are from the shares of votes, the mean over seeds; None without votes.

    Shares are those after FER+'s filter (`fer_data.votes.label_shares`: votes that stand alone are dropped), of
    labelled test faces without twins; `classifier.confidence.distribution_scores` tells the scores.
    """
    shares = np.concatenate([label_shares(design.yardstick, design.test_rows) for design in designs])
    question = designs[0].question
    inside = next(view.rows for view in views if (view.split, view.labels) == (PRIMARY_SPLIT, "given"))
    if np.isnan(shares[inside]).any(axis=1).all():
        return None
    told = {}
    for arm in question.arms:
        scores = [
            distribution_scores(shares[inside], _pooled(found, arm, seed, len(designs))[inside].astype(np.float64))
            for seed in question.seeds
        ]
        means = {name: float(np.mean([one[name] for one in scores])) for name in ("cross_entropy", "entropy", "kl")}
        told[arm] = {"count": scores[0]["count"], **means}
    return told


def slices_of(
    designs: Sequence[Design], views: Sequence[View], found: Mapping[Run, Record]
) -> dict[str, dict[str, Any]] | None:
    """Slice → its faces in the view of the primary contrast, and main arm → metrics, the mean over seeds.

    Slices are what the dataset or a published list names (`classifier.robustness.real_slices`); None without any.
    """
    told = [real_slices(design.yardstick, design.test_rows) for design in designs]
    question, labels = designs[0].question, designs[0].yardstick.labels
    view = _primary_view(question, views)
    slices: dict[str, NDArray[np.bool_]] = {}
    for name in sorted({name for each in told for name in each}):
        listed = [
            each.get(name, np.zeros(int(design.test_rows.sum()), dtype=bool))
            for each, design in zip(told, designs, strict=True)
        ]
        if (inside := np.concatenate(listed) & view.rows).any():
            slices[name] = inside
    if not slices:
        return None
    found_in: dict[str, dict[str, Any]] = {name: {} for name in slices}
    for arm in question.arms:
        answered = [_pooled(found, arm, seed, len(designs)).argmax(axis=1) for seed in question.seeds]
        for name, inside in slices.items():
            scores = [aggregates(confusion(view.truth[inside], each[inside], len(labels))) for each in answered]
            found_in[name][arm] = {metric: float(np.mean([one[metric] for one in scores])) for metric in scores[0]}
    return {name: {"faces": int(inside.sum()), "arms": found_in[name]} for name, inside in slices.items()}


def summarise_fairness(
    designs: Sequence[Design], views: Sequence[View], found: Mapping[Run, Record]
) -> dict[str, Any] | str:
    """Baseline, control and primary arm by the attributes that the manifest states, or why not."""
    told = [read_attributes(design.yardstick, design.test_rows) for design in designs]
    names = [name for name in told[0] if all(name in each for each in told)]
    if not names:
        return NO_ATTRIBUTES
    attributes = {name: np.concatenate([each[name] for each in told]) for name in names}
    question, groups = designs[0].question, np.concatenate([design.test_groups for design in designs])
    truth = _primary_view(question, views).truth
    arms = [arm for arm in (question.baseline, question.control, question.primary) if arm is not None]
    return {
        arm: fairness(
            truth,
            np.stack([_pooled(found, arm, seed, len(designs)) for seed in question.seeds]),
            designs[0].yardstick.labels,
            attributes,
            groups,
        )
        for arm in dict.fromkeys(arms)
    }


def _primary_view(question: Question, views: Sequence[View]) -> View:
    return next(view for view in views if (view.split, view.labels) == (PRIMARY_SPLIT, question.labels))


def _pooled(found: Mapping[Run, Record], arm: str, seed: int, parts: int) -> NDArray[np.float32]:
    """What one arm with one seed said of all test faces, those of one fold after those of another."""
    return np.concatenate([unpack(found[number, arm, seed]["probabilities"]) for number in range(parts)])
