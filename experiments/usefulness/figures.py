"""Scores of arms and differences between them, with intervals paired by face and by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from experiments import statistics
from experiments.results import without_nan
from experiments.usefulness.design import TrialConfig
from experiments.usefulness.trials import Probabilities, Run
from experiments.usefulness.yardstick import Yardstick


def tabulate(
    judged: Mapping[Run, Probabilities],
    views: Sequence[str],
    yardstick: Yardstick,
    config: TrialConfig,
    arms: Sequence[str],
    contrasts: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """Every arm's scores over some views, and contrasts between arms.

    Several views are pooled: every face answers once in each, and what belongs to one face is resampled together.

    Args:
        judged: what `run_trials` returned.
        contrasts: (after, before) pairs of arms.

    Returns:
        "faces" (answers of one model), "scores": arm → metric → value, low, high, standard_error, per_seed; and
        "differences": a list of after, before, metric, value, low, high, standard_error, p_value and
        smallest_effect. Metrics are those of `experiments.statistics.METRICS` and `recall:<label>`; what a class
        without faces leaves undefined is null.
    """
    labels = yardstick.manifest.labels
    truth = np.tile(yardstick.truth, len(views))
    predicted = np.stack(
        [
            [np.concatenate([judged[arm, seed][view].argmax(axis=1) for view in views]) for seed in config.seeds]
            for arm in arms
        ]
    )
    sample = statistics.bootstrap(
        truth,
        predicted,
        len(labels),
        resamples=config.bootstrap,
        generator=np.random.default_rng([config.seed, 20130701]),
        groups=np.tile(yardstick.groups, len(views)),
    )
    metrics = dict(statistics.METRICS)
    metrics |= {f"recall:{label}": statistics.recall_of(index) for index, label in enumerate(labels)}
    scores = {
        arm: {
            name: {**asdict(sample.level(metric, place)), "per_seed": metric(sample.observed[place]).tolist()}
            for name, metric in metrics.items()
        }
        for place, arm in enumerate(arms)
    }
    differences = [
        {
            "after": after,
            "before": before,
            "metric": name,
            **asdict(sample.difference(metric, arms.index(before), arms.index(after))),
        }
        for after, before in contrasts
        for name, metric in metrics.items()
    ]
    found: dict[str, Any] = without_nan({"faces": len(truth), "scores": scores, "differences": differences})
    return found


def describe_judged(yardstick: Yardstick, config: TrialConfig) -> dict[str, Any]:
    """Which real faces judged, as JSON."""
    counts = np.bincount(yardstick.truth, minlength=len(yardstick.manifest.labels))
    return {
        "manifest_sha256": yardstick.manifest.sha256,
        "split": config.held_out,
        "labels": config.labels,
        "faces": len(yardstick.truth),
        "per_class": dict(zip(yardstick.manifest.labels, counts.tolist(), strict=True)),
        "views": list(yardstick.views),
    }


def training_facts(config: TrialConfig) -> dict[str, Any]:
    """How the classifiers were trained, as JSON."""
    return {"seeds": config.seeds, "train": config.classifier().model_dump(mode="json", exclude={"seed"})}
