import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from classifier.data import Faces
from classifier.folds import assign_folds, train_folds
from classifier.prediction import (
    PredictConfig,
    features_path,
    load_classifier,
    predict_out_of_fold,
    predict_with,
)
from classifier.training import train, train_manifest
from fer_data import tables
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.progress import SILENT

PROBABILITIES = [f"p_{label}" for label in BASIC7]


class Interrupter:
    """A reporter that raises after so many steps in all, and remembers the stages' names."""

    def __init__(self, at: float = float("inf")) -> None:
        self.at, self.done = at, 0
        self.names: list[str] = []

    @contextmanager
    def stage(self, name, total):
        self.names.append(name)
        yield self

    def advance(self, amount=1, note=""):
        self.done += amount
        if self.done >= self.at:
            raise KeyboardInterrupt


@pytest.fixture
def quick(tiny) -> PredictConfig:
    return PredictConfig(folds=3, train=tiny.model_copy(update={"steps": 6, "evaluations": 3}))


@pytest.fixture
def mixed(striped_manifest):
    """72 training rows in groups of two, of which two rows have no label, and 7 rows each in val and test."""
    classes = [number for number in range(7) for _ in range(10)] + [0, 0] + [*range(7)] * 2
    labels = [BASIC7[number] for number in classes]
    labels[70] = labels[71] = None
    groups = np.r_[np.arange(72) // 2, np.arange(100, 114)]
    groups[72] = 0  # a val row in a training row's group
    return striped_manifest(classes, ["train"] * 72 + ["val"] * 7 + ["test"] * 7, groups=groups, label=labels)


def test_a_classifier_judges_pictures_of_any_size(tmp_path, striped_faces, tiny):
    config = tiny.model_copy(update={"mirror_average": True, "steps": 4})
    classifier = load_classifier(train(striped_faces(70), None, BASIC7, config, tmp_path / "run"))
    images = striped_faces(300, 3).images.numpy()
    judged = classifier.probabilities(images)
    assert classifier.labels == BASIC7 and judged.shape == (300, 7) and judged.dtype == np.float32
    np.testing.assert_allclose(judged.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(classifier.probabilities(images[:, :, :, ::-1]), judged, atol=1e-5)
    np.testing.assert_allclose(classifier.probabilities(images[5:6]), judged[5:6], atol=1e-5)
    np.testing.assert_allclose(classifier.probabilities(images.repeat(3, axis=1)), judged, atol=1e-5)
    assert classifier.probabilities(images.repeat(2, axis=2).repeat(2, axis=3)).shape == (300, 7)
    assert classifier.probabilities(images[:0]).shape == (0, 7)
    assert classifier.features(images).shape == (300, 128)
    assert load_classifier(tmp_path / "run").labels == BASIC7  # the run's folder serves as well


def test_probabilities_are_the_head_on_the_features(tmp_path, striped_faces, tiny):
    checkpoint = train(striped_faces(70), None, BASIC7, tiny.model_copy(update={"steps": 4}), tmp_path / "run")
    classifier, images = load_classifier(checkpoint), striped_faces(20, 3).images.numpy()
    state = load_file(checkpoint / "model.safetensors")
    logits = torch.from_numpy(classifier.features(images)) @ state["head.weight"].T + state["head.bias"]
    np.testing.assert_allclose(classifier.probabilities(images), logits.softmax(dim=1).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 16, 16), np.uint8), np.zeros((2, 1, 16, 16)), np.zeros((2, 2, 16, 16), np.uint8)]
)
def test_refuses_what_is_no_batch_of_pictures(tmp_path, striped_faces, tiny, images):
    classifier = load_classifier(
        train(striped_faces(14), None, BASIC7, tiny.model_copy(update={"steps": 1}), tmp_path / "run")
    )
    with pytest.raises(FerError, match=r"expected pictures uint8 \[N, 1 or 3, H, W\]"):
        classifier.probabilities(images)


def test_refuses_folders_without_a_whole_classifier(tmp_path, striped_faces, tiny):
    with pytest.raises(FerError, match=r"expected a classifier \(classifier.json\), found none"):
        load_classifier(tmp_path / "nothing")
    checkpoint = train(striped_faces(14), None, BASIC7, tiny.model_copy(update={"steps": 1}), tmp_path / "run")
    file = checkpoint / "model.safetensors"
    save_file({key: value for key, value in load_file(file).items() if "head" not in key}, file)
    with pytest.raises(FerError, match="expected the weights of thin_resnet10, found others"):
        load_classifier(checkpoint)
    file.write_bytes(b"broken")
    with pytest.raises(FerError, match="cannot be read .* train again"):
        load_classifier(checkpoint)


def test_every_row_is_predicted_by_a_classifier_that_saw_nothing_of_its_group(mixed, quick, tmp_path, monkeypatch):
    learnt: list[set[str]] = []

    def spy(faces: Faces, *rest, **named) -> Path:
        learnt.append(set(faces.sample_ids))
        return train(faces, *rest, **named)

    monkeypatch.setattr("classifier.folds.train", spy)
    config = quick.model_copy(update={"splits": ("train", "val")})
    out = predict_out_of_fold(mixed, config, tmp_path / "p.parquet", tmp_path / "run")
    table, metadata = tables.read_table(out, kind="predictions")
    frame = table.to_pandas()

    source = mixed.frame[mixed.frame["split"].isin(["train", "val"])]
    assert frame["sample_id"].tolist() == source["sample_id"].tolist()
    assert frame["given_label"].isna().sum() == 2
    np.testing.assert_allclose(frame[PROBABILITIES].sum(axis=1), 1, atol=1e-5)
    group = mixed.frame.set_index("sample_id")["group_id"]
    assert frame.groupby(frame["sample_id"].map(group))["fold"].nunique().eq(1).all()
    may_learn = set(mixed.frame.loc[(mixed.frame["split"] == "train") & mixed.frame["label"].notna(), "sample_id"])
    for fold in range(3):
        held_groups = group[frame.loc[frame["fold"] == fold, "sample_id"]]
        assert not group[list(learnt[fold])].isin(held_groups).any()
        assert learnt[fold] == {name for name in may_learn if group[name] not in set(held_groups)}
    assert metadata["manifest_sha256"] == mixed.sha256 and metadata["label_set"] == "basic7"
    assert metadata["out_of_fold"] and len(metadata["checkpoints"]) == 3


def test_predictions_and_features_are_those_of_the_folds_own_classifiers(mixed, quick, project):
    out = predict_out_of_fold(mixed, quick, project / "p.parquet", project / "runs/p")
    frame = tables.read_table(out)[0].to_pandas()
    table, _ = tables.read_table(features_path(out), kind="features")
    assert table["sample_id"].to_pylist() == frame["sample_id"].tolist()
    assert str(table.schema.field("features").type).startswith("list<")
    features = np.stack(table["features"].to_pylist())
    images = mixed.pictures(16, 1, (mixed.frame["split"] == "train").to_numpy())
    for fold in range(3):
        classifier, held = load_classifier(project / f"runs/p/fold-{fold}"), (frame["fold"] == fold).to_numpy()
        np.testing.assert_allclose(classifier.probabilities(images[held]), frame.loc[held, PROBABILITIES], atol=1e-6)
        np.testing.assert_allclose(classifier.features(images[held]), features[held], atol=1e-5)


def test_repeats_are_averaged(mixed, quick, tmp_path):
    once = [
        tables.read_table(
            predict_out_of_fold(mixed, quick.model_copy(update=update), tmp_path / f"{name}.parquet", tmp_path / name)
        )[0].to_pandas()
        for name, update in (("one", {}), ("two", {"repeats": 2}))
    ]
    assert (once[0]["fold"] == once[1]["fold"]).all()
    assert (tmp_path / "two/fold-5/checkpoint").is_dir()
    np.testing.assert_allclose(once[1][PROBABILITIES].sum(axis=1), 1, atol=1e-5)
    assert np.abs(once[0][PROBABILITIES] - once[1][PROBABILITIES]).to_numpy().max() > 1e-3


def test_an_interrupted_prediction_goes_on_in_its_fold(mixed, quick, tmp_path):
    whole = predict_out_of_fold(mixed, quick, tmp_path / "a.parquet", tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        predict_out_of_fold(mixed, quick, tmp_path / "b.parquet", tmp_path / "b", Interrupter(at=11))
    assert not (tmp_path / "b.parquet").exists() and not features_path(tmp_path / "b.parquet").exists()
    reporter = Interrupter()
    resumed = predict_out_of_fold(mixed, quick, tmp_path / "b.parquet", tmp_path / "b", reporter)
    assert reporter.names == [f"out-of-fold probabilities, fold {number}/3" for number in (2, 3)]
    assert tables.read_table(resumed)[0].equals(tables.read_table(whole)[0])


def test_predicts_where_there_are_no_splits(striped_manifest, quick, tmp_path):
    manifest = striped_manifest([*range(7)] * 4, [None] * 28)
    out = predict_out_of_fold(manifest, quick, tmp_path / "p.parquet", tmp_path / "run")
    assert len(tables.read_table(out)[0]) == 28


def test_folds_are_even_and_whole(mixed):
    rows = (mixed.frame["split"] == "train").to_numpy()
    folds = assign_folds(mixed, rows, 5, seed=0)
    part = mixed.frame[rows].assign(fold=folds)
    assert (part[part["label"].notna()].groupby(["label", "fold"]).size() == 2).all()
    assert part.groupby("group_id")["fold"].nunique().eq(1).all()
    assert np.array_equal(folds, assign_folds(mixed, rows, 5, seed=0))
    assert not np.array_equal(folds, assign_folds(mixed, rows, 5, seed=1))


def test_refuses_what_cannot_be_folded(striped_manifest, quick, tmp_path):
    out, run_dir = tmp_path / "p.parquet", tmp_path / "run"
    rare = striped_manifest([*range(7)] * 3 + [0], ["train"] * 22, groups=[*range(21), 0], name="rare")
    with pytest.raises(FerError, match="expected at least 4 independent faces of anger, .* found 3; set folds to 3"):
        predict_out_of_fold(rare, quick.model_copy(update={"folds": 4}), out, run_dir)
    with pytest.raises(FerError, match="expected rows in test, found none"):
        predict_out_of_fold(rare, quick.model_copy(update={"splits": ("test",)}), out, run_dir)
    bare = striped_manifest([0, 1], ["train"] * 2, label=[None, None], name="bare")
    with pytest.raises(FerError, match="expected at least 3 groups for 3 folds"):
        predict_out_of_fold(bare, quick, out, run_dir)
    unlabelled = striped_manifest([0] * 9, ["train"] * 9, label=[None] * 9, name="unlabelled")
    with pytest.raises(FerError, match="expected labelled faces, found none"):
        predict_out_of_fold(unlabelled, quick, out, run_dir)
    out.write_text("mine")
    with pytest.raises(FerError, match="exists; choose another --out"):
        predict_out_of_fold(rare, quick, out, run_dir)
    assert out.read_text() == "mine" and not features_path(out).exists()


def test_refuses_synthetic_faces(striped_manifest, quick, tmp_path):
    manifest = striped_manifest([*range(7)] * 3, ["train"] * 21, origin=["real"] * 20 + ["synthetic"])
    with pytest.raises(FerError, match="expected real faces, found 1 synthetic ones"):
        predict_out_of_fold(manifest, quick, tmp_path / "p.parquet", tmp_path / "run")


def test_another_configuration_in_the_same_run_is_refused(mixed, quick, tmp_path):
    rows = (mixed.frame["split"] == "train").to_numpy()
    folds = assign_folds(mixed, rows, 3, 0)
    arguments = {"first": 0, "total": 3, "replace": False}
    next(train_folds(mixed, rows, folds, quick.train, tmp_path, SILENT, **arguments))
    other = quick.train.model_copy(update={"steps": 7})
    with pytest.raises(FerError, match=r"steps: 6 there, 7 here"):
        next(train_folds(mixed, rows, folds, other, tmp_path, SILENT, **arguments))


def test_predict_with_one_classifier(mixed, tiny, tmp_path):
    checkpoint = train_manifest(mixed, tiny.model_copy(update={"steps": 4}), tmp_path / "run")
    rows = (mixed.frame["split"] == "test").to_numpy()
    out = predict_with(checkpoint, mixed, rows, tmp_path / "test.parquet")
    table, metadata = tables.read_table(out, kind="predictions")
    assert table["sample_id"].to_pylist() == mixed.frame.loc[rows, "sample_id"].tolist()
    assert table["fold"].null_count == 7 and metadata["out_of_fold"] is False
    judged = load_classifier(checkpoint).probabilities(mixed.pictures(16, 1, rows))
    np.testing.assert_array_equal(table.select(PROBABILITIES).to_pandas().to_numpy(), judged)
    with pytest.raises(FerError, match="exists; choose another --out"):
        predict_with(checkpoint, mixed, rows, out)
    predict_with(checkpoint, mixed, rows, out, replace=True)
    with pytest.raises(FerError, match="expected rows to predict, found none"):
        predict_with(checkpoint, mixed, ~rows & rows, tmp_path / "none.parquet")
    description = json.loads((checkpoint / "classifier.json").read_text())
    (checkpoint / "classifier.json").write_text(json.dumps({**description, "labels": list(BASIC7[::-1])}))
    with pytest.raises(FerError, match="expected a classifier of basic7"):
        predict_with(checkpoint, mixed, rows, tmp_path / "other.parquet")


def test_preset_resolves_and_settings_reach_inside():
    config = resolve(PredictConfig, "predict", ["train.model=thin_resnet10", "splits=[train, test]"])
    assert config.train.model == "thin_resnet10" and config.train.epochs == 8
    assert config.splits == ("train", "test")
    with pytest.raises(FerError, match=r"unknown key 'train.modle'; did you mean 'model'"):
        resolve(PredictConfig, "predict", ["train.modle=x"])
