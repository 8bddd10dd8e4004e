"""Bad input: every fault is named and set aside, nothing half-written stays."""

import contextlib
import os
import shutil
import subprocess
import sys
import time

import fer2013_forms as forms
import numpy as np
import pytest

from fer_data import licenses, manifest, parallel, tables
from fer_data.adapters import fer2013
from fer_data.errors import FerError
from fer_data.importing import PicturesConfig, import_dataset
from fer_data.locks import name_lock
from fer_data.samples import Reading, Sample
from fer_data.store import Store


def import_csv(path, **arguments):
    return import_dataset(fer2013, path, "manifests/m", fer2013.Options(), **arguments)


def test_faulty_rows_are_set_aside_and_counted(project):
    lines = forms.csv_lines()
    lines[11] = lines[11].replace("Training", "Training", 1).rsplit(" ", 1)[0] + "," + lines[11].rsplit(",", 1)[1]
    lines[21] = "9" + lines[21][1:]
    result = import_csv(forms.write_lines(project / "fer2013.csv", lines))
    assert len(result.manifest) == forms.COUNT - 2
    table, metadata = tables.read_table(result.rejects_path, kind="rejects")
    assert metadata["rows"] == len(table) == len(result.rejections) == 2
    row = table.to_pylist()[0]
    assert "row 10" in row["where"] and "2303" in row["found"].replace(",", "") and row["action"]
    assert result.manifest.metadata["source"]["rejected"] == 2
    clean = forms.write_lines(project / "fer2013.csv", forms.csv_lines())
    assert import_csv(clean, replace=True).rejects_path is None
    assert not (project / "manifests" / "m.rejects.parquet").exists()


def test_a_picture_that_does_not_decode_is_set_aside(project):
    folder = forms.write_folders(project / "download")
    broken = next(folder.rglob("*.jpg"))
    broken.write_bytes(broken.read_bytes()[:40])
    result = import_csv(folder)
    assert len(result.manifest) == 27
    (rejection,) = result.rejections
    assert broken.name in rejection.where and rejection.action == "the picture was set aside"
    assert "image" in rejection.expected


def test_nothing_readable_leaves_nothing(project):
    lines = [line if not row else "9" + line[1:] for row, line in enumerate(forms.csv_lines(5))]
    with pytest.raises(FerError, match="expected faces, found none that could be read .first: fer2013.csv row 0"):
        import_csv(forms.write_lines(project / "fer2013.csv", lines))
    assert os.listdir(project / "manifests") == os.listdir(project / "stores") == []


def test_an_existing_manifest_is_not_touched_before_the_work(project):
    path = forms.write_lines(project / "fer2013.csv", forms.csv_lines(30))
    first = import_csv(path)
    with pytest.raises(FerError, match="add --replace"):
        import_csv(path)
    assert manifest.read("manifests/m").sha256 == first.manifest.sha256


def test_an_interrupted_import_leaves_nothing_and_a_rerun_completes(project):
    path = forms.write_lines(project / "fer2013.csv", forms.csv_lines(60))

    class InterruptedByTestError(Exception):
        pass

    class Reporter:
        def stage(self, name, total):
            class Stage:
                done = 0

                def advance(self, amount=1, note=""):
                    self.done += amount
                    if self.done > 30:
                        raise InterruptedByTestError

            return contextlib.nullcontext(Stage())

    with pytest.raises(InterruptedByTestError):
        import_csv(path, reporter=Reporter())
    assert os.listdir(project / "manifests") == os.listdir(project / "stores") == []
    assert len(import_csv(path).manifest) == 60


IMPORT = """
import sys
from pathlib import Path
from fer_data.adapters import fer2013
from fer_data.importing import import_dataset
print("begins", flush=True)
import_dataset(fer2013, Path("fer2013.csv"), "manifests/m", fer2013.Options(), replace=True)
"""


def state(project):
    """What a user has: the manifest's bytes, and every store by name; staging files and locks aside."""
    shown = [path for path in (project / "stores").glob("[!.]*")] if (project / "stores").exists() else []
    path = project / "manifests" / "m.parquet"
    return path.read_bytes() if path.exists() else None, sorted(path.name for path in shown)


def test_a_kill_at_any_moment_leaves_the_old_state_or_the_new_one(project):
    forms.write_lines(project / "fer2013.csv", forms.csv_lines(20))
    old = import_csv(project / "fer2013.csv")
    forms.write_lines(project / "fer2013.csv", forms.csv_lines(400))
    rng = np.random.default_rng()
    for _ in range(8):
        before, _ = state(project)
        process = subprocess.Popen([sys.executable, "-c", IMPORT], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "begins\n"
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        process.communicate()
        opened = manifest.read("manifests/m")
        assert manifest.validate(opened, full=True) == []
        assert state(project)[0] == before or len(opened) == 400
        for name in state(project)[1]:
            assert Store(project / "stores" / name, project).check(full=True) == []
    result = import_csv(project / "fer2013.csv", replace=True)
    assert len(result.manifest) == 400 and len(state(project)[1]) == 2
    assert manifest.validate(old.manifest, full=True) == []
    hidden = [path.name for folder in ("stores", "manifests") for path in (project / folder).glob(".*")]
    assert hidden == []


def test_two_imports_of_one_name_do_not_mix(project):
    path = forms.write_lines(project / "fer2013.csv", forms.csv_lines(20))
    with name_lock(project / "manifests" / "m.parquet"), pytest.raises(FerError, match="written by another run"):
        import_csv(path)
    assert len(import_csv(path).manifest) == 20


def test_rejections_come_in_the_same_order_on_any_machine(project, monkeypatch):
    folder = forms.write_folders(project / "download")
    for name in sorted(folder.rglob("*.jpg"))[::5]:
        name.write_bytes(b"broken")
    (folder / "train" / "angry" / "a\tb.jpg").write_bytes(b"")
    told = []
    for cores in (1, 3):
        monkeypatch.setattr(parallel, "cores", lambda cores=cores: cores)
        told.append([rejection.sentence() for rejection in import_csv(folder, replace=True).rejections])
    assert told[0] == told[1] and len(told[0]) == 7
    assert "printable" in told[0][0]  # what the adapter found comes first


def test_what_belongs_together_shares_a_group(project):
    pictures = np.random.default_rng(0).integers(0, 256, (8, 9, 9), dtype=np.uint8)
    pictures[1] = pictures[0]
    facts = [{}, {}, {"subject_id": "a"}, {"subject_id": "a"}, {"sequence_id": "s"}, {"sequence_id": "s"}, {}, {}]
    samples = [
        Sample(str(row), picture, "fear", "fear", None, f"row {row}", facts[row], file="photo.png" if row > 5 else None)
        for row, picture in enumerate(pictures)
    ]
    soft = [0.0, 0.0, 0.25, 0.0, 0.0, 0.75, 0.0]
    samples[0].target = soft

    class Drawn:
        NAME, TITLE, LICENCE = "made", "made up", licenses.DRAWN

        @staticmethod
        def read(root, options, rejections):
            return Reading("made", "basic7", len(samples), iter(samples))

    written = import_dataset(Drawn, None, "manifests/m", fer2013.Options()).manifest
    groups = written.frame["group_id"].to_numpy()
    assert (groups[::2] == groups[1::2]).all() and len(set(groups)) == 4
    assert written.frame["target"][0].tolist() == soft and written.frame["target"][1:].isna().all()


def test_paths_are_written_relative_to_the_project(project, tmp_path_factory):
    path = forms.write_lines(project / "fer2013.csv", forms.csv_lines(30))
    for folder, expected in ((project / "votes", "votes/fer2013new.csv"), (tmp_path_factory.mktemp("far"), None)):
        folder.mkdir(exist_ok=True)
        votes = forms.write_lines(folder / "fer2013new.csv", forms.votes_lines(30))
        result = import_dataset(fer2013, path, "manifests/m", fer2013.Options(votes=votes), replace=True)
        assert result.manifest.metadata["configuration"]["votes"] == (expected or str(votes))


def test_files_are_embedded_and_cut_as_the_configuration_says(project):
    folder = forms.write_ferplus(project / "download")
    pictures = PicturesConfig(embed=True, crop="box", size_px=24)
    result = import_csv(folder, pictures=pictures)
    assert result.manifest.metadata["configuration"]["pictures"] == pictures.model_dump(mode="json")
    (store,) = result.manifest.stores.values()
    shutil.rmtree(folder)
    assert store.info["kind"] == "embedded" and store.image(3).shape == (24, 24)
    with pytest.raises(ValueError, match="size_px and margin belong to a crop"):
        PicturesConfig(size_px=24)


@pytest.mark.real_data
def test_real_fer2013_as_csv_has_its_known_defects(project, real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    command = [sys.executable, str(real_data / "materialize.py"), "csv", str(folder), "--limit", "60"]
    subprocess.run(command, check=True, capture_output=True)
    options = fer2013.Options(votes=folder / "fer2013new.csv")
    result = import_dataset(fer2013, folder / "fer2013.csv", "manifests/real", options)
    assert result.rejections == [] and manifest.validate(result.manifest, full=True) == []
    assert result.manifest.metadata["counts"]["splits"]["train"]["disgust"] == 60
    assert result.manifest.facts(["votes"])["votes"].notna().all()
    assert any("published" in note for note in result.notes)
