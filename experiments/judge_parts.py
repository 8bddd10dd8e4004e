"""Who may learn from which training faces, so that judges share none: groups and identical pictures are dealt whole."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fer_data import tables
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.links import HELD_OUT_SPLITS, joined_groups, related_across
from fer_data.manifest import Manifest
from fer_data.project import relative
from fer_data.tabular.dealing import deal
from fer_data.tabular.together import same_pictures

ROLES = ("guide", "screening", "measuring")


class PartShares(Configuration):
    """The share of the training faces that each judge learns from; they sum to 1."""

    guide: float = Field(0.2, gt=0, lt=1)
    screening: float = Field(0.3, gt=0, lt=1)
    measuring: float = Field(0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _whole(self) -> "PartShares":
        if abs(self.guide + self.screening + self.measuring - 1) > 1e-6:
            raise ValueError("expected shares that sum to 1")
        return self

    def as_array(self) -> NDArray[np.float64]:
        """float64 [3], in the order of ROLES."""
        return np.array([self.guide, self.screening, self.measuring])


@dataclass(frozen=True)
class Parts:
    """Who learns from which training faces.

    Attributes:
        of_row: int8 [M] over the rows of the manifest, index into ROLES; -1 for rows that nobody learns from.
        groups: int64 [M], the groups that were dealt, joined over identical pictures.
        left_out: how many training rows nobody learns from, by reason.
    """

    of_row: NDArray[np.int8]
    groups: NDArray[np.int64]
    left_out: dict[str, int]

    @property
    def shared_groups(self) -> int:
        """How many groups more than one judge learns from."""
        used = self.of_row >= 0
        pairs = pd.DataFrame({"group": self.groups[used], "judge": self.of_row[used]}).drop_duplicates()
        return int((pairs["group"].value_counts() > 1).sum())


def deal_parts(manifest: Manifest, shares: PartShares, fewest: int, seed: int) -> Parts:
    """Deal the training faces out to the judges: groups and identical pictures whole, classes evenly.

    Training faces whose group or picture is also in val or test, faces that we derived, and faces without a label
    are left out.

    Raises:
        FerError: synthetic faces among the rows, or fewer than `fewest` faces of a class for a judge.
    """
    frame = manifest.frame
    synthetic = int((frame["origin"] == "synthetic").sum())
    if synthetic:
        raise FerError(
            f"{manifest.path}: expected real faces only, found {synthetic:,} synthetic ones, which no judge may have "
            "seen; give the manifest from before they were merged"
        )
    chosen = (frame["split"] == "train").to_numpy(dtype=bool)
    reasons = {
        "derived": (frame["origin"] == "derived").to_numpy(dtype=bool),
        "without label": frame["label"].isna().to_numpy(dtype=bool),
        "weight or repeat is zero": ((frame["weight"] == 0) | (frame["repeat"] == 0)).to_numpy(dtype=bool),
        "group or picture is also in val or test": related_across(manifest, "train", HELD_OUT_SPLITS),
    }
    left_out = {}
    for reason, rows in reasons.items():
        left_out[reason] = int((chosen & rows).sum())
        chosen = chosen & ~rows
    groups = joined_groups(frame["group_id"].to_numpy(), manifest.table["sample_id"], [same_pictures(manifest)])
    labels = label_indices(frame["label"][chosen], manifest.label_set)
    of_row = np.full(len(frame), -1, dtype=np.int8)
    if chosen.any():
        of_row[chosen] = deal(groups[chosen], labels, shares.as_array(), seed)
    _require_classes(manifest, of_row, fewest)
    return Parts(of_row, groups, left_out)


def _require_classes(manifest: Manifest, of_row: NDArray[np.int8], fewest: int) -> None:
    labels = manifest.frame["label"].to_numpy()
    for number, role in enumerate(ROLES):
        for label in manifest.labels:
            count = int(((labels == label) & (of_row == number)).sum())
            if count < fewest:
                raise FerError(
                    f"{manifest.path}: expected at least {fewest} training faces of {label} for the {role} judge, "
                    f"found {count}; add faces of this class, give this judge a larger share, or lower fewest "
                    "(--config judges-tiny does, for a trial)"
                )


def write_parts(manifest: Manifest, parts: Parts, path: Path) -> None:
    """Write who learns from which face: sample_id, group_id and judge of every face that is used."""
    used = parts.of_row >= 0
    table = pa.table(
        {
            "sample_id": manifest.frame["sample_id"][used].to_list(),
            "group_id": parts.groups[used],
            "judge": [ROLES[number] for number in parts.of_row[used]],
        }
    )
    metadata = tables.provenance(
        "judges", "fer judges", parents={relative(manifest.path, manifest.root): manifest.sha256}
    )
    tables.write_table(path, table, metadata, replace=True)
