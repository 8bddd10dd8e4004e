"""What more compute buys: the same methods with the first repeats only, against the seconds that these took."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.audit_benchmark.design import JudgeConfig
from experiments.audit_benchmark.methods import COMBINED, Calibration, cleanlab_scores, combined_score, of_repeats
from experiments.audit_benchmark.paired import Draws, judge
from experiments.audit_benchmark.truth import Truth
from fer_data.auditing.evidence import Evidence
from fer_data.progress import Stage

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Predictions and what they cost.

    Attributes:
        name: in the report.
        evidence: with all repeats.
        seconds: of each repeat: training and judging.
        calibration: of the predictions.
    """

    name: str
    evidence: Evidence
    seconds: tuple[float, ...]
    calibration: Calibration


@dataclass(frozen=True)
class Point:
    """The methods with the first repeats of a source.

    Attributes:
        source, repeats: whose, and how many.
        predict_seconds: what these repeats took.
        audit_seconds: what the combined score took on top; the single scores take none.
        scores: method → float64 [N].
    """

    source: str
    repeats: int
    predict_seconds: float
    audit_seconds: float
    scores: dict[str, Array] = field(repr=False)

    def seconds(self, method: str) -> float:
        """All that a method needs."""
        return self.predict_seconds + (self.audit_seconds if method == COMBINED else 0.0)


def repeat_counts(seconds: Sequence[float], budgets_minutes: Sequence[float]) -> list[int]:
    """How many of the repeats are looked at: a few at first, then in steps of a quarter, and what each budget allows.

    Args:
        seconds: of each repeat.
    """
    total, counts, step = len(seconds), set(), 1
    while step < total:
        counts.add(step)
        step += max(1, step // 4)
    ended = (int((np.cumsum(seconds) <= 60 * minutes).sum()) for minutes in budgets_minutes)
    return sorted({*counts, total, *ended} - {0})


def points(source: Source, config: JudgeConfig, stage: Stage, *, combined: bool = True) -> list[Point]:
    """Score with the first repeats of a source, for several numbers of them."""
    result = []
    for count in repeat_counts(source.seconds, config.budgets_minutes):
        evidence = of_repeats(source.evidence, range(count), source.calibration)
        started = time.perf_counter()
        ours = {COMBINED: combined_score(evidence, config.seed)} if combined else {}
        seconds = time.perf_counter() - started
        scores = {**ours, **cleanlab_scores(evidence.labels, evidence.probabilities)}
        result.append(Point(source.name, count, sum(source.seconds[:count]), seconds if combined else 0.0, scores))
        stage.advance(count, f"{source.name}, {count} of {len(source.seconds)} repeats")
    return result


def judge_points(all_points: Sequence[Point], truth: Truth, draws: Draws) -> list[dict[str, Any]]:
    """The curve: AUPRC and AUROC of the combined score and of cleanlab's best at every point."""
    curve = []
    for point in all_points:
        judged = judge([point.scores], truth, draws, classes=False, reviews=False)
        peer = judged.best([method for method in point.scores if method != COMBINED])
        entry = {
            "source": point.source,
            "repeats": point.repeats,
            "predict_seconds": round(point.predict_seconds, 1),
            "audit_seconds": round(point.audit_seconds, 1),
            "cleanlab": peer,
            "cleanlab_auprc": judged.level(peer, "auprc"),
            "cleanlab_auroc": judged.level(peer, "auroc"),
        }
        if COMBINED in point.scores:
            entry |= {"auprc": judged.level(COMBINED, "auprc"), "auroc": judged.level(COMBINED, "auroc")}
            entry["difference"] = judged.difference(COMBINED, peer, "auprc")
        curve.append(entry)
    return curve


def at_equal_seconds(
    all_points: Sequence[Point], budgets_minutes: Sequence[float], truth: Truth, draws: Draws
) -> list[dict[str, Any]]:
    """The combined score against cleanlab's best score of any source, each with all the repeats it has time for.

    Cleanlab's best is the one with the highest AUPRC among all scores, sources and numbers of repeats that the
    budget allows: chosen by the truth, in its favour. A budget in which no repeat ends is left out.
    """
    results = []
    for minutes in budgets_minutes:
        ours = _within(all_points, COMBINED, 60 * minutes)
        theirs = {
            f"{method} ({point.source}, {point.repeats})": (method, point)
            for point in all_points
            for method in point.scores
            if method != COMBINED and point.seconds(method) <= 60 * minutes
        }
        if not ours or not theirs:
            continue
        last = max(ours, key=lambda point: point.repeats)
        scores = {name: point.scores[method] for name, (method, point) in theirs.items()}
        judged = judge([{COMBINED: last.scores[COMBINED], **scores}], truth, draws, classes=False, reviews=False)
        peer = judged.best(list(theirs))
        method, point = theirs[peer]
        results.append(
            {
                "minutes": minutes,
                "repeats": last.repeats,
                "seconds": round(last.seconds(COMBINED), 1),
                "auprc": judged.level(COMBINED, "auprc"),
                "cleanlab": method,
                "cleanlab_source": point.source,
                "cleanlab_repeats": point.repeats,
                "cleanlab_seconds": round(point.seconds(method), 1),
                "cleanlab_auprc": judged.level(peer, "auprc"),
                "difference": judged.difference(COMBINED, peer, "auprc"),
            }
        )
    return results


def _within(all_points: Sequence[Point], method: str, seconds: float) -> list[Point]:
    return [point for point in all_points if method in point.scores and point.seconds(method) <= seconds]
