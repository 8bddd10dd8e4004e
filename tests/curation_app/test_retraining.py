"""A retraining in a process of its own: its state lies in a folder, one runs at a time, and it can be stopped."""

import json
from pathlib import Path

import numpy as np
import pytest
from chromium import until
from decisions_made import decide

from curation_app import retraining
from curation_app.retraining import Recipe, find_retraining, start_retraining, stop_retraining
from curation_app.settings import VARIABLE
from fer_data import licenses, manifest
from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter

TINY = Recipe(steps=4, seeds=1, size_px=16, batch_size=8)
LONG = Recipe(steps=100_000, seeds=1, size_px=16, batch_size=8)
MINUTES = 120  # seconds; the machine may be busy


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """Noise: of every expression four faces to learn from, one to choose by, one to judge by."""
    (tmp_path / "fer.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    splits = ["train"] * 4 + ["val", "test"]
    labels = [label for label in BASIC7 for _ in splits]
    rng = np.random.default_rng(0)
    with StoreWriter("noise", tmp_path, licence=licenses.DRAWN.as_dict(), source="noise") as writer:
        for row in range(len(labels)):
            pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
            writer.add(Sample(f"{row}", pixels, None, None, None, f"row {row}", {}))
        store = f"stores/{writer.close().path.name}"
    rows = manifest.new_rows(
        len(labels),
        sample_id=[f"noise/{row}" for row in range(len(labels))],
        store=store,
        store_row=np.arange(len(labels)),
        label=labels,
        split=splits * len(BASIC7),
        group_id=np.arange(len(labels)),
    )
    out = tmp_path / "manifests/noise"
    made = manifest.write(rows, out, label_set="basic7", command="test", licence=licenses.DRAWN.as_dict())
    yield made
    stop_retraining(made)
    until(lambda: not (found := find_retraining(made)) or not found.running)


@pytest.fixture
def reviewed(faces):
    log = DecisionLog(faces.root / "decisions.sqlite")
    log.append([decide(faces, 0, "relabel", reviewer="ada", label="fear")])
    return log


def ended(faces):
    return not find_retraining(faces).running


def test_a_retraining_compares_before_and_after_and_tells_it_in_a_sentence(faces, reviewed):
    assert find_retraining(faces) is None
    folder = start_retraining(faces, reviewed, TINY)
    until(lambda: ended(faces), MINUTES)
    found = find_retraining(faces)
    assert found.results is not None, found.told
    assert (found.folder, found.stopped, found.share) == (folder, False, 1.0)
    assert "Before" in found.answer or "No answer" in found.answer
    before, after = found.results["arms"]
    assert before["training_faces"]["per_class"]["fear"] + 1 == after["training_faces"]["per_class"]["fear"]


def test_one_runs_at_a_time_and_it_can_be_stopped(faces, reviewed):
    start_retraining(faces, reviewed, LONG)
    found = find_retraining(faces)
    assert found.running and found.results is None and found.share < 1
    with pytest.raises(FerError, match="another retraining runs"):
        start_retraining(faces, reviewed, TINY)
    stop_retraining(faces)
    until(lambda: ended(faces))
    found = find_retraining(faces)
    assert found.stopped and found.results is None and found.answer == ""


def test_one_that_fails_says_why(faces, reviewed):
    start_retraining(faces, reviewed, Recipe(steps=4, seeds=1, size_px=16, model="none"))
    until(lambda: ended(faces), MINUTES)
    found = find_retraining(faces)
    assert not found.stopped and found.results is None and found.told.startswith("fer: ") and "none" in found.told


def test_decisions_that_cannot_be_applied_leave_nothing_behind(faces, reviewed):
    reviewed.append([decide(faces, 1, "drop", reviewer="ada", pixel_sha256="0" * 64)])
    with pytest.raises(FerError, match="were made on other pictures"):
        start_retraining(faces, reviewed, TINY)
    assert find_retraining(faces) is None
    assert not list((faces.root / "runs/retrain-noise").iterdir())


def test_stopping_what_does_not_run_does_nothing(faces):
    stop_retraining(faces)
    assert find_retraining(faces) is None


def test_the_process_is_not_told_what_only_the_server_may_know(faces, reviewed, monkeypatch):
    monkeypatch.setenv(VARIABLE, json.dumps({"db": "postgresql://u:secret@h/d"}))
    folder = start_retraining(faces, reviewed, LONG)
    environment = Path(f"/proc/{json.loads((folder / 'process.json').read_text())['pid']}/environ")
    until(lambda: b"PYTHONPATH" in environment.read_bytes())
    assert b"secret" not in environment.read_bytes()


def test_progress_is_told_by_records_and_the_log(faces, tmp_path):
    folder = tmp_path / "one"
    (folder / "experiment/records").mkdir(parents=True)
    (folder / "experiment.yaml").write_text(json.dumps({"arms": [1, 2], "seeds": [1, 2]}))
    assert retraining._share(folder) == 0
    (folder / "experiment/records/before-seed1.json").touch()
    (folder / "log.txt").write_text("after · seed 1 (2 of 4)   50 %  about 9 s left  \n")
    assert retraining._share(folder) == pytest.approx(1.5 / 4)
