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
    if votes.ndim != 2 or votes.shape[1] != len(FERPLUS_COLUMNS):
        raise FerError(f"votes: expected counts [N, {len(FERPLUS_COLUMNS)}], found an array {list(votes.shape)}")
    if (votes < 0).any():
        raise FerError(f"votes: expected counts, found {int(votes.min())}")
    supported = np.where(votes > 1, votes, 0)
    winner = supported.argmax(axis=1)
    clear = 2 * supported.max(axis=1, initial=0) > supported.sum(axis=1)
    names: NDArray[np.object_] = np.array(FERPLUS_COLUMNS, dtype=object)[winner]
    names[~clear] = None
    return names


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
        if manifest.votes_labels() != FERPLUS_COLUMNS:
            raise FerError(
                f"{manifest.path}: expected votes named {', '.join(FERPLUS_COLUMNS)}, "
                f"found {', '.join(manifest.votes_labels()) or 'no names'}; no majority rule is known for them"
            )
        truth[voted] = majority(np.stack(facts.loc[voted, "votes"].to_list()))
        names.append(MAJORITY)
    planted = facts["true_label"].notna().to_numpy(dtype=bool)
    if planted.any():
        truth[planted] = facts.loc[planted, "true_label"].to_numpy()
        names.insert(0, PLANTED)
    truth[~pd.Series(truth, dtype=object).isin(manifest.labels).to_numpy()] = None
    return truth, " and ".join(names) or NO_REFERENCE
