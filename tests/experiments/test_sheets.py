"""Sheets show what changed between two manifests, and what was generated."""

from pathlib import Path

import numpy as np

from experiments.sheets import dropped, generated, relabelled
from fer_data import manifest as manifests
from fer_data.expressions import BASIC7


def test_sheets_show_what_changed(project: Path, write_synthetic) -> None:
    faces, clean = (manifests.read(project / "manifests" / name) for name in ("faces", "clean"))
    sheet = relabelled(faces, clean, 6)
    assert sheet.images.shape == (6, 1, 16, 16)
    assert all(new != old.removeprefix("was ") for new, old in sheet.captions)
    before = faces.frame.set_index("sample_id")["label"]
    after = clean.frame.set_index("sample_id")["label"]
    changed = int((before.loc[after.index] != after).sum())
    assert sheet.note.startswith(f"6 of {changed:,} faces")
    gone = dropped(faces, clean, 99)
    np.testing.assert_array_equal(gone.images, faces.pictures(16, 1)[:3])
    balanced = write_synthetic(faces, "balanced", seen=faces.frame)
    made = generated(balanced, 9)
    assert [caption[0] for caption in made.captions] == sorted((c[0] for c in made.captions), key=BASIC7.index)
    assert {caption[0] for caption in made.captions} == set(BASIC7)
    assert made.captions[0][1] == "mask, low"
    assert made.note.startswith("9 of 14 faces")
    assert len(generated(faces, 9).images) == 0
