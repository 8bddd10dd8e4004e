import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from classifier.condition_faces import PAIRS, ConditionFaces, make_condition_faces
from classifier.condition_judge import (
    ConditionJudge,
    ConditionJudgeConfig,
    halve,
    load_condition_judge,
    score_conditions,
    train_condition_judge,
)
from classifier.training import train
from fer_data.conditions import measure_light
from fer_data.errors import FerError
from fer_data.expressions import BASIC7, LIGHTS, OCCLUSIONS

SIZE = 16
LIT = {"light": "normal"}


@pytest.fixture
def validation(noise_manifest):
    """Makes a manifest of so many validation faces, and as many for training."""

    def make(count: int, facts=None, size_px: int = SIZE, **columns):
        splits = ["val"] * count + ["train"] * count
        facts = [*(facts or [LIT] * count), *[{}] * count]
        labels = [BASIC7[index % 7] for index in range(2 * count)]
        return noise_manifest(labels, splits, facts=facts, size_px=size_px, **columns)

    return make


@pytest.fixture
def quick() -> ConditionJudgeConfig:
    training = {"size_px": SIZE, "steps": 3, "batch_size": 16, "threads": 1, "evaluations": 1}
    return ConditionJudgeConfig(copies=2, train=training)


def shown(manifest, rows=None, **options):
    rows = (manifest.frame["split"] == "val").to_numpy() if rows is None else rows
    return make_condition_faces(manifest, rows, **{"copies": 7, "size_px": SIZE, "channels": 1, "seed": 0, **options})


def test_a_face_shows_every_occlusion_once_and_every_light(validation):
    faces = shown(validation(3))
    assert faces.pictures.shape == (21, 1, SIZE, SIZE) and faces.sample_ids[:8].count("noise/00000") == 7
    for own in np.arange(21).reshape(3, 7):
        assert sorted(faces.occlusions[own]) == list(range(7))
        assert set(faces.lights[own]) == set(range(4))
    assert np.array_equal(faces.relit, faces.lights != LIGHTS.index("normal"))


def test_only_an_unchanged_face_is_the_stored_picture(validation):
    manifest = validation(8)
    faces = shown(manifest)
    stored = manifest.pictures(SIZE, 1)[np.repeat(np.arange(8), 7)]
    same = (faces.pictures == stored).all(axis=(1, 2, 3))
    unchanged = (faces.occlusions == 0) & (faces.lights == 0)
    assert np.array_equal(same, unchanged) and unchanged.any()


def test_what_is_done_to_a_face_depends_on_its_id_alone(validation):
    manifest = validation(4)
    alone = np.zeros(8, dtype=bool)
    alone[2] = True
    among, single = shown(manifest), shown(manifest, alone)
    assert np.array_equal(single.pictures, among.pictures[14:21])
    assert not np.array_equal(shown(manifest, seed=1).pictures, among.pictures)


def test_what_the_facts_state_is_kept(validation):
    manifest = validation(2, [{"occlusion": "mask", "light": "normal"}, {"occlusion": "none", "light": "side"}])
    faces = shown(manifest, copies=4)
    assert (faces.occlusions[:4] == OCCLUSIONS.index("mask")).all() and len(set(faces.lights[:4])) == 4
    assert (faces.lights[4:] == LIGHTS.index("side")).all() and len(set(faces.occlusions[4:])) == 4
    assert not faces.relit[4:].any()


def test_light_that_is_not_stated_is_measured_where_a_measurement_can_be_trusted(validation, monkeypatch):
    told = iter(["low", "back", "normal"])
    monkeypatch.setattr("fer_data.conditions.measure_light", lambda images: [next(told)])
    faces = shown(validation(3, [{}, {}, {}]), copies=4)
    assert faces.lights[:8].tolist() == [LIGHTS.index("low")] * 4 + [-1] * 4
    assert len(set(faces.lights[8:])) == 4 and not faces.relit[:8].any()


def test_copies_look_lit_as_they_are_labelled(validation):
    faces = shown(validation(20, size_px=48), size_px=48)
    dark = faces.lights == LIGHTS.index("low")
    brightness = faces.pictures.mean(axis=(1, 2, 3))
    assert brightness[dark].max() < np.median(brightness[faces.lights == 0])
    assert measure_light(list(faces.pictures[dark, 0])).count("low") > 0.7 * dark.sum()


def test_pairs_carry_both_words_and_share_out_a_light_that_is_not_known():
    faces = ConditionFaces(
        np.zeros((2, 1, 8, 8), np.uint8), np.array([2, 1]), np.array([3, -1]), np.zeros(2, bool), ["a", "b"]
    )
    targets = faces.paired().targets.numpy()
    assert targets.sum(axis=1).tolist() == [1, 1]
    assert targets[0].argmax() == PAIRS.index("sunglasses back")
    assert {PAIRS[place]: targets[1, place] for place in np.flatnonzero(targets[1])} == dict.fromkeys(
        ("mask normal", "mask low", "mask side", "mask back"), 0.25
    )


def test_colour_faces_are_shown_in_colour_or_grey(validation):
    assert shown(validation(2), channels=3).pictures.shape == (14, 3, SIZE, SIZE)


def test_halves_share_no_group_and_no_picture_and_leave_the_rest_alone(validation):
    groups = np.r_[np.repeat(np.arange(20), 2), np.arange(100, 140)]
    manifest = validation(40, groups=groups, origin=["real"] * 36 + ["derived"] * 4 + ["real"] * 40)
    learnt, tested = halve(manifest, ConditionJudgeConfig())
    assert not (learnt & tested).any() and (learnt | tested).sum() == 36
    assert not (learnt | tested)[36:].any()
    assert not set(groups[learnt]) & set(groups[tested])
    assert learnt.sum() == tested.sum() == 18


def test_a_small_judge_learns_light_and_says_how_often_it_is_right(validation, tmp_path):
    training = {"size_px": SIZE, "steps": 40, "batch_size": 32, "threads": 1, "evaluations": 1, "ema": 0.9}
    config = ConditionJudgeConfig(train=training)
    manifest = validation(40)
    judge = train_condition_judge(manifest, config, tmp_path / "conditions")
    held_out = judge.description["held_out"]
    assert held_out["light"]["all"]["agreement"] > 0.5 and held_out["light"]["all"]["count"] == 140
    assert set(held_out["occlusion"]) == {"all", *OCCLUSIONS}
    assert {entry["count"] for word, entry in held_out["occlusion"].items() if word != "all"} == {20}
    assert set(held_out["natural_light"]) == {"all", "normal"}
    tested = shown(manifest, halve(manifest, config)[1])
    judged = judge.probabilities(tested.pictures)
    assert judged["occlusion"].shape == (140, 7) and judged["light"].shape == (140, 4)
    for facet in judged.values():
        np.testing.assert_allclose(facet.sum(axis=1), 1, atol=1e-5)
    right = int((judged["light"].argmax(axis=1) == tested.lights).sum())
    assert held_out["light"]["all"]["agreed"] == right
    assert judge.occlusions == OCCLUSIONS and judge.lights == LIGHTS


def test_scores_count_by_word():
    class Sure:
        def probabilities(self, images):
            return {"occlusion": np.eye(7)[[0, 0, 1, 1]], "light": np.eye(4)[[0, 1, 1, 1]]}

    faces = ConditionFaces(
        np.zeros((4, 1, 8, 8), np.uint8),
        np.array([0, 1, 1, 1]),
        np.array([0, 1, -1, 2]),
        np.array([0, 0, 0, 1], bool),
        [],
    )
    found = score_conditions(Sure(), faces)
    assert {word: (entry["agreed"], entry["count"]) for word, entry in found["occlusion"].items()} == {
        "all": (3, 4),
        "none": (1, 1),
        "mask": (2, 3),
    }
    assert found["light"]["all"]["count"] == 3 and found["light"]["side"]["agreement"] == 0
    assert found["natural_light"]["all"]["agreement"] == 1 and found["natural_light"]["all"]["high"] == 1


def test_the_same_judge_is_opened_again_and_another_refused(validation, quick, tmp_path):
    manifest, folder = validation(6), tmp_path / "conditions"
    first = train_condition_judge(manifest, quick, folder)
    weights = (folder / "checkpoint" / "model.safetensors").stat().st_mtime_ns
    assert train_condition_judge(manifest, quick, folder).description == first.description
    assert (folder / "checkpoint" / "model.safetensors").stat().st_mtime_ns == weights
    other = quick.model_copy(update={"seed": 1})
    with pytest.raises(FerError, match="holds a run with another"):
        train_condition_judge(manifest, other, folder)
    replaced = train_condition_judge(manifest, other, folder, replace=True)
    assert replaced.description["configuration"]["seed"] == 1


def test_the_judge_knows_which_faces_it_learnt_from(validation, quick, tmp_path):
    manifest, folder = validation(6), tmp_path / "conditions"
    judge = train_condition_judge(manifest, quick, folder)
    learnt, tested = halve(manifest, quick)
    names = manifest.frame["sample_id"]
    assert judge.learnt_from == load_condition_judge(folder).learnt_from == set(names[learnt])
    table = pq.read_table(folder / "faces.parquet").to_pandas()
    assert set(table["sample_id"][table["part"] == "test"]) == set(names[tested])
    run = json.loads((folder / "checkpoint/classifier.json").read_text())
    assert run["chosen"]["step"] == run["steps"] == 3  # no face chose the step
    (folder / "faces.parquet").unlink()
    with pytest.raises(FerError, match="which tells from which faces the judge of conditions learnt, found none"):
        _ = load_condition_judge(folder).learnt_from
    assert train_condition_judge(manifest, quick, folder).learnt_from == judge.learnt_from


def test_a_set_of_a_few_faces_is_enough(validation, quick, tmp_path, recwarn):
    judge = train_condition_judge(validation(2), quick, tmp_path / "conditions")
    assert judge.description["faces"] == {"train": 1, "test": 1}
    assert np.isfinite(judge.probabilities(np.zeros((1, 3, 40, 40), np.uint8))["light"]).all()
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


def test_refusals(validation, quick, tmp_path, monkeypatch, striped_faces, tiny):
    with pytest.raises(FerError, match="expected at least two validation faces .* found 2 in 1 groups"):
        halve(validation(2, groups=[1, 1, 2, 3]), quick)
    with pytest.raises(FerError, match=r"conditions.json is missing"):
        load_condition_judge(tmp_path / "none")
    run = tmp_path / "expressions"
    train(striped_faces(14), None, BASIC7, tiny.model_copy(update={"steps": 1}), run)
    (run / "conditions.json").write_text(json.dumps({}))
    with pytest.raises(FerError, match="expected a judge of 28 pairs of occlusion and light, found a classifier of 7"):
        load_condition_judge(run)


def test_refuses_facts_that_nobody_knows(validation, monkeypatch):
    manifest = validation(2, name="strange")
    facts = manifest.facts(["occlusion", "light", "landmarks"], np.arange(4) < 2).assign(occlusion="veil")
    monkeypatch.setattr(type(manifest), "facts", lambda self, columns, rows=None: facts)
    with pytest.raises(FerError, match="occlusion 'veil' is unknown; expected one of none, mask"):
        shown(manifest)


def test_the_judge_is_a_shell_around_a_classifier(tmp_path):
    class Flat:
        def probabilities(self, images):
            return torch.full((len(images), 28), 1 / 28).numpy()

    judged = ConditionJudge(Flat(), {}, tmp_path).probabilities(np.zeros((3, 1, 8, 8), np.uint8))
    np.testing.assert_allclose(judged["occlusion"], 1 / 7, rtol=1e-6)
    np.testing.assert_allclose(judged["light"], 1 / 4, rtol=1e-6)
