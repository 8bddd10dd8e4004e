"""Which labels people have decided already, and what that tells of all the others.

The loop is that of active label cleaning (Bernhardt et al., "Active label cleaning for improved dataset quality under
resource constraints", Nature Communications 13, 2022): the audit orders faces for review, decisions are logged, and
the next audit starts from them. Here they settle the faces that were looked at, and `known_labels` offers them to
whoever learns to tell wrong labels from right ones. `fer_data.auditing.sharpening` makes of them a better estimate.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import tables
from fer_data.auditing.evidence import Labels, Probabilities
from fer_data.consensus import UNSURE, Knowledge, Verdict, given_label, settle, verdict_of
from fer_data.decision_log import Decision, DecisionLog, default_log, standing
from fer_data.expressions import label_indices
from fer_data.manifest import Manifest

NONE = -1
_APPLIED = "decision:"  # how the origin of a label begins that `fer apply` wrote

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True)
class Reviewed:
    """M faces on whose label people decided.

    Attributes:
        sample_ids: object [M].
        rows: int64 [M], ascending, their positions among the faces in question.
        before: int64 [M], label that they carried when they were looked at; `NONE` where that is not known.
        verdict: int64 [M], label that was decided on; `NONE` where they are to be dropped, or reviewers are unsure.
        sure: bool [M], False where reviewers are unsure.
        own: bool [M], decided under this very id; False where a face with the same picture was.
    """

    sample_ids: NDArray[np.object_]
    rows: Labels
    before: Labels
    verdict: Labels
    sure: Truths
    own: Truths

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, some: Truths | Labels) -> "Reviewed":
        """These of the M faces only."""
        return Reviewed(
            self.sample_ids[some],
            self.rows[some],
            self.before[some],
            self.verdict[some],
            self.sure[some],
            self.own[some],
        )

    def among(self, sample_ids: NDArray[np.object_]) -> "Reviewed":
        """Those that are among other faces, with their positions there.

        Args:
            sample_ids: object [N], unique; the order of an `Evidence`, say.
        """
        rows = pd.Index(sample_ids).get_indexer(pd.Index(self.sample_ids)).astype(np.int64)
        order = np.argsort(rows, kind="stable")
        return replace(self, rows=rows).take(order[rows[order] >= 0])

    def is_wrong(self, labels: Labels) -> Truths:
        """Where the verdict contradicts the face's label, bool [M]; False where reviewers are unsure.

        Args:
            labels: int64 [N], labels of the faces in question.
        """
        return np.asarray(self.sure & (self.verdict != labels[self.rows]))

    def settled(self, labels: Labels) -> Truths:
        """Which faces need no further look, bool [N]: decided themselves, or labelled as their very picture was."""
        done = np.zeros(len(labels), dtype=np.bool_)
        done[self.rows] = self.own | ~self.is_wrong(labels)
        return done

    def contradicted(self, labels: Labels) -> Truths:
        """Which faces carry another label than was decided for their very picture, and were not decided, bool [N]."""
        wrong = np.zeros(len(labels), dtype=np.bool_)
        wrong[self.rows] = ~self.own & self.is_wrong(labels)
        return wrong


def project_log(manifest: Manifest) -> DecisionLog | None:
    """The log of the manifest's project, None where nothing was decided yet."""
    place = default_log(manifest)
    return DecisionLog(place, must_exist=True) if place.is_file() else None


def reviewed_labels(
    manifest: Manifest, log: DecisionLog | None, *, consensus: str = "majority", seniority: Sequence[str] = ()
) -> Reviewed:
    """What was decided about the faces of a manifest.

    A face counts as decided if the log says so of its id and picture; if the log says so of the same picture under
    another id (`own` is then False); or if `fer apply` gave it its label.

    Args:
        log: None where there is none: then what was applied is all that is known.
        consensus: how several reviewers become one verdict; a rule of `fer_data.consensus.CONSENSUS` that goes by no
            model: the audit is what judges by one.
        seniority: reviewers, the most senior first; of the rule "seniority".

    Raises:
        FerError: an unknown rule, one that lacks what it goes by, or a log that cannot be read.
    """
    code = {name: index for index, name in enumerate(manifest.labels)}
    labels = label_indices(manifest.frame["label"], manifest.label_set)
    events = [] if log is None else log.events()
    found = _decided(manifest, list(standing(events).values())) if events else {}
    rows = _applied_rows(manifest)
    before = np.full(len(manifest), NONE, dtype=np.int64)
    verdict = np.where(rows, labels, NONE)
    sure = np.ones(len(manifest), dtype=np.bool_)
    sure[rows] = manifest.frame["target"].isna().to_numpy()[rows]  # a soft target is what unsure reviewers leave
    own = rows.copy()
    names = {row: None if labels[row] == NONE else manifest.labels[labels[row]] for row in found}
    ratings = [
        {decision.reviewer: verdict_of(decision, names[row]) for decision in decisions}
        for row, (decisions, _) in found.items()
    ]
    settled = settle(consensus, ratings, Knowledge(seniority))
    for (row, (decisions, is_own)), together in zip(found.items(), settled, strict=True):
        name, agreed = names[row], together.verdict
        rows[row], own[row] = True, own[row] or is_own
        before[row] = code.get(given_label(decisions[0], name) or "", NONE)
        verdict[row], sure[row] = _coded(agreed, code), agreed != UNSURE
    positions = np.flatnonzero(rows)
    return Reviewed(
        sample_ids=manifest.frame["sample_id"].to_numpy(dtype=object)[positions],
        rows=positions,
        before=before[positions],
        verdict=verdict[positions],
        sure=sure[positions],
        own=own[positions],
    )


def known_labels(reviewed: Reviewed, labels: Labels) -> tuple[Labels, Truths, Labels]:
    """Faces of which people know whether their label is right: for learning to tell wrong labels.

    Args:
        labels: int64 [N], labels of the faces that `reviewed` points into.

    Returns:
        Their rows, int64 [M]; whether the label that they carry now is wrong, bool [M]; and the true label, int64
        [M], `NONE` where it is none of the label set.
    """
    sure = reviewed.take(reviewed.sure)
    return sure.rows, sure.is_wrong(labels), sure.verdict


def scores_before(reviewed: Reviewed, posterior: Probabilities, names: Sequence[str], previous: Path | None) -> Floats:
    """What the score said of the label that a face carried when it was looked at, float64 [M], 0..1.

    It is read from the audit that the review followed; where that does not know the face under this label, it is what
    is now believed of it.

    Args:
        posterior: float64 [N, K], present probability of each label, of the faces that `reviewed` points into.
        names: K labels.
        previous: the audit table before this one, if there is one.
    """
    now: Floats = np.where(
        reviewed.before == NONE, np.nan, posterior[reviewed.rows, np.maximum(reviewed.before, 0)]
    ).astype(np.float64)
    if previous is None or not len(reviewed):
        return now
    table, _ = tables.read_table(previous, kind="label_audit", columns=["sample_id", "given_label", "label_score"])
    then = table.to_pandas().set_index("sample_id").reindex(reviewed.sample_ids)
    given = np.asarray([names[code] if code != NONE else None for code in reviewed.before], dtype=object)
    known = (then["given_label"].to_numpy(dtype=object) == given) & then["label_score"].notna().to_numpy()
    return np.where(known, then["label_score"].to_numpy(dtype=np.float64), now)


def _applied_rows(manifest: Manifest) -> Truths:
    origins = manifest.frame["label_origin"]
    words = [origin for origin in origins.unique() if isinstance(origin, str) and origin.startswith(_APPLIED)]
    return np.array(origins.isin(words).to_numpy(), dtype=np.bool_)


def _decided(manifest: Manifest, decisions: Sequence[Decision]) -> Mapping[int, tuple[list[Decision], bool]]:
    """Row → the decisions on its picture, and whether they were made under its own id; own ones outrank others."""
    pixels = manifest.facts(["pixel_sha256"])["pixel_sha256"]
    ids = pd.Index(manifest.frame["sample_id"])
    by_picture: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        by_picture[decision.pixel_sha256].append(decision)
    found: dict[int, tuple[list[Decision], bool]] = {}
    for row in np.flatnonzero(pixels.isin(list(by_picture))).tolist():
        mates = by_picture[str(pixels.iat[row])]
        own = [decision for decision in mates if decision.sample_id == ids[row]]
        found[row] = (own or _one_each(mates), bool(own))
    return found


def _one_each(decisions: Sequence[Decision]) -> list[Decision]:
    """Each reviewer's last decision on a picture, under whatever id."""
    return list({decision.reviewer: decision for decision in decisions}.values())


def _coded(verdict: Verdict, code: Mapping[str, int]) -> int:
    return code.get(verdict.label or "", NONE) if verdict.action == "label" else NONE
