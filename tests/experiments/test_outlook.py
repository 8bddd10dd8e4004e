"""What an experiment says it would do, before anything is trained."""

import shutil
from pathlib import Path

from experiments import outlook
from experiments.before_after import run_experiment
from experiments.outlook import describe_outlook, look_ahead
from experiments.settings import ExperimentConfig, FoldsConfig

TRAIN = {"model": "thin_resnet10", "size_px": 16, "steps": 8, "batch_size": 32, "evaluations": 2, "threads": 1,
         "trackers": []}  # fmt: skip


def config(**changes) -> ExperimentConfig:
    missing = {"synthetic": "manifests/nowhere", "ratio": 1, "weight": 1}
    values = {
        "name": "x",
        "evaluate_on": "manifests/faces",
        "arms": [
            {"name": "baseline"},
            {"name": "cleaned", "manifest": "manifests/clean"},
            {"name": "some", "role": "curve", "make": {"review": {"faces": 20, "order": "random"}}},
            {"name": "more", "make": {"review": {"faces": 20, "order": "random"}, "add": [missing]}},
        ],
        "baseline": "baseline",
        "primary": "cleaned",
        "seeds": [1, 2, 3],
        "train": TRAIN,
        "leaks": "score_apart",
        "bootstrap": 100,
    }
    return ExperimentConfig(**{**values, **changes})


def test_what_the_time_leaves_out_is_named(project: Path) -> None:
    generator = {"size_px": 16, "channels": 1, "steps": None, "minutes": 60}
    source = {"kind": "dcgan", "generator": generator, "judges": "judges", "classes": ["fear"], "ratio": 1, "fill": {}}
    arms = [{"name": "baseline"}, {"name": "drawn", "make": {"add": [{"source": "faces", "ratio": 1, "weight": 1}]}}]
    asked = config(arms=arms, primary="drawn", sources={"faces": source}, robustness={"arms": "main"})
    told = look_ahead(asked, project, project / "runs/x")
    assert told["uncounted"] == [
        "judges, the generators of “faces” (60 minutes) for each kind of labels, and drawing",
        "judging covered and dark test faces of 6 runs",
    ]
    assert describe_outlook(told)[-1].startswith("not in this time: judges, the generators of “faces” (60 minutes)")
    plain = config(arms=[{"name": "baseline"}, {"name": "b"}], primary="b")
    assert look_ahead(plain, project, project / "runs/y")["uncounted"] == []


def test_arms_runs_and_missing_faces_are_told_and_nothing_is_trained(project: Path) -> None:
    told = look_ahead(config(), project, project / "runs/x")
    assert (told["runs"], told["finished"]) == (3 + 3 + 2 + 3, 0)
    assert [arm["train_rows"] for arm in told["arms"]] == [210, 207, 210, None]
    labels = told["arms"][3]["undrawn"]
    assert labels.startswith("manifests/x/steps/review-20-random-majority-") and (project / labels).is_file()
    assert told["seconds"] >= told["seconds_per_run"] > 0
    assert not (project / "runs").exists()
    lines = "\n".join(describe_outlook(told))
    assert f"by a generator of {labels}" in lines
    assert "2 test faces have twins in train or val (2 the very picture); policy score_apart" in lines
    assert "11 runs, 0 finished" in lines


def test_lifted_runs_cost_nothing(project: Path, monkeypatch) -> None:
    monkeypatch.setattr(outlook, "_seconds_per_run", lambda part: 100.0)
    lifted = {"name": "lifted", "train": {"lift_rare": True}}
    alone = {
        "name": "alone",
        "manifest": "manifests/clean",
        "train": {"lift_rare": True},
    }  # without a twin it is trained
    arms = [*config().arms[:1], lifted, alone]
    told = look_ahead(config(arms=arms, primary="alone"), project, project / "runs/x")
    assert (told["runs"], told["lifted"], told["finished"]) == (9, 3, 0)
    assert told["seconds"] == 600
    assert "9 runs, 3 of them another's classifier, lifted, 0 finished" in "\n".join(describe_outlook(told))


def test_a_run_is_trained_where_the_classifier_to_lift_is_not_here(project: Path, monkeypatch) -> None:
    monkeypatch.setattr(outlook, "_seconds_per_run", lambda part: 100.0)
    lifted = {"name": "lifted", "train": {"lift_rare": True}}
    arms = config().arms[:2]
    run_experiment(config(arms=arms), project, project / "runs/x")
    with_lifted = config(arms=[*arms, lifted])
    here = look_ahead(with_lifted, project, project / "runs/x")
    assert (here["lifted"], here["seconds"]) == (3, 0)
    shutil.rmtree(project / "runs/x/runs")
    there = look_ahead(with_lifted, project, project / "runs/x")
    assert (there["lifted"], there["seconds"]) == (0, 300)


def test_finished_runs_and_choices_are_counted(project: Path) -> None:
    asked = config(arms=config().arms[:3], primary=None, seeds=[1], choose={"primary": ["cleaned"]})
    before = look_ahead(asked, project, project / "runs/x")
    assert before["choice"] == "still to be made"
    run_experiment(asked, project, project / "runs/x", phase="choose")
    after = look_ahead(asked, project, project / "runs/x")
    assert (after["choice"], after["runs"], after["finished"]) == ("made", 3, 1)
    assert "the choice on validation faces is made" in describe_outlook(after)


def test_folds_count_every_run(project: Path) -> None:
    asked = config(arms=[*config().arms[:1], *config().arms[2:3]], primary="some", seeds=[1, 2], leaks=None)
    folded = asked.model_copy(
        update={"arms": [arm.model_copy(update={"role": "main"}) for arm in asked.arms], "folds": FoldsConfig()}
    )
    told = look_ahead(folded, project, project / "runs/x")
    assert (told["folds"], told["runs"]) == (3, 2 * 2 * 3)
