"""What the data set says of the people and of the conditions under which they were seen."""

import pandas as pd

from fer_data import pages
from fer_data.description import drawings
from fer_data.description.material import ATTRIBUTES, UNKNOWN, Material, told
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.pages import Html

_MOST_VALUES = 12


def attributes(material: Material) -> Html:
    """Gender, age, race, occlusion, light and pose per class, as far as they are known; people; valence, arousal."""
    parts = []
    for name in ATTRIBUTES:
        values = material.facts[name]
        if values.notna().any():
            parts.append(_attribute(material, name, values))
    rows = []
    subjects = material.facts["subject_id"]
    if subjects.notna().any():
        people = (material.source + "/" + subjects).dropna()
        per_person = people.value_counts()
        crossing = material.split[people.index].groupby(people).nunique()
        rows.append(("people", f"{len(per_person):,} named, {per_person.median():g} faces each in the median"))
        rows.append(("people in more than one split", f"{(crossing > 1).sum():,}"))
    if material.facts["sequence_id"].notna().any():
        rows.append(("sequences", f"{material.facts['sequence_id'].nunique():,}"))
    for name in ("condition_source", "planted"):
        if material.facts[name].notna().any():
            rows.append((name.replace("_", " "), told(material.facts[name].dropna())))
    feeling = material.facts[["valence", "arousal"]].dropna()
    if len(feeling):
        dense = drawings.plane(feeling["valence"].to_numpy(), feeling["arousal"].to_numpy(), "valence", "arousal")
        parts.append(pages.figure(dense, f"Valence and arousal as annotated, {len(feeling):,} faces."))
    return Html("".join(parts) + (pages.pairs(rows) if rows else ""))


def _attribute(material: Material, name: str, values: "pd.Series[str]") -> Html:
    known = values.dropna()
    words = _order(name, known)
    kept, rest = words[:_MOST_VALUES], words[_MOST_VALUES:]
    shown = values.fillna(UNKNOWN)
    if rest:
        shown = shown.where(~shown.isin(rest), "other")
    columns = [*kept, *(["other"] if rest else []), *([UNKNOWN] if values.isna().any() else [])]
    counts = material.counts(shown, columns).loc[material.present]
    bars = drawings.stacked_bars(counts, f"{name} per label", shares=True)
    table = pages.table(
        ("label", *columns), [(label, *(f"{count:,}" for count in row)) for label, row in counts.iterrows()]
    )
    return Html(
        pages.heading(name)
        + pages.figure(bars, f"Known of {len(known):,} of {len(values):,} faces: {told(known)}.")
        + table
    )


def _order(name: str, known: "pd.Series[str]") -> list[str]:
    """The values of an attribute: in the vocabulary's order, ages by their numbers, others by frequency."""
    there = known.value_counts().index.tolist()
    vocabulary = {"occlusion": OCCLUSIONS, "light": LIGHTS}.get(name)
    if vocabulary:
        return [*(word for word in vocabulary if word in there), *(word for word in there if word not in vocabulary)]
    if name == "age":
        return sorted(there, key=_leading_number)
    return there


def _leading_number(text: str) -> tuple[float, str]:
    digits = text.lstrip("<>~ ").split("-")[0].rstrip("+ ")
    return (float(digits) if digits.replace(".", "", 1).isdigit() else float("inf"), text)
