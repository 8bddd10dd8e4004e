import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from classifier.data import load_faces
from classifier.prediction import load_classifier
from experiments import judges as judges_module
from experiments.judge_parts import ROLES, Parts, PartShares, deal_parts
from experiments.judges import JudgesConfig, load_judges, train_judges
from fer_data import manifest as manifests
from fer_data.configuration import build, resolve
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.progress import SILENT

SIZE_PX = 16
TINY = {"size_px": SIZE_PX, "steps": 2, "batch_size": 16, "evaluations": 1, "threads": 1}
SETTINGS = {
    "fewest": 3,
    "guide": TINY,
    "screening": TINY,
    "measuring": {**TINY, "steps": 3},
    "conditions": {"copies": 1, "train": TINY},
}


def config(**settings) -> JudgesConfig:
    return build(JudgesConfig, {**SETTINGS, **settings}, "test")


@pytest.fixture(scope="module")
def faces(module_project) -> manifests.Manifest:
    """350 faces: 210 to train, 70 of them wrongly labelled or not; two test pictures are also in train."""
    return manifests.read(module_project / "manifests/faces")


@pytest.fixture(scope="module")
def judges(faces):
    return train_judges(faces, config(), faces.root / "runs/judges")


@pytest.fixture
def trained(judges, tmp_path):
    """A copy of the trained judges, to be damaged."""
    return shutil.copytree(judges.folder, tmp_path / "judges")


def changed(faces: manifests.Manifest, change) -> manifests.Manifest:
    """The same rows after `change(frame)`, not written."""
    frame = faces.frame.copy()
    change(frame)
    return manifests.Manifest(faces.path, frame, faces.metadata)


def test_parts_share_no_face_and_no_group_and_keep_the_shares(faces):
    def pair_up(frame):  # neighbours of one label and split are one person
        frame["group_id"] = np.arange(len(frame)) // 14 * 7 + np.arange(len(frame)) % 7

    paired = changed(faces, pair_up)
    parts = deal_parts(paired, PartShares(), 1, 0)
    groups = paired.frame["group_id"].to_numpy()
    held = [set(groups[parts.of_row == number]) for number in range(3)]
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]
    assert parts.shared_groups == 0
    used = parts.of_row >= 0
    assert not used[(paired.frame["split"] != "train").to_numpy()].any()
    found = np.bincount(parts.of_row[used]) / used.sum()
    np.testing.assert_allclose(found, [0.2, 0.3, 0.5], atol=0.05)


def test_classes_are_dealt_evenly(faces):
    parts = deal_parts(faces, PartShares(), 3, 0)
    counts = pd.crosstab(faces.frame["label"], parts.of_row).drop(columns=-1).to_numpy()
    exact = counts.sum(axis=1, keepdims=True) * [0.2, 0.3, 0.5]
    assert np.abs(counts - exact).max() <= 1


def test_identical_pictures_go_to_one_judge(faces):
    train = np.flatnonzero(faces.frame["split"] == "train")[20:80]

    def repeat_pictures(frame):  # two rows of different groups show one picture
        frame.loc[train[30:], "store_row"] = frame.loc[train[:30], "store_row"].to_numpy()

    for seed in range(3):
        parts = deal_parts(changed(faces, repeat_pictures), PartShares(), 3, seed)
        assert np.array_equal(parts.of_row[train[:30]], parts.of_row[train[30:]])


def test_faces_that_val_or_test_know_are_left_out_and_counted(faces):
    parts = deal_parts(faces, PartShares(), 3, 0)
    reason = "group or picture is also in val or test"
    assert parts.left_out == {"derived": 0, "without label": 0, "weight or repeat is zero": 0, reason: 2}

    def spoil(frame):
        train = frame.index[frame["split"] == "train"]
        frame.loc[train[30:33], "origin"] = "derived"
        frame.loc[train[40:44], "label"] = None
        frame.loc[train[50], "weight"] = 0
        frame.loc[train[60], "group_id"] = frame.loc[frame["split"] == "val", "group_id"].iloc[0]

    parts = deal_parts(changed(faces, spoil), PartShares(), 3, 0)
    assert parts.left_out == {"derived": 3, "without label": 4, "weight or repeat is zero": 1, reason: 3}
    assert (parts.of_row >= 0).sum() == 210 - 11


def test_the_seed_alone_deals(faces):
    first, same, other = (deal_parts(faces, PartShares(), 3, seed).of_row for seed in (1, 1, 2))
    assert np.array_equal(first, same) and not np.array_equal(first, other)


def test_shared_groups_are_counted():
    parts = Parts(np.array([0, 1, 1, 2, -1], np.int8), np.array([5, 5, 6, 7, 6]), {})
    assert parts.shared_groups == 1


def test_judges_are_different_networks_that_share_no_face(judges, faces):
    told = judges.description
    assert told["shared_groups"] == 0 and told["manifest_sha256"] == faces.sha256
    assert [told["judges"][role]["model"] for role in ROLES] == ["thin_resnet10", "thin_vgg", "thin_resnet18"]
    parts = pq.read_table(judges.folder / "parts.parquet").to_pandas()
    assert parts["sample_id"].is_unique
    for role in ROLES:
        own = parts["judge"] == role
        assert own.sum() == told["judges"][role]["train_faces"] == sum(told["judges"][role]["per_class"].values())
        shown = 1 if role == "measuring" else 2  # plain, and covered or relit
        assert told["judges"][role]["pictures"] == shown * own.sum()
        checkpoint = load_classifier(judges.folder / role).description
        assert checkpoint["trained_on"]["judge"] == role
        assert checkpoint["trained_on"]["sample_ids_sha256"] == told["judges"][role]["sample_ids_sha256"]
    assert len({told["judges"][role]["sample_ids_sha256"] for role in ROLES}) == 3


def test_what_is_told_of_the_measuring_judge_is_what_it_does(judges, faces):
    val = (faces.frame["split"] == "val").to_numpy()
    seen = judges.measuring.probabilities(faces.pictures(SIZE_PX, 1, val)).argmax(axis=1)
    given = faces.frame["label"][val].to_numpy()
    told = judges.description["judges"]["measuring"]
    assert told["val_faces"] == told["agreement"]["all"]["count"] == 70
    assert told["agreement"]["all"]["agreement"] == told["accuracy"] == np.mean(np.array(BASIC7)[seen] == given)
    for label in BASIC7:
        assert told["agreement"][label]["agreed"] == (np.array(BASIC7)[seen] == label)[given == label].sum()
        assert told["agreement"][label]["low"] <= told["agreement"][label]["agreement"]


def test_a_judge_that_is_not_asked_for_is_never_read(trained):
    shutil.rmtree(trained / "measuring")
    opened = load_judges(trained)
    images = np.zeros((1, 1, SIZE_PX, SIZE_PX), np.uint8)
    assert opened.guide.probabilities(images).shape == opened.screening.probabilities(images).shape == (1, 7)
    assert opened.labels == BASIC7
    assert opened.conditions.probabilities(images)["occlusion"].shape == (1, 7)
    with pytest.raises(FerError, match="expected a classifier"):
        _ = opened.measuring


def test_finished_judges_are_opened_and_others_refused(trained, faces):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.is_file()}
    assert train_judges(faces, config(), trained).description["kind"] == "judges"
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.is_file()} == before
    with pytest.raises(FerError, match="holds judges of another manifest or configuration; .* add --replace"):
        train_judges(faces, config(seed=1), trained)
    again = train_judges(faces, config(seed=1, conditions=None), trained, replace=True)
    assert again.description["configuration"]["seed"] == 1 and again.conditions is None


def test_judges_that_do_not_tell_what_the_judge_of_conditions_learnt_from_are_completed(trained, judges, faces):
    (trained / "conditions/faces.parquet").unlink()
    with pytest.raises(FerError, match="run the same fer judges again, which adds it"):
        _ = load_judges(trained).conditions.learnt_from
    weights = (trained / "conditions/checkpoint/model.safetensors").stat().st_mtime_ns
    again = train_judges(faces, config(), trained)
    assert again.conditions.learnt_from == judges.conditions.learnt_from
    assert set(faces.frame["split"][faces.frame["sample_id"].isin(again.conditions.learnt_from)]) == {"val"}
    assert (trained / "conditions/checkpoint/model.safetensors").stat().st_mtime_ns == weights


def test_a_run_that_was_cut_off_goes_on_and_ends_the_same(judges, faces, tmp_path, monkeypatch):
    def cut_off(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("experiments.judges.train_condition_judge", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train_judges(faces, config(), tmp_path / "judges")
    with pytest.raises(FerError, match=r"expected finished judges \(judges.json\), found none; run fer judges"):
        load_judges(tmp_path / "judges")
    kept = (tmp_path / "judges/guide/checkpoint/model.safetensors").stat().st_mtime_ns
    again = train_judges(faces, config(), tmp_path / "judges")
    assert (tmp_path / "judges/guide/checkpoint/model.safetensors").stat().st_mtime_ns == kept
    assert again.description == judges.description
    for role in (*ROLES, "conditions"):
        files = [folder / role / "checkpoint/model.safetensors" for folder in (judges.folder, again.folder)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_refuses_manifests_that_cannot_give_judges(faces, tmp_path):
    def one_is_synthetic(frame):
        frame.loc[frame.index[0], "origin"] = "synthetic"

    with pytest.raises(FerError, match="expected real faces only, found 1 synthetic ones"):
        deal_parts(changed(faces, one_is_synthetic), PartShares(), 3, 0)
    with pytest.raises(FerError, match="at least 20 training faces of anger for the guide judge, found 6"):
        deal_parts(faces, PartShares(), 20, 0)

    def no_train(frame):
        frame["split"] = "val"

    with pytest.raises(FerError, match="at least 1 training faces of anger for the guide judge, found 0"):
        deal_parts(changed(faces, no_train), PartShares(), 1, 0)

    def no_val(frame):
        frame.loc[frame["split"] == "val", "split"] = None

    with pytest.raises(FerError, match="expected labelled validation faces without twins in train"):
        train_judges(changed(faces, no_val), config(), tmp_path / "judges")
    assert not (tmp_path / "judges/judges.json").exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"shares": {"guide": 0.5}}, "expected shares that sum to 1"),
        ({"guide": {"model": "thin_vgg"}}, "three different networks, found thin_vgg, thin_vgg, thin_resnet18"),
        ({"measuring": {"balanced_sampling": True}}, "expected a plain measuring judge"),
        ({"measuring": {"logit_adjustment": 1}}, "expected a plain measuring judge"),
        ({"guide": {"lift_rare": True, "logit_adjustment": 0}}, "lift_rare changes a judge after"),
        ({"gide": {}}, "unknown key 'gide'; did you mean 'guide'"),
    ],
)
def test_refuses_configurations_whose_judges_would_not_be_apart_or_plain(settings, sentence):
    with pytest.raises(FerError, match=sentence):
        config(**settings)


def test_the_preset_for_a_trial_is_the_same_on_less():
    tiny, whole = resolve(JudgesConfig, "judges-tiny"), JudgesConfig()
    assert tiny.fewest == 1 and tiny.shares == whole.shares
    assert [tiny.training(role).model for role in ROLES] == [whole.training(role).model for role in ROLES]
    assert tiny.screening.logit_adjustment == 1 and tiny.conditions.train.size_px == 32


def test_the_preset_is_what_the_configuration_says():
    assert resolve(JudgesConfig, "judges") == JudgesConfig()
    assert json.loads(JudgesConfig().model_dump_json())["screening"]["model"] == "thin_vgg"


def test_covered_pictures_keep_the_label_of_their_face(faces):
    own = (faces.frame["split"] == "train").to_numpy() & (np.arange(len(faces)) % 10 == 0)
    plain = load_faces(faces, own, 24, 1)
    both = judges_module._with_covered(plain, faces, own, config(covered=3), SILENT)
    assert len(both) == 4 * len(plain)
    labels = dict(zip(plain.sample_ids, plain.classes, strict=True))
    assert [labels[sample_id] for sample_id in both.sample_ids] == both.classes.tolist()
    assert (both.images[: len(plain)] == plain.images).all()
    differ = [
        (both.images[row] != plain.images[plain.sample_ids.index(both.sample_ids[row])]).any().item()
        for row in range(len(plain), len(both))
    ]
    assert np.mean(differ) > 0.8  # a face may be drawn bare, in normal light
