"""Usefulness of generated faces, on pictures whose class is a bright square: good faces help, wrong ones do not."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from experiments import statistics
from experiments.records import unpack
from experiments.usefulness import (
    TrialConfig,
    UsefulnessConfig,
    accuracy_score,
    classification_accuracy_score,
    compare_conditions,
    condition_arms,
    run_usefulness,
    trials,
    yardstick,
)
from experiments.usefulness.design import prepare
from experiments.usefulness.report import answer
from fer_cli import app
from fer_data import conditions, tables
from fer_data import manifest as manifests
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.licenses import DRAWN
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter

SIZE = 16
TRAIN = {"model": "thin_resnet10", "size_px": SIZE, "steps": 12, "batch_size": 32, "threads": 1}
COMMON = {"seeds": [1, 2], "train": TRAIN, "bootstrap": 100, "judged_per_class": 4}


def face(label: str, random: np.random.Generator) -> np.ndarray:
    image = random.integers(60, 140, (SIZE, SIZE))
    row, column = divmod(BASIC7.index(label), 3)
    image[5 * row : 5 * row + 4, 5 * column : 5 * column + 4] += 100
    return image.astype(np.uint8)


def generated(root: Path, name: str, rows: list[tuple], seen: pd.DataFrame, **changes) -> manifests.Manifest:
    """Generated faces: rows are (label claimed, label shown, occlusion, light)."""
    random = np.random.default_rng(len(name))
    table = pa.Table.from_pandas(seen[["sample_id", "group_id"]], preserve_index=False)
    tables.write_table(root / f"runs/{name}/seen.parquet", table, {"kind": "seen"}, replace=True)
    generation = {"id": name, "seen": f"runs/{name}/seen.parquet"}
    with StoreWriter(name, root, licence=DRAWN.as_dict(), source=name, generation=generation) as writer:
        for index, (label, shown, occlusion, light) in enumerate(rows):
            facts = {"occlusion": occlusion, "light": light, "seed": index}
            writer.add(Sample(f"{index}", face(shown, random), label, label, "train", f"row {index}", facts))
        store = writer.close()
    columns = {
        "sample_id": [f"{name}/{index}" for index in range(len(rows))],
        "store": f"stores/{store.path.name}",
        "store_row": np.arange(len(rows)),
        "label": [row[0] for row in rows],
        "label_origin": "generated",
        "split": "train",
        "group_id": np.arange(len(rows)),
        "origin": "synthetic",
    }
    return manifests.write(
        manifests.new_rows(len(rows), **columns),
        root / "manifests" / name,
        label_set=changes.get("label_set", "basic7"),
        command="fer generate",
        licence=DRAWN.as_dict(),
    )


def plan(cells: dict[tuple, int], shown=lambda label: label) -> list[tuple]:
    return [(cell[0], shown(cell[0]), *cell[1:]) for cell, count in cells.items() for _ in range(count)]


def shifted(label: str) -> str:
    """The next label: what a generator without label fidelity shows."""
    return BASIC7[(BASIC7.index(label) + 1) % 7]


CELLS = {("disgust", "mask", "low"): 4, ("fear", None, None): 3, ("anger", "none", "side"): 3}


@pytest.fixture(scope="module")
def opened(module_project: Path) -> dict[str, manifests.Manifest]:
    """A project with real faces, and generated ones that are right, wrong, learned and changed afterwards."""
    real = manifests.read(module_project / "manifests/faces")
    seen = real.frame[real.frame["split"] == "train"].iloc[5:10]  # of the first two the very picture is in test
    every = {(label, "none", "normal"): 20 for label in BASIC7} | {("disgust", "none", "normal"): 40}
    fewer = {**CELLS, ("disgust", "mask", "low"): 2, ("happiness", "patch", None): 5}
    return {
        "real": real,
        "right": generated(module_project, "right", plan(every), seen),
        "wrong": generated(module_project, "wrong", plan(every, shifted), seen),
        "learned": generated(module_project, "learned", plan(CELLS), seen),
        "afterwards": generated(module_project, "afterwards", plan(fewer), seen),
    }


@pytest.fixture(scope="module")
def score(opened, tmp_path_factory) -> tuple[dict, Path]:
    out = tmp_path_factory.mktemp("score")
    config = TrialConfig(**{**COMMON, "train": {**TRAIN, "steps": 40}}, labels="reference", held_out="test")
    return classification_accuracy_score(opened["right"], opened["real"], config, out), out


def test_both_arms_get_as_many_faces_of_each_class(opened, score) -> None:
    found, _ = score
    real, right = opened["real"], opened["right"]
    for label in BASIC7:
        expected = min(found["available"]["real"][label], found["available"]["synthetic"][label])
        assert found["training_faces"][label] == expected > 0
    assert found["available"]["synthetic"]["disgust"] == 40
    held_out = real.facts(["pixel_sha256"], (real.frame["split"] != "train").to_numpy())["pixel_sha256"]
    train = real.frame[(real.frame["split"] == "train").to_numpy()]
    pictures = real.facts(["pixel_sha256"], (real.frame["split"] == "train").to_numpy())["pixel_sha256"]
    apart = train["label"][~pictures.isin(held_out).to_numpy()].value_counts()
    assert found["available"]["real"] == {label: int(apart[label]) for label in BASIC7}
    first, second = (accuracy_score.draw(right, np.ones(len(right), bool), {"disgust": 9}, [0, s]) for s in (1, 2))
    assert first.sum() == second.sum() == 9 and (first != second).any()
    assert set(right.frame["label"][first]) == {"disgust"}


def test_faces_that_show_their_label_teach_it_and_others_do_not(opened, score, tmp_path) -> None:
    right = score[0]["scores"]["synthetic"]["balanced_accuracy"]
    config = TrialConfig(**{**COMMON, "train": {**TRAIN, "steps": 40}}, labels="reference", held_out="test")
    shutil.copytree(score[1] / "records", tmp_path / "records", ignore=shutil.ignore_patterns("synthetic-*"))
    wrong = classification_accuracy_score(opened["wrong"], opened["real"], config, tmp_path)
    assert right["low"] > 0.5
    assert wrong["scores"]["synthetic"]["balanced_accuracy"]["high"] < 0.15
    lost = next(entry for entry in wrong["differences"] if entry["metric"] == "balanced_accuracy")
    assert lost["value"] == pytest.approx(
        wrong["scores"]["synthetic"]["balanced_accuracy"]["value"]
        - wrong["scores"]["real"]["balanced_accuracy"]["value"]
    )
    assert lost["high"] < 0


def test_scores_are_those_of_the_kept_probabilities(opened, score) -> None:
    found, out = score
    real = opened["real"]
    truth = real.facts(["true_label"])["true_label"][(real.frame["split"] == "test").to_numpy()]
    record = json.loads((out / "records/synthetic-seed2.json").read_text())
    predicted = unpack(record["probabilities"][yardstick.PLAIN]).argmax(axis=1)
    right = predicted == [BASIC7.index(label) for label in truth]
    recalls = [right[(truth == label).to_numpy()].mean() for label in BASIC7]
    table = found["scores"]["synthetic"]
    assert table["accuracy"]["per_seed"][1] == pytest.approx(right.mean())
    assert table["balanced_accuracy"]["per_seed"][1] == pytest.approx(np.mean(recalls))
    assert table["recall:disgust"]["per_seed"][1] == pytest.approx(recalls[1])
    assert found["judged"]["faces"] == found["faces"] == len(truth)
    assert set(statistics.METRICS) < set(table)


def test_records_are_taken_again_and_a_lost_one_comes_back_the_same(opened, score, monkeypatch) -> None:
    found, out = score
    config = TrialConfig(**{**COMMON, "train": {**TRAIN, "steps": 40}}, labels="reference", held_out="test")
    lost = out / "records/real-seed1.json"
    kept = json.loads(lost.read_text())["probabilities"]
    trained = []

    monkeypatch.setattr(
        trials, "load_classifier", lambda folder, load=trials.load_classifier: trained.append(folder) or load(folder)
    )
    assert classification_accuracy_score(opened["right"], opened["real"], config, out) == found
    assert trained == []
    lost.unlink()
    assert classification_accuracy_score(opened["right"], opened["real"], config, out) == found
    assert len(trained) == 1 and json.loads(lost.read_text())["probabilities"] == kept
    with pytest.raises(FerError, match=r"another train configuration \(steps\)"):
        classification_accuracy_score(opened["right"], opened["real"], config.model_copy(update={"train": TRAIN}), out)
    with pytest.raises(FerError, match="val or test rows of evaluate_on changed"):
        changed = config.model_copy(update={"held_out": "val"})
        classification_accuracy_score(opened["right"], opened["real"], changed, out)
    with pytest.raises(FerError, match="manifest of arm synthetic changed"):
        classification_accuracy_score(opened["wrong"], opened["real"], config, out)


@pytest.fixture(scope="module")
def compared(opened, tmp_path_factory) -> dict:
    out = tmp_path_factory.mktemp("conditions")
    config = TrialConfig(**COMMON)
    return compare_conditions(opened["learned"], opened["afterwards"], opened["real"], config, out)


def test_arms_differ_in_nothing_but_where_their_conditions_come_from(opened, compared) -> None:
    cells = {(cell["label"], cell["occlusion"], cell["light"]): cell["count"] for cell in compared["cells"]}
    assert cells == {**CELLS, ("disgust", "mask", "low"): 2}
    selection = condition_arms.select_faces(opened["real"], 0)
    runs = condition_arms._runs(opened["learned"], opened["afterwards"], selection, cells, TrialConfig(**COMMON))
    assert {arm for arm, _ in runs} == set(condition_arms.ARMS)
    for arm in ("learned", "afterwards"):
        added = runs[arm, 1][1]
        drawn = condition_arms._cells(added.manifest)
        assert Counter(drawn[row] for row in np.flatnonzero(added.rows)) == cells
    changed = runs["real_changed", 1][1]
    faces = changed.faces(SIZE, 1, condition_arms.SILENT)
    assert Counter(changed.cells) == cells
    assert [BASIC7[index] for index in faces.classes] == [cell[0] for cell in changed.cells]
    assert selection.rows[changed.index].all()
    assert runs["real", 1][0].rows.sum() == selection.rows.sum()
    assert runs["real", 1][0].sha256() == runs["learned", 2][0].sha256()
    assert changed.sha256() != runs["real_changed", 2][1].sha256()


def test_faces_that_nothing_is_trained_on_are_not_counted(opened) -> None:
    frame = opened["learned"].frame.copy()
    frame.loc[frame["label"] == "fear", "repeat"] = 0
    frame.loc[frame["label"] == "anger", "weight"] = 0
    thinned = manifests.write(
        frame,
        opened["learned"].path.with_name("thinned"),
        label_set="basic7",
        command="test",
        licence=DRAWN.as_dict(),
    )
    assert condition_arms.shared_cells(thinned, opened["afterwards"]) == {("disgust", "mask", "low"): 2}


def test_every_view_and_pool_is_told_side_by_side(compared) -> None:
    assert list(compared["views"]) == [yardstick.PLAIN, *yardstick.CONDITIONS]
    judged = compared["judged"]["faces"]
    assert judged == 28 and max(compared["judged"]["per_class"].values()) == 4
    assert compared["pooled"]["all conditions"]["faces"] == judged * 9
    for arm in condition_arms.ARMS:
        pooled = compared["pooled"]["occluded"]["scores"][arm]["accuracy"]["per_seed"]
        parts = [compared["views"][view]["scores"][arm]["accuracy"]["per_seed"] for view in yardstick.CONDITIONS[:6]]
        assert pooled == pytest.approx(np.mean(parts, axis=0))
    scores = compared["pooled"]["all conditions"]["scores"]
    means = {arm: scores[arm]["balanced_accuracy"]["value"] for arm in ("learned", "afterwards")}
    assert compared["difference"]["value"] == pytest.approx(means["learned"] - means["afterwards"])
    assert compared["default"] == ("learned" if means["learned"] > means["afterwards"] else "afterwards")
    assert compared["decided"] == (compared["difference"]["low"] > 0 or compared["difference"]["high"] < 0)


def test_a_view_occludes_every_face_its_own_way_and_is_kept(opened, tmp_path) -> None:
    real = opened["real"]
    found = yardstick.open_yardstick(real, TrialConfig(**COMMON), under_conditions=True)
    masked = found.pictures("mask", SIZE, 1, tmp_path)
    rows = np.flatnonzero(found.rows)
    random = np.random.default_rng([1, 0, 0, 3])
    expected = conditions.occlude(real.pictures(SIZE, 1)[rows[3], 0], "mask", int(random.integers(2**31)))
    np.testing.assert_array_equal(masked[3, 0], expected)
    (kept,) = tmp_path.iterdir()
    before = kept.stat().st_mtime_ns
    np.testing.assert_array_equal(found.pictures("mask", SIZE, 1, tmp_path), masked)
    assert kept.stat().st_mtime_ns == before
    plain = found.pictures(yardstick.PLAIN, SIZE, 1, tmp_path)
    assert (plain != masked).any(axis=(1, 2, 3)).all()
    assert found.pictures("low", 24, 3, tmp_path).shape == (28, 3, 24, 24)


def test_the_experiment_writes_results_and_a_page(opened, module_project, tmp_path, monkeypatch) -> None:
    file = tmp_path / "u.yaml"
    values = {
        "kind": "usefulness",
        "real": "manifests/faces",
        "synthetic": "manifests/right",
        "learned": "manifests/learned",
        "afterwards": "manifests/afterwards",
        **COMMON,
        "train": {**TRAIN, "steps": 2},
    }
    file.write_text(json.dumps(values))
    monkeypatch.chdir(module_project)
    planned = CliRunner().invoke(app, ["experiment", str(file), "--out", str(tmp_path / "x"), "--dry-run", "--json"])
    assert planned.exit_code == 0, planned.output
    assert not (tmp_path / "x").exists()
    done = CliRunner().invoke(app, ["experiment", str(file), "--out", str(tmp_path / "x"), "--json"])
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "x/results.json").read_text())
    page = (tmp_path / "x/results.md").read_text()
    assert answer(results) in page and answer(results) in json.loads(done.stdout)["answer"]
    table = results["conditions"]["views"]["sunglasses"]["scores"]["afterwards"]["balanced_accuracy"]
    assert f"{table['value']:.3f} [{table['low']:.3f}, {table['high']:.3f}]" in page
    assert f"Default from this: **{results['conditions']['default']}**" in page
    assert str(module_project) not in page
    alone = UsefulnessConfig(**{**values, "learned": None, "afterwards": None})
    only = json.loads(run_usefulness(alone, module_project, tmp_path / "x").read_text())
    assert only["conditions"] is None and only["accuracy_score"] == results["accuracy_score"]


def test_the_sentence_tells_whether_the_difference_may_be_chance() -> None:
    difference = {"value": 0.02, "low": 0.01, "high": 0.03}
    compared = {"default": "learned", "decided": True, "difference": difference}
    told = answer({"accuracy_score": None, "conditions": compared})
    assert told.startswith("Conditions that are learned by the generator help more: ")
    assert "+0.020 [+0.010, +0.030]" in told
    undecided = {**compared, "decided": False}
    assert "makes no clear difference" in answer({"accuracy_score": None, "conditions": undecided})


def test_what_cannot_be_compared_is_refused(opened, module_project, tmp_path) -> None:
    real, right = opened["real"], opened["right"]
    config = TrialConfig(**COMMON)
    seen = real.frame[real.frame["split"] == "train"].iloc[5:10]  # of the first two the very picture is in test
    other = generated(module_project, "other", [("anger", "anger", None, None)], seen, label_set="basic8")
    held_out = real.frame[real.frame["split"] == "val"].iloc[:2]
    leaking = generated(module_project, "leaking", [("anger", "anger", None, None)], held_out)
    sad = generated(module_project, "sad", [("sadness", "sadness", "hair", None)], seen)
    cases = [
        (other, "expected the label set basic7"),
        (real, f"expected generated faces only, found {len(real)} others"),
        (leaking, "saw no group of val or test"),
    ]
    for synthetic, message in cases:
        with pytest.raises(FerError, match=message):
            classification_accuracy_score(synthetic, real, config, tmp_path)
        with pytest.raises(FerError, match=message):
            compare_conditions(right, synthetic, real, config, tmp_path)
    with pytest.raises(FerError, match="found none in common"):
        compare_conditions(opened["learned"], sad, real, config, tmp_path)
    with pytest.raises(FerError, match="expected faces of every class, found none of anger"):
        classification_accuracy_score(sad, real, config, tmp_path)
    frame = real.frame.assign(split="train")
    undivided = manifests.write(
        frame, real.path.with_name("undivided"), label_set="basic7", command="t", licence=DRAWN.as_dict()
    )
    with pytest.raises(FerError, match="expected labelled val faces to judge by"):
        prepare(UsefulnessConfig(real="manifests/undivided", synthetic="manifests/right", **COMMON), undivided.root)
    without_sad = real.frame[(real.frame["label"] != "sadness") | (real.frame["split"] != "train")]
    cheerful = manifests.write(
        without_sad, real.path.with_name("cheerful"), label_set="basic7", command="t", licence=DRAWN.as_dict()
    )
    with pytest.raises(FerError, match="expected faces of a class that .* trains on too"):
        classification_accuracy_score(sad, cheerful, config, tmp_path)
    unread = right.frame.assign(split="val", origin="real")
    strange = manifests.write(
        unread, real.path.with_name("unread"), label_set="basic7", command="t", licence=DRAWN.as_dict()
    )
    with pytest.raises(FerError, match="expected reference labels of val faces, found none"):
        reference = config.model_copy(update={"labels": "reference"})
        yardstick.open_yardstick(strange, reference, under_conditions=False)


def test_configurations_that_ask_nothing_or_too_much_are_refused() -> None:
    with pytest.raises(ValidationError, match="give `synthetic`"):
        UsefulnessConfig(real="r")
    with pytest.raises(ValidationError, match="give both or neither"):
        UsefulnessConfig(real="r", learned="l")
    for seeds in ([1, 1], [-1, 2]):
        with pytest.raises(ValidationError, match="different numbers of at least 0"):
            TrialConfig(seeds=seeds)
    for train in ({}, {**TRAIN, "seed": 1}):
        with pytest.raises(FerError, match="expected `steps`"):
            TrialConfig(train=train).classifier()
    assert TrialConfig(train=TRAIN).classifier().evaluations == 1


def test_the_preset_is_whole() -> None:
    config = resolve(UsefulnessConfig, "experiments/usefulness")
    assert config.held_out == "val"  # nothing is chosen on test faces
    assert config.classifier().steps == config.train["steps"]
