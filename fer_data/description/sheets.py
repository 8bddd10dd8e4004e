"""Faces of every class, drawn by lot."""

import numpy as np

from fer_data import pages
from fer_data.description.material import Material
from fer_data.pages import Html

_PER_CLASS = 24
_COLUMNS = 12


def faces(material: Material) -> Html:
    """For each label a sheet of different pictures, in the order of their hashes: as good as a lot, and repeatable."""
    if not material.faces:
        return pages.paragraph("This page was made without faces, to be shared.", "note")
    hashes = material.facts["pixel_sha256"]
    parts = []
    for label in material.manifest.labels:
        own = hashes[material.label == label].drop_duplicates().sort_values()
        if len(own):
            positions = own.index[:_PER_CLASS].tolist()
            captions = [_told(material, position) for position in positions]
            parts.append(pages.heading(f"{label} ({(material.label == label).sum():,})"))
            parts.append(material.sheet(positions, _COLUMNS, captions, 80))
    note = f"Up to {_PER_CLASS} different pictures of each label, in the order of their hashes: by lot, not by choice."
    return Html("".join(parts) + pages.paragraph(note, "note")) if parts else Html("")


def _told(material: Material, position: int) -> tuple[str, ...]:
    """Under a face: nothing but its origin where that is not plain."""
    origin = str(material.frame["origin"].iat[position])
    return () if origin == "real" else (origin,)


def distinct(material: Material, positions: "np.ndarray[tuple[int], np.dtype[np.int64]]", count: int) -> list[int]:
    """The first `count` of the rows whose pictures differ."""
    hashes = material.facts["pixel_sha256"].iloc[positions]
    return [int(position) for position in positions[~hashes.duplicated().to_numpy()][:count]]
