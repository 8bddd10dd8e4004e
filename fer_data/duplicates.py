"""Exact duplicates: how many pictures occur more than once, across which splits, under which labels.

Two rows are duplicates where mode, size and every pixel agree (`pixel_sha256`), whatever file they came from.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fer_data import tables
from fer_data.links import exact_twins
from fer_data.manifest import SPLITS, Manifest
from fer_data.project import relative

SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("twin_group", pa.int64()),  # equal for identical pictures
        ("split", pa.string()),
        ("label", pa.string()),
        ("is_leak", pa.bool_()),  # a twin lies in another split
        ("is_conflict", pa.bool_()),  # a twin has another label
    ]
)


@dataclass(frozen=True)
class DuplicateReport:
    """Exact duplicates of a manifest.

    Attributes:
        table: the rows that have a twin, columns of SCHEMA, largest groups first.
        groups: how many groups of identical pictures there are.
        rows: how many rows are in them; `surplus_rows` of these repeat a picture that is there already.
        conflicting_groups: groups whose labelled rows do not all carry the same label.
        largest_group: number of rows in the largest group, 0 where there is none.
        leaks: (split, other split) → rows of the first whose very picture also lies in the second.
    """

    table: pd.DataFrame
    groups: int
    rows: int
    conflicting_groups: int
    largest_group: int
    leaks: dict[tuple[str, str], int]

    @property
    def surplus_rows(self) -> int:
        return self.rows - self.groups

    def summary(self) -> dict[str, Any]:
        """The figures as JSON can hold them."""
        return {
            "groups": self.groups,
            "rows": self.rows,
            "surplus_rows": self.surplus_rows,
            "conflicting_groups": self.conflicting_groups,
            "largest_group": self.largest_group,
            "leaks": [{"split": of, "other": other, "rows": rows} for (of, other), rows in self.leaks.items()],
        }

    def sentence(self) -> str:
        """What a user should know, on one line: how many, across which splits, under which labels."""
        if not self.groups:
            return "no two pictures are identical"
        parts = [f"{self.groups:,} groups of identical pictures ({self.surplus_rows:,} surplus faces)"]
        parts += [
            f"{count:,} {of} faces are identical to {other} faces"
            for (of, other), count in self.leaks.items()
            if SPLITS.index(of) > SPLITS.index(other)
        ]
        if self.conflicting_groups:
            parts.append(f"{self.conflicting_groups:,} groups carry conflicting labels")
        return ", ".join(parts)


def find_duplicates(manifest: Manifest) -> DuplicateReport:
    """Find the exact duplicates of a manifest."""
    return _report(_twin_rows(manifest))


def write_duplicates(manifest: Manifest, report: DuplicateReport, out: Path, *, replace: bool = False) -> Path:
    """Write the rows of a report as a table of kind "duplicates".

    Raises:
        FerError: `out` exists and `replace` is false.
    """
    metadata = tables.provenance(
        "duplicates",
        "fer duplicates",
        parents={relative(manifest.path, manifest.root): manifest.sha256},
        **report.summary(),
    )
    table = pa.Table.from_pandas(report.table, SCHEMA, preserve_index=False)
    return tables.write_table(out, table, metadata, replace=replace)


def _twin_rows(manifest: Manifest) -> pd.DataFrame:
    """Rows with a twin, with the columns of SCHEMA; the index holds row positions."""
    twins = exact_twins(manifest)
    rows = manifest.frame.iloc[twins.index]
    frame = twins[["sample_id", "twin_group"]].assign(split=rows["split"].to_numpy(), label=rows["label"].to_numpy())
    groups = frame.groupby("twin_group")
    frame["is_leak"] = (groups["split"].transform("nunique") > 1) & frame["split"].notna()
    frame["is_conflict"] = (groups["label"].transform("nunique") > 1) & frame["label"].notna()
    sizes = groups["sample_id"].transform("size")
    order = np.lexsort([frame.index.to_numpy(), frame["twin_group"].to_numpy(), -sizes.to_numpy()])
    return frame.iloc[order]


def _report(rows: pd.DataFrame) -> DuplicateReport:
    groups = rows.groupby("twin_group")
    members = {split: set(rows.loc[rows["split"] == split, "twin_group"]) for split in SPLITS}
    leaks = {}
    for of in SPLITS:
        for other in SPLITS:
            count = int(((rows["split"] == of) & rows["twin_group"].isin(members[other])).sum()) if of != other else 0
            if count:
                leaks[of, other] = count
    return DuplicateReport(
        table=rows,
        groups=groups.ngroups,
        rows=len(rows),
        conflicting_groups=int(groups["is_conflict"].any().sum()),
        largest_group=int(groups.size().max()) if len(rows) else 0,
        leaks=leaks,
    )
