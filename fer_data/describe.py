"""A manifest as a page: what is in it, how it is spread, and what a user should know before training on it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import pages, tables
from fer_data.duplicates import DuplicateReport, find_duplicates
from fer_data.licenses import PERMISSIONS
from fer_data.manifest import SPLITS, Manifest, lineage
from fer_data.pages import Section
from fer_data.votes import FERPLUS_COLUMNS, majority

UNLABELLED = "unlabelled"
NO_SPLIT = "no split"

_FACES_PER_CLASS = 12
_CONFLICTS_SHOWN = 24
_PICTURES_MEASURED = 5000
_CONDITIONS = ("occlusion", "light", "pose", "gender", "age", "race", "planted")


def describe(manifest: Manifest, out_html: Path) -> Path:
    """Write a self-contained page about a manifest: counts, imbalance, faces, duplicates, leaks, votes,
    brightness, conditions, licence and where it comes from.

    Raises:
        FerError: a store that the manifest points to is gone or was altered.
    """
    duplicates = find_duplicates(manifest)
    parts: tuple[tuple[str, Callable[[], str]], ...] = (
        ("At a glance", lambda: _glance(manifest, duplicates)),
        ("Classes and splits", lambda: _classes(manifest)),
        ("Faces", lambda: _faces(manifest)),
        ("Duplicates and leaks", lambda: _duplicates(manifest, duplicates)),
        ("Votes", lambda: _votes(manifest)),
        ("Pictures", lambda: _pictures(manifest)),
        ("Conditions and people", lambda: _conditions(manifest)),
        ("Licence", lambda: _licence(manifest)),
        ("Where it comes from", lambda: _provenance(manifest)),
    )
    sections = [Section(title, html) for title, build in parts if (html := build())]
    lead = f"{len(manifest):,} faces, label set {manifest.label_set}: {', '.join(manifest.labels)}."
    return pages.write_page(out_html, pages.page(manifest.name, sections, lead))


def class_counts(manifest: Manifest) -> pd.DataFrame:
    """Rows per label (index: the label set's order, then "unlabelled") and split (columns that occur)."""
    label = manifest.frame["label"].fillna(UNLABELLED)
    split = manifest.frame["split"].fillna(NO_SPLIT)
    counts = pd.crosstab(label, split)
    order = [*manifest.labels, *([UNLABELLED] if UNLABELLED in counts.index else [])]
    columns = [name for name in (*SPLITS, NO_SPLIT) if name in counts.columns]
    return counts.reindex(index=order, columns=columns, fill_value=0)


def _glance(manifest: Manifest, duplicates: DuplicateReport) -> str:
    frame = manifest.frame
    sizes = class_counts(manifest).drop(index=UNLABELLED, errors="ignore").sum(axis=1)
    present = sizes[sizes > 0]
    figures: dict[str, object] = {"faces": f"{len(frame):,}"}
    figures |= {str(split): f"{count:,}" for split, count in frame["split"].value_counts().items()}
    if len(present) > 1:
        figures["largest : smallest class"] = f"{present.max() / present.min():.1f} : 1"
    if (frame["origin"] == "synthetic").any():
        figures["synthetic"] = f"{(frame['origin'] == 'synthetic').sum():,}"
    figures["surplus copies"] = f"{duplicates.surplus_rows:,}"
    warnings = [f"{name} has no face" for name in sizes.index[sizes == 0]]
    warnings += [f"{_sentence(duplicates.sentence())}."] if duplicates.leaks else []
    rejected = _rejected(manifest)
    warnings += [f"{rejected:,} rows were set aside at the import; see {manifest.name}.rejects.parquet."] * bool(
        rejected
    )
    if not manifest.metadata["licence"].get("redistribute"):
        warnings.append(f"Licence: {manifest.metadata['licence']['summary']}.")
    return pages.key_figures(figures) + "".join(pages.paragraph(line, "warning") for line in warnings)


def _classes(manifest: Manifest) -> str:
    import altair as alt

    counts = class_counts(manifest)
    long = counts.rename_axis("label").reset_index().melt("label", var_name="split", value_name="faces")
    bars = (
        alt.Chart(long)
        .mark_bar(height={"band": 0.72})
        .encode(
            x=alt.X("sum(faces):Q", title="faces"),
            y=alt.Y("label:N", sort=counts.index.tolist(), title=None),
            color=alt.Color("split:N", sort=counts.columns.tolist(), title=None, legend=alt.Legend(orient="top")),
            order=alt.Order("place:Q"),
        )
        .transform_calculate(place=f"indexof({counts.columns.tolist()}, datum.split)")
        .properties(width=620, height=32 * len(counts))
    )
    total = max(int(counts.to_numpy().sum()), 1)
    rows = [
        (label, *(f"{count:,}" for count in row), f"{row.sum():,}", f"{100 * row.sum() / total:.1f} %")
        for label, row in counts.iterrows()
    ]
    sums = counts.sum()
    rows.append(("all labels", *(f"{count:,}" for count in sums), f"{total:,}", "100 %"))
    return pages.figure(pages.chart(bars), "Faces per label and split.") + pages.table(
        ("label", *counts.columns, "all", "share"), rows
    )


def _faces(manifest: Manifest) -> str:
    frame = manifest.frame.reset_index(drop=True)
    parts = []
    for label in manifest.labels:
        rows = frame.index[frame["label"] == label].to_numpy()
        chosen = _spread(rows, _FACES_PER_CLASS)
        if len(chosen):
            faces = pages.stored_faces(manifest, chosen.tolist())
            parts.append(pages.heading(label) + pages.face_sheet(faces, _FACES_PER_CLASS, scale_px=80))
    note = "Taken at even distances through the manifest, not picked."
    return "".join(parts) + pages.paragraph(note, "note") if parts else ""


def _duplicates(manifest: Manifest, report: DuplicateReport) -> str:
    if not report.groups:
        return pages.paragraph("No two pictures are identical.")
    parts: list[str] = [pages.paragraph(f"{_sentence(report.sentence())}.")]
    if report.leaks:
        rows = [
            (of, *("–" if of == other else f"{report.leaks.get((of, other), 0):,}" for other in SPLITS))
            for of in SPLITS
        ]
        leaks = pages.table(("faces of", *(f"also in {other}" for other in SPLITS)), rows)
        parts.append(pages.figure(leaks, "Faces whose very picture also lies in another split."))
    conflicts = report.table[report.table["is_conflict"]]
    if len(conflicts):
        labels = conflicts.groupby("twin_group", sort=False)["label"]
        firsts = conflicts.drop_duplicates("twin_group").head(_CONFLICTS_SHOWN)
        faces = pages.stored_faces(manifest, firsts.index.tolist())
        captions = [_told(labels.get_group(group)).split(", ") for group in firsts["twin_group"]]
        more = f" {len(firsts)} of {report.conflicting_groups:,}." if report.conflicting_groups > len(firsts) else ""
        sheet = pages.face_sheet(faces, 8, captions, 108)
        parts.append(pages.heading("One picture, several labels"))
        parts.append(pages.figure(sheet, f"Identical pictures that carry different labels.{more}"))
    return "".join(parts)


def _votes(manifest: Manifest) -> str:
    """How the labels stand to the majority of the voters, where there are FER+ votes."""
    if manifest.votes_labels() != FERPLUS_COLUMNS:
        return ""
    votes = manifest.facts(["votes"])["votes"]
    labels = manifest.frame["label"].reset_index(drop=True)
    known = votes.notna() & labels.notna()
    if not known.any():
        return ""
    counts = np.stack(votes[known].to_list())
    winner = pd.Series(majority(counts), index=labels[known].index).fillna("unclear")
    columns = [
        *manifest.labels,
        *(name for name in (*FERPLUS_COLUMNS, "unclear") if name not in manifest.labels),
    ]
    shares = pd.crosstab(labels[known], winner, normalize="index").reindex(
        index=[label for label in manifest.labels if (labels[known] == label).any()], columns=columns, fill_value=0.0
    )
    clear = winner.isin(manifest.labels)
    agreement = (winner[clear] == labels[known][clear]).mean() if clear.any() else float("nan")
    text = (
        f"{known.sum():,} labelled faces have FER+ votes. Where a clear majority names a label of the set "
        f"({clear.sum():,} faces), the label agrees with it in {100 * agreement:.1f} %."
    )
    drawing = pages.matrix(
        shares.index.tolist(), columns, shares.to_numpy(), rows_are="label", columns_are="majority of the voters"
    )
    return pages.paragraph(text) + pages.figure(drawing, "Of the faces with the row's label, what most voters saw.")


def _pictures(manifest: Manifest) -> str:
    import altair as alt

    facts = manifest.facts(["width_px", "height_px", "mode"])
    sizes = facts.value_counts().head(8).reset_index()
    names = {"L": "grey", "RGB": "colour"}
    rows = [
        (f"{width} × {height}", names[mode], f"{count:,}")
        for width, height, mode, count in sizes.itertuples(index=False)
    ]
    chosen = _spread(np.arange(len(manifest)), _PICTURES_MEASURED)
    faces = pages.stored_faces(manifest, chosen.tolist(), largest_px=48)
    shares, edges = np.histogram(faces.mean(axis=(1, 2, 3)), bins=32, range=(0, 256))
    bins = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "faces": shares})
    drawing = (
        alt.Chart(bins)
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("from:Q", bin="binned", title="mean brightness of the picture, 0 black … 255 white"),
            x2="to",
            y=alt.Y("faces:Q", title="faces"),
        )
        .properties(width=620, height=180)
    )
    caption = f"Measured on {len(faces):,} of {len(manifest):,} faces." if len(faces) < len(manifest) else "All faces."
    return pages.table(("size in pixels", "mode", "faces"), rows, "llr") + pages.figure(pages.chart(drawing), caption)


def _conditions(manifest: Manifest) -> str:
    """What the dataset says of the faces and the people, as far as it says anything."""
    facts = manifest.facts([*_CONDITIONS, "subject_id"])
    rows = []
    for name in _CONDITIONS:
        values = facts[name].fillna("unknown").value_counts()
        if set(values.index) != {"unknown"}:
            rows.append((name, ", ".join(f"{value} {count:,}" for value, count in values.head(12).items())))
    subjects = facts["subject_id"].nunique()
    if subjects:
        rows.append(("people", f"{subjects:,} named in the dataset"))
    return pages.table(("", ""), rows, "lw") if rows else ""


def _licence(manifest: Manifest) -> str:
    licence = manifest.metadata["licence"]
    flags = [(name.replace("_", " "), "yes" if licence.get(name) else "no") for name in PERMISSIONS]
    note = "Facts for the user, not legal advice. What is made from several sources may do only what all of them allow."
    return (
        pages.paragraph(f"{licence['name']}: {licence['summary']}.")
        + pages.table(("may one …", ""), flags, "ll")
        + pages.paragraph(note, "note")
    )


def _provenance(manifest: Manifest) -> str:
    frame = manifest.frame
    facts = [(name.replace("_", " "), _told(frame[name])) for name in ("origin", "label_origin", "store")]
    facts += [("rows set aside", f"{_rejected(manifest):,}"), ("SHA-256", pages.code(manifest.sha256))]
    rows = []
    for entry in lineage(manifest):
        count = entry.get("counts", {}).get("rows", entry.get("rows"))
        rows.append(
            (
                pages.code(Path(entry["path"]).name),
                pages.code(entry.get("command", "")),
                entry.get("created", ""),
                "" if count is None else f"{count:,}",
                entry["state"],
            )
        )
    return pages.table(("", ""), facts, "lw") + pages.figure(
        pages.table(("file", "made by", "when", "rows", "state"), rows, "llwrl"),
        "This manifest and what it was made from.",
    )


def _rejected(manifest: Manifest) -> int:
    """Rows that the import set aside, from the table beside the manifest."""
    path = manifest.path.with_name(f"{manifest.name}.rejects.parquet")
    return len(tables.read_table(path, kind="rejects")[0]) if path.is_file() else 0


def _spread(rows: NDArray[np.integer[Any]], count: int) -> NDArray[np.integer[Any]]:
    """At most `count` of the rows, at even distances."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]


def _told(values: "pd.Series[str] | Sequence[str]") -> str:
    """Distinct values with their counts, the most frequent first: "anger 3, fear 1"."""
    return ", ".join(f"{value} {count:,}" for value, count in pd.Series(values).value_counts().items())


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:]
