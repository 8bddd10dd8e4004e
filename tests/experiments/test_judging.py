"""Covered and dark faces, calibration and fairness of an experiment's runs, against plain recomputation."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from classifier.metrics import confusion
from classifier.robustness import unpack_predictions
from experiments import judging
from experiments.before_after import run_experiment
from experiments.design import Design, prepare
from experiments.judging import NO_ATTRIBUTES, slices_of, summarise_fairness, votes_of
from experiments.records import unpack
from experiments.settings import ExperimentConfig
from experiments.statistics import balanced_accuracy
from experiments.views import build_views
from fer_data import manifest as manifests
from fer_data.errors import FerError

CONDITIONS = ("mask", "low")
TRAIN = {"model": "thin_resnet10", "size_px": 16, "steps": 8, "batch_size": 32, "evaluations": 2, "threads": 1,
         "trackers": []}  # fmt: skip


def config(**changes) -> ExperimentConfig:
    values = {
        "evaluate_on": "manifests/faces",
        "arms": [
            {"name": "baseline"},
            {"name": "adjusted", "train": {"logit_adjustment": 1.0}},
            {"name": "cleaned", "manifest": "manifests/clean"},
            {"name": "some", "role": "curve", "make": {"review": {"faces": 20, "order": "random"}}},
        ],
        "baseline": "baseline",
        "primary": "cleaned",
        "control": "adjusted",
        "seeds": [1, 2],
        "curve_seeds": [2],
        "train": TRAIN,
        "leaks": "score_apart",
        "robustness": {"conditions": CONDITIONS},
        "bootstrap": 100,
    }
    return ExperimentConfig(**{**values, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, module_project: Path) -> tuple[Path, dict]:
    """A finished experiment: project, results."""
    root = tmp_path_factory.mktemp("judged") / "project"
    shutil.copytree(module_project, root)
    return root, json.loads(run_experiment(config(), root, root / "runs/x").read_text())


def test_covered_and_dark_faces_are_judged_by_every_main_run(finished) -> None:
    root, results = finished
    records = root / "runs/x/records"
    arms = ("baseline", "adjusted", "cleaned")
    kept = sorted(path.name for path in records.glob("*.conditions.json"))
    assert kept == sorted(f"{arm}-seed{seed}.conditions.json" for arm in arms for seed in (1, 2))
    faces = manifests.read(root / "manifests/faces")
    view = next(view for view in build_views(faces) if view.key == "leak_free/reference")
    assert set(results["robustness"]) == set(CONDITIONS)
    pooled = {}
    judged = np.any([one.rows for one in build_views(faces) if one.split == "leak_free"], axis=0)
    inside = view.rows[judged]
    for arm in arms:
        for condition in CONDITIONS:
            per_seed = []
            for seed in (1, 2):
                told = json.loads((records / f"{arm}-seed{seed}.conditions.json").read_text())
                per_seed.append(unpack_predictions(told["predicted"][condition])[:, inside])
            for severity in range(5):
                expected = np.mean([
                    balanced_accuracy(confusion(view.truth[view.rows], found[severity], 7).astype(float))
                    for found in per_seed
                ])  # fmt: skip
                found = results["robustness"][condition][str(severity + 1)][arm]["balanced_accuracy"]
                assert found["value"] == pytest.approx(expected)
                assert found["low"] <= found["value"] <= found["high"]
            pooled[arm, condition] = [np.mean(np.tile(view.truth[view.rows], 5) == found.ravel()) for found in per_seed]
    for pool, condition in (("occlusion", "mask"), ("low light", "low")):
        for arm, against in (("cleaned", "baseline"), ("cleaned", "adjusted"), ("adjusted", "baseline")):
            (row,) = [
                row for row in results["under_conditions"]
                if (row["conditions"], row["arm"], row["against"], row["metric"], row["view"])
                == (pool, arm, against, "accuracy", "leak_free/reference")
            ]  # fmt: skip
            expected = np.mean(pooled[arm, condition]) - np.mean(pooled[against, condition])
            assert row["value"] == pytest.approx(expected)
            assert row["p_value"] <= row["p_holm"] <= 1
    assert {row["conditions"] for row in results["under_conditions"]} == {"occlusion", "low light", "all conditions"}
    assert results["corruption_errors"]["baseline"]["mce"] == pytest.approx(1)


def test_covered_and_dark_faces_are_not_judged_twice_nor_without_a_classifier(finished, tmp_path: Path) -> None:
    root, results = finished
    before = {path: path.stat().st_mtime_ns for path in (root / "runs/x/records").iterdir()}
    again = json.loads(run_experiment(config(), root, root / "runs/x").read_text())
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert again["robustness"] == results["robustness"]
    shutil.copytree(root / "runs/x/records", tmp_path / "records")
    for path in (tmp_path / "records").glob("baseline-*.conditions.json"):
        path.unlink()
    told = json.loads(run_experiment(config(records=str(tmp_path / "records")), root, root / "runs/z").read_text())
    assert told["robustness"] is None and told["numbers_sha256"] == results["numbers_sha256"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("main", ["baseline", "adjusted", "cleaned", "more"]),
        ("all", ["baseline", "adjusted", "cleaned", "more", "some"]),
        (["more"], ["baseline", "adjusted", "cleaned", "more"]),
        (["cleaned"], ["baseline", "adjusted", "cleaned"]),
    ],
)
def test_named_arms_are_judged_on_covered_faces_and_those_of_the_question(project: Path, asked, expected) -> None:
    arms = [*config().model_dump()["arms"], {"name": "more", "manifest": "manifests/clean"}]
    given = config(arms=arms, robustness={"conditions": CONDITIONS, "arms": asked})
    judged = {arm.name for arm in given.arms if given.judges_conditions(arm)}
    assert judged == set(expected)
    assert not any(config(robustness=None).judges_conditions(arm) for arm in given.arms)
    with pytest.raises(FerError, match=r"robustness\.arms: expected one of the arms .*, found 'nobody'"):
        prepare(config(robustness={"arms": ["nobody"]}), project)


def test_control_and_curves_have_contrasts_of_their_own(finished) -> None:
    _, results = finished
    assert {row["arm"] for row in results["contrasts"]} == {"adjusted", "cleaned", "some"}
    against = results["control"]["contrasts"]
    assert {row["arm"] for row in against} == {"cleaned"}
    assert {row["family"] for row in against} == {"against the control", "per class, against the control"}
    scores = results["scores"]["leak_free/reference"]
    values = [scores[arm]["metrics"]["accuracy"]["value"] for arm in ("adjusted", "cleaned")]
    (row,) = [row for row in against if (row["view"], row["metric"]) == ("leak_free/reference", "accuracy")]
    assert row["value"] == pytest.approx(values[1] - values[0])
    curve = next(
        row for row in results["contrasts"]
        if (row["arm"], row["view"], row["metric"]) == ("some", "leak_free/reference", "accuracy")
    )  # fmt: skip
    second_seed = scores["baseline"]["metrics"]["accuracy"]["per_seed"][1]
    assert curve["value"] == pytest.approx(scores["some"]["metrics"]["accuracy"]["value"] - second_seed)
    assert len(scores["some"]["metrics"]["accuracy"]["per_seed"]) == 1
    at_curve = results["at_curve_seeds"]["leak_free/reference"]["baseline"]["metrics"]["accuracy"]
    assert at_curve["per_seed"] == [second_seed]
    assert [row["seed"] for row in results["mcnemar"] if row["arm"] == "some"][:1] == [2]


def records_of(root: Path, design: Design) -> dict[tuple[int, str, int], dict]:
    """Every run's record, as judging is given them."""
    return {
        (0, arm, seed): json.loads((root / f"runs/x/records/{arm}-seed{seed}.json").read_text())
        for arm in design.question.arms
        for seed in (1, 2)
    }


def test_probabilities_stand_beside_the_distribution_of_votes(finished, monkeypatch) -> None:
    root, results = finished
    assert results["votes"] is None  # these faces have no votes
    design = prepare(config(), root)
    shares = np.random.default_rng(0).dirichlet(np.ones(7), int(design.test_rows.sum())).astype(np.float32)
    shares[3] = np.nan
    monkeypatch.setattr(judging, "label_shares", lambda manifest, rows: shares)
    found = records_of(root, design)
    inside = next(view.rows for view in design.views if view.key == "leak_free/given")
    known = inside & ~np.isnan(shares).any(axis=1)
    answered = [unpack(found[0, "cleaned", seed]["probabilities"])[known] for seed in (1, 2)]
    expected = [-(shares[known] * np.log(each)).sum(axis=1).mean() for each in answered]
    told = votes_of([design], design.views, found)
    assert told is not None and set(told) == {"baseline", "adjusted", "cleaned"}
    assert told["cleaned"]["count"] == known.sum() < inside.sum()
    assert told["cleaned"]["cross_entropy"] == pytest.approx(np.mean(expected), rel=1e-4)
    assert told["cleaned"]["kl"] == pytest.approx(told["cleaned"]["cross_entropy"] - told["cleaned"]["entropy"])


def test_slices_that_the_dataset_names_are_scored(finished, monkeypatch) -> None:
    root, results = finished
    assert results["slices"] is None
    design = prepare(config(), root)
    dark = np.arange(int(design.test_rows.sum())) % 3 == 0
    monkeypatch.setattr(judging, "real_slices", lambda manifest, rows: {"light: low": dark, "none": ~dark & dark})
    found = records_of(root, design)
    told = slices_of([design], design.views, found)
    assert told is not None and list(told) == ["light: low"]
    view = next(view for view in design.views if view.key == "leak_free/reference")
    inside = view.rows & dark
    right = [
        (unpack(found[0, "cleaned", seed]["probabilities"]).argmax(axis=1) == view.truth)[inside].mean()
        for seed in (1, 2)
    ]
    assert told["light: low"]["faces"] == inside.sum()
    assert told["light: low"]["arms"]["cleaned"]["accuracy"] == pytest.approx(np.mean(right))


def test_fairness_divides_by_what_the_manifest_states(finished, monkeypatch) -> None:
    root, _ = finished
    design = prepare(config(), root)
    faces = int(design.test_rows.sum())
    age = np.where(np.arange(faces) % 2 == 0, "old", "young").astype(object)
    monkeypatch.setattr(judging, "read_attributes", lambda manifest, rows: {"age": age})
    found = records_of(root, design)
    told = summarise_fairness([design], design.views, found)
    assert isinstance(told, dict) and list(told) == ["baseline", "adjusted", "cleaned"]
    view = next(view for view in design.views if view.key == "leak_free/reference")
    for name, group in told["cleaned"]["attributes"]["age"]["groups"].items():
        inside = view.rows & (age == name)
        right = [
            (unpack(found[0, "cleaned", seed]["probabilities"]).argmax(axis=1) == view.truth)[inside].mean()
            for seed in (1, 2)
        ]
        assert group["faces"] == inside.sum()
        assert group["measures"]["accuracy"]["value"] == pytest.approx(np.mean(right))


def test_mcnemar_is_against_the_baseline_and_the_control(finished) -> None:
    pairs = {(row["arm"], row["against"]) for row in finished[1]["mcnemar"]}
    assert pairs == {
        ("adjusted", "baseline"),
        ("cleaned", "baseline"),
        ("some", "baseline"),
        ("cleaned", "adjusted"),
    }


def test_reliability_counts_every_seed_and_fairness_says_why_there_is_none(finished) -> None:
    root, results = finished
    faces = manifests.read(root / "manifests/faces")
    view = next(view for view in build_views(faces) if view.key == "leak_free/reference")
    confidence, right = [], []
    for seed in (1, 2):
        record = json.loads((root / f"runs/x/records/cleaned-seed{seed}.json").read_text())
        judged = unpack(record["probabilities"])[view.rows]
        confidence += judged.max(axis=1).tolist()
        right += (judged.argmax(axis=1) == view.truth[view.rows]).tolist()
    bins = results["reliability"]["cleaned"]
    assert sum(one["faces"] for one in bins) == len(right)
    assert sum(one["faces"] * one["accuracy"] for one in bins) == pytest.approx(sum(right))
    assert sum(one["faces"] * one["confidence"] for one in bins) == pytest.approx(sum(confidence), rel=1e-5)
    assert results["fairness"] == NO_ATTRIBUTES
