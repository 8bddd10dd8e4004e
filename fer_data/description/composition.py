"""How many faces of what: the figures at a glance, classes, splits, sources, and what a plan asked for and got."""

from typing import Any

import pandas as pd

from fer_data import pages, tables
from fer_data.description import drawings
from fer_data.description.material import UNKNOWN, UNLABELLED, Material, sentence
from fer_data.leaks import describe_leaks
from fer_data.manifest import Manifest
from fer_data.pages import Html


def glance(material: Material) -> Html:
    """The figures that a reader wants first, and what to beware of."""
    manifest, frame, duplicates = material.manifest, material.frame, material.duplicates
    sizes = material.label[material.label != UNLABELLED].value_counts()
    figures: dict[str, object] = {"faces": f"{len(frame):,}"}
    figures |= {name: f"{(material.split == name).sum():,}" for name in material.splits}
    if len(sizes) > 1:
        figures["largest : smallest class"] = f"{sizes.max() / sizes.min():.1f} : 1"
    synthetic = int((frame["origin"] == "synthetic").sum())
    if synthetic:
        figures["synthetic"] = f"{synthetic:,}"
    figures["surplus copies"] = f"{duplicates.surplus_rows:,}"
    warnings = [f"{label} has no face." for label in manifest.labels if label not in sizes.index]
    warnings += [sentence(duplicates.sentence())] if duplicates.leaks else []
    warnings += [f"{line}." for line in describe_leaks(material.leaks[material.leaks["because"] != "picture"])]
    rejected = set_aside(manifest)
    if rejected:
        warnings.append(f"{rejected:,} rows were set aside at the import; see {manifest.name}.rejects.parquet.")
    if not manifest.metadata["licence"].get("redistribute"):
        warnings.append(f"Licence: {manifest.metadata['licence']['summary']}.")
    return Html(pages.key_figures(figures) + "".join(pages.paragraph(line, "warning") for line in warnings))


def classes(material: Material) -> Html:
    """Faces per label and split, as bars and in numbers."""
    counts = material.counts(material.split, material.splits)
    bars = drawings.stacked_bars(counts, "faces per label and split")
    return Html(pages.figure(bars, "Faces per label and split.") + _count_table("label", counts))


def sources(material: Material) -> Html:
    """Faces per source (data set, and what was derived or generated), over labels and over splits."""
    origin = material.frame["origin"]
    kind = material.source.where(origin == "real", material.source + " (" + origin + ")")
    names = kind.value_counts().index.tolist()
    if len(names) < 2:
        return Html("")
    per_label = material.counts(kind, names)
    per_split = pd.crosstab(kind, material.split).reindex(index=names, columns=material.splits, fill_value=0)
    bars = drawings.stacked_bars(per_label, "faces per label and source", shares=True)
    return Html(
        pages.figure(bars, "Which source the faces of a label come from.")
        + _count_table("label", per_label)
        + _count_table("source", per_split)
    )


def plan(material: Material) -> Html:
    """What each cell of the plan asked for and got, where the manifest was assembled by one."""
    footer = material.manifest.metadata.get("plan")
    if not footer:
        return Html("")
    cells = pd.DataFrame(footer["cells"], columns=["label", "occlusion", "light", "asked", "got", "left_out"])
    if cells.empty:
        return pages.paragraph("The plan asked for nothing.")
    words = cells[["label", "occlusion", "light"]].fillna(UNKNOWN).astype(str)
    cells["cell"] = words["label"] + " · " + words["occlusion"] + " · " + words["light"]
    cells["missing"] = (cells["asked"] - cells["got"]).clip(lower=0)
    asked, got = int(cells["asked"].sum()), int(cells["got"].sum())
    short = int((cells["missing"] > 0).sum())
    told = (
        f"The plan asked for {asked:,} synthetic faces in {len(cells):,} cells of label · occlusion · light and got "
        f"{got:,} ({100 * got / max(asked, 1):.1f} %); "
        + (f"{short:,} cells got fewer than they asked for." if short else "every cell got what it asked for.")
    )
    largest = cells.sort_values("asked", ascending=False, kind="stable").head(24).set_index("cell")
    bars = drawings.stacked_bars(largest[["got", "missing"]], "faces got and missing per cell of the plan")
    rows = [
        (label, occlusion, light, f"{wanted:,}", f"{there:,}", pages.meter(min(1.0, there / max(wanted, 1))), left)
        for (label, occlusion, light), wanted, there, left in zip(
            words.itertuples(index=False, name=None), cells["asked"], cells["got"], cells["left_out"], strict=True
        )
    ]
    headers = ("label", "occlusion", "light", "asked", "got", "filled", "made but left out")
    shown = "The cells that asked for most." if len(cells) > len(largest) else "What was asked for, cell by cell."
    return Html(pages.paragraph(told) + pages.figure(bars, shown) + pages.table(headers, rows, "lllrrlr"))


def set_aside(manifest: Manifest) -> int:
    """Rows that the import set aside, from the table beside the manifest."""
    path = manifest.path.with_name(f"{manifest.name}.rejects.parquet")
    return len(tables.read_table(path, kind="rejects")[0]) if path.is_file() else 0


def _count_table(what: str, counts: pd.DataFrame) -> Html:
    """Counts with their sums and shares; the index and the columns in their order."""
    total = int(counts.to_numpy().sum())
    rows: list[tuple[Any, ...]] = [
        (name, *(f"{count:,}" for count in row), f"{row.sum():,}", f"{100 * row.sum() / max(total, 1):.1f} %")
        for name, row in counts.iterrows()
    ]
    sums = counts.sum()
    rows.append((f"all {what}s", *(f"{count:,}" for count in sums), f"{total:,}", "100 %"))
    return pages.table((what, *counts.columns, "all", "share"), rows)
