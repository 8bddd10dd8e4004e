"""What a program prints of kept records alone is what the experiment found."""

import importlib
import json
import shutil
from pathlib import Path

import pytest

from experiments.before_after import run_experiment
from experiments.report.parts import Contrast
from experiments.report.wording import change
from experiments.settings import ExperimentConfig
from fer_data.errors import FerError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CONFIG = {
    "name": "x",
    "evaluate_on": "manifests/faces",
    "arms": [
        {"name": "baseline", "title": "Before"},
        {"name": "lifted", "title": "Lifted", "train": {"lift_rare": True}},
        {"name": "cleaned", "title": "After", "manifest": "manifests/clean"},
    ],
    "baseline": "baseline",
    "control": "lifted",
    "primary": "cleaned",
    "seeds": [1, 2],
    "train": {"model": "thin_resnet10", "size_px": 16, "steps": 8, "batch_size": 32, "evaluations": 2, "threads": 1,
              "trackers": []},
    "leaks": "score_apart",
    "bootstrap": 100,
}  # fmt: skip


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("record_differences")


def test_the_same_figures_come_from_the_records_alone(program, project: Path, monkeypatch, capsys) -> None:
    told = run_experiment(ExperimentConfig.model_validate(CONFIG), project, project / "runs/x")
    results = json.loads(told.read_text())
    shutil.move(project / "runs/x/records", project / "kept")
    shutil.rmtree(project / "runs")
    (project / "x.yaml").write_text(json.dumps(CONFIG))
    monkeypatch.chdir(project)
    monkeypatch.setattr("sys.argv", ["record_differences.py", "x.yaml", "--records", "kept", "--arms", "cleaned"])
    program.main()
    printed = capsys.readouterr().out
    primary = next(Contrast.model_validate(one) for one in results["contrasts"] if one["family"] == "primary")
    row = next(line for line in printed.splitlines() if line.startswith("| balanced accuracy |"))
    assert f"| {change(primary)} (p " in row and row.count("(Holm ") == row.count("[") - 1
    control = [one for one in results["control"]["contrasts"] if one["arm"] == "cleaned"]
    fear = Contrast.model_validate(_of(control, primary.view, "recall:fear"))
    rows = [line for line in printed.splitlines() if line.startswith("| recall of fear |")]
    assert len(rows) == 2 and f"| {change(fear)} |" in rows[1]
    assert "Against the control, “Lifted”, in points:" in printed and "## Lifted" not in printed
    confusion = results["scores"][primary.view]["cleaned"]["confusion"]
    recall = 100 * confusion[0][0] / sum(confusion[0])
    rows = [line for line in printed.splitlines() if line.startswith("| anger | ")]
    assert any(row.split(" | ")[-1].startswith(f"{recall:.1f} / ") for row in rows[:2])  # given and reference labels


def test_records_that_do_not_fit_are_refused(program, project: Path) -> None:
    config = ExperimentConfig.model_validate({**CONFIG, "seeds": [1]})
    run_experiment(config, project, project / "runs/x")
    records = project / "runs/x/records"
    path = records / "cleaned-seed1.json"
    record = json.loads(path.read_text())
    record["identity"]["judged_rows_sha256"] = "0" * 64
    path.write_text(json.dumps(record))
    with pytest.raises(FerError, match="expected answers to the test faces of .*, found others"):
        program.count_again(config, project, records)
    path.unlink()
    with pytest.raises(FerError, match="expected the record of a judged run, found none"):
        program.count_again(config, project, records)


def _of(contrasts, view: str, metric: str):
    return next(one for one in contrasts if (one["view"], one["metric"]) == (view, metric))
