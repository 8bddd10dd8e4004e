"""What is particular to MMI: XML beside clips, phases of action units, the peak."""

import numpy as np
import pytest
from layouts import mmi as layout
from layouts.reading import only, read_all

from fer_data.adapters import mmi
from fer_data.errors import FerError
from fer_data.importing import import_dataset

SESSIONS = "mmi/Sessions"


def read(root, **options):
    return read_all(mmi, root, **options)


def units_at(session, number):
    """The action units to be seen in frame `number` (from 0), from what the copy wrote."""
    shown = {}
    for unit, markers in layout.SESSIONS[session][3].items():
        kind = [kind for frame, kind in markers if frame - 1 <= number][-1:]
        if kind not in ([], [0]):
            shown[f"AU{unit}"] = None
    return shown


def test_every_fact_of_the_session_is_kept(tmp_path):
    reading, samples, rejections = read(layout.write(tmp_path))
    assert rejections == []
    frames = {}
    for sample in samples:
        session, file = sample.key.removeprefix(f"{SESSIONS}/").split("/")
        clip, code, view, units = layout.SESSIONS[session]
        number = int(file.rpartition("#")[2])
        frames.setdefault(session, []).append(number)
        label = layout.EMOTIONS.get(code)
        assert sample.label == ("neutral" if label and number == 0 else label)
        assert sample.source_label == (None if code is None else f"emotion {code}")
        facts = dict(sample.facts)
        assert facts.pop("action_units", None) == (units_at(session, number) if units else None)
        assert facts == {
            "sequence_id": f"{SESSIONS}/{session}/{clip}",
            "subject_id": clip[:4],
            "frame": number,
            "timestamp_s": pytest.approx(number / 25),
            "pose": ("frontal", "profile", "frontal and profile")[view],
            "condition_source": "dataset",
        }
        drawn = layout.face(label, 40 * list(layout.SESSIONS).index(session) + number, 32, colour=True)
        assert np.abs(sample.image.astype(int) - drawn).mean() < 12
    with_neutral = {session for session, (_, code, _, _) in layout.SESSIONS.items() if code in layout.EMOTIONS}
    assert frames == {
        session: [0, *peak] if session in with_neutral else list(peak) for session, peak in layout.PEAKS.items()
    }
    notes = " ".join(reading.notes)
    assert "the 3 frames of each clip's peak and the first, as neutral, are samples" in notes
    assert "1 clips have no emotion" in notes
    assert "1 clips have an emotion whose code is not known" in notes
    assert "2 clips have no coded apex" in notes
    assert "1 files that belong to no clip passed over" in notes


def test_action_units_are_stored_without_intensity(tmp_path, project):
    result = import_dataset(mmi, layout.write(tmp_path / "d"), "manifests/m", mmi.Options())
    facts = result.manifest.facts(["key", "action_units"]).set_index("key")["action_units"]
    peak = dict(facts[f"{SESSIONS}/1767/S052-001.avi#5"])
    assert set(peak) == {"AU6", "AU12"} and all(value is None or np.isnan(value) for value in peak.values())
    assert dict(facts[f"{SESSIONS}/1767/S052-001.avi#0"]) == {}


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("S052-001.xml", layout.own_xml("four"), "expected an emotion code, found 'four'"),
        ("S052-001.xml", "<Item><Metatag Name='Emotion'", "expected XML, found something else"),
        ("session.xml", "<!DOCTYPE s [<!ENTITY a 'b'>]><session>&a;</session>", "without document type and entities"),
        ("session.xml", "", "expected XML, found something else"),
        ("S052-001.avi", "RIFF", "expected a whole AVI video"),
    ],
)
def test_a_clip_whose_files_are_broken_is_set_aside(tmp_path, file, text, sentence):
    layout.write(tmp_path)
    (tmp_path / SESSIONS / "1767" / file).write_text(text)
    _, samples, rejections = read(tmp_path)
    told = only(rejections)
    assert sentence in told and told.endswith("the clip was set aside")
    assert len(samples) == 10


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (layout.units_xml({"6; drop": [(1, 0)]}), "expected the number of an action unit, found '6; drop'"),
        (layout.units_xml({"6": [(0, 1)]}), "expected a marker with Frame from 1 and Type 0 to 3, found '0' and '1'"),
        (layout.units_xml({"6": [(1, 4)]}), "expected a marker with Frame from 1 and Type 0 to 3, found '1' and '4'"),
        ("<ActionUnits>", "expected XML, found something else"),
    ],
)
def test_broken_action_units_are_left_out_and_the_clip_stays(tmp_path, text, sentence):
    layout.write(tmp_path)
    (tmp_path / SESSIONS / "1767" / "S052-001-oao_aucs.xml").write_text(text)
    _, samples, rejections = read(tmp_path)
    told = only(rejections)
    assert sentence in told and told.endswith("the action units were left out")
    assert len(samples) == 14
    assert not any("action_units" in sample.facts for sample in samples if "/1767/" in sample.key)


def test_a_view_that_is_not_known_is_kept_as_it_is(tmp_path):
    layout.write(tmp_path)
    session = tmp_path / SESSIONS / "1767" / "session.xml"
    session.write_text("<session><track view='7'/></session>")
    poses = {sample.facts["pose"] for sample in read(tmp_path)[1] if "/1767/" in sample.key}
    assert poses == {"view 7"}
    session.write_text("<session/>")
    assert not any("pose" in sample.facts for sample in read(tmp_path)[1] if "/1767/" in sample.key)


def test_clips_without_files_beside_them_are_refused(tmp_path):
    (tmp_path / "a.avi").write_bytes(b"RIFF")
    with pytest.raises(FerError, match=r"expected session folders with S001-001.avi and session.xml, found a.avi"):
        read(tmp_path)
