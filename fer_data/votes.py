"""What several people said about a face: the FER+ votes, and the truth that an evaluation may hold labels to.

FER+ (Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", ICMI 2016, arXiv 1608.01041) gives ten votes for every picture of FER-2013.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.manifest import Manifest

FERPLUS_COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip
EXPRESSIONS = 8  # the columns before "unknown" and "NF"

PLANTED = "planted truth"
MAJORITY = "FER+ majority"
NO_REFERENCE = "none"


def majority(votes: NDArray[np.integer]) -> NDArray[np.object_]:
    """What most voters saw, by the rule that FER+ was published with (`ferplus.py`, mode "majority").

    A column with a single vote counts as none; the winner must then have more than half of what is left.

    Args:
        votes: integer [N, 10], counts in the order of `FERPLUS_COLUMNS`.

    Returns:
        object [N]: a name of `FERPLUS_COLUMNS` ("unknown" and "NF", not a face, are possible), or None where
        there is no clear majority.

    Raises:
        FerError: `votes` has another shape, or a negative count.
    """
    votes = np.asarray(votes)
    _require_votes(votes)
    supported = np.where(votes > 1, votes, 0)
    winner = supported.argmax(axis=1)
    clear = 2 * supported.max(axis=1, initial=0) > supported.sum(axis=1)
    names: NDArray[np.object_] = np.array(FERPLUS_COLUMNS, dtype=object)[winner]
    names[~clear] = None
    return names


def distribution(votes: NDArray[np.integer]) -> NDArray[np.float32]:
    """Soft labels by the filter that FER+ trains with (`ferplus.py`, mode "crossentropy"; section 3 of the paper).

    A column with a single vote counts as none. Expressions are then taken from the most voted down, until they hold
    three quarters of what is left, or three are taken. A face whose taken votes are not more than half, that would
    need more than three, or that most voters call unknown or no face, has no distribution.

    Args:
        votes: integer [N, 10], counts in the order of `FERPLUS_COLUMNS`.

    Returns:
        float32 [N, 8], in the order of the first eight `FERPLUS_COLUMNS`; rows sum to 1, or are NaN where filtered.

    Raises:
        FerError: as `majority`.
    """
    _require_votes(votes)
    distinct, which = np.unique(votes, axis=0, return_inverse=True)
    soft = np.array([_filtered(counts) for counts in distinct], dtype=np.float32).reshape(-1, EXPRESSIONS)
    return np.asarray(soft[which.ravel()], dtype=np.float32)


def shares(votes: NDArray[np.integer]) -> NDArray[np.float32]:
    """All votes for an expression as soft labels, single votes too.

    Args:
        votes: integer [N, 10], counts in the order of `FERPLUS_COLUMNS`.

    Returns:
        float32 [N, 8]; rows sum to 1, or are NaN where no expression has more votes than "unknown" and "NF" each.

    Raises:
        FerError: as `majority`.
    """
    _require_votes(votes)
    shown, other = votes[:, :EXPRESSIONS].astype(np.float32), votes[:, EXPRESSIONS:]
    seen = shown.max(axis=1, initial=0) > other.max(axis=1, initial=0)
    soft = np.full(shown.shape, np.nan, dtype=np.float32)
    np.divide(shown, shown.sum(axis=1, keepdims=True), out=soft, where=seen[:, None])
    return soft


def label_shares(manifest: Manifest, rows: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """What the voters of FER+ said of a manifest's faces, as shares of its labels.

    The shares are those of `distribution`; votes for expressions outside the label set are left out of them.

    Args:
        rows: bool [N], which rows; None means all.

    Returns:
        float32 [M, K], columns in the order of the manifest's labels; rows sum to 1, or are NaN where a face has no
        votes, no distribution, or was most often seen as an expression outside the label set.

    Raises:
        FerError: as `reference_labels`.
    """
    facts = manifest.facts(["votes"], rows)["votes"]
    shares = np.full((len(facts), len(manifest.labels)), np.nan, dtype=np.float32)
    voted = facts.notna().to_numpy(dtype=bool)
    if not voted.any():
        return shares
    _require_names(manifest)
    soft = distribution(np.stack(facts[voted].to_list()))
    columns = [FERPLUS_COLUMNS.index(label) if label in FERPLUS_COLUMNS else -1 for label in manifest.labels]
    inside = np.where(np.array(columns) >= 0, soft[:, columns], 0)
    outside = np.delete(soft, [column for column in columns if column >= 0], axis=1)
    inside[inside.max(axis=1) <= outside.max(axis=1, initial=0)] = np.nan
    shares[voted] = inside / inside.sum(axis=1, keepdims=True)
    return shares


def _filtered(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """`distribution` of one row of counts."""
    left = np.where(counts > 1, counts, 0)
    total = left.sum()
    taken = np.zeros(len(counts))
    number, only_expressions = 0, True
    while taken.sum() < 0.75 * total and number < 3 and only_expressions:
        most = left.max()
        for column in np.flatnonzero(left == most):  # all that are as many are taken together
            if column >= EXPRESSIONS:
                only_expressions = False
                if taken.sum() == 0:  # nothing but "unknown" or "NF" so far
                    taken[column] = most
                break
            taken[column], left[column] = most, 0
            number += 1
    if taken.sum() <= 0.5 * total or number > 3 or taken.argmax() >= EXPRESSIONS:
        return np.full(EXPRESSIONS, np.nan)
    expressions = taken[:EXPRESSIONS]
    return np.asarray(expressions / expressions.sum())


def _require_votes(votes: NDArray[np.integer]) -> None:
    if votes.ndim != 2 or votes.shape[1] != len(FERPLUS_COLUMNS):
        raise FerError(f"votes: expected counts [N, {len(FERPLUS_COLUMNS)}], found an array {list(votes.shape)}")
    if (votes < 0).any():
        raise FerError(f"votes: expected counts, found {int(votes.min())}")


def _require_names(manifest: Manifest) -> None:
    if manifest.votes_labels() != FERPLUS_COLUMNS:
        raise FerError(
            f"{manifest.path}: expected votes named {', '.join(FERPLUS_COLUMNS)}, "
            f"found {', '.join(manifest.votes_labels()) or 'no names'}; no majority rule is known for them"
        )


def reference_labels(manifest: Manifest, rows: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.object_], str]:
    """The best known truth of a manifest's faces, for evaluation and for the simulated reviewer only.

    Drawn faces have the label they were drawn with, faces with FER+ votes the majority's; a row with both is
    held to the first.

    Args:
        rows: bool [N], which rows; None means all.

    Returns:
        Labels, object [M], in the order of the rows; None where the truth is unknown, unclear, or outside the
        manifest's label set. And the reference's name: "planted truth", "FER+ majority", both joined by
        " and ", or "none" where no row has any.

    Raises:
        FerError: the votes are not named as FER+ names them.
    """
    facts = manifest.facts(["true_label", "votes"], rows)
    truth = np.full(len(facts), None, dtype=object)
    names = []
    voted = facts["votes"].notna().to_numpy(dtype=bool)
    if voted.any():
        _require_names(manifest)
        truth[voted] = majority(np.stack(facts.loc[voted, "votes"].to_list()))
        names.append(MAJORITY)
    planted = facts["true_label"].notna().to_numpy(dtype=bool)
    if planted.any():
        truth[planted] = facts.loc[planted, "true_label"].to_numpy()
        names.insert(0, PLANTED)
    truth[~pd.Series(truth, dtype=object).isin(manifest.labels).to_numpy()] = None
    return truth, " and ".join(names) or NO_REFERENCE
