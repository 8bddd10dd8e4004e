"""A reviewer that is a program: it knows the truth and decides as a careful person would, for demos and tests.

Its decisions carry the reviewer's name `simulated:<rule>`, so that nobody takes them for a person's.
"""

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import tables, votes
from fer_data.decision_log import Decision, DecisionLog, utc_now
from fer_data.errors import FerError
from fer_data.manifest import Manifest

NOT_A_FACE = "not_a_face"
QUEUE = "suspected"
ONE_VOTE = "ferplus_one_vote"

_DEFECTS = ("blank", NOT_A_FACE)  # planted defects that leave nothing to label
_IDS = uuid.UUID("6f1d5a58-3c0f-5d9a-9a43-6a1e2b7c4d10")  # namespace of the ids of simulated decisions

Truth = NDArray[np.object_]


def ferplus_majority(manifest: Manifest, rows: NDArray[np.int64]) -> Truth:
    """What most FER+ voters saw: a name of `votes.FERPLUS_COLUMNS`, or None without a clear majority.

    Args:
        rows: int64 [N], positions in the manifest.

    Raises:
        FerError: a face has no votes.
    """
    counts = _vote_counts(manifest, rows)
    return votes.majority(counts) if len(rows) else np.empty(0, dtype=object)


def ferplus_one_vote(manifest: Manifest, rows: NDArray[np.int64], seed: int) -> Truth:
    """What one of the ten FER+ voters saw, drawn for each face: a reviewer who errs as single people do.

    Args:
        rows: int64 [N], positions in the manifest.
        seed: of the draws; a face's draw depends on its sample_id and the seed alone.

    Returns:
        Names of `votes.FERPLUS_COLUMNS`, None where nobody voted; object [N].

    Raises:
        FerError: a face has no votes.
    """
    names = np.full(len(rows), None, dtype=object)
    ids = manifest.frame["sample_id"].to_numpy()[rows]
    for place, (sample_id, counts) in enumerate(zip(ids, _vote_counts(manifest, rows), strict=True)):
        if counts.sum():
            digest = hashlib.sha256(f"{seed} {sample_id}".encode()).digest()[:8]
            drawn = int.from_bytes(digest, "big") % int(counts.sum())
            names[place] = votes.FERPLUS_COLUMNS[int(np.searchsorted(np.cumsum(counts), drawn, side="right"))]
    return names


def planted_truth(manifest: Manifest, rows: NDArray[np.int64]) -> Truth:
    """What was drawn: the true label, `NOT_A_FACE` where a blank or something else was planted.

    Args:
        rows: int64 [N], positions in the manifest.

    Raises:
        FerError: a picture was not drawn by this tool.
    """
    facts = manifest.facts(["true_label", "planted"]).iloc[rows]
    truth = np.where(facts["planted"].isin(_DEFECTS), NOT_A_FACE, facts["true_label"].astype(object).to_numpy())
    if pd.isna(truth).any():
        raise FerError(
            f"{manifest.path}: {int(pd.isna(truth).sum())} of {len(rows)} faces have no planted truth; "
            "this rule is for drawn faces, choose another"
        )
    return truth.astype(object)


RULES: Mapping[str, Callable[[Manifest, NDArray[np.int64]], Truth]] = MappingProxyType(
    {"ferplus_majority": ferplus_majority, "planted_truth": planted_truth}
)


def default_rule(manifest: Manifest) -> str:
    """The rule that a manifest carries the truth for.

    Raises:
        FerError: it carries none.
    """
    if manifest.votes_labels():
        return "ferplus_majority"
    if manifest.facts(["true_label"])["true_label"].notna().any():
        return "planted_truth"
    raise FerError(f"{manifest.path}: expected votes or planted truth, found neither; review it with `fer curate`")


def simulate_review(
    manifest: Manifest,
    audit_table: Path | None,
    log: DecisionLog,
    budget: int | None,
    *,
    rule: str,
    order: Literal["suspicion", "random"] = "suspicion",
    seed: int = 0,
    split: str | None = None,
) -> dict[str, int]:
    """Decide some faces and append the decisions to the log.

    It relabels where its truth is clear and among the manifest's labels, drops where the truth is clearly
    something else (not a face, unknown, another expression), and keeps otherwise; a single voter who saw something
    "unknown" is unsure. Run again, it adds nothing. A larger budget looks at the faces of a smaller one, and more.

    Args:
        audit_table: a table of kind `label_audit` over this manifest; None where the order needs none.
        budget: how many faces it looks at; None for all.
        rule: what it holds for true; a name of RULES, or `ONE_VOTE`.
        order: from rank 1 of the audit on, or by chance.
        seed: of the order by chance, and of the votes that are drawn.
        split: looks at faces of this split only; None for all.

    Returns:
        Counts: `looked_at`, `relabel`, `drop`, `keep`, `unsure`, and `new`, the events that were not in the log before.

    Raises:
        FerError: an unknown rule, a budget below 0, an audit of other faces or none where the order needs it, or faces
            without the truth needed.
    """
    if rule not in (*RULES, ONE_VOTE):
        raise FerError(f"simulated reviewer: rule {rule!r} is unknown; expected one of {', '.join((*RULES, ONE_VOTE))}")
    if budget is not None and budget < 0:
        raise FerError(f"simulated reviewer: expected a budget of 0 faces or more, found {budget}")
    rows, suggestions = _queue(manifest, audit_table, order, seed, split)
    rows, suggestions = rows[:budget], suggestions[:budget]
    truth = ferplus_one_vote(manifest, rows, seed) if rule == ONE_VOTE else RULES[rule](manifest, rows)
    pixels = manifest.facts(["pixel_sha256"])["pixel_sha256"].to_numpy()
    given = manifest.frame["label"].astype(object).to_numpy()
    drawn = f" {seed}" if rule == ONE_VOTE else ""
    events = []
    for row, suggestion, true in zip(rows, suggestions, truth, strict=True):
        label = None if pd.isna(given[row]) else str(given[row])
        sample_id = str(manifest.frame["sample_id"].iloc[row])
        action = "unsure" if rule == ONE_VOTE and true == "unknown" else _decide(true, label, manifest.labels)
        events.append(
            Decision(
                event_id=str(uuid.uuid5(_IDS, f"{manifest.sha256} {rule}{drawn} {sample_id}")),
                sample_id=sample_id,
                pixel_sha256=str(pixels[row]),
                manifest_sha256=manifest.sha256,
                action=action,
                reviewer=f"simulated:{rule}",
                time=utc_now(),
                label=str(true) if action == "relabel" else None,
                queue=QUEUE if order == "suspicion" else order,
                shown={
                    "label": label,
                    "suggestion": None if pd.isna(suggestion) else str(suggestion),
                    "blind": False,
                },
            )
        )
    new = log.append(events)
    actions = Counter(event.action for event in events)
    return {
        "looked_at": len(events),
        **{name: actions[name] for name in ("relabel", "drop", "keep", "unsure")},
        "new": new,
    }


def _queue(
    manifest: Manifest, audit_table: Path | None, order: str, seed: int, split: str | None
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Rows of the manifest, int64 [N], in the order in which they are looked at, and what an audit suggests of each."""
    rows = np.arange(len(manifest), dtype=np.int64)
    suggestions = np.full(len(manifest), None, dtype=object)
    if audit_table is not None:
        table, _ = tables.read_table(audit_table, kind="label_audit", columns=["sample_id", "suggested_label", "rank"])
        worst = table.to_pandas().sort_values("rank")
        rows = pd.Index(manifest.frame["sample_id"]).get_indexer(pd.Index(worst["sample_id"])).astype(np.int64)
        if (rows < 0).any():
            raise FerError(
                f"{audit_table}: {int((rows < 0).sum())} of its {len(rows)} faces are not in {manifest.path} "
                f"(first: {worst['sample_id'].iloc[int((rows < 0).argmax())]}); audit this manifest"
            )
        suggestions = worst["suggested_label"].astype(object).to_numpy()
    elif order == "suspicion":
        raise FerError("simulated reviewer: expected an audit to look at the most suspect faces first, found none")
    if split is not None:
        inside = (manifest.frame["split"] == split).to_numpy(dtype=bool)[rows]
        rows, suggestions = rows[inside], suggestions[inside]
    if order == "random":
        # By chance from the order of the manifest, so that the audit has no say in it.
        ordered = np.argsort(rows)
        shuffled = ordered[np.random.default_rng(seed).permutation(len(rows))]
        rows, suggestions = rows[shuffled], suggestions[shuffled]
    return rows, suggestions


def _vote_counts(manifest: Manifest, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """FER+ votes of some rows, int64 [N, 10]."""
    counts = manifest.facts(["votes"])["votes"].iloc[rows]
    if counts.isna().any():
        raise FerError(
            f"{manifest.path}: {int(counts.isna().sum())} of {len(rows)} faces have no FER+ votes; import the dataset "
            "with --votes, or choose another rule"
        )
    return np.stack(counts.to_list()).astype(np.int64) if len(rows) else np.empty((0, 10), dtype=np.int64)


def _decide(truth: str | None, given: str | None, labels: tuple[str, ...]) -> str:
    if truth is None or truth == given:
        return "keep"
    return "relabel" if truth in labels else "drop"
