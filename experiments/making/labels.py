"""Training labels as a simulated reviewer or an automatic policy leaves them; held-out rows stay as they were."""

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from experiments.arms import ReviewConfig
from fer_data import decisions, simulated_review, votes
from fer_data import manifest as manifests
from fer_data.auditing.policy_application import apply_policy
from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.tabular.columns import word_codes
from fer_data.tabular.rows import coded, target_column, target_matrix, with_columns

_PRIOR_FACES = 2


def review(source: Manifest, audit: Path | None, config: ReviewConfig, out: Path) -> Manifest:
    """Write the manifest after a simulated review of some of its training faces.

    Args:
        audit: an audit of these faces; needed for the order by suspicion.

    Raises:
        FerError: what `fer_data.simulated_review.simulate_review` and `fer_data.decisions.apply` refuse.
    """
    rule = simulated_review.default_rule(source) if config.answers == "majority" else simulated_review.ONE_VOTE
    if config.order == "suspicion" and config.faces is not None and audit is None:
        raise FerError(
            "review in the order of suspicion: expected the experiment to name an audit, found none; set `audit`, or "
            "order: random"
        )
    with tempfile.TemporaryDirectory() as folder, closing(DecisionLog(Path(folder) / "decisions.sqlite")) as log:
        simulated_review.simulate_review(
            source,
            audit if config.order == "suspicion" else None,
            log,
            config.faces,
            rule=rule,
            order=config.order if audit is not None else "random",
            seed=config.seed,
            split="train",
        )
        if config.targets == "label" and config.others == "as_given":
            return decisions.apply(source, log, out, replace=True)
        reviewed = decisions.apply(source, log, out.with_name(f"{out.stem}-labels.parquet"), replace=True)
        looked_at = pa.array([event.sample_id for event in log.events()], pa.string())
    if config.others == "evidence":
        return _with_evidence(source, reviewed, looked_at, out)
    return _with_vote_targets(reviewed, looked_at, out)


def clean(source: Manifest, audit: Path | None, policy: str, out: Path) -> Manifest:
    """Write the manifest after an automatic policy of the audit, its training rows alone changed.

    Raises:
        FerError: what `fer_data.auditing.policy_application.apply_policy` refuses, or no audit.
    """
    if audit is None:
        raise FerError(f"clean: {policy}: expected the experiment to name an audit, found none; set `audit`")
    everywhere = apply_policy(source, audit, policy, out.with_name(f"{out.stem}-everywhere.parquet"), replace=True)
    in_train = [word_codes(each.table["split"], ("train",)) == 0 for each in (everywhere, source)]
    table = pa.concat_tables(
        [everywhere.table.filter(pa.array(in_train[0])), source.table.filter(pa.array(~in_train[1]))]
    )
    return manifests.derive(
        everywhere,
        table,
        out,
        command="fer experiment",
        configuration={"policy": policy, "rows": "train"},
        changed=("split", "label", "target"),
        replace=True,
    )


def _with_vote_targets(reviewed: Manifest, looked_at: pa.Array, out: Path) -> Manifest:
    """The rows that were looked at with FER+'s distribution as a soft label, where the vote filter leaves one."""
    if reviewed.votes_labels() != votes.FERPLUS_COLUMNS:
        raise FerError(
            f"{reviewed.path}: expected FER+ votes for targets: votes, found "
            f"{', '.join(reviewed.votes_labels()) or 'none'}; import them, or set targets: label"
        )
    table = reviewed.table
    rows = np.flatnonzero(pa.compute.is_in(table["sample_id"], value_set=looked_at).to_numpy())
    counts = np.stack(reviewed.facts(["votes"])["votes"].iloc[rows].to_list())
    named = [votes.FERPLUS_COLUMNS.index(label) for label in reviewed.labels]
    soft = votes.distribution(counts)[:, named]
    mass = soft.sum(axis=1)
    told = mass > 0  # NaN, filtered, is not
    rows, soft = rows[told], soft[told] / mass[told, None]
    labels = word_codes(table["label"], reviewed.labels)
    labels[rows] = soft.argmax(axis=1)
    changed = with_columns(table, label=coded(labels, reviewed.labels), target=_targets_with(table, rows, soft))
    return manifests.derive(
        reviewed,
        changed,
        out,
        command="fer experiment",
        configuration={"targets": "votes", "faces": len(rows)},
        changed=("label", "target"),
        replace=True,
    )


def _with_evidence(source: Manifest, reviewed: Manifest, looked_at: pa.Array, out: Path) -> Manifest:
    """Training rows whose truth nobody told, with how likely their label is under each class, as the others tell.

    A reviewer who sees no clear expression leaves the label as it was: such a face tells of no confusion, and its label
    is evidence like those that nobody looked at.
    """
    table, size = reviewed.table, len(reviewed.labels)
    labels = word_codes(table["label"], reviewed.labels)
    place = pa.compute.index_in(table["sample_id"], value_set=source.table["sample_id"].combine_chunks()).to_numpy()
    given = word_codes(source.table["label"], source.labels)[place]
    clear = np.array([label is not None for label in votes.reference_labels(reviewed)[0]])
    train = (word_codes(table["split"], ("train",)) == 0) & (given >= 0)
    seen = pa.compute.is_in(table["sample_id"], value_set=looked_at).to_numpy(zero_copy_only=False)
    told = train & seen & (clear | (labels != given)) & (labels >= 0)
    confusions = estimate_confusions(labels[told], given[told], np.bincount(given[train], minlength=size))
    rows = np.flatnonzero(train & ~told)
    likelihoods = confusions[:, given[rows]].T
    targets = (likelihoods / likelihoods.sum(axis=1, keepdims=True)).astype(np.float32)
    return manifests.derive(
        reviewed,
        with_columns(table, target=_targets_with(table, rows, targets)),
        out,
        command="fer experiment",
        configuration={"others": "evidence", "reviewed": int(told.sum()), "confusions": confusions.round(4).tolist()},
        changed=("target",),
        replace=True,
    )


def _targets_with(table: pa.Table, rows: NDArray[np.int64], targets: NDArray[np.float32]) -> pa.Array:
    """The table's targets, those of `rows` replaced by `targets` [M, K]."""
    old_rows, old = target_matrix(table["target"], targets.shape[1])
    stay = ~np.isin(old_rows, rows)
    every, merged = np.concatenate([old_rows[stay], rows]), np.concatenate([old[stay], targets])
    order = np.argsort(every)
    return target_column(len(table), every[order], merged[order])


def estimate_confusions(
    true: NDArray[np.integer], given: NDArray[np.integer], frequencies: NDArray[np.integer]
) -> NDArray[np.float64]:
    """P(label that was given | true label), float64 [K, K], rows are true labels.

    A true label that was seldom seen leans towards how often each label is given at all, which weighs as much as
    `_PRIOR_FACES` faces.

    Args:
        true, given: int [N], classes of the faces whose truth is known.
        frequencies: int [K], how often each label is given among all faces.
    """
    counts = np.zeros((len(frequencies), len(frequencies)))
    np.add.at(counts, (true, given), 1)
    counts += _PRIOR_FACES * frequencies / frequencies.sum()
    return counts / counts.sum(axis=1, keepdims=True)
