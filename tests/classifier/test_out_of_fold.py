"""Out-of-fold predictions on striped faces."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from classifier.data import Faces, load_faces
from classifier.folds import assign_folds, train_folds, trainable_rows
from classifier.out_of_fold import PredictConfig, predict_out_of_fold
from classifier.prediction import load_classifier
from classifier.training import train
from fer_data import tables
from fer_data.auditing.evidence import read_evidence, repeats_folder
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
    assert metadata["out_of_fold"] and metadata["repeats"] == 1


def test_a_repeat_holds_what_its_own_classifiers_saw(mixed, quick, project):
    out = predict_out_of_fold(mixed, quick, project / "p.parquet", project / "runs/p")
    frame = tables.read_table(out)[0].to_pandas()
    evidence, _ = read_evidence(mixed, out)
    (repeat,) = evidence.repeats
    labelled = frame["given_label"].notna().to_numpy()
    images = mixed.pictures(16, 1, (mixed.frame["split"] == "train").to_numpy())[labelled]
    seen, times = np.zeros((70, 7)), np.zeros(70)
    for fold in range(3):
        classifier, held = load_classifier(project / f"runs/p/repeat-0/fold-{fold}"), repeat.fold == fold
        np.testing.assert_allclose(classifier.probabilities(images[held]), repeat.probabilities[held], atol=1e-5)
        np.testing.assert_allclose(classifier.features(images[held]), repeat.features[held], atol=2e-3)
        seen[~held] += classifier.probabilities(images[~held])
        times[~held] += 1
    np.testing.assert_allclose(repeat.seen, seen / times[:, None], atol=1e-5)
    assert repeat.trained.all() and repeat.margins.shape == (70, quick.train.dynamics)
    assert np.isfinite(repeat.margins).all()
    assert evidence.groups.tolist() == mixed.frame.set_index("sample_id")["group_id"][evidence.sample_ids].tolist()


def test_faces_of_other_splits_are_judged_and_never_trained_on(mixed, quick, project):
    config = quick.model_copy(update={"splits": ("train", "val")})
    evidence, _ = read_evidence(mixed, predict_out_of_fold(mixed, config, project / "p.parquet", project / "run"))
    (repeat,) = evidence.repeats
    split = mixed.frame.set_index("sample_id")["split"][evidence.sample_ids].to_numpy()
    assert np.array_equal(repeat.trained, split == "train")
    assert np.isnan(repeat.seen[split == "val"]).all() and np.isnan(repeat.margins[split == "val"]).all()
    assert np.isfinite(repeat.probabilities).all()


def test_planted_labels_are_trained_and_told(striped_manifest, quick, project, monkeypatch):
    manifest = striped_manifest([*range(7)] * 30, ["train"] * 210)
    taught: list[dict[str, int]] = []

    def spy(faces: Faces, *rest, **named) -> Path:
        taught.append(dict(zip(faces.sample_ids, faces.classes.tolist(), strict=True)))
        return train(faces, *rest, **named)

    monkeypatch.setattr("classifier.folds.train", spy)
    config = quick.model_copy(update={"planted": 0.1, "repeats": 2})
    evidence, _ = read_evidence(manifest, predict_out_of_fold(manifest, config, project / "p.parquet", project / "r"))
    planted = [repeat.trained_label != evidence.labels for repeat in evidence.repeats]
    assert all(rows.sum() == 21 for rows in planted) and not np.array_equal(*planted)
    for number, repeat in enumerate(evidence.repeats):
        told = dict(zip(evidence.sample_ids, repeat.trained_label, strict=True))
        for classifier in taught[3 * number : 3 * number + 3]:
            assert classifier == {sample_id: told[sample_id] for sample_id in classifier}
    none = config.model_copy(update={"planted": 0.0, "repeats": 1})
    evidence, _ = read_evidence(manifest, predict_out_of_fold(manifest, none, project / "q.parquet", project / "s"))
    assert np.array_equal(evidence.repeats[0].trained_label, evidence.labels)


def test_repeats_are_averaged_and_one_more_is_cheap(mixed, quick, project):
    config = quick.model_copy(update={"calibration": "none"})
    one = tables.read_table(predict_out_of_fold(mixed, config, project / "p.parquet", project / "run"))[0].to_pandas()
    reporter = Interrupter()
    more = config.model_copy(update={"repeats": 2, "models": ("thin_resnet10", "thin_resnet18")})
    out = predict_out_of_fold(mixed, more, project / "p.parquet", project / "run", reporter, replace=True)
    assert len(reporter.names) == 3 and reporter.names[0].endswith("repeat 2/2, fold 1/3")
    two = tables.read_table(out)[0].to_pandas()
    parts = [tables.read_table(repeats_folder(out) / f"{number}.parquet")[0].to_pandas() for number in (0, 1)]
    np.testing.assert_allclose(parts[0][PROBABILITIES], one[PROBABILITIES], atol=1e-6)
    mean = (parts[0][PROBABILITIES] + parts[1][PROBABILITIES]) / 2
    np.testing.assert_allclose(two[PROBABILITIES], mean, atol=1e-6)
    models = [load_classifier(project / f"run/repeat-{n}/fold-0").description["configuration"]["model"] for n in (0, 1)]
    assert models == ["thin_resnet10", "thin_resnet18"]


def test_no_repeat_begins_that_would_end_too_late(mixed, quick, project):
    config = quick.model_copy(update={"repeats": 5, "minutes": 1e-4})
    out = predict_out_of_fold(mixed, config, project / "p.parquet", project / "run")
    _, metadata = tables.read_table(out)
    assert metadata["repeats"] == 1 and metadata["seconds"] > 0
    assert [file.name for file in repeats_folder(out).iterdir()] == ["0.parquet"]


def test_probabilities_are_calibrated_on_other_folds(striped_manifest, quick, project):
    manifest = striped_manifest([*range(7)] * 20, ["train"] * 140)
    judged = {}
    for method in ("none", "temperature"):
        config = quick.model_copy(update={"calibration": method})
        out = predict_out_of_fold(manifest, config, project / f"{method}.parquet", project / "run")
        judged[method] = tables.read_table(out)[0].to_pandas()
    ratio = np.log(judged["temperature"][PROBABILITIES]).std(axis=1) / np.log(judged["none"][PROBABILITIES]).std(axis=1)
    per_fold = ratio.groupby(judged["none"]["fold"])
    assert per_fold.std().max() < 1e-3  # one temperature for a fold's faces
    assert per_fold.mean().nunique() == 3  # and another for each fold


def test_an_interrupted_prediction_goes_on_in_its_fold(mixed, quick, tmp_path):
    whole = predict_out_of_fold(mixed, quick, tmp_path / "a.parquet", tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        predict_out_of_fold(mixed, quick, tmp_path / "b.parquet", tmp_path / "b", Interrupter(at=11))
    assert not (tmp_path / "b.parquet").exists() and not repeats_folder(tmp_path / "b.parquet").exists()
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
    assert out.read_text() == "mine" and not repeats_folder(out).exists()


def test_refuses_synthetic_faces(striped_manifest, quick, tmp_path):
    manifest = striped_manifest([*range(7)] * 3, ["train"] * 21, origin=["real"] * 20 + ["synthetic"])
    with pytest.raises(FerError, match="expected real faces, found 1 synthetic ones"):
        predict_out_of_fold(manifest, quick, tmp_path / "p.parquet", tmp_path / "run")


def test_another_configuration_in_the_same_run_is_refused(mixed, quick, tmp_path):
    rows = (mixed.frame["split"] == "train").to_numpy()
    folds = assign_folds(mixed, rows, 3, 0)
    faces = load_faces(mixed, trainable_rows(mixed), 16, 1)
    arguments = {"title": "folds", "replace": False}
    next(train_folds(mixed, rows, folds, faces, quick.train, tmp_path, SILENT, **arguments))
    other = quick.train.model_copy(update={"steps": 7})
    with pytest.raises(FerError, match=r"steps: 6 there, 7 here"):
        next(train_folds(mixed, rows, folds, faces, other, tmp_path, SILENT, **arguments))


def test_preset_resolves_and_settings_reach_inside():
    config = resolve(PredictConfig, "predict", ["train.model=thin_resnet10", "splits=[train, test]"])
    assert config.train.model == "thin_resnet10" and config.train.epochs == 16
    assert config.splits == ("train", "test")
    with pytest.raises(FerError, match=r"unknown key 'train.modle'; did you mean 'model'"):
        resolve(PredictConfig, "predict", ["train.modle=x"])
