"""The experiment on a tiny project: what it refuses, what it keeps, and that it gives the same numbers again."""

import html
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from classifier.metrics import evaluate
from classifier.training import TrainConfig
from experiments import statistics
from experiments.before_after import collect_sheets, finished_parts, run_experiment
from experiments.checks import require_arms
from experiments.design import prepare
from experiments.identity import rows_sha256
from experiments.records import pack, unpack
from experiments.report import answer, write_report
from experiments.settings import ExperimentConfig
from experiments.views import build_views
from fer_data import manifest as manifests
from fer_data import tables
from fer_data.configuration import PRESETS, read_yaml, resolve
from fer_data.errors import FerError
from fer_data.links import related_across

TRAIN = {"model": "thin_resnet10", "size_px": 16, "steps": 8, "batch_size": 32, "evaluations": 2, "threads": 1,
         "trackers": []}  # fmt: skip


def experiment(**changes) -> ExperimentConfig:
    values = {
        "evaluate_on": "manifests/faces",
        "arms": [
            {"name": "baseline", "manifest": "manifests/faces", "title": "As it came"},
            {"name": "cleaned", "manifest": "manifests/clean"},
        ],
        "baseline": "baseline",
        "primary": "cleaned",
        "seeds": [1, 2],
        "train": TRAIN,
        "leaks": "score_apart",
        "bootstrap": 100,
    }
    return ExperimentConfig(**{**values, **changes})


def rewrite(root: Path, name: str, change, **metadata) -> manifests.Manifest:
    """The manifest again, its rows changed."""
    old = manifests.read(root / "manifests" / name)
    return manifests.write(
        change(old.frame.copy()), old.path, label_set=metadata.pop("label_set", "basic7"), command="test",
        licence=old.metadata["licence"], replace=True, **metadata,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, module_project: Path) -> tuple[Path, Path]:
    """A finished experiment: (project, results.json)."""
    root = tmp_path_factory.mktemp("finished") / "project"
    shutil.copytree(module_project, root)
    return root, run_experiment(experiment(), root, root / "runs" / "x")


def test_results_hold_what_the_records_say(finished: tuple[Path, Path]) -> None:
    root, path = finished
    results = json.loads(path.read_text())
    faces = manifests.read(root / "manifests/faces")
    views = {view.key: view for view in build_views(faces)}
    assert set(views) == {"official/given", "official/reference", "leak_free/given", "leak_free/reference"}
    assert views["official/given"].rows.sum() - views["leak_free/given"].rows.sum() == 2
    record = json.loads((path.parent / "records/cleaned-seed2.json").read_text())
    probabilities = unpack(record["probabilities"])
    view = views["leak_free/reference"]
    expected = evaluate(view.truth[view.rows], probabilities[view.rows], faces.labels)
    assert record["metrics"]["leak_free/reference"]["balanced_accuracy"] == expected["balanced_accuracy"]
    scores = results["scores"]["leak_free/reference"]["cleaned"]
    for name in statistics.METRICS:
        assert scores["metrics"][name]["per_seed"][1] == pytest.approx(expected[name])
    for label, values in expected["per_class"].items():
        assert scores["recall"][label]["per_seed"][1] == pytest.approx(values["recall"])
        assert scores["recall"][label]["faces"] == values["count"]
    primary = [contrast for contrast in results["contrasts"] if contrast["family"] == "primary"]
    assert [(one["arm"], one["view"], one["metric"]) for one in primary] == [
        ("cleaned", "leak_free/reference", "balanced_accuracy")
    ]
    before = results["scores"]["leak_free/reference"]["baseline"]["metrics"]["balanced_accuracy"]["value"]
    assert primary[0]["value"] == pytest.approx(scores["metrics"]["balanced_accuracy"]["value"] - before)
    assert results["drawn"] is True
    assert results["leaks"]["test_faces_with_twins_in_train"] == 2
    assert [review["reviewers"] for review in results["arms"][1]["reviews"]] == [["simulated:planted truth"]]


def test_test_labels_come_from_the_yardstick_not_from_the_arm(finished: tuple[Path, Path]) -> None:
    root, path = finished
    views = json.loads(path.read_text())["views"]
    spoiled = manifests.read(root / "manifests/clean").frame
    assert set(spoiled.loc[spoiled["split"] == "test", "label"]) == {"anger"}
    assert all(set(view["per_class"].values()) <= {9, 10} for view in views)


def test_the_report_tells_these_results(finished: tuple[Path, Path]) -> None:
    root, path = finished
    page = write_report(path, root / "report.html").read_text()
    results = json.loads(path.read_text())
    assert html.escape(answer(results)) in page
    assert "Reviewed by simulated:planted truth" in page
    assert results["numbers_sha256"] in page
    assert "fer import procedural → fer apply" in page
    assert str(root) not in page


def test_records_are_reused_and_a_new_seed_adds_only_its_runs(finished: tuple[Path, Path]) -> None:
    root, path = finished
    out = root / "runs" / "reuse"
    shutil.copytree(path.parent / "records", out / "records")
    again = run_experiment(experiment(), root, out)
    assert not (out / "runs").exists()
    keys = ("views", "scores", "contrasts", "mcnemar", "numbers_sha256")
    first, second = (json.loads(file.read_text()) for file in (path, again))
    assert {key: first[key] for key in keys} == {key: second[key] for key in keys}
    wider = json.loads(run_experiment(experiment(seeds=[1, 2, 5]), root, out).read_text())
    assert sorted(folder.name for folder in (out / "runs").iterdir()) == ["baseline-seed5", "cleaned-seed5"]
    official = wider["scores"]["official/given"]["baseline"]["metrics"]["accuracy"]["per_seed"]
    assert official[:2] == first["scores"]["official/given"]["baseline"]["metrics"]["accuracy"]["per_seed"]


def test_records_from_before_a_view_was_thought_of_are_scored_in_it(finished: tuple[Path, Path]) -> None:
    root, path = finished
    out = root / "runs" / "older"
    shutil.copytree(path.parent / "records", out / "records")
    for kept in (out / "records").glob("*-seed?.json"):
        record = json.loads(kept.read_text())
        kept.write_text(json.dumps({**record, "metrics": {"leak_free/given": {"accuracy": 2.0}}}))
    frame = manifests.read(root / "manifests/faces").frame
    test, train = (frame["sample_id"][frame["split"] == split].tolist() for split in ("test", "train"))
    links = pa.table({"a": [test[40]], "b": [train[3]], "score": [0.9]})
    tables.write_table(root / "links.parquet", links, {"kind": "duplicates"})
    results = json.loads(run_experiment(experiment(links=["links.parquet"]), root, out).read_text())
    assert not (out / "runs").exists()
    assert {view["key"]: view["faces"] for view in results["views"]} == {
        "official/given": 70, "official/reference": 70, "no_copies/given": 68, "no_copies/reference": 68,
        "leak_free/given": 67, "leak_free/reference": 67,
    }  # fmt: skip
    for run in results["runs"]:
        assert set(run["metrics"]) == set(results["scores"])
        place = run["seed"] - 1
        for view, metrics in run["metrics"].items():
            told = results["scores"][view][run["arm"]]["metrics"]["accuracy"]["per_seed"][place]
            assert metrics["accuracy"] == pytest.approx(told)


def test_a_changed_manifest_or_configuration_is_not_taken_for_the_cached_one(
    finished: tuple[Path, Path], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    shutil.copytree(finished[0], root)
    out = root / "runs" / "x"
    with pytest.raises(FerError, match=r"another train configuration \(steps\); give the experiment another name"):
        run_experiment(experiment(train={**TRAIN, "steps": 9}), root, out)
    clean = manifests.read(root / "manifests/clean")
    kept = rows_sha256(clean, np.ones(len(clean), dtype=bool))
    file_before = clean.sha256
    again = rewrite(root, "clean", lambda frame: frame)
    assert again.sha256 != file_before
    assert rows_sha256(again, np.ones(len(clean), dtype=bool)) == kept
    run_experiment(experiment(), root, out)  # the same rows, made again: nothing changed

    def relabel(frame):
        frame.loc[frame.index[frame["split"] == "train"][0], "label"] = "fear"
        return frame

    rewrite(root, "clean", relabel)
    with pytest.raises(FerError, match="manifest of arm cleaned changed since seed 1 was trained"):
        run_experiment(experiment(), root, out)
    rewrite(root, "faces", lambda frame: frame[frame.index != frame.index[frame["split"] == "test"][3]])
    with pytest.raises(FerError, match="val or test rows of evaluate_on changed"):
        run_experiment(experiment(), root, out)


def test_unknown_arms_and_unequal_budgets_are_refused(project: Path) -> None:
    arms = [{"name": "a", "manifest": "manifests/faces"}, {"name": "b", "manifest": "manifests/clean"}]
    cases = [
        ({"baseline": "nobody"}, "baseline: expected one of the arms baseline, cleaned"),
        ({"primary": "baseline"}, "expected another arm than the baseline"),
        ({"arms": [arms[0], arms[0]], "baseline": "a", "primary": "a"}, "a name of its own"),
        ({"seeds": [1, 1]}, "seeds: expected different"),
        ({"train": {**TRAIN, "steps": None}}, "expected `steps`"),
        ({"train": {**TRAIN, "seed": 3}}, "no `seed`"),
        ({"train": {**TRAIN, "stepz": 3}}, "unknown key 'stepz'"),
        ({"train": {**TRAIN, "mixed_precision": "auto"}}, "auto would be another training on another machine"),
        (
            {"arms": [arms[0], {**arms[1], "train": {"steps": 99}}], "baseline": "a", "primary": "b"},
            "arm b: steps must be equal for all arms",
        ),
        (
            {"arms": [arms[0], {**arms[1], "train": {"evaluations": 99}}], "baseline": "a", "primary": "b"},
            "arm b: evaluations must be equal for all arms",
        ),
        (
            {"arms": [arms[0], {**arms[1], "train": {"targets": "likelihood"}}], "baseline": "a", "primary": "b"},
            "arm b: expected make.review.others: evidence and train.targets: likelihood together",
        ),
    ]
    for changes, message in cases:
        with pytest.raises(FerError, match=message):
            prepare(experiment(**changes), project)
    with pytest.raises(ValidationError, match="pattern"):
        experiment(arms=[{**arms[0], "name": "../a"}, arms[1]])


def test_manifests_that_cannot_be_compared_are_refused(project: Path) -> None:
    rewrite(project, "clean", lambda frame: frame, label_set="basic8")
    with pytest.raises(FerError, match="expected the label set basic7"):
        prepare(experiment(), project)
    rewrite(project, "clean", lambda frame: frame[(frame["label"] != "fear") | (frame["split"] != "train")])
    with pytest.raises(FerError, match="arm cleaned: .* no training face of fear"):
        prepare(experiment(), project)
    with pytest.raises(FerError, match="arm cleaned: expected training faces of every class that it is judged by"):
        prepare(experiment(train={**TRAIN, "allow_empty_classes": True}), project)
    for split in ("val", "test"):
        name = f"without-{split}"
        shutil.copy(project / "manifests/faces.parquet", project / f"manifests/{name}.parquet")
        rewrite(project, name, lambda frame, split=split: frame[frame["split"] != split])
        with pytest.raises(FerError, match=f"expected labelled {split} faces"):
            prepare(experiment(evaluate_on=f"manifests/{name}"), project)
    with pytest.raises(FerError, match=r"nowhere\.parquet is missing"):
        prepare(experiment(evaluate_on="manifests/nowhere"), project)


def test_leak_policies(project: Path) -> None:
    kept = prepare(experiment(), project)
    assert kept.train_rows["baseline"].sum() == 210
    with pytest.raises(FerError, match="arm baseline: 2 training faces have a twin among the val or test faces"):
        prepare(experiment(leaks="refuse"), project)
    dropped = prepare(experiment(leaks="drop_from_train"), project)
    assert dropped.train_rows["baseline"].sum() == 208
    assert dropped.leaks["dropped_from_train"] == {"baseline": 2, "cleaned": 0}  # a reviewer dropped those two

    def move_faces_into_train(frame):
        frame.loc[frame.index[frame["split"] == "test"][5:8], "split"] = "train"
        return frame

    rewrite(project, "clean", move_faces_into_train)
    with pytest.raises(FerError, match="arm cleaned: 3 .* are not in its train split"):
        prepare(experiment(), project)
    assert prepare(experiment(leaks="drop_from_train"), project).leaks["dropped_from_train"]["cleaned"] == 3


def test_primary_labels_must_exist(project: Path) -> None:
    design = prepare(experiment(primary_labels="given"), project)
    assert design.question.labels == "given"

    def all_test_faces_leaked(frame):
        twins = frame.index[frame["split"] == "test"][:2]
        return frame[(frame["split"] != "test") | frame.index.isin(twins)]

    rewrite(project, "faces", all_test_faces_leaked)
    with pytest.raises(FerError, match="no test face without twins"):
        prepare(experiment(), project)


def test_faces_of_a_generator_that_saw_held_out_groups_are_refused(project: Path, write_synthetic) -> None:
    faces = manifests.read(project / "manifests/faces")
    train = faces.frame[(faces.frame["split"] == "train") & ~related_across(faces, "train", ("val", "test"))]
    arms = [
        {"name": "baseline", "manifest": "manifests/faces"},
        {"name": "cleaned", "manifest": "manifests/balanced"},
    ]
    write_synthetic(faces, "balanced", seen=train)
    design = prepare(experiment(arms=arms), project)
    assert design.train_rows["cleaned"].sum() == 210 + 14
    shown = collect_sheets(finished_parts(experiment(arms=arms, sheets=5), project, project / "runs/x"))
    assert [(sheet.title, len(sheet.images)) for sheet in shown] == [("Generated, in “cleaned”", 5)]
    shown = collect_sheets(finished_parts(experiment(sheets=5), project, project / "runs/x"))
    assert [(sheet.title, len(sheet.images)) for sheet in shown] == [("Relabelled", 5), ("Dropped", 3)]
    write_synthetic(faces, "balanced", seen=faces.frame)
    with pytest.raises(FerError, match="arm cleaned: .*saw no group of val or test"):
        prepare(experiment(arms=arms), project)


def test_packed_probabilities_are_exact_to_half_precision() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(7), 50).astype(np.float32)
    found = unpack(json.loads(json.dumps(pack(probabilities))))
    np.testing.assert_array_equal(found, probabilities.astype(np.float16).astype(np.float32))


SCRIPT = """
import os, signal, sys
from pathlib import Path
from experiments.before_after import run_experiment
from experiments.settings import ExperimentConfig
from fer_data.progress import Silent, _SilentStage
import contextlib

class Killer(Silent):
    steps = 0
    @contextlib.contextmanager
    def stage(self, name, total):
        killer = self
        class Stage(_SilentStage):
            def advance(self, amount=1, note=""):
                killer.steps += amount
                if killer.steps >= int(sys.argv[3]):
                    os.kill(os.getpid(), signal.SIGKILL)
        yield Stage()

root = Path(sys.argv[1])
config = ExperimentConfig.model_validate_json(sys.argv[2])
run_experiment(config, root, root / "runs/x", Killer())
"""


def run_fresh(root: Path, kill_at_step: int = 10**9) -> int:
    config = experiment(seeds=[3]).model_dump_json()
    command = [sys.executable, "-c", SCRIPT, str(root), config, str(kill_at_step)]
    return subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode


@pytest.mark.slow
def test_fresh_processes_killed_or_not_give_the_same_bits(module_project: Path, tmp_path: Path) -> None:
    found = []
    for name, kills in (("one", []), ("two", [13])):  # steps 1..8 are the first run; killed within the second
        root = tmp_path / name
        shutil.copytree(module_project, root)
        for step in kills:
            assert run_fresh(root, step) == -signal.SIGKILL
            assert [file.name for file in (root / "runs/x/records").iterdir()] == ["baseline-seed3.json"]
            assert not (root / "runs/x/results.json").exists()
        assert run_fresh(root) == 0
        results = json.loads((root / "runs/x/results.json").read_text())
        records = [json.loads(file.read_text()) for file in sorted((root / "runs/x/records").iterdir())]
        found.append(
            {
                "numbers": {key: results[key] for key in ("views", "scores", "contrasts", "mcnemar", "numbers_sha256")},
                "records": [
                    {key: record[key] for key in ("identity", "probabilities", "metrics", "history")}
                    for record in records
                ],
            }
        )
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "preset",
    sorted(
        f"experiments/{path.stem}"
        for path in (PRESETS / "experiments").glob("*.yaml")
        if "kind" not in read_yaml(path)  # experiments of another kind: tests/experiments/test_audit_benchmark.py
    ),
)
def test_presets_are_whole(preset: str) -> None:
    config = resolve(ExperimentConfig, preset)
    names = [arm.name for arm in config.arms]
    assert names[0] == config.baseline
    require_arms(config)
    for source in config.sources.values():
        source.generator_config()
        source.judges_config()
    for arm in config.arms:
        assert resolve(TrainConfig, **config.train, **arm.train).steps == config.train["steps"]
