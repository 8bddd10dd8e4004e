"""What FER+ says of given labels: the benchmark's truth, which no audit may read."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.votes import EXPRESSIONS, FERPLUS_COLUMNS, majority

Bools = NDArray[np.bool_]
UNKNOWN, NOT_A_FACE = FERPLUS_COLUMNS[EXPRESSIONS:]


@dataclass(frozen=True)
class Truth:
    """The given labels of N faces and what most voters saw.

    Attributes:
        names: the K labels of the label set.
        given: int64 [N], the given labels, 0..K-1.
        seen: object [N], what most voters saw: a name (also one outside the label set), "unknown", "NF" (not a
            face), or None where there was no clear majority.
        judged: bool [N], which faces are judged at all: an audit sees more than the split it is judged on.
    """

    names: tuple[str, ...]
    given: NDArray[np.int64]
    seen: NDArray[np.object_]
    judged: Bools

    def __len__(self) -> int:
        return len(self.given)

    @cached_property
    def clear(self) -> Bools:
        """Judged faces for which most voters saw one expression, bool [N]; errors are counted among these."""
        known = pd.Series(self.seen, dtype=object).isin(FERPLUS_COLUMNS[:EXPRESSIONS]).to_numpy(dtype=bool)
        return np.asarray(self.judged & known)

    @cached_property
    def wrong(self) -> Bools:
        """Clear faces whose majority is another expression than the given label, bool [N]."""
        given = np.asarray(self.names, dtype=object)[self.given]
        return np.asarray(self.clear & (self.seen != given))

    @cached_property
    def ambiguous(self) -> Bools:
        """Judged faces without a clear majority, bool [N]."""
        return np.asarray(self.judged & pd.isna(self.seen))

    @cached_property
    def unknown(self) -> Bools:
        """Judged faces that most voters could not name, bool [N]."""
        return np.asarray(self.judged & (self.seen == UNKNOWN))

    @cached_property
    def not_a_face(self) -> Bools:
        """Judged pictures that most voters called no face, bool [N]."""
        return np.asarray(self.judged & (self.seen == NOT_A_FACE))

    @cached_property
    def index(self) -> NDArray[np.int64]:
        """The majority as an index into `names`, int64 [N]; -1 where it has none there or is not judged."""
        found = pd.Index(self.names).get_indexer(pd.Index(self.seen, dtype=object)).astype(np.int64)
        return np.asarray(np.where(self.judged, found, -1))

    def of_class(self, code: int) -> Bools:
        """Clear faces given this label, bool [N]."""
        return np.asarray(self.clear & (self.given == code))

    def restricted(self, rows: Bools) -> "Truth":
        """The same, judged only where `rows` says so too."""
        return replace(self, judged=self.judged & rows)

    def counts(self) -> dict[str, Any]:
        """How many faces of each kind, overall and per given label."""
        return {
            "judged": int(self.judged.sum()),
            "clear": int(self.clear.sum()),
            "wrong": int(self.wrong.sum()),
            "ambiguous": int(self.ambiguous.sum()),
            "unknown": int(self.unknown.sum()),
            "not_a_face": int(self.not_a_face.sum()),
            "per_class": {
                name: {"clear": int(self.of_class(code).sum()), "wrong": int((self.wrong & self.of_class(code)).sum())}
                for code, name in enumerate(self.names)
            },
        }


def read_truth(manifest: Manifest, sample_ids: NDArray[np.object_], given: NDArray[np.int64], split: str) -> Truth:
    """What the voters of a manifest saw, in the order of an audit's faces.

    Args:
        manifest: has FER+ votes.
        sample_ids: object [N], the audited faces.
        given: int64 [N], their given labels as indices into the manifest's label set.
        split: whose faces are judged; "all" for every face.

    Raises:
        FerError: the manifest has no FER+ votes, lacks an audited face, or has no judged face with a clear majority.
    """
    facts = manifest.facts(["votes"])
    voted = facts["votes"].notna().to_numpy(dtype=bool)
    if not voted.any() or manifest.votes_labels() != FERPLUS_COLUMNS:
        raise FerError(
            f"{manifest.path}: expected FER+ votes to judge the audit by, found {int(voted.sum())} faces with votes "
            f"named {', '.join(manifest.votes_labels()) or 'nothing'}; import the faces with --votes fer2013new.csv"
        )
    seen = np.full(len(facts), None, dtype=object)
    seen[voted] = majority(np.stack(facts.loc[voted, "votes"].to_list()))
    position = pd.Index(manifest.frame["sample_id"]).get_indexer(pd.Index(sample_ids))
    if (position < 0).any():
        first = sample_ids[position < 0][0]
        raise FerError(
            f"{manifest.path}: expected votes for every audited face, found {int((position < 0).sum())} without "
            f"(first: {first}); name the manifest that the audited faces came from"
        )
    splits = manifest.frame["split"].to_numpy()[position]
    judged = voted[position] & (np.ones(len(given), dtype=bool) if split == "all" else splits == split)
    truth = Truth(tuple(manifest.labels), given, seen[position], judged)
    if not truth.clear.any():
        raise FerError(
            f"{manifest.path}: expected faces of split {split!r} with a clear majority, found none; choose another"
        )
    return truth
