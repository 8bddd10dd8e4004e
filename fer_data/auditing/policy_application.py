"""A policy becomes a manifest: labels change, rows go, targets soften; the old manifest and the audit stay.

The rules come from the audit table, which holds them with what is expected of them (`policies.try_policies`).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.auditing.policies import ACTIONS, DROP, KEEP, RELABEL, SOFTEN, Actions, Judged, PolicyConfig, decide
from fer_data.configuration import build
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.files import refuse_existing, sha256_file
from fer_data.manifest import Manifest
from fer_data.project import relative
from fer_data.tabular.rows import target_column, target_matrix, with_columns


def apply_policy(
    manifest: Manifest, audit_path: Path, policy: str, out: str | Path, *, replace: bool = False
) -> Manifest:
    """Do what a policy says with every audited face, in a new manifest.

    A relabelled row has the suggested label and no target. A softened row keeps its label; its target gives the given
    and the suggested label their estimated probabilities and the others the rest, as the classifier divides it. Both
    have `label_origin` `policy:<name>`. Dropped rows are gone. Rows that are not in the audit, those that people
    decided (`decision:…`), and those whose class is left to a person, stay as they are.

    Args:
        manifest: the one that was audited.
        audit_path: a table of kind "label_audit".
        policy: one that the audit tried.

    Returns:
        The new manifest; its footer's `policy` holds rules, counts (`decided`: faces left as people decided), moves,
        and the expected precision.

    Raises:
        FerError: `out` exists, the audit is of another manifest or did not try this policy.
    """
    out = manifests.manifest_path(out)
    refuse_existing(out, replace=replace)
    table, metadata = tables.read_table(audit_path, kind="label_audit")
    tried = metadata.get("policies") or {"guarded": [], "rules": {}, "expected": {}}
    if policy not in tried["rules"]:
        raise FerError(
            f"{audit_path}: expected an audit that tried the policy {policy!r}, found "
            f"{', '.join(tried['rules']) or 'none'}; choose one of these, or audit again"
        )
    if manifest.sha256 not in metadata["parents"].values():
        raise FerError(
            f"{audit_path}: expected an audit of {manifest.path}, found one of {', '.join(metadata['parents'])}; "
            "audit this manifest, or apply the policy to that one"
        )
    rules = build(PolicyConfig, tried["rules"][policy], f"{audit_path}: policy {policy}")
    audit = table.to_pandas()
    guarded = [manifest.labels.index(name) for name in tried["guarded"]]
    faces = _judged(audit, manifest.label_set)
    changed, summary = _changed(manifest, audit, faces, decide(rules, faces, guarded), f"policy:{policy}")
    return manifests.derive(
        manifest,
        changed,
        out,
        command="fer apply",
        configuration={"policy": policy, "rules": rules.model_dump()},
        changed=("label", "target", "label_origin"),
        parents={relative(audit_path, manifest.root): sha256_file(audit_path)},
        replace=replace,
        policy={"name": policy, **summary, "guarded": tried["guarded"], "expected": tried["expected"].get(policy)},
    )


def _judged(audit: pd.DataFrame, label_set: str) -> Judged:
    return Judged(
        label_indices(audit["given_label"], label_set),
        label_indices(audit["suggested_label"], label_set),
        audit["label_score"].to_numpy(dtype=np.float64),
        audit["suggestion_score"].to_numpy(dtype=np.float64),
        (audit["kind"] == "not_a_face").to_numpy(dtype=bool),
    )


def _changed(
    manifest: Manifest, audit: pd.DataFrame, faces: Judged, actions: Actions, origin: str
) -> tuple[pa.Table, dict[str, Any]]:
    """The new rows, and the counts of what was done."""
    table = manifest.table
    rows = pd.Index(table["sample_id"].to_pandas()).get_indexer(pd.Index(audit["sample_id"]))
    settled = pc.starts_with(table["label_origin"].cast(pa.string()), "decision:").to_numpy()[rows]
    left = int((settled & (actions != KEEP)).sum())
    actions = np.where(settled, KEEP, actions)
    relabelled, softened, dropped = (actions == action for action in (RELABEL, SOFTEN, DROP))
    labels, origins = (
        table[name].cast(pa.string()).to_numpy(zero_copy_only=False).astype(object)
        for name in ("label", "label_origin")
    )
    labels[rows[relabelled]] = audit["suggested_label"].to_numpy(dtype=object)[relabelled]
    origins[rows[relabelled | softened]] = origin
    soft = _soft_targets(audit[softened], faces.take(softened), manifest.labels)
    targets = _replaced(table["target"], rows[relabelled | softened], rows[softened], soft)
    kept = np.ones(len(table), dtype=bool)
    kept[rows[dropped]] = False
    changed = with_columns(table, label=labels, target=targets, label_origin=origins)
    moves = Counter((audit["given_label"] + " → " + audit["suggested_label"])[relabelled])
    summary = {
        "counts": {action: int((actions == action).sum()) for action in ACTIONS},
        "decided": left,
        "moves": dict(moves.most_common()),
    }
    return changed.filter(pa.array(kept)), summary


def _soft_targets(audit: pd.DataFrame, faces: Judged, names: Sequence[str]) -> NDArray[np.float32]:
    """Targets, float32 [M, K], rows sum to 1: the two labels as the audit judges them, the others as the classifier."""
    every = np.arange(len(audit))
    others = audit[[f"p_{name}" for name in names]].to_numpy(dtype=np.float64, copy=True)
    others[every, faces.labels] = others[every, faces.suggested] = 0
    two = faces.score + np.where(faces.suggested == faces.labels, 0.0, faces.suggestion_score)
    total = others.sum(axis=1)
    others *= np.divide(np.maximum(1 - two, 0), total, out=np.zeros_like(total), where=total > 0)[:, None]
    others[every, faces.suggested] = faces.suggestion_score
    others[every, faces.labels] = faces.score
    sums = others.sum(axis=1)
    others[sums <= 0] = 1.0  # nothing is known: no label is likelier than another
    return np.asarray(others / others.sum(axis=1, keepdims=True), dtype=np.float32)


def _replaced(
    column: pa.ChunkedArray, without: NDArray[np.int64], rows: NDArray[np.int64], soft: NDArray[np.float32]
) -> pa.Array:
    """A column of targets: none in the rows `without`, then `soft` in `rows`, the others as they were."""
    old_rows, old = target_matrix(column, soft.shape[1])
    stay = ~np.isin(old_rows, without)
    every, targets = np.concatenate([old_rows[stay], rows]), np.concatenate([old[stay], soft])
    order = np.argsort(every)
    return target_column(len(column), every[order], targets[order])
