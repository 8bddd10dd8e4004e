"""What is missing, what may be done with it, and where it comes from."""

from pathlib import Path

import pyarrow as pa

from fer_data import pages
from fer_data.description.composition import set_aside
from fer_data.description.material import Material, told
from fer_data.licenses import PERMISSIONS
from fer_data.manifest import lineage
from fer_data.pages import Html
from fer_data.store import FACTS
from fer_data.tabular.rows import SCHEMA

_PERMISSIONS = {
    "redistribute": "pass the pictures on",
    "derivatives": "make and keep changed copies",
    "commercial": "use them commercially",
    "models_public": "publish models trained on them",
}
_NULLABLE = [field.name for field in SCHEMA if field.nullable]
_ALWAYS = {"store_row", "key", "file_sha256", "pixel_sha256", "width_px", "height_px", "mode"}


def missing(material: Material) -> Html:
    """Of which share of the faces each column is known."""
    total = max(len(material.frame), 1)
    rows = [(name, "manifest", int(material.frame[name].notna().sum())) for name in _NULLABLE]
    rows += [(name, "facts", count) for name, count in _known_facts(material).items()]
    known = [(name, where, pages.meter(count / total)) for name, where, count in rows if count]
    never = ", ".join(name for name, _, count in rows if not count)
    parts = [pages.table(("column", "in", "known of"), known, "lll")]
    if never:
        parts.append(pages.paragraph(f"Known of no face: {never}."))
    return Html("".join(parts))


def _known_facts(material: Material) -> dict[str, int]:
    """How many rows each fact is known of."""
    counts = {name: 0 for name in FACTS.names if name not in _ALWAYS}
    for name, rows in material.frame.groupby("store")["store_row"]:
        facts = material.manifest.stores[str(name)].facts()
        for column in counts:
            if column in facts.column_names:
                counts[column] += len(rows) - facts[column].take(pa.array(rows.to_numpy())).null_count
    return counts


def licence(material: Material) -> Html:
    """Permission flags in words, and whose terms they are."""
    terms = material.manifest.metadata["licence"]
    flags = [(_PERMISSIONS[name], "yes" if terms.get(name) else "no") for name in PERMISSIONS]
    parts = [pages.paragraph(f"{terms['name']}: {terms['summary']}."), pages.table(("may one …", ""), flags, "ll")]
    sources = terms.get("parts") or []
    if sources:
        rows = [
            (part["name"], part["summary"], *("yes" if part.get(flag) else "no" for flag in PERMISSIONS))
            for part in sources
        ]
        headers = ("source's licence", "", *(flag.replace("_", " ") for flag in PERMISSIONS))
        parts.append(pages.table(headers, rows, "lw" + "c" * len(PERMISSIONS)))
    if terms.get("url"):
        parts.append(pages.paragraph(f"The terms: {terms['url']}"))
    note = "Facts for the user, not legal advice. What is made from several sources may do only what all of them allow."
    return Html("".join(parts) + pages.paragraph(note, "note"))


def provenance(material: Material) -> Html:
    """Origins of rows and labels, and the manifest's ancestors."""
    manifest, frame = material.manifest, material.frame
    facts: list[tuple[object, object]] = [
        (name.replace("_", " "), told(frame[name])) for name in ("origin", "label_origin", "store")
    ]
    facts += [("rows set aside", f"{set_aside(manifest):,}"), ("SHA-256", pages.code(manifest.sha256))]
    facts += [("note of the import", note) for note in manifest.metadata.get("source", {}).get("notes", ())]
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
    return Html(
        pages.pairs(facts)
        + pages.figure(
            pages.table(("file", "made by", "when", "rows", "state"), rows, "llwrl"),
            "This manifest and what it was made from.",
        )
    )
