"""The programs speedrun.py and classic_baselines.py: what they configure, keep, count as reached and print."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from classifier.training import TrainConfig
from experiments import timed_training
from experiments.baselines import classic
from experiments.baselines.networks import NETWORKS
from experiments.timed_training import Pace, train_for
from fer_data import manifest as manifests
from fer_data.configuration import resolve
from fer_data.errors import FerError

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def programs():
    """The benchmarks' modules; programs lie in no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        names = ("kept_lines", "accuracy_tables", "speedrun", "classic_baselines")
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})


@pytest.fixture
def faces(module_project):
    return manifests.read(module_project / "manifests/faces")


@pytest.fixture
def few_steps(monkeypatch):
    """Trainings of five steps on any machine."""
    monkeypatch.setattr(timed_training, "measure_pace", lambda *_: Pace(11.0, 0.0, 0.0))


def test_every_budget_has_a_recipe_that_names_no_steps(programs):
    files = {file.stem for file in (FOLDER.parent / "configs/speedrun").glob("*.yaml")}
    assert files == {f"{minutes:g}" for minutes in programs.speedrun.BUDGETS}
    for name in files:
        config = resolve(TrainConfig, f"speedrun/{name}")
        assert config.steps is None and config.weights is None and config.trackers == ()


def test_a_target_is_reached_only_inside_its_minutes(programs, faces, few_steps, tmp_path):
    config = TrainConfig(model="thin_resnet10", size_px=16, evaluations=1, trackers=[], dynamics=0, threads=1)
    done = train_for(faces, config, tmp_path / "run", 1.0)
    told = programs.speedrun.score(faces, done)
    assert told["parameters"] == done.parameters and told["test"]["official/given"]["count"] == 70
    told["test"]["official/given"]["accuracy"] = 0.66
    line = programs.speedrun.line("12 minutes, seed 0", done, told, 12.0)
    assert (line["value"], line["target"], line["reached"], line["inside"]) == (0.66, ">= 0.65", True, True)
    assert line["steps"] == 5 and line["epochs"] == round(5 * 64 / 210, 2)
    late = SimpleNamespace(**{**vars(done), "seconds": 721.0})
    assert programs.speedrun.line("12 minutes, seed 0", late, told, 12.0)["reached"] is False
    assert programs.speedrun.line("3 minutes, seed 0", done, told, 3.0)["reached"] is None
    table = programs.accuracy_tables.table(programs.accuracy_tables.TABLES["speedrun"][0], [line])
    assert "| 12 minutes, seed 0 | 66.0 |" in table and ">= 0.65 reached" in table and "| float32 |" in table


def test_lines_are_kept_while_their_configuration_is_the_same(programs, tmp_path, capsys):
    out = tmp_path / "new/lines.jsonl"
    line = {"figure": "a", "value": 1, "versions": {}}
    kept = programs.kept_lines.KeptLines(out)
    assert not kept.has("a", {"minutes": 1})
    kept.add(line, {"minutes": 1})
    kept.add({**line, "figure": "b"}, {"minutes": 1})
    assert len(capsys.readouterr().out.splitlines()) == 2
    again = programs.kept_lines.KeptLines(out)
    assert again.has("a", {"minutes": 1}) and again.has("b", {"minutes": 1})
    assert not again.has("a", {"minutes": 2}) and not again.has("c", {"minutes": 1})
    again.add({**line, "value": 2}, {"minutes": 2})
    found = [json.loads(text) for text in out.read_text().splitlines()]
    assert [(one["figure"], one["value"], one["configuration"]) for one in found] == [
        ("a", 2, {"minutes": 2}),
        ("b", 1, {"minutes": 1}),
    ]
    assert found[0]["versions"]["torch"]
    memory = programs.kept_lines.KeptLines(None)
    memory.add(line, {})
    assert memory.has("a", {})


def test_a_classic_row_and_a_network_tell_the_same_things(programs, faces, few_steps, monkeypatch, tmp_path):
    monkeypatch.setattr(classic, "COMPONENTS", 20)
    program = programs.classic_baselines
    classic_told = program.run_classic("knn_hog", faces, 1.0, 0, 1)
    network_told = program.run_network("mlp", faces, 3.0, 0, 1, tmp_path / "mlp")
    for told in (classic_told, network_told):
        assert told["test"]["leak_free/given"]["count"] == 68 and told["val_faces"] == 70
        assert told["train_faces"] == 210 and told["microseconds_per_face"] > 0
    assert (classic_told["size"], classic_told["size_unit"]) == (210, "stored faces")
    assert network_told["epochs"] == round(network_told["steps"] * 128 / 210, 2)
    lines = [program.line(row, row, told, 1.0, 0) for row, told in (("knn_hog", classic_told), ("mlp", network_told))]
    assert lines[1]["literature"][0]["accuracy"] == (40.7, 40.7) and lines[0]["literature"] == []
    figures, recall = (programs.accuracy_tables.table(columns, lines) for columns in _tables(programs))
    assert "| k-NN on HOG |" in figures and "210 stored faces" in figures and "| 40.7 |" in figures
    assert recall.splitlines()[0].count("|") == 9


def test_a_row_is_run_again_where_something_that_decides_has_changed(programs, faces, monkeypatch):
    program = programs.classic_baselines
    assert set(program.ROWS) == set(programs.accuracy_tables.NAMES)
    for row in ("forest_lbp", *NETWORKS):
        one = program.configure(row, faces, 30.0, 0, 2)
        assert one != program.configure(row, faces, 20.0, 0, 2) != program.configure(row, faces, 20.0, 1, 2)
    before = program.configure("svm_hog", faces, 30.0, 0, 2)
    monkeypatch.setattr(classic, "COMPONENTS", 64)
    assert before != program.configure("svm_hog", faces, 30.0, 0, 2)


def test_validation_faces_are_needed(programs, noise_manifest):
    alone = noise_manifest(["anger", "fear"], ["train", "test"])
    with pytest.raises(FerError, match="expected validation faces without twins"):
        programs.classic_baselines.run_classic("knn_hog", alone, 1.0, 0, 1)


def test_rows_that_do_not_exist_are_refused(programs, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["classic_baselines.py", "--manifest", "m", "--rows", "svm,mlp"])
    with pytest.raises(SystemExit):
        programs.classic_baselines.main()
    assert "found svm" in capsys.readouterr().err


def test_the_tables_are_printed_from_the_files(programs, monkeypatch, capsys, tmp_path):
    scores = {"accuracy": 0.5, "macro_f1": 0.25, "recall": {"anger": 0.4}}
    line = {
        "bench": "classic_baselines",
        "row": "svm_lbp",
        "minutes": 30.0,
        "test": {"official/given": scores, "leak_free/given": {**scores, "accuracy": 0.491}},
        "literature": [{"accuracy": [62, 68]}],
        "size": 20000,
        "size_unit": "support vectors",
        "train_faces": 28555,
        "epochs": None,
        "seconds": 812.4,
        "microseconds_per_face": 1234.5,
    }
    (tmp_path / "lines.jsonl").write_text(json.dumps(line) + "\n")
    monkeypatch.setattr("sys.argv", ["accuracy_tables.py", str(tmp_path / "lines.jsonl")])
    programs.accuracy_tables.main()
    printed = capsys.readouterr().out
    assert "without copies" not in printed  # no line tells of them
    expected = (
        "| SVM (RBF) on LBP | 50.0 | 49.1 | – | 25.0 | 62–68 | 20,000 support vectors | 28,555 | – | 812 | 1,234 |"
    )
    assert expected in printed
    assert "| SVM (RBF) on LBP | 40 | – |" in printed
    line["test"]["no_copies/given"] = {**scores, "accuracy": 0.495}
    (tmp_path / "lines.jsonl").write_text(json.dumps(line) + "\n")
    programs.accuracy_tables.main()
    printed = capsys.readouterr().out
    assert "| official | without copies | without twins |" in printed
    assert "| SVM (RBF) on LBP | 50.0 | 49.5 | 49.1 | – | 25.0 |" in printed


def _tables(programs):
    return programs.accuracy_tables.TABLES["classic_baselines"]
