"""Ratio, weight, control and primary arm are chosen on validation faces and written down before the test is judged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from classifier.metrics import evaluate
from classifier.prediction import load_classifier
from experiments.before_after import run_experiment
from experiments.choice import choice_path, with_choice, write_arms
from experiments.design import prepare
from experiments.settings import ExperimentConfig
from fer_data import manifest as manifests
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.licenses import DRAWN
from fer_data.votes import reference_labels

TRAIN = {"model": "thin_resnet10", "size_px": 16, "steps": 6, "batch_size": 32, "evaluations": 2, "threads": 1,
         "trackers": []}  # fmt: skip
ADD = {"synthetic": "manifests/synthetic", "same_training": False, "short": "take"}


def config(**changes) -> ExperimentConfig:
    values = {
        "name": "x",
        "evaluate_on": "manifests/faces",
        "arms": [
            {"name": "baseline"},
            {"name": "balanced", "train": {"balanced_sampling": True}},
            {"name": "adjusted", "train": {"logit_adjustment": 1.0}},
            {"name": "cleaned", "manifest": "manifests/clean"},
            {"name": "more", "make": {"add": [ADD]}},
            {"name": "half", "role": "curve", "make": {"review": {"faces": 60, "order": "random"}}},
        ],
        "baseline": "baseline",
        "choose": {
            "mixing_in": "more",
            "mixing": [{"ratio": 0.02, "weight": 1}, {"ratio": 0.1, "weight": 0.3}],
            "control": ["balanced", "adjusted"],
            "primary": ["cleaned", "more"],
        },
        "seeds": [1, 2],
        "curve_seeds": [1],
        "train": TRAIN,
        "leaks": "score_apart",
        "bootstrap": 100,
    }
    return ExperimentConfig(**{**values, **changes})


@pytest.fixture
def with_synthetic(project: Path, write_synthetic) -> Path:
    """The small project and manifests/synthetic."""
    faces = manifests.read(project / "manifests/faces")
    both = write_synthetic(faces, "both", seen=faces.frame[faces.frame["split"] == "train"].iloc[10:13])
    frame = both.frame[both.frame["origin"] == "synthetic"].reset_index(drop=True)
    manifests.write(
        frame, faces.path.with_name("synthetic"), label_set="basic7", command="test", licence=DRAWN.as_dict()
    )
    return project


def records_of(out: Path) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((out / "records").glob("*-seed*.json"))}


def test_the_choice_is_made_on_validation_faces_and_then_the_test_is_judged(with_synthetic: Path) -> None:
    root, out = with_synthetic, with_synthetic / "runs/x"
    path = run_experiment(config(), root, out, phase="choose")
    assert path == choice_path(out / "records")
    choice = json.loads(path.read_text())
    records = records_of(out)
    assert not any("probabilities" in record or "metrics" in record for record in records.values())
    assert {record["arm"] for record in records.values()} == {
        "more.ratio0.02-weight1", "more.ratio0.1-weight0.3", "balanced", "adjusted", "cleaned", "more",
    }  # fmt: skip
    for key in ("mixing", "control", "primary"):
        scores = [candidate["score"] for candidate in choice[key]["candidates"]]
        best = choice[key]["candidates"][int(np.argmax(scores))]
        chosen = [best["ratio"], best["weight"]] if key == "mixing" else best["arm"]
        assert chosen == ([choice[key]["ratio"], choice[key]["weight"]] if key == "mixing" else choice[key]["arm"])
        for candidate in choice[key]["candidates"]:
            runs = [records[f"{candidate['arm']}-seed{seed}"] for seed in candidate["seeds"]]
            assert candidate["runs_sha256"] == [run["run_sha256"] for run in runs]
            both = [np.mean([run["validation"][kind]["balanced_accuracy"] for kind in ("given", "reference")])
                    for run in runs]  # fmt: skip
            assert candidate["per_seed"] == pytest.approx(both)
    mixing = choice["mixing"]
    twin = f"more.ratio{mixing['ratio']:g}-weight{mixing['weight']:g}"
    assert records["more-seed1"]["same_as"] == twin  # the same faces and seed: not trained again
    assert records["more-seed1"]["history"] == records[f"{twin}-seed1"]["history"]

    # Another process that comes later does not write the choice again: test faces may be judged by then.
    found = {(record["arm"], record["seed"]): record for record in records.values()}
    write_arms(out / "records", config(), prepare(with_choice(config(), choice), root), found)
    assert json.loads(path.read_text()) == choice

    kept = {name: record["history"] for name, record in records.items()}
    results = json.loads(run_experiment(config(), root, out).read_text())
    assert path.read_text() == json.dumps(choice, indent=2, ensure_ascii=False) + "\n"
    after = records_of(out)
    assert {name: after[name]["history"] for name in kept} == kept
    assert all("probabilities" in record for record in after.values())
    assert after["more-seed1"]["probabilities"] == after[f"{twin}-seed1"]["probabilities"]
    assert results["question"]["primary"] == choice["primary"]["arm"]
    assert results["control"]["arm"] == results["question"]["control"] == choice["control"]["arm"]
    assert results["choice"] == choice
    curve = {"half", "more.ratio0.02-weight1", "more.ratio0.1-weight0.3"}
    assert {arm["name"] for arm in results["arms"] if arm["role"] == "curve"} == curve
    assert {run["seed"] for run in results["runs"] if run["arm"] in curve} == {1}


def test_validation_scores_are_those_of_the_kept_weights(with_synthetic: Path) -> None:
    root, out = with_synthetic, with_synthetic / "runs/x"
    run_experiment(config(), root, out, phase="choose")
    design = prepare(config(choose=None, primary="cleaned", arms=config().arms[:4]), root)
    faces, rows = design.yardstick, design.val_rows
    classifier = load_classifier(out / "runs/cleaned-seed2/checkpoint")
    judged = classifier.probabilities(faces.pictures(16, 1, rows))
    told = records_of(out)["cleaned-seed2"]["validation"]
    for kind, names in (("given", faces.frame["label"][rows]), ("reference", reference_labels(faces, rows)[0])):
        expected = evaluate(label_indices(pd.Series(names, dtype=object), "basic7"), judged, faces.labels)
        for metric in ("accuracy", "balanced_accuracy", "macro_f1"):
            assert told[kind][metric] == pytest.approx(expected[metric])


def test_a_choice_is_not_taken_for_another_question_nor_made_after_the_test(with_synthetic: Path) -> None:
    root, out = with_synthetic, with_synthetic / "runs/x"
    run_experiment(config(), root, out)
    other = config().model_dump()
    other["choose"]["primary"] = ["more"]
    with pytest.raises(FerError, match=r"choice\.json: the choice was made among other candidates"):
        run_experiment(ExperimentConfig.model_validate(other), root, out)
    choice_path(out / "records").unlink()
    with pytest.raises(FerError, match=r"holds answers to test faces, and choice\.json is not there"):
        run_experiment(config(), root, out)


def test_records_alone_go_on_from_another_machine(
    with_synthetic: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without checkpoints: what was judged is taken, the rest is trained."""
    root, out = with_synthetic, with_synthetic / "runs/x"
    first = json.loads(run_experiment(config(), root, out).read_text())
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.copytree(root, elsewhere, ignore=shutil.ignore_patterns("x"))
    shutil.copytree(out / "records", elsewhere / "kept")
    (elsewhere / "kept/half-seed1.json").unlink()
    again = config(records="kept")
    second = json.loads(run_experiment(again, elsewhere, elsewhere / "runs/x").read_text())
    assert [path.name for path in (elsewhere / "runs/x/runs").iterdir() if path.is_dir()] == ["half-seed1"]
    assert second["numbers_sha256"] == first["numbers_sha256"]
    assert "records" not in second["configuration"]


def test_what_cannot_be_chosen_is_refused_before_anything_is_trained(with_synthetic: Path) -> None:
    root, out = with_synthetic, with_synthetic / "runs/x"
    arms = config().model_dump()["arms"]
    for changes, message in (
        ({"choose": None}, "primary: expected an arm, or candidates"),
        ({"choose": None, "primary": "cleaned"}, "arm more: expected ratio and weight"),
        ({"choose": {"primary": ["half"]}}, "choose.primary: expected an arm of role main, found half"),
        ({"choose": {"primary": ["nobody"]}}, "choose.primary: expected one of the arms"),
        ({"choose": {"primary": ["cleaned"], "control": ["baseline"]}}, "expected another arm than the baseline"),
        ({"choose": {"primary": ["cleaned"], "control": ["cleaned"]}}, "control: expected other arms than those"),
        ({"curve_seeds": [7]}, "curve_seeds: expected some of the seeds"),
        ({"arms": [*arms[:4], {"name": "more", "make": {"add": [{**ADD, "short": "refuse"}]}}],
          "choose": {**config().model_dump()["choose"], "mixing": [{"ratio": 9, "weight": 1}]}}, "draw more"),
    ):  # fmt: skip
        with pytest.raises(FerError, match=message):
            run_experiment(config(**changes), root, out)
    assert not (out / "runs").exists()
    with pytest.raises(FerError, match="the validation faces have no such labels"):
        manifest = manifests.read(root / "manifests/faces")
        facts = root / manifest.frame["store"][0] / "facts.parquet"
        table = pd.read_parquet(facts)
        _without_truth(facts, table)
        run_experiment(config(choose={"primary": ["cleaned"], "labels": "reference"}, arms=arms[:4]), root, out)


def _without_truth(facts: Path, table: pd.DataFrame) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(facts)
    pq.write_table(pa.Table.from_pandas(table.assign(true_label=None), schema, preserve_index=False), facts)


def test_nothing_to_choose_is_refused_before_a_test_face_is_judged(project: Path) -> None:
    values = {**config().model_dump(), "choose": None, "primary": "balanced"}
    with pytest.raises(FerError, match="phase choose: expected `choose` in the configuration"):
        run_experiment(ExperimentConfig(**values), project, project / "runs/x", phase="choose")
    assert not (project / "runs/x/records").exists()
