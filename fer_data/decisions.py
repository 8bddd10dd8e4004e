"""Decisions become a manifest: the log's events are folded, reviewers are brought together, rows change.

`Decision`, `DecisionLog` and `standing` come from `fer_data.decision_log`; how reviewers are brought together
from `fer_data.consensus`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import manifest as manifests
from fer_data.consensus import CONSENSUS, Verdict, agreement, given_label, verdict_of
from fer_data.decision_log import Decision, DecisionLog, default_log, export, log_sha256, not_undone, standing
from fer_data.errors import FerError
from fer_data.files import refuse_existing, sha256_file
from fer_data.manifest import Manifest
from fer_data.project import relative

__all__ = ["MATCHES", "Decision", "DecisionLog", "apply", "default_log", "export", "not_undone", "standing"]

MATCHES = ("id", "pixels")
UNSURE_WEIGHT = 0.5

_OUTCOMES = ("kept", "relabelled", "dropped", "unsure")


def apply(
    manifest: Manifest,
    log: DecisionLog,
    out: str | Path,
    *,
    match: str = "id",
    consensus: str = "majority",
    replace: bool = False,
) -> Manifest:
    """Fold a log's decisions into a new manifest; the old one, its store and the log stay as they are.

    Per face the reviewers' standing decisions become one verdict, by `consensus`. A label sets `label`, and
    `target` to null where it is a new one. Drop removes the row. Unsure keeps the row with a soft target: the
    mean over reviewers of the label each one named, or for one who was unsure half the given label and half the
    suggestion that was shown; where that says nothing new the row weighs at most `UNSURE_WEIGHT`. Every decided
    row has `label_origin` `decision:<consensus>`. The events are kept beside the manifest in
    `<out>.decisions.parquet`, a parent of it. Applying the same log to the result changes nothing more.

    Args:
        manifest: any manifest of the pictures that were decided on.
        log: events on faces that the manifest does not hold are counted, not applied.
        match: "id", or "pixels": a decision whose face is not there under its id goes to every row that holds
            the same picture.
        consensus: a rule of `fer_data.consensus.CONSENSUS`.

    Returns:
        The new manifest; its footer's `decisions` holds the counts, in all and per split, and the agreement.

    Raises:
        FerError: `out` exists, an unknown rule, a picture that changed since it was decided on, a label that
            is outside the manifest's set.
    """
    if match not in MATCHES:
        raise FerError(f"match {match!r}: expected one of {', '.join(MATCHES)}")
    if consensus not in CONSENSUS:
        raise FerError(f"consensus {consensus!r}: expected one of {', '.join(CONSENSUS)}")
    out = manifests.manifest_path(out)
    refuse_existing(out, replace=replace)
    events = log.events()
    decided, elsewhere = _find_rows(manifest, list(standing(events).values()), match)
    frame, outcomes, ratings = _fold(manifest, decided, consensus)
    kept_events = export(events, out.with_suffix(".decisions.parquet"), replace=True)
    summary = {
        "consensus": consensus,
        "match": match,
        "log_sha256": log_sha256(events),
        "events": len(events),
        "reviewers": sorted({decision.reviewer for decisions in decided.values() for decision in decisions}),
        **_count(outcomes),
        "elsewhere": elsewhere,
        "agreement": agreement(ratings),
    }
    return manifests.write(
        frame,
        out,
        label_set=manifest.label_set,
        command="fer apply",
        licence=manifest.metadata["licence"],
        parents={
            relative(manifest.path, manifest.root): manifest.sha256,
            relative(kept_events, manifest.root): sha256_file(kept_events),
        },
        configuration={"match": match, "consensus": consensus},
        replace=replace,
        decisions=summary,
    )


def _find_rows(manifest: Manifest, decisions: Sequence[Decision], match: str) -> tuple[dict[int, list[Decision]], int]:
    """Row → its decisions, one per reviewer; and how many decisions are about no row."""
    pixels = manifest.facts(["pixel_sha256"])["pixel_sha256"].to_numpy()
    rows = pd.Index(manifest.frame["sample_id"]).get_indexer(pd.Index([d.sample_id for d in decisions], dtype=object))
    changed = [
        d.sample_id for d, row in zip(decisions, rows, strict=True) if row >= 0 and pixels[row] != d.pixel_sha256
    ]
    if changed and match == "id":
        raise FerError(
            f"{manifest.path}: {len(changed)} decisions were made on other pictures than those now under the same id"
            f" (first: {changed[0]}); nothing was written, add --match pixels to look for the pictures instead"
        )
    same_picture = pd.Series(np.arange(len(pixels))).groupby(pixels).indices if match == "pixels" else {}
    found: dict[int, dict[str, Decision]] = defaultdict(dict)
    elsewhere = 0
    for decision, row in zip(decisions, rows, strict=True):
        here = row >= 0 and pixels[row] == decision.pixel_sha256
        targets = [row] if here else same_picture.get(decision.pixel_sha256, ())
        elsewhere += len(targets) == 0
        for target in targets:
            before = found[int(target)].get(decision.reviewer)
            if before is None or here:  # a decision on this very id outranks one that came over a twin
                found[int(target)][decision.reviewer] = decision
    return {row: list(by_reviewer.values()) for row, by_reviewer in sorted(found.items())}, elsewhere


def _fold(
    manifest: Manifest, decided: Mapping[int, Sequence[Decision]], consensus: str
) -> tuple[pd.DataFrame, list[tuple[str, str, str, str]], list[dict[str, Verdict]]]:
    """The new rows; per decided row its split, outcome, label before and after; its reviewers' verdicts."""
    frame = manifest.frame.copy()
    labels = [None if label != label else label for label in frame["label"].astype(object)]
    targets, weights = list(frame["target"]), frame["weight"].to_numpy(copy=True)
    splits = frame["split"].fillna("none").tolist()
    dropped = np.zeros(len(frame), dtype=bool)
    outcomes, ratings = [], []
    for row, decisions in decided.items():
        given = labels[row]
        verdicts = {decision.reviewer: verdict_of(decision, given) for decision in decisions}
        for decision in decisions:
            if decision.label is not None and decision.label not in manifest.labels:
                raise FerError(
                    f"decision {decision.event_id} relabels {decision.sample_id} to {decision.label!r}, expected "
                    f"a label of {manifest.label_set}; nothing was written, use a manifest that has this label"
                )
        verdict = CONSENSUS[consensus](list(verdicts.values()))
        if verdict.action == "drop":
            dropped[row], outcome = True, "dropped"
        elif verdict.action == "label":
            outcome = "kept" if verdict.label == given else "relabelled"
            if outcome == "relabelled":
                labels[row], targets[row] = verdict.label, None
        else:
            outcome = "unsure"
            labels[row], targets[row], certain = _soften(manifest.labels, decisions, given, targets[row])
            weights[row] = min(weights[row], UNSURE_WEIGHT) if certain else weights[row]
        outcomes.append((splits[row], outcome, str(given), str(labels[row])))
        ratings.append(verdicts)
    origin = frame["label_origin"].astype(object)
    origin.iloc[list(decided)] = f"decision:{consensus}"
    frame = frame.assign(
        label=pd.Series(labels, dtype=object),
        target=pd.Series(targets, dtype=object),
        weight=weights,
        label_origin=origin,
    )
    return frame[~dropped].reset_index(drop=True), outcomes, ratings


def _soften(
    names: Sequence[str], decisions: Sequence[Decision], given: str | None, target: NDArray[np.float32] | None
) -> tuple[str | None, NDArray[np.float32] | None, bool]:
    """Label, target and whether the target says nothing new, for a face that reviewers leave unsure.

    A face whose label is soft already (votes, say) and on which nobody named a label keeps its target.
    """
    shares = []
    for decision in decisions:
        verdict, before = verdict_of(decision, given), given_label(decision, given)
        suggestion = decision.shown.get("suggestion")
        if verdict.action == "label" and verdict.label in names:
            shares.append(_one_hot(names, verdict.label))
        elif verdict.action == "unsure" and before in names:
            other = suggestion if suggestion in names else before
            shares.append((_one_hot(names, before) + _one_hot(names, other)) / 2)
    named = any(verdict_of(decision, given).action == "label" for decision in decisions)
    if not shares or (target is not None and not named):
        return given, target, target is None
    mean = np.mean(shares, axis=0).astype(np.float32)
    best = given if given in names and mean[names.index(given)] == mean.max() else names[int(mean.argmax())]
    return (best, None, True) if mean.max() == 1 else (best, mean, False)


def _one_hot(names: Sequence[str], label: str | None) -> NDArray[np.float64]:
    return np.asarray([name == label for name in names], dtype=np.float64)


def _count(outcomes: Sequence[tuple[str, str, str, str]]) -> dict[str, Any]:
    """Counts of the outcomes in all and per split, and of the relabellings as `before → after`."""
    per_split: dict[str, Counter[str]] = defaultdict(Counter)
    for split, outcome, _, _ in outcomes:
        per_split[split][outcome] += 1
    moves = Counter(f"{before} → {after}" for _, outcome, before, after in outcomes if outcome == "relabelled")
    return {
        **{name: sum(counts[name] for counts in per_split.values()) for name in _OUTCOMES},
        "splits": {split: {name: counts[name] for name in _OUTCOMES} for split, counts in sorted(per_split.items())},
        "moves": dict(moves.most_common()),
    }
