"""The pictures as pictures: size, brightness, and the worst faces by every quality score."""

import numpy as np
import pandas as pd

from fer_data import pages
from fer_data.description import drawings
from fer_data.description.material import Material
from fer_data.description.sheets import distinct
from fer_data.pages import Html
from fer_data.quality import ISSUES

_SIZES = 8
_WORST = 16
_TITLES = {
    "dark": "Dark", "bright": "Washed out", "low_contrast": "Low in contrast", "blurred": "Blurred", "blank": "Blank",
    "not_square": "Not square", "not_a_face": "Not a face, say the voters",
}  # fmt: skip


def sizes(material: Material) -> Html:
    """Size, mode and brightness."""
    facts = material.facts
    counts = facts[["width_px", "height_px", "mode"]].value_counts()
    names = {"L": "grey", "RGB": "colour"}
    rows = [
        (f"{width} × {height}", names.get(mode, mode), f"{count:,}")
        for width, height, mode, count in counts.head(_SIZES).reset_index().itertuples(index=False, name=None)
    ]
    if len(counts) > _SIZES:
        rows.append((f"{len(counts) - _SIZES:,} other sizes", "", f"{counts.iloc[_SIZES:].sum():,}"))
    parts = [pages.table(("size in pixels", "mode", "faces"), rows, "llr")]
    side = facts[["width_px", "height_px"]].min(axis=1).to_numpy(dtype=np.float64)
    if len(np.unique(side)) > _SIZES:
        edges = np.unique(np.geomspace(max(side.min(), 1), side.max() + 1, 40).round())
        parts.append(
            pages.figure(
                drawings.histogram(side, edges, "shorter side in pixels", "how large the pictures are"),
                "The shorter side of the pictures.",
            )
        )
    brightness = material.quality["brightness"].to_numpy(dtype=np.float64)
    drawing = drawings.histogram(
        255 * brightness, np.linspace(0, 256, 33), "mean brightness of the picture, 0 black … 255 white", "brightness"
    )
    parts.append(pages.figure(drawing, f"All {len(brightness):,} faces."))
    if len(material.present) > 1:
        per_class = drawings.ranges(material.label, 255 * brightness, material.present, "mean brightness")
        caption = "A class that is darker or brighter than the others can be told by that alone."
        parts.append(pages.figure(per_class, caption))
    return Html("".join(parts))


def offenders(material: Material) -> Html:
    """How many faces have which quality issue, per class, and the worst by each score."""
    quality = material.quality
    known = [issue for issue in ISSUES if quality[ISSUES[issue]].notna().any()]
    if not known:
        return Html("")
    flags = quality[[f"is_{issue}" for issue in known]].set_axis(known, axis=1)
    counts = flags.groupby(material.label.to_numpy()).sum().reindex(index=material.present)
    rows = [(label, *(f"{count:,}" for count in row)) for label, row in counts.iterrows()]
    rows.append(("all labels", *(f"{count:,}" for count in flags.sum())))
    thresholds = ", ".join(
        f"{ISSUES[issue].removesuffix('_score')} {getattr(material.thresholds, issue):g}" for issue in known
    )
    headers = ("label", *(issue.replace("_", " ") for issue in known))
    parts = [
        pages.figure(
            pages.table(headers, rows),
            f"Faces whose score lies below its threshold ({thresholds}); scores are 0..1, low = bad.",
        )
    ]
    unknown = [_TITLES[issue].lower() for issue in ISSUES if issue not in known]
    if unknown:
        parts.append(pages.paragraph(f"Not known of any face: {', '.join(unknown)}.", "note"))
    for issue in known:
        parts.append(_worst(material, issue, flags[issue]))
    return Html("".join(parts))


def _worst(material: Material, issue: str, flagged: "pd.Series[bool]") -> Html:
    scores = material.quality[ISSUES[issue]]
    order = np.argsort(scores.to_numpy(), kind="stable")  # unknown scores, NaN, come last
    order = order[(flagged & scores.notna()).to_numpy(dtype=bool)[order]]
    shown = distinct(material, order, _WORST)
    if not shown:
        return Html("")
    captions = [
        (str(material.label.iat[position]), f"{scores.iat[position]:.3f} · {material.key(position)}")
        for position in shown
    ]
    caption = f"The worst {len(shown)} of {flagged.sum():,}: label, score, id. A picture that repeats is shown once."
    if len(shown) == flagged.sum():
        caption = f"All {len(shown)}: label, score, id."
    return Html(
        pages.heading(f"{_TITLES[issue]} ({flagged.sum():,})")
        + pages.figure(material.sheet(shown, 8, captions, 104), caption)
    )
