"""Bad input: every fault is named and set aside, nothing half-written stays."""

import contextlib
import os
import subprocess
import sys

import fer2013_forms as forms
import pytest

from fer_data import manifest, tables
from fer_data.adapters import fer2013
from fer_data.errors import FerError
from fer_data.importing import import_dataset


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
    assert not (project / "manifests").exists()
    assert not any(name.startswith(".") for name in os.listdir(project / "stores"))


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
    assert not (project / "manifests").exists() and os.listdir(project / "stores") == []
    assert len(import_csv(path).manifest) == 60


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
