"""Duplicates: pictures that occur more than once, across which splits, under which labels.

Two rows are exact duplicates where mode, size and every pixel agree (`pixel_sha256`), whatever file they came from:
`find_duplicates` reads no picture. Near duplicates, which look at the pictures, are in `near_duplicates.py`; both write
one kind of table, the links of `LINKS`, which `links.linked_rows`, `fer split` and `fer merge` read.
"""

from collections.abc import Mapping, Sequence
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

EXACT, NEAR = "exact duplicate", "near duplicate"
LINKS = pa.schema(
    [
        ("a", pa.string()),  # sample_ids
        ("b", pa.string()),
        ("kind", pa.string()),  # EXACT or NEAR
        ("score", pa.float32()),  # similarity of the details of both, 1 = the same
        ("mirrored", pa.bool_()),  # b shows a's mirror image
        ("shift_x_px", pa.float32()),  # how far what b shows lies right of and below a's, at 48 pixels a side
        ("shift_y_px", pa.float32()),
        ("zoom", pa.float32()),  # how much larger b shows it
        ("group", pa.int64()),  # equal for all that duplicates join, exact or near
        ("split_a", pa.string()),
        ("split_b", pa.string()),
        ("label_a", pa.string()),
        ("label_b", pa.string()),
        ("is_leak", pa.bool_()),  # a and b lie in different splits
        ("is_conflict", pa.bool_()),  # a and b carry different labels
    ]
)


@dataclass(frozen=True)
class DuplicateReport:
    """Groups of duplicates.

    Attributes:
        table: the rows that have a twin, largest groups first: `sample_id`, `twin_group` (equal for duplicates),
            `split`, `label`, `is_leak` (a twin lies in another split), `is_conflict` (a twin has another label).
        groups: how many groups of duplicates there are.
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

    def sentence(self, pictures: str = "identical pictures", are: str = "identical to") -> str:
        """What a user should know, on one line: how many, across which splits, under which labels.

        Args:
            pictures, are: what such pictures are called, for reports on more than identical ones.
        """
        if not self.groups:
            return "no two pictures are identical" if are == "identical to" else f"no groups of {pictures}"
        parts = [f"{self.groups:,} groups of {pictures} ({self.surplus_rows:,} surplus faces)"]
        parts += [
            f"{count:,} {of} faces are {are} {other} faces"
            for (of, other), count in self.leaks.items()
            if SPLITS.index(of) > SPLITS.index(other)
        ]
        if self.conflicting_groups:
            parts.append(f"{self.conflicting_groups:,} groups carry conflicting labels")
        return ", ".join(parts)


def find_duplicates(manifest: Manifest) -> DuplicateReport:
    """Find the exact duplicates of a manifest."""
    twins = exact_twins(manifest)
    rows = manifest.table.select(["split", "label"]).take(pa.array(twins.index.to_numpy())).to_pandas()
    split, label = (rows[name].astype(object).to_numpy() for name in ("split", "label"))
    return report_groups(twins[["sample_id", "twin_group"]].assign(split=split, label=label))


def report_groups(members: pd.DataFrame) -> DuplicateReport:
    """Count leaks and conflicts of groups, each of two rows or more.

    Args:
        members: columns sample_id, twin_group, split, label.
    """
    groups = members.groupby("twin_group")
    marked = members.assign(
        is_leak=(groups["split"].transform("nunique") > 1) & members["split"].notna(),
        is_conflict=(groups["label"].transform("nunique") > 1) & members["label"].notna(),
    )
    sizes = groups["sample_id"].transform("size").to_numpy()
    rows = marked.iloc[np.lexsort((marked.index.to_numpy(), marked["twin_group"].to_numpy(), -sizes))]
    inside = {split: set(rows.loc[rows["split"] == split, "twin_group"]) for split in SPLITS}
    leaks = {}
    for of in SPLITS:
        for other in SPLITS:
            count = int(((rows["split"] == of) & rows["twin_group"].isin(inside[other])).sum()) if of != other else 0
            if count:
                leaks[of, other] = count
    return DuplicateReport(
        table=rows,
        groups=groups.ngroups,
        rows=len(rows),
        conflicting_groups=int(rows.groupby("twin_group")["is_conflict"].any().sum()),
        largest_group=int(sizes.max(initial=0)),
        leaks=leaks,
    )


def exact_links(members: pd.DataFrame) -> pd.DataFrame:
    """The first eight columns of LINKS for a report's table: each row is linked with the first of its group."""
    ordered = members.sort_index(kind="stable")
    first = ordered.groupby("twin_group")["sample_id"].transform("first")
    copies = (ordered["sample_id"] != first).to_numpy()
    return pd.DataFrame(
        {
            "a": first[copies].to_numpy(),
            "b": ordered["sample_id"][copies].to_numpy(),
            "kind": EXACT,
            "score": np.float32(1),
            "mirrored": False,
            "shift_x_px": np.float32(0),
            "shift_y_px": np.float32(0),
            "zoom": np.float32(1),
        }
    )


def marked_links(ends: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Links with every column of LINKS, from their first eight and what is known of the rows.

    Args:
        ends: columns a to zoom of LINKS.
        members: columns sample_id, twin_group, split, label of at least every row that is linked.
    """
    known = members.drop_duplicates("sample_id").set_index("sample_id")
    links = ends.assign(group=known["twin_group"].reindex(ends["a"]).to_numpy())
    for name in ("split", "label"):
        for end in ("a", "b"):
            links[f"{name}_{end}"] = known[name].reindex(ends[end]).astype(object).to_numpy()
    for flag, name in (("is_leak", "split"), ("is_conflict", "label")):
        one, other = links[f"{name}_a"], links[f"{name}_b"]
        links[flag] = (one != other) & one.notna() & other.notna()
    return links


def write_duplicates(manifest: Manifest, report: DuplicateReport, out: Path, *, replace: bool = False) -> Path:
    """Write the links of a report on exact duplicates as a table of kind "duplicates".

    Raises:
        FerError: `out` exists and `replace` is false.
    """
    links = marked_links(exact_links(report.table), report.table)
    return write_links([manifest], links, out, report.summary(), {}, replace=replace)


def write_links(
    manifests: Sequence[Manifest],
    links: pd.DataFrame,
    out: Path,
    summary: Mapping[str, Any],
    configuration: Mapping[str, Any],
    *,
    replace: bool = False,
) -> Path:
    """Write links, columns of LINKS, with figures and what they were made from in the footer.

    Raises:
        FerError: `out` exists and `replace` is false.
    """
    metadata = tables.provenance(
        "duplicates",
        "fer duplicates",
        parents={relative(manifest.path, manifest.root): manifest.sha256 for manifest in manifests},
        configuration=dict(configuration),
        **summary,
    )
    table = pa.Table.from_pandas(links[LINKS.names], LINKS, preserve_index=False)
    return tables.write_table(out, table, metadata, replace=replace)
