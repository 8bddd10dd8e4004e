"""Decisions become a manifest: the log's events are folded, reviewers are brought together, rows change.

`Decision`, `DecisionLog` and `standing` come from `fer_data.decision_log`; how reviewers are brought together
from `fer_data.consensus`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.agreement import agreement
from fer_data.consensus import Knowledge, Verdict, given_label, settle, verdict_of
from fer_data.decision_log import Decision, DecisionLog, default_log, export, log_sha256, not_undone, standing
from fer_data.errors import FerError
from fer_data.files import refuse_existing, sha256_file
from fer_data.manifest import Manifest
from fer_data.project import relative

__all__ = [
    "MATCHES",
    "Decision",
    "DecisionLog",
    "Outcome",
    "apply",
    "default_log",
    "export",
    "not_undone",
    "preview",
    "standing",
]

MATCHES = ("id", "pixels")
UNSURE_WEIGHT = 0.5

_OUTCOMES = ("kept", "relabelled", "dropped", "unsure")


@dataclass(frozen=True)
class Outcome:
    """What becomes of one face.

    Attributes:
        split: its split, "none" where it has none.
        outcome: kept, relabelled, dropped or unsure.
        before, after: its label, None where it has none; of a face that is dropped both are the one it had.
    """

    sample_id: str
    split: str
    outcome: str
    before: str | None
    after: str | None


def preview(
    manifest: Manifest,
    events: Sequence[Decision],
    *,
    consensus: str = "majority",
    seniority: Sequence[str] = (),
    audit: Path | None = None,
) -> list[Outcome]:
    """What `apply` would make of a log's events, face by face; nothing is written.

    It looks at the rows that were decided on, and costs what these cost, however large the manifest is.

    Args:
        manifest: any manifest of the pictures that were decided on.
        events: a log's, in its order.
        consensus, seniority, audit: as of `apply`.

    Raises:
        FerError: what `apply` refuses, but for what is wrong with the new manifest's name.
    """
    current = standing(events)
    decisions = list(current.values())
    rows = manifest.table
    if all(decision.scope == "sample" for decision in decisions):  # others speak of rows with other ids
        rows = rows.filter(pc.is_in(rows["sample_id"], pa.array({d.sample_id for d in decisions}, pa.string())))
    looked_at = Manifest(manifest.path, rows, manifest.metadata)
    decided, _ = _find_rows(looked_at, decisions, "id")
    knowledge = _knowledge(looked_at, current, list(decided), consensus, seniority, audit)
    outcomes = _fold(looked_at, decided, consensus, knowledge)[1]
    ids = looked_at.frame["sample_id"].iloc[list(decided)]
    return [Outcome(str(sample_id), *outcome) for sample_id, outcome in zip(ids, outcomes, strict=True)]


def apply(
    manifest: Manifest,
    log: DecisionLog,
    out: str | Path,
    *,
    match: str = "id",
    consensus: str = "majority",
    seniority: Sequence[str] = (),
    audit: Path | None = None,
    replace: bool = False,
) -> Manifest:
    """Fold a log's decisions into a new manifest; the old one, its store and the log stay as they are.

    Per face the reviewers' standing decisions become one verdict, by `consensus`. A label sets `label`, and
    `target` to null where it is a new one. Drop removes the row. Unsure keeps the row with a soft target: the
    mean over the reviewers whose word it is of the label each one named, or for one who was unsure half the given
    label and half the suggestion that was shown; where that says nothing new the row weighs at most `UNSURE_WEIGHT`.
    Every decided row has `label_origin` `decision:<consensus>`. The events are kept beside the manifest in
    `<out>.decisions.parquet`, a parent of it. Applying the same log to the result changes nothing more. A decision of
    scope "group" is about every row with the same picture, unless its reviewer decided that very row.

    Args:
        manifest: any manifest of the pictures that were decided on.
        log: events on faces that the manifest does not hold are counted, not applied.
        match: "id", or "pixels": a decision whose face is not there under its id goes to every row that holds
            the same picture.
        consensus: a rule of `fer_data.consensus.CONSENSUS`.
        seniority: reviewers, the most senior first; of the rule "seniority" only.
        audit: a table with a model's probabilities `p_<label>` for these faces (an audit, predictions); of the rule
            "crowdlab" only.

    Returns:
        The new manifest; its footer's `decisions` holds the counts, in all and per split, and the agreement.

    Raises:
        FerError: `out` exists, an unknown rule or one that lacks what it goes by, a picture that changed since it
            was decided on, a label that is outside the manifest's set.
    """
    if match not in MATCHES:
        raise FerError(f"match {match!r}: expected one of {', '.join(MATCHES)}")
    out = manifests.manifest_path(out)
    refuse_existing(out, replace=replace)
    events = log.events()
    current = standing(events)
    decided, elsewhere = _find_rows(manifest, list(current.values()), match)
    knowledge = _knowledge(manifest, current, list(decided), consensus, seniority, audit)
    opinions = knowledge.probabilities
    frame, outcomes, ratings = _fold(manifest, decided, consensus, knowledge)
    kept_events = export(events, out.with_suffix(".decisions.parquet"), replace=True)
    summary = {
        "consensus": consensus,
        "seniority": list(seniority),
        "match": match,
        "log_sha256": log_sha256(events),
        "events": len(events),
        "reviewers": sorted({decision.reviewer for decisions in decided.values() for decision in decisions}),
        **_count(outcomes),
        "elsewhere": elsewhere,
        "without_opinion": None if opinions is None else int(np.isnan(opinions).any(axis=1).sum()),
        "agreement": agreement(ratings),
    }
    parents = [manifest.path, kept_events, *([audit] if opinions is not None and audit is not None else [])]
    return manifests.write(
        frame,
        out,
        label_set=manifest.label_set,
        command="fer apply",
        licence=manifest.metadata["licence"],
        parents={relative(path, manifest.root): sha256_file(path) for path in parents},
        configuration={"match": match, "consensus": consensus, "seniority": list(seniority)},
        replace=replace,
        decisions=summary,
    )


def _knowledge(
    manifest: Manifest,
    current: Mapping[tuple[str, str], Decision],
    rows: Sequence[int],
    consensus: str,
    seniority: Sequence[str],
    audit: Path | None,
) -> Knowledge:
    """What the rule of consensus may go by on these rows."""
    _refuse_strangers(seniority, consensus, {reviewer for _, reviewer in current})
    opinions = _read_opinions(manifest, audit, rows) if consensus == "crowdlab" and audit is not None else None
    return Knowledge(seniority, manifest.labels, opinions)


def _refuse_strangers(seniority: Sequence[str], consensus: str, reviewers: set[str]) -> None:
    if seniority and consensus != "seniority":
        raise FerError(f"seniority: it is of consensus 'seniority', found {consensus!r}; choose that, or leave it out")
    strangers = [name for name in seniority if name not in reviewers]
    if strangers:
        raise FerError(
            f"seniority: expected names of reviewers who decided ({', '.join(sorted(reviewers)) or 'none yet'}), found "
            f"{strangers[0]!r}; correct or leave out the name"
        )


def _read_opinions(manifest: Manifest, audit: Path, rows: Sequence[int]) -> NDArray[np.float64]:
    """Probabilities of a table for these rows, float64 [N, K]; a row of NaN where it says nothing."""
    names = [f"p_{label}" for label in manifest.labels]
    table, _ = tables.read_table(audit)
    missing = [name for name in ["sample_id", *names] if name not in table.column_names]
    if missing:
        raise FerError(
            f"{audit}: expected the columns sample_id, {', '.join(names)}, {missing[0]} is missing; "
            f"give an audit or predictions of {manifest.path}"
        )
    told = table.select(["sample_id", *names]).to_pandas().set_index("sample_id")
    found = told.reindex(manifest.frame["sample_id"].iloc[list(rows)].to_numpy())
    return np.asarray(found.to_numpy(dtype=np.float64))


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
    over_twins = match == "pixels" or any(decision.scope == "group" for decision in decisions)
    same_picture = pd.Series(np.arange(len(pixels))).groupby(pixels).indices if over_twins else {}
    own: dict[int, dict[str, Decision]] = defaultdict(dict)
    over_twin: dict[int, dict[str, Decision]] = defaultdict(dict)
    elsewhere = 0
    for decision, row in zip(decisions, rows.tolist(), strict=True):
        here = row >= 0 and pixels[row] == decision.pixel_sha256
        if here:
            own[row][decision.reviewer] = decision
        if decision.scope == "group" or (match == "pixels" and not here):
            twins = same_picture.get(decision.pixel_sha256, ())
            over_twin.update({int(twin): {**over_twin[int(twin)], decision.reviewer: decision} for twin in twins})
            elsewhere += len(twins) == 0
        else:
            elsewhere += not here
    decided = sorted({*own, *over_twin})  # a decision on this very id outranks one that came over a twin
    return {row: list({**over_twin[row], **own[row]}.values()) for row in decided}, elsewhere


def _fold(
    manifest: Manifest, decided: Mapping[int, Sequence[Decision]], consensus: str, knowledge: Knowledge
) -> tuple[pd.DataFrame, list[tuple[str, str, str | None, str | None]], list[dict[str, Verdict]]]:
    """The new rows; per decided row its split, outcome, label before and after; its reviewers' verdicts."""
    frame = manifest.frame.copy()
    labels = [None if label != label else label for label in frame["label"].astype(object)]
    targets, weights = list(frame["target"]), frame["weight"].to_numpy(copy=True)
    splits = frame["split"].fillna("none").tolist()
    dropped = np.zeros(len(frame), dtype=bool)
    _refuse_foreign_labels(manifest, [decision for decisions in decided.values() for decision in decisions])
    ratings = [
        {decision.reviewer: verdict_of(decision, labels[row]) for decision in decisions}
        for row, decisions in decided.items()
    ]
    outcomes = []
    for (row, decisions), settled in zip(decided.items(), settle(consensus, ratings, knowledge), strict=True):
        given, verdict = labels[row], settled.verdict
        if verdict.action == "drop":
            dropped[row], outcome = True, "dropped"
        elif verdict.action == "label":
            outcome = "kept" if verdict.label == given else "relabelled"
            if outcome == "relabelled":
                labels[row], targets[row] = verdict.label, None
        else:
            outcome = "unsure"
            voices = [decision for decision in decisions if decision.reviewer in settled.voices]
            labels[row], targets[row], certain = _soften(manifest.labels, voices, given, targets[row])
            weights[row] = min(weights[row], UNSURE_WEIGHT) if certain else weights[row]
        outcomes.append((splits[row], outcome, given, labels[row]))
    origin = frame["label_origin"].astype(object)
    origin.iloc[list(decided)] = f"decision:{consensus}"
    frame = frame.assign(
        label=pd.Series(labels, dtype=object),
        target=pd.Series(targets, dtype=object),
        weight=weights,
        label_origin=origin,
    )
    return frame[~dropped].reset_index(drop=True), outcomes, ratings


def _refuse_foreign_labels(manifest: Manifest, decisions: Sequence[Decision]) -> None:
    for decision in decisions:
        if decision.label is not None and decision.label not in manifest.labels:
            raise FerError(
                f"decision {decision.event_id} relabels {decision.sample_id} to {decision.label!r}, expected "
                f"a label of {manifest.label_set}; nothing was written, use a manifest that has this label"
            )


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


def _count(outcomes: Sequence[tuple[str, str, str | None, str | None]]) -> dict[str, Any]:
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
