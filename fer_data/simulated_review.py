"""A reviewer that is a program: it knows the truth and decides as a careful person would, for demos and tests.

Its decisions carry the reviewer's name `simulated:<rule>`, so that nobody takes them for a person's.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import tables, votes
from fer_data.decision_log import Decision, DecisionLog, utc_now
from fer_data.errors import FerError
from fer_data.manifest import Manifest

NOT_A_FACE = "not_a_face"
QUEUE = "suspected"

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
    counts = manifest.facts(["votes"])["votes"].iloc[rows]
    if counts.isna().any():
        raise FerError(
            f"{manifest.path}: {int(counts.isna().sum())} of {len(rows)} faces have no FER+ votes; import the dataset "
            "with --votes, or choose another rule"
        )
    return votes.majority(np.stack(counts.to_list())) if len(rows) else np.empty(0, dtype=object)


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
    manifest: Manifest, audit_table: Path, log: DecisionLog, budget: int, *, rule: str
) -> dict[str, int]:
    """Decide the worst `budget` faces of an audit and append the decisions to the log.

    It relabels where its truth is clear and among the manifest's labels, drops where the truth is clearly
    something else (not a face, unknown, another expression), and keeps otherwise. Run again, it adds nothing.

    Args:
        audit_table: a table of kind `label_audit` over this manifest.
        budget: how many faces it looks at, from rank 1 on.
        rule: what it holds for true; a name of RULES.

    Returns:
        Counts: `looked_at`, `relabel`, `drop`, `keep`, and `new`, the events that were not in the log before.

    Raises:
        FerError: an unknown rule, a budget below 0, an audit of other faces, or faces without the truth needed.
    """
    if rule not in RULES:
        raise FerError(f"simulated reviewer: rule {rule!r} is unknown; expected one of {', '.join(RULES)}")
    if budget < 0:
        raise FerError(f"simulated reviewer: expected a budget of 0 faces or more, found {budget}")
    table, _ = tables.read_table(audit_table, kind="label_audit", columns=["sample_id", "suggested_label", "rank"])
    worst = table.to_pandas().sort_values("rank").head(budget)
    rows = pd.Index(manifest.frame["sample_id"]).get_indexer(pd.Index(worst["sample_id"])).astype(np.int64)
    if (rows < 0).any():
        raise FerError(
            f"{audit_table}: {int((rows < 0).sum())} of its first {len(rows)} faces are not in {manifest.path} "
            f"(first: {worst['sample_id'].iloc[int((rows < 0).argmax())]}); audit this manifest"
        )
    truth = RULES[rule](manifest, rows)
    pixels = manifest.facts(["pixel_sha256"])["pixel_sha256"].to_numpy()
    given = manifest.frame["label"].astype(object).to_numpy()
    events = []
    for row, suggestion, true in zip(rows, worst["suggested_label"].astype(object), truth, strict=True):
        label = None if pd.isna(given[row]) else str(given[row])
        sample_id = str(manifest.frame["sample_id"].iloc[row])
        action = _decide(true, label, manifest.labels)
        events.append(
            Decision(
                event_id=str(uuid.uuid5(_IDS, f"{manifest.sha256} {rule} {sample_id}")),
                sample_id=sample_id,
                pixel_sha256=str(pixels[row]),
                manifest_sha256=manifest.sha256,
                action=action,
                reviewer=f"simulated:{rule}",
                time=utc_now(),
                label=str(true) if action == "relabel" else None,
                queue=QUEUE,
                shown={
                    "label": label,
                    "suggestion": None if pd.isna(suggestion) else str(suggestion),
                    "blind": False,
                },
            )
        )
    new = log.append(events)
    actions = Counter(event.action for event in events)
    return {"looked_at": len(events), **{name: actions[name] for name in ("relabel", "drop", "keep")}, "new": new}


def _decide(truth: str | None, given: str | None, labels: tuple[str, ...]) -> str:
    if truth is None or truth == given:
        return "keep"
    return "relabel" if truth in labels else "drop"
