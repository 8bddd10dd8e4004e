"""What an audit says of the whole: how many labels are wrong, which classes are confused, what is marked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fer_data.auditing.evidence import Evidence
from fer_data.auditing.guard import expected_marks
from fer_data.auditing.judgement import Judgement
from fer_data.auditing.other_issues import OtherIssues
from fer_data.auditing.overlapping import overlapping_classes


@dataclass(frozen=True)
class AuditSummary:
    """What an audit says of the whole; all of it JSON-able. The page tells the keys: `auditing/page/summary.py`."""

    given: dict[str, int]
    marked: dict[str, int]
    reviewed: int
    noise: dict[str, Any]
    guarded: list[str]
    expected: dict[str, Any]
    kinds: dict[str, int]
    policies: list[dict[str, Any]]
    overlapping: list[dict[str, Any]]
    other: dict[str, Any]
    weights: list[dict[str, Any]]
    history: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def error_rates(self) -> dict[str, float]:
        """Estimated share of wrong labels per given label that faces have, 0..1, worst first."""
        rates = {label: rate["value"] for label, rate in self.noise["error_rates"].items() if rate is not None}
        return dict(sorted(rates.items(), key=lambda pair: -pair[1]))

    def confusions(self, label: str, least: float = 0.03) -> list[tuple[str, float]]:
        """What faces labelled `label` most often really show: up to three labels with shares of at least `least`."""
        names = self.noise["labels"]
        row = self.noise["conditional"]["value"][names.index(label)] or []
        others = [(name, share) for name, share in zip(names, row, strict=False) if name != label and share >= least]
        return sorted(others, key=lambda pair: -pair[1])[:3]

    def lines(self) -> list[str]:
        """A few lines for the terminal: error rates, worst first, what the worst labels really are, what is marked."""
        total, rates = self.noise["error_rate"], self.error_rates
        per_class = "  ".join(f"{label} {100 * rate:.0f} %" for label, rate in rates.items())
        confused = [
            f"{label} is most often {_listed([name for name, _ in self.confusions(label)])}"
            for label in list(rates)[:3]
            if self.confusions(label)
        ]
        between = f"{100 * total['low']:.0f} to {100 * total['high']:.0f}"
        lines = [f"estimated wrong labels {100 * total['value']:.1f} % ({between})    {per_class}"]
        lines += ["; ".join(confused)] if confused else []
        lines.append(f"{sum(self.marked.values()):,} of {sum(self.given.values()):,} labels marked as suspect")
        if self.guarded:
            lines.append(f"{_listed(self.guarded)}: too few faces to change any without a person")
        if self.reviewed:
            lines.append(f"{self.reviewed:,} were decided by people and count as known")
        return lines


def summarise(
    evidence: Evidence, judgement: Judgement, other: OtherIssues, policies: Mapping[str, Any], reviewed: int
) -> dict[str, Any]:
    """What is said of the whole, but for its history; keys in `fer_data.auditing.page.summary`.

    Args:
        policies: what `fer_data.auditing.policies.try_policies` found.
        reviewed: how many of the faces people decided on.
    """
    names, noise, trial = evidence.names, judgement.noise, judgement.combined.trial
    marked = np.bincount(evidence.labels[judgement.marked], minlength=len(names))
    expected = expected_marks(
        evidence.labels, judgement.score, judgement.marked, trial.planted, trial.score, noise
    ).as_dict(names)
    return {
        "given": dict(zip(names, noise.given.tolist(), strict=True)),
        "marked": dict(zip(names, marked.tolist(), strict=True)),
        "reviewed": reviewed,
        "noise": noise.as_dict(names),
        "guarded": [names[index] for index in judgement.guarded],
        "expected": expected,
        "kinds": judgement.reasons.counts(),
        "policies": [_policy_row(name, policies) for name in policies["rules"]],
        "overlapping": [pair.as_dict() for pair in overlapping_classes(names, noise)],
        "other": other.summary,
        "weights": [{"part": part, "weight": weight} for part, weight in judgement.combined.weights.items()],
    }


def _policy_row(name: str, policies: Mapping[str, Any]) -> dict[str, Any]:
    rule, told = policies["rules"][name], policies["expected"][name]
    right = told["new_labels"] or {"value": None, "low": None, "high": None}
    return {
        "name": name,
        "rule": (
            f"relabel if label_score ≤ {rule['relabel_score']:.2f} and suggestion_score ≥ "
            f"{rule['relabel_suggestion']:.2f}, drop if label_score ≤ {rule['drop_score']:.2f} and suggestion_score < "
            f"{rule['drop_suggestion']:.2f}, soft label if label_score ≤ {rule['soften_score']:.2f}"
        ),
        "relabelled": told["counts"]["relabel"],
        "dropped": told["counts"]["drop"],
        "softened": told["counts"]["soften"],
        "expected_precision": right["value"],
        "interval": [right["low"], right["high"]],
    }


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
