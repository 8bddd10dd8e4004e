"""Pictures and people that occur more than once: across splits, under several labels, exactly or nearly the same."""

from pathlib import Path

import numpy as np
import pandas as pd

from fer_data import pages, tables
from fer_data.description.material import Material, sentence, told
from fer_data.duplicates import NEAR
from fer_data.leaks import describe_leaks
from fer_data.pages import Html
from fer_data.tabular.rows import SPLITS

_SHOWN = 24
_PAIRS_SHOWN = 12
_IN_TWO_SPLITS = {
    "sequence": "One sequence, two splits",
    "subject": "One person, two splits",
    "group": "One group, two splits",
}


def duplicates(material: Material) -> Html:
    """Exact duplicates and conflicts, what lies in two splits, and near duplicates where they were looked for."""
    report = material.duplicates
    parts: list[str] = [pages.paragraph(sentence(report.sentence()))]
    if report.leaks:
        rows = [
            (of, *("–" if of == other else f"{report.leaks.get((of, other), 0):,}" for other in SPLITS))
            for of in SPLITS
        ]
        leaks = pages.table(("faces of", *(f"also in {other}" for other in SPLITS)), rows)
        parts.append(pages.figure(leaks, "Faces whose very picture also lies in another split."))
    parts.append(_leaks(material))
    if report.conflicting_groups:
        parts.append(_conflicts(material))
    parts.append(_near(material))
    return Html("".join(parts))


def _leaks(material: Material) -> str:
    """Held-out faces and what they share with a face of an earlier split, with pictures of both."""
    pairs = material.leaks
    if pairs.empty:
        return ""
    places = {end: _positions(material, pairs[end]) for end in ("sample_id", "twin_id")}
    pairs = pairs.assign(row=places["sample_id"], twin=places["twin_id"])
    others = pairs[pairs["because"] != "picture"]
    parts: list[str] = [pages.bullets([f"{line}." for line in describe_leaks(others)])] if len(others) else []
    hashes = material.facts["pixel_sha256"]
    same = pairs[pairs["because"] == "picture"].assign(picture=lambda some: hashes.iloc[some["row"]].to_numpy())
    if len(same):
        shown = same.drop_duplicates("picture").sort_values("picture").head(_SHOWN)
        captions = [
            (_told(material, row), _told(material, twin)) for row, twin in zip(shown["row"], shown["twin"], strict=True)
        ]
        caption = (
            f"{len(shown)} of {same['picture'].nunique():,} pictures that lie in two splits, by lot: "
            "split, label and id of each row."
        )
        sheet = material.sheet(shown["row"].tolist(), 6, captions, 140)
        parts.append(pages.heading("One picture, two splits") + pages.figure(sheet, caption))
    for reason, title in _IN_TWO_SPLITS.items():
        some = pairs[pairs["because"] == reason].drop_duplicates("twin")
        if len(some):
            caption = (
                f"{min(len(some), _PAIRS_SHOWN)} of {len(some):,} pairs: the held-out face, and the one it is near."
            )
            parts.append(pages.heading(title) + _side_by_side(material, some.head(_PAIRS_SHOWN), caption))
    return "".join(parts)


def _conflicts(material: Material) -> str:
    report = material.duplicates
    conflicts = report.table[report.table["is_conflict"]]
    labels = conflicts.groupby("twin_group", sort=False)["label"]
    firsts = conflicts.drop_duplicates("twin_group").head(_SHOWN)
    captions = [
        (*told(labels.get_group(group)).split(", "), material.key(position))
        for position, group in zip(firsts.index, firsts["twin_group"], strict=True)
    ]
    more = f" {len(firsts)} of {report.conflicting_groups:,}." if report.conflicting_groups > len(firsts) else ""
    sheet = material.sheet(firsts.index.tolist(), 8, captions, 104)
    caption = f"Identical pictures that carry different labels.{more}"
    return pages.heading("One picture, several labels") + pages.figure(sheet, caption)


def _near(material: Material) -> str:
    """Near duplicates from the table that `fer duplicates` wrote of this very manifest, if there is one."""
    manifest = material.manifest
    path = manifest.root / "audit" / f"{manifest.name}.duplicates.parquet"
    if not path.is_file():
        return pages.paragraph(f"Near duplicates: not looked for yet (fer duplicates {manifest.name}).", "note")
    table, metadata = tables.read_table(path, kind="duplicates")
    if manifest.sha256 not in metadata.get("parents", {}).values():
        stale = f"Near duplicates: {Path(path).name} is of another version of this manifest; run fer duplicates again."
        return pages.paragraph(stale, "note")
    near = table.to_pandas()
    near = near[near["kind"] == NEAR]
    heading = pages.heading("Near duplicates")
    if near.empty:
        return heading + pages.paragraph("No two different pictures show the same photograph, as far as was found.")
    near = near.assign(row=_positions(material, near["a"]), twin=_positions(material, near["b"]))
    near = near[(near["row"] >= 0) & (near["twin"] >= 0)]
    text = (
        f"{len(near):,} pairs of different pictures show the same photograph; {near['is_leak'].sum():,} of them lie in "
        f"two splits, {near['is_conflict'].sum():,} carry different labels."
    )
    weight = near["is_leak"].astype(int) + near["is_conflict"].astype(int)
    order = np.lexsort((near["score"].to_numpy(), -weight.to_numpy()))
    shown = near.iloc[order].head(2 * _PAIRS_SHOWN)
    caption = f"{len(shown)} of {len(near):,} pairs: leaks and conflicts first, the least alike (score) first."
    scores = [f"{score:.3f}" for score in shown["score"]]
    return heading + pages.paragraph(text) + _side_by_side(material, shown, caption, scores)


def _side_by_side(material: Material, pairs: pd.DataFrame, caption: str, notes: list[str] | None = None) -> Html:
    """Both faces of each pair, columns row and twin, one beside the other."""
    positions = pairs[["row", "twin"]].to_numpy().ravel().tolist()
    captions = [[_told(material, position)] for position in positions]
    for place, note in enumerate(notes or ()):
        captions[2 * place].append(f"score {note}")
    sheet = material.sheet(positions, 6, captions, 140)
    return pages.figure(f'<div class="pairs">{sheet}</div>', caption)


def _positions(material: Material, sample_ids: "pd.Series[str]") -> list[int]:
    return [int(position) for position in pd.Index(material.frame["sample_id"]).get_indexer(pd.Index(sample_ids))]


def _told(material: Material, position: int) -> str:
    return f"{material.split.iat[position]} {material.label.iat[position]} · {material.key(position)}"
