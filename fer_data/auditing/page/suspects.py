"""The faces themselves: which to look at next, and the worst of every class."""

from collections.abc import Callable

import pandas as pd

from fer_data import pages
from fer_data.auditing.page.cards import distinct, face_cards
from fer_data.auditing.page.material import Material
from fer_data.pages import Html

_NEXT = 64
_PER_CLASS = 36
_BUDGETS = (100, 500, 1_000, 2_000, 4_000, 8_000)


def next_looks(material: Material) -> Html:
    """What a reviewer gains by the next looks, and the first faces to look at."""
    if "review_rank" not in material.audit:
        return Html("")
    order = _open(material.faces).sort_values("review_rank")
    if order.empty:
        return pages.paragraph("Every face has been decided by a person.", "note")
    shown = order.head(_NEXT)
    command = f"fer curate {material.manifest_place} --audit {material.place}"
    how = Html(f"{pages.text('Faces in the order in which a look gains most: ')}{pages.code(command)}")
    caption = (
        f"The next {len(shown)} faces. A look is worth more where the label is likely wrong, where the suggestion is "
        "likely right, and where either label is rare. A picture that several faces share is shown once. Below each: "
        "given label and suggestion, how likely that is, its rank among the worst and its key; then the nearest faces "
        "that carry another label."
    )
    sheet = pages.figure(face_cards(material, shown, tell_given=True), caption)
    return Html(pages.paragraph(how) + _budgets(material, order) + sheet)


def _budgets(material: Material, order: pd.DataFrame) -> str:
    """How many wrong labels so and so many looks are expected to find."""
    if not material.scores_are_probabilities:
        return ""
    wrong = (1 - order["label_score"]).cumsum().to_numpy()
    budgets = [looks for looks in _BUDGETS if looks < len(order)]
    rows = [
        (f"{looks:,}", f"{wrong[looks - 1]:,.0f}", f"{100 * wrong[looks - 1] / looks:.0f} %",
         f"{100 * wrong[looks - 1] / max(wrong[-1], 1e-12):.0f} %")
        for looks in budgets
    ]  # fmt: skip
    if not rows:
        return ""
    headers = ("looks", "wrong labels found", "of the looks", "of all wrong labels")
    return pages.figure(pages.table(headers, rows, "rrrr"), "Expected, by the score of each face.")


def worst_of(label: str) -> Callable[[Material], Html]:
    """The part that shows the worst faces of a class."""

    def part(material: Material) -> Html:
        own = material.faces[material.faces["given_label"] == label]
        doubted = _open(own[_is_doubted(own)])
        warning = _warning(material, label)
        if doubted.empty:
            return Html(warning + pages.paragraph("The model agrees with every label of this class.", "note"))
        shown = distinct(doubted, _PER_CLASS)
        caption = (
            f"The {len(shown)} most suspect of {len(own):,} faces labelled {label} ({material.marked[label]:,} are "
            "marked), the worst first: what each is taken for and how likely that is, its rank among all faces and its "
            f"key{_about_neighbours(shown)}. A picture that occurs more than once is shown once."
        )
        return Html(warning + pages.figure(face_cards(material, shown, tell_given=False), caption))

    return part


def _warning(material: Material, label: str) -> str:
    if label not in material.guarded:
        return ""
    return pages.paragraph("A class with few faces: good ones rank among the bad here. Let a person decide.", "warning")


def _is_doubted(faces: pd.DataFrame) -> "pd.Series[bool]":
    other = faces["given_label"] != faces["suggested_label"]
    return other | (faces["kind"] != "fine") if "kind" in faces else other


def _open(faces: pd.DataFrame) -> pd.DataFrame:
    """Faces that no person has decided yet."""
    return faces[~faces["is_reviewed"]] if "is_reviewed" in faces else faces


def _about_neighbours(faces: pd.DataFrame) -> str:
    return "; small, the nearest faces that carry another label" if "neighbours" in faces else ""
