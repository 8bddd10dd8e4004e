"""How true the faces are: every figure of `generators.fidelity` with its interval and what real faces get.

The layout of what is shown here stands in the docstring of `generators.fidelity`. Groups are found by label, occlusion
and light; what is not there is not spoken of.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fer_data import pages
from fer_data.auditing.page.summary import Rate
from fer_data.pages import Html
from generators.page.material import Material, condition_words

Measure = Mapping[str, Any]
Group = Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """How a measure is shown.

    Attributes:
        name: of its column.
        tells: what it says, for a reader who does not know it.
        is_share: whether it is a share, 0..1, told in per cent.
    """

    name: str
    tells: str
    is_share: bool = False


_SPREAD = {
    "kid": Shown("KID", "distance between the distributions of synthetic and real faces; 0 is none"),
    "precision": Shown("precision", "share of synthetic faces that lie among real ones", True),
    "recall": Shown("recall", "share of real faces that lie among synthetic ones", True),
    "coverage": Shown("coverage", "share of real faces that have a synthetic one nearby", True),
}
_FURTHER = {
    "density": Shown("density", "how deep among real faces the synthetic ones lie; about 1 for real faces"),
    "subset_kid": Shown("KID of subsets", "KID as it is usually told, as a mean over small subsets"),
    "frechet": Shown(
        "Fréchet distance", "distance between the distributions as if both were normal; biased by few faces"
    ),
    "frechet_infinity": Shown("Fréchet distance, unbiased", "the same, extrapolated to endlessly many faces"),
    "distance": Shown("distance within", "how far two faces of the group lie apart on average"),
    "vendi": Shown("Vendi score", "how many clearly different faces the group amounts to"),
}
_COPIES = {
    "flagged": Shown("flagged as copies", "by a detector that screening did not use", True),
    "near_duplicates": Shown("near duplicates", "one and the same photograph, by the strict threshold", True),
    "exact": Shown("exact copies", "the very picture of a training face, or its mirror image", True),
}
_MEMORY = {
    "nearer_training": Shown("nearer to training", "chance of lying nearer to training than a real face; .5 is none"),
    "unusually_near": Shown("unusually near", "share nearer to training than all but 1 % of real faces", True),
    "distance_ratio": Shown("distance ratio", "to the nearest training face over to the nearest held-out one"),
    "authenticity": Shown(
        "authenticity", "share farther from its nearest training face than that one is from others", True
    ),
}
_SMALL_SHARE = 0.1  # shares below are told with a decimal
_AGREEMENTS = {
    "agreement": "the label",
    "occlusion_agreement": "the occlusion",
    "light_agreement": "the light",
}


class _Notes:
    """Reasons why figures are missing, numbered as they come up."""

    def __init__(self) -> None:
        self._reasons: dict[str, int] = {}

    def mark(self, reason: str) -> Html:
        number = self._reasons.setdefault(reason, len(self._reasons) + 1)
        return Html(f'–<br><span class="note">({number})</span>')

    def html(self) -> str:
        if not self._reasons:
            return ""
        lines = [f"({number}) {reason}" for reason, number in self._reasons.items()]
        return pages.paragraph("Why there is no figure: " + "; ".join(lines) + ".", "note")


def fidelity(material: Material) -> Html:
    """Agreement, spread, copies and conditions, each in a table."""
    told = material.fidelity
    if told is None:
        return pages.paragraph("Not measured yet; fer fidelity does that.", "note")
    lead = (
        f"Measured on {_quoted_faces(told)}. Real stands for held-out real faces ({told.get('held_out', 'held out')}) "
        "put in the place of the synthetic ones, in the same mix of labels: nobody can ask a generator for more. "
        "Intervals are 95 %."
        + (" What depends on the number of faces is measured on as many drawn as kept." if told.get("kept") else "")
    )
    parts = (_agreement(told), _spread(told), _copies(told), _conditions(told))
    return Html(pages.paragraph(lead) + "".join(parts))


def whole(material: Material, part: str = "groups") -> Group:
    """The group of all faces: those drawn, or with `part` "kept" those kept; empty where it was not measured."""
    entries = (material.fidelity or {}).get(part) or ()
    return next((group for group in entries if group["level"] == "all"), {})


def rate_of(measure: Measure | None) -> Rate | None:
    """A measure as a rate, None where it could not be measured."""
    if not measure or measure.get("value") is None:
        return None
    return Rate(measure["value"], measure.get("low"), measure.get("high"))


def _quoted_faces(told: Mapping[str, Any]) -> str:
    drawn = f"{told.get('synthetic', {}).get('count', 0):,} faces drawn"
    kept = told.get("kept")
    return drawn + (f" and the {kept[0]['count']:,} that screening kept" if kept else "")


def _agreement(told: Mapping[str, Any]) -> str:
    """Whether the measuring judge sees the label that was asked for, per class."""
    notes = _Notes()
    rows = []
    for drawn, kept in _paired(told, "all", "label"):
        agreement = drawn.get("agreement", {})
        cells: list[object] = [_name(drawn), _bar(agreement, drawn["count"], notes)]
        if told.get("kept"):
            own: Group = kept or {"count": 0, "agreement": {"reason": "screening kept none"}}
            cells.append(_bar(own.get("agreement", {}), own["count"], notes))
        real = agreement.get("real") or {"reason": "too few real held-out faces"}
        rows.append([*cells, _bar(real, real.get("count"), notes), _number(agreement.get("chance"), is_share=True)])
    headers = ["label", "drawn", *(["kept"] if told.get("kept") else []), "real faces", "by chance"]
    caption = (
        "How often the first choice of the measuring judge is the label that was asked for; it neither steered nor "
        "screened. The bar is the 95 % interval. By chance: a judge that answers as often, without looking."
    )
    align = "l" * (len(headers) - 1) + "r"
    return _titled("Does a judge see what was asked for", pages.table(headers, rows, align), caption, notes)


def _spread(told: Mapping[str, Any]) -> str:
    """Distance to real faces, coverage and variety per class, in each feature space."""
    parts = []
    for space in told.get("features", {}):

        def measures(group: Group, space: str = space) -> Mapping[str, Measure]:
            found: Mapping[str, Measure] = group.get("features", {}).get(space, {})
            return found

        title = "Are they as varied as real faces, and as near to them"
        title += f", in the features of {_space(space)}"
        parts.append(_measured(told, title, measures, _SPREAD))
        further = _measured(told, "", measures, _FURTHER)
        if further:
            parts.append(
                f"<details><summary>Further distances and variety, {_space(space)}</summary>{further}</details>"
            )
    return "".join(parts)


def _copies(told: Mapping[str, Any]) -> str:
    """Copies that a second detector flags, and signs of memorisation in each space."""
    parts = [_measured(told, "Are they copies of training faces", lambda group: group.get("copies", {}), _COPIES)]
    spaces = dict.fromkeys(space for group in told.get("groups", ()) for space in group.get("memorisation", {}))
    for space in spaces:

        def measures(group: Group, space: str = space) -> Mapping[str, Measure]:
            found: Mapping[str, Measure] = group.get("memorisation", {}).get(space, {})
            return found

        table = _measured(told, "", measures, _MEMORY)
        if table:
            parts.append(
                f"<details><summary>Nearest training and held-out faces, {_space(space)}</summary>{table}</details>"
            )
    return "".join(parts)


def _conditions(told: Mapping[str, Any]) -> str:
    """Per condition, and folded away per cell: does a judge see the label, the occlusion and the light."""
    parts = []
    for level, title in (("condition", "Do they show the occlusion and light asked for"), ("cell", "")):
        notes = _Notes()
        rows = []
        for drawn, kept in _paired(told, level):
            for which, group in (("drawn", drawn), ("kept", kept)):
                if group is not None and any(key in group for key in _AGREEMENTS):
                    cells = [_with_real(group.get(key, {}), Shown("", "", True), notes) for key in _AGREEMENTS]
                    rows.append([_row_name(group, which), *cells])
        if not rows:
            continue
        headers = ("asked for", *(f"judge sees {facet}" for facet in _AGREEMENTS.values()))
        caption = "Occlusion and light are told by a classifier of conditions that saw none of these faces."
        table = _titled(title, pages.table(headers, rows), caption, notes)
        parts.append(table if title else f"<details><summary>The same, cell by cell</summary>{table}</details>")
    return "".join(parts)


def _measured(
    told: Mapping[str, Any],
    title: str,
    measures: Callable[[Group], Mapping[str, Measure]],
    columns: Mapping[str, Shown],
) -> str:
    """Rows are the whole and each label, drawn and kept; columns are measures, real faces under each figure."""
    pairs = list(_paired(told, "all", "label"))
    present = [key for key in columns if any(key in measures(drawn) for drawn, _ in pairs)]
    if not present:
        return ""
    notes = _Notes()
    rows = []
    for drawn, kept in pairs:
        for which, group in (("drawn", drawn), ("kept", kept)):
            if group is not None:
                cells = [_with_real(measures(group).get(key, {}), columns[key], notes) for key in present]
                rows.append([_row_name(group, which), *cells])
    headers = ("label", *(columns[key].name for key in present))
    glossary = "; ".join(f"{columns[key].name}: {columns[key].tells}" for key in present)
    if any("expected" in measures(drawn).get(key, {}) for drawn, _ in pairs for key in present):
        glossary += "; ideal: what a perfect generator could expect with as many faces"
    return _titled(title, pages.table(headers, rows), f"{glossary}.", notes)


def _paired(told: Mapping[str, Any], *levels: str) -> Iterator[tuple[Group, Group | None]]:
    """Groups of the faces drawn, each with the same group of those kept."""
    kept = {_key(group): group for group in told.get("kept") or ()}
    for group in told.get("groups", ()):
        if group["level"] in levels:
            yield group, kept.get(_key(group))


def _key(group: Group) -> tuple[object, ...]:
    return tuple(group.get(word) for word in ("level", "label", "occlusion", "light"))


def _name(group: Group) -> str:
    if group["level"] == "all":
        return "all"
    condition = condition_words(group.get("occlusion"), group.get("light"))
    return {"label": str(group["label"]), "condition": condition}.get(group["level"], f"{group['label']}: {condition}")


def _row_name(group: Group, which: str) -> Html:
    return Html(f'{pages.text(_name(group))}<br><span class="note">{which}, {group["count"]:,} faces</span>')


def _bar(measure: Measure, faces: int | None, notes: _Notes) -> Html:
    """A share on a line from 0 to 1, its interval as a bar and itself as a mark; under it the same as text."""
    rate = rate_of(measure)
    if rate is None:
        return notes.mark(_reason(measure))
    low, high = (rate.value if end is None else end for end in (rate.low, rate.high))
    bar = f'<i style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></i>'
    of = "" if faces is None else f'<br><span class="note">of {faces:,}</span>'
    mark = f'<b style="left:{100 * rate.value:.2f}%"></b>'
    return Html(f'<span class="range">{bar}{mark}</span><br>{pages.text(_figure(measure, Shown("", "", True)))}{of}')


def _with_real(measure: Measure, shown: Shown, notes: _Notes) -> Html:
    """A figure with its interval, and what real faces get under it."""
    if measure.get("value") is None:
        return notes.mark(_reason(measure))
    real = measure.get("real")
    under = "real –" if not real or real.get("value") is None else f"real {_figure(real, shown)}"
    expected = measure.get("expected")
    if expected is not None:
        under += f"<br>ideal {_number(expected, shown.is_share, decimals=0)}"
    return Html(f'{pages.text(_figure(measure, shown))}<br><span class="note">{under}</span>')


def _figure(measure: Measure, shown: Shown) -> str:
    low, high = measure.get("low"), measure.get("high")
    decimals = 1 if measure["value"] < _SMALL_SHARE else 0
    value = _number(measure["value"], shown.is_share, decimals)
    if low is None or high is None:
        return value
    ends = (_number(end, shown.is_share, decimals).removesuffix(" %") for end in (low, high))
    return f"{value} ({' to '.join(ends)})"


def _number(value: float | None, is_share: bool, decimals: int = 1) -> str:
    if value is None:
        return "–"
    if is_share:
        return f"{100 * value:.{decimals}f} %"
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}").replace("-", "−")


def _reason(measure: Measure) -> str:
    return str(measure.get("reason", "not measured"))


def _space(space: str) -> str:
    return {"judge": "the measuring judge", "pixels": "pixels", "gradients": "edges"}.get(space, space)


def _titled(title: str, table: Html, caption: str, notes: _Notes) -> str:
    heading = pages.heading(title) if title else ""
    return heading + pages.figure(table + notes.html(), caption)
