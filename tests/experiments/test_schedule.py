"""Runs are worked off by one process or by two, survive what goes wrong in another, and tell how long it takes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.before_after import run_experiment
from experiments.records import same_identity
from experiments.schedule import Pace, duration
from experiments.settings import ExperimentConfig
from fer_data.errors import FerError

TRAIN = {"model": "thin_resnet10", "size_px": 16, "steps": 8, "batch_size": 32, "evaluations": 2, "threads": 1,
         "trackers": []}  # fmt: skip


def config(**changes) -> ExperimentConfig:
    values = {
        "evaluate_on": "manifests/faces",
        "arms": [{"name": "baseline"}, {"name": "cleaned", "manifest": "manifests/clean"}],
        "baseline": "baseline",
        "primary": "cleaned",
        "seeds": [1, 2],
        "train": TRAIN,
        "leaks": "score_apart",
        "bootstrap": 100,
    }
    return ExperimentConfig(**{**values, **changes})


def test_a_loss_that_is_no_number_names_its_run_and_leaves_the_others(project: Path) -> None:
    arms = [*config().model_dump()["arms"], {"name": "wild", "train": {"learning_rate": 1e30, "warmup": 0}}]
    with pytest.raises(FerError, match=r"arm wild, seed 1: .*expected a finite loss"):
        run_experiment(config(arms=arms), project, project / "runs/x")
    kept = {path.name: path.read_text() for path in (project / "runs/x/records").iterdir()}
    assert sorted(kept) == ["baseline-seed1.json", "cleaned-seed1.json"]
    run_experiment(config(), project, project / "runs/x")
    assert {name: (project / "runs/x/records" / name).read_text() for name in kept} == kept


SCRIPT = """
import sys
from pathlib import Path
from experiments.before_after import run_experiment
from experiments.settings import ExperimentConfig
from fer_data.progress import Silent
import contextlib

class Told(Silent):
    @contextlib.contextmanager
    def stage(self, name, total):
        if "seed" in name:
            with open(sys.argv[3], "a") as file:
                file.write(name + "\\n")
        with super().stage(name, total) as stage:
            yield stage

root = Path(sys.argv[1])
run_experiment(ExperimentConfig.model_validate_json(sys.argv[2]), root, root / "runs/x", Told())
"""


@pytest.mark.slow
def test_two_processes_share_the_runs_and_agree(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    told = tmp_path_factory.mktemp("told") / "log"
    command = [sys.executable, "-c", SCRIPT, str(project), config(seeds=[1, 2, 3]).model_dump_json(), str(told)]
    both = [subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) for _ in range(2)]
    assert [process.wait(timeout=250) for process in both] == [0, 0]
    trained = [line.partition(" (")[0] for line in told.read_text().splitlines()]
    assert sorted(trained) == sorted(f"{arm} · seed {seed}" for arm in ("baseline", "cleaned") for seed in (1, 2, 3))
    results = json.loads((project / "runs/x/results.json").read_text())
    alone = json.loads(run_experiment(config(seeds=[1, 2, 3]), project, project / "runs/y").read_text())
    assert results["numbers_sha256"] == alone["numbers_sha256"]


def test_the_time_that_is_left_comes_from_runs_that_were_seen() -> None:
    pace = Pace(10, 4, begun=time.monotonic() - 2 * 1500)
    assert pace.words() == "run 5 of 10"  # nothing to go by
    assert Pace(10, 4, [60.0, 120.0]).words() == "run 5 of 10, about 9 min left"
    pace.finished = 6
    assert pace.seconds_left() == pytest.approx(4 * 1500, abs=20)
    assert pace.words() == "run 7 of 10, about 1 h 40 min left"
    assert [duration(seconds) for seconds in (31.4, 100, 3600, 15_000)] == ["31 s", "2 min", "1 h 0 min", "4 h 10 min"]


def test_a_setting_that_is_new_has_its_default_in_older_records() -> None:
    train = {**TRAIN, "seed": 1}
    old = {"train_rows_sha256": "a", "judged_rows_sha256": "b", "train": train}
    assert same_identity(old, {**old, "train": {**train, "mixup": 0.0}})
    assert not same_identity(old, {**old, "train": {**train, "mixup": 0.2}})
    assert not same_identity(old, {**old, "train_rows_sha256": "c"})
    assert not same_identity(old, {**old, "train": {**train, "unknown_to_us": 1}})


def test_a_control_that_lifts_rare_classes_is_made_of_the_baseline_when_it_is_chosen(project: Path) -> None:
    lifting = {"name": "lifted", "train": {"lift_rare": True}}
    values = config().model_dump()
    choose = {"control": ["lifted"], "primary": ["cleaned"]}
    asked = config(arms=[lifting, *values["arms"]], primary=None, choose=choose)
    run_experiment(asked, project, project / "runs/x", phase="choose")
    records = [json.loads(path.read_text()) for path in sorted((project / "runs/x/records").glob("lifted-seed*.json"))]
    assert [record["lifted_from"] for record in records] == ["baseline"] * len(asked.seeds)
    assert (project / "runs/x/records/baseline-seed1.json").is_file()  # for the rest of the experiment
    told = json.loads((project / "runs/x/records/choice.json").read_text())
    assert told["control"]["arm"] == "lifted" and told["primary"]["arm"] == "cleaned"


def test_an_arm_that_lifts_rare_classes_is_not_trained_where_its_twin_was(project: Path) -> None:
    lifting = {"name": "lifted", "train": {"lift_rare": True}}
    values = config().model_dump()
    told = run_experiment(config(arms=[lifting, *values["arms"]]), project, project / "runs/x")  # lifted comes first
    record, plain = (
        json.loads((project / f"runs/x/records/{arm}-seed2.json").read_text()) for arm in ("lifted", "baseline")
    )
    assert record["lifted_from"] == "baseline" and record["history"] == plain["history"]
    assert record["probabilities"] != plain["probabilities"] and record["validation"] != plain["validation"]
    runs = {(run["arm"], run["seed"]): run for run in json.loads(told.read_text())["runs"]}
    assert runs["lifted", 1]["lifted_from"] == "baseline" and "lifted_from" not in runs["cleaned", 1]

    # Where there is no twin it is trained, with the same result.
    alone = [{**lifting, "name": "baseline"}, values["arms"][1]]
    run_experiment(config(arms=alone, seeds=[2]), project, project / "runs/y")
    again = json.loads((project / "runs/y/records/baseline-seed2.json").read_text())
    assert "lifted_from" not in again
    assert again["probabilities"] == record["probabilities"] and again["validation"] == record["validation"]
