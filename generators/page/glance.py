"""The whole in one sentence and a row of figures."""

from fer_data import pages
from fer_data.pages import Html
from generators.page.material import Material
from generators.page.measures import Measure, rate_of, whole
from generators.page.yields import missing_faces


def lead(material: Material) -> str:
    """The opening of the page: what was drawn and kept; then what these pictures are."""
    drawn, kept = len(material.faces), int(material.kept.sum())
    asked = sum(material.asked.values())
    told = f"{drawn:,} faces that were never photographed were drawn"
    told += f" for a plan that asks for {asked:,}" if asked else ""
    if not material.is_screened:
        told += "; none of them has been screened yet."
    else:
        told += f"; screening kept {kept:,} of them"
        missing = sum(missing_faces(cell) for cell in material.cells)
        told += f", and {missing:,} are still missing." if missing else ", and the plan is full." if asked else "."
    return (
        f"{told}\nEverything marked synthetic was drawn by a model and shows nobody; faces marked real are training "
        "faces, here for comparison. A label names the expression shown, not an emotion that anybody felt."
    )


def figures(material: Material) -> Html:
    """Asked, drawn and kept; whether a judge sees the label; coverage; copies, each beside real faces."""
    asked, drawn, kept = sum(material.asked.values()), len(material.faces), int(material.kept.sum())
    counts: dict[str, object] = {"faces asked for": f"{asked:,}"} if asked else {}
    counts["drawn"] = f"{drawn:,}"
    if material.is_screened:
        counts["kept"] = f"{kept:,} ({100 * kept / max(drawn, 1):.0f} %)"
    parts = [pages.key_figures(counts)]
    measured = {**_trio(material, "agreement", "the measuring judge sees the label"), **_coverage(material)}
    measured |= _trio(material, "flagged", "flagged as copies")
    if measured:
        parts.append(pages.key_figures(measured))
        note = "Real: held-out real faces in their place. Intervals, classes and conditions stand under Fidelity."
        parts.append(pages.paragraph(note, "note"))
    return Html("".join(parts))


def _trio(material: Material, name: str, title: str) -> dict[str, object]:
    """A share of the faces drawn, of those kept, and of real ones, as far as they are known."""

    def measure(part: str) -> Measure | None:
        group = whole(material, part)
        found: Measure | None = group.get("agreement") if name == "agreement" else group.get("copies", {}).get(name)
        return found

    return _told(title, measure("groups"), measure("kept"))


def _coverage(material: Material) -> dict[str, object]:
    def measure(part: str) -> Measure | None:
        features = whole(material, part).get("features", {})
        found: Measure | None = next((measures.get("coverage") for measures in features.values()), None)
        return found

    return _told("real faces covered", measure("groups"), measure("kept"))


def _told(title: str, drawn: Measure | None, kept: Measure | None) -> dict[str, object]:
    rates = {"drawn": rate_of(drawn), "kept": rate_of(kept), "real": rate_of((drawn or {}).get("real"))}
    known = {name: rate for name, rate in rates.items() if rate is not None}
    if "drawn" not in known:
        return {}
    shares = " · ".join(
        f'{100 * rate.value:.{1 if rate.value < 0.1 else 0}f} % <span class="note">{name}</span>'
        for name, rate in known.items()
    )
    return {title: Html(shares)}
