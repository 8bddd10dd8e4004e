"""Judge predictions: every method, what each part contributes, what more compute buys. As JSON holds it.

Methods are judged twice. *Seeds*: each of the first repeats alone, five where there are as many, so that every
comparison is paired by seed; this is one training of every fold, from which all methods draw. *Whole*: all repeats
together, which is what a user has.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.audit_benchmark.design import JudgeConfig
from experiments.audit_benchmark.growth import Point, Source, at_equal_seconds, judge_points, points, repeat_counts
from experiments.audit_benchmark.methods import (
    COMBINED,
    cleanlab_scores,
    combined_score,
    of_repeats,
    single_scores,
    without_parts,
)
from experiments.audit_benchmark.paired import Draws, Judged, draw, judge
from experiments.audit_benchmark.truth import Truth
from fer_data.auditing.evidence import Evidence
from fer_data.progress import SILENT, Reporter

Array = NDArray[np.float64]


def compare(
    source: Source, baseline: Source | None, truth: Truth, config: JudgeConfig, reporter: Reporter = SILENT
) -> dict[str, Any]:
    """Judge one source of predictions, and cleanlab alone on another.

    Args:
        source: the predictions, and what each of their repeats cost.
        baseline: predictions of a plain recipe for the same faces, fed to cleanlab only.
        truth: of the same faces.

    Returns:
        Keys faces, seeds, whole, ablation, growth, equal_seconds, baseline; JSON-able.
    """
    seeds = _seed_evidence(source, config)
    runs = sum(repeat_counts(source.seconds, config.budgets_minutes)) if config.growth else 0
    with reporter.stage("judging", len(seeds) + 3 + runs) as stage:
        drawn = draw(source.evidence.groups, len(seeds), config.bootstrap, config.seed)
        scores = []
        for evidence in seeds:
            ours = {COMBINED: combined_score(evidence, config.seed)}
            scores.append({**ours, **cleanlab_scores(evidence.labels, evidence.probabilities)})
            stage.advance(note="scores")
        by_seed = _described(judge(scores, truth, drawn))
        stage.advance(note="seeds")
        once = draw(source.evidence.groups, 1, config.bootstrap, config.seed)
        whole = _whole(source.evidence, truth, once, config.seed)
        stage.advance(note="all repeats")
        taken = _ablation(seeds, scores, truth, drawn, config.seed)
        stage.advance(note="ablation")
        curve = points(source, config, stage) if config.growth else []
    result = {
        "faces": truth.counts(),
        "repeats": len(source.evidence.repeats),
        "predict_seconds": round(sum(source.seconds), 1),
        "seeds": {"count": len(seeds), **by_seed},
        "whole": whole,
        "ablation": taken,
    }
    if baseline is not None:
        plain = cleanlab_scores(baseline.evidence.labels, baseline.evidence.probabilities)
        judged = judge([plain], truth, once)
        result["baseline"] = {
            "predict_seconds": round(sum(baseline.seconds), 1),
            "methods": {method: judged.figures(method) for method in plain},
            "best": judged.best(list(plain)),
        }
    return {**result, **_grown(curve, baseline, truth, once, config)}


def _seed_evidence(source: Source, config: JudgeConfig) -> list[Evidence]:
    """The evidence of each of the first repeats alone; the whole where no repeats were kept."""
    count = min(config.seeds, len(source.evidence.repeats))
    return [of_repeats(source.evidence, [number], source.calibration) for number in range(count)] or [source.evidence]


def _described(judged: Judged) -> dict[str, Any]:
    """Every figure of every method, and what the combined score has more than each other one."""
    others = [method for method in judged.values if method != COMBINED]
    return {
        "methods": {method: judged.figures(method) for method in judged.values},
        "best_cleanlab": judged.best(others),
        "differences": {
            method: {figure: judged.difference(COMBINED, method, figure) for figure in judged.values[method]}
            for method in others
        },
    }


def _whole(evidence: Evidence, truth: Truth, draws: Draws, seed: int) -> dict[str, Any]:
    peers = cleanlab_scores(evidence.labels, evidence.probabilities)
    judged = judge([{COMBINED: combined_score(evidence, seed), **peers}], truth, draws)
    return _described(judged)


def _ablation(
    seeds: Sequence[Evidence], scores: Sequence[dict[str, Array]], truth: Truth, draws: Draws, seed: int
) -> list[dict[str, Any]]:
    """Each part alone, and the combined score without each: AUPRC and AUROC, and what is lost against the whole."""
    named: list[dict[str, Array]] = []
    for evidence, of_seed in zip(seeds, scores, strict=True):
        parts = {f"only {name}": score for name, score in single_scores(evidence).items()}
        for name, rest in without_parts(evidence).items():
            parts[f"without {name}"] = combined_score(rest, seed)
        named.append({COMBINED: of_seed[COMBINED], **parts})
    judged = judge(named, truth, draws, classes=False, reviews=False)
    return [
        {
            "method": method,
            "auprc": judged.level(method, "auprc"),
            "auroc": judged.level(method, "auroc"),
            "difference": judged.difference(method, COMBINED, "auprc"),
        }
        for method in named[0]
    ]


def _grown(
    curve: Sequence[Point], baseline: Source | None, truth: Truth, draws: Draws, config: JudgeConfig
) -> dict[str, Any]:
    if not curve:
        return {}
    every = list(curve)
    if baseline is not None and baseline.seconds:
        with SILENT.stage("", 0) as quiet:
            every += points(baseline, config, quiet, combined=False)
    return {
        "growth": judge_points(every, truth, draws),
        "equal_seconds": at_equal_seconds(every, config.budgets_minutes, truth, draws),
    }
