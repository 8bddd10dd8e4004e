"""Sheets of faces: what changed in the training faces, and what the classifiers looked at."""

from collections.abc import Mapping, Sequence

from experiments.report import marks
from experiments.report.contents import Results
from experiments.report.marks import Missing
from experiments.report.wording import capital
from experiments.sheets import Sheet
from fer_data import pages
from fer_data.pages import Html, Section


def faces(results: Results, sheets: Sequence[Sheet]) -> Section | Missing:
    """What was relabelled, dropped and generated."""
    if not sheets:
        return _missing(results, "Faces", "no labels changed and no faces were generated.")
    return Section("Faces", "".join(_drawn(sheet) for sheet in sheets))


def heat_maps(results: Results, sheets: Mapping[str, Sequence[Sheet]]) -> Section | Missing:
    """Test faces of every class read right and wrong, each beside itself under its heat map, arm by arm."""
    title = "Where the classifiers looked"
    if not sheets:
        return _missing(results, title, "the trained classifiers are not on this machine.")
    note = pages.paragraph(
        "Test faces drawn at random, each beside itself under a heat map of what spoke for the label that it was given "
        "(Grad-CAM, Selvaraju et al., ICCV 2017); one classifier of each arm. A picture of this kind is a hint, no "
        "proof.",
        "note",
    )
    parts = [marks.details(results.titles[arm], _beside(of_arm)) for arm, of_arm in sheets.items()]
    return Section(title, note + "".join(parts))


def _missing(results: Results, title: str, reason: str) -> Missing:
    """Why there are no pictures: the configuration asks for none, or else the reason."""
    return Missing(title, "none were asked for." if results.configuration.get("sheets") == 0 else reason)


def _beside(sheets: Sequence[Sheet]) -> str:
    return f'<div class="beside">{"".join(f"<div>{_drawn(sheet)}</div>" for sheet in sheets)}</div>'


def _drawn(sheet: Sheet) -> Html:
    drawn = pages.face_sheet(sheet.images, sheet.columns, sheet.captions)
    return Html(pages.heading(capital(sheet.title)) + pages.paragraph(sheet.note, "note") + drawn)
