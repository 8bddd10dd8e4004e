import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fer_data import manifest as manifests
from fer_data import merging, tables
from fer_data.balance import Cell, Plan, write_plan
from fer_data.errors import FerError
from fer_data.locks import name_lock
from fer_data.manifest import Manifest
from generators.contract import GuideSource
from generators.drawing.requests import put_on
from generators.models import load_generator
from generators.sampling import GenerateConfig, generate
from generators.training import train_generator

FAST = GenerateConfig(chunk=3, processes=1)


def changed(**settings):
    return GenerateConfig(**{"chunk": 3, "processes": 1, **settings})


def pictures_of(manifest: Manifest) -> np.ndarray:
    return manifest.pictures(16, 1)


def generations_of(manifest: Manifest) -> list[dict]:
    return [store.info["generation"] for store in manifest.stores.values()]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "fer.toml").write_text("")
    return tmp_path


@pytest.fixture(scope="session")
def second(training, root, make_config) -> Path:
    """Another checkpoint, of another kind than some."""
    return train_generator("dcgan", training, make_config("dcgan", seed=1), root / "runs" / "second")


@pytest.fixture(scope="session")
def diffusion(training, root, make_config) -> Path:
    return train_generator("diffusion", training, make_config("diffusion"), root / "runs" / "diffusion")


def test_a_plan_is_fulfilled_with_full_provenance(checkpoint, kind, plan, training, root):
    made = generate(plan, [checkpoint], root / "manifests" / f"made-{kind}", FAST)
    assert made.frame["label"].tolist() == ["disgust"] * 3 + ["fear"] * 4
    assert set(made.frame["origin"]) == {"synthetic"}
    assert set(made.frame["split"]) == {"train"}
    assert set(made.frame["label_origin"]) == {"generated"}
    assert made.frame["group_id"].is_unique
    assert manifests.validate(made, full=True) == []
    facts = made.facts(["occlusion", "light", "condition_source", "generation_id", "seed", "parents"])
    assert facts["occlusion"].iloc[0] == "mask"
    assert facts["light"].iloc[0] == "low"
    assert facts[["occlusion", "light"]].iloc[3:].isna().all(axis=None)
    assert set(facts["condition_source"]) == {"generated"}
    assert facts["seed"].is_unique
    assert facts["parents"].isna().all()
    (generation,) = generations_of(made)
    assert facts["generation_id"].tolist() == [generation["id"]] * 7
    assert made.frame["sample_id"].iloc[2] == f"synthetic-{generation['id'][:8]}/000002"
    assert generation["manifest_sha256"] == training.sha256
    assert generation["kind"] == kind
    assert generation["checkpoint"] == f"runs/{kind}/checkpoint"
    assert generation["sampling"] == json.loads(json.dumps(load_generator(checkpoint).sampling))
    assert (generation["source"], generation["conditions"], generation["guide_sha256"]) == ("noise", "learned", None)
    seen, _ = tables.read_table(root / generation["seen"], kind="seen")
    assert len(seen) == 42
    assert made.metadata["licence"] == training.metadata["licence"]
    assert manifests.lineage(made)[1]["state"] == "as it was"


def test_pictures_are_what_the_generator_draws_for_their_seeds(checkpoint, plan, project):
    made = generate(plan, [checkpoint], project / "made", FAST)
    generator = load_generator(checkpoint)
    seeds = made.facts(["seed"])["seed"].to_numpy(np.int64)
    alone = generator.sample(generator.vocabulary.encode(["fear"], [None], [None], "test"), seeds[5:6])
    assert np.array_equal(alone[0], pictures_of(made)[5])


def test_checkpoints_share_a_plan_each_with_its_own_store(diffusion, second, plan, project):
    made = generate(plan, [diffusion, second], project / "made", FAST)
    assert made.frame["label"].tolist() == ["disgust"] * 3 + ["fear"] * 4
    assert made.frame["sample_id"].is_unique
    assert manifests.validate(made, full=True) == []
    first_store, second_store = made.frame["store"].iloc[:2]
    assert (made.frame["store"] == second_store).tolist() == [False, True, False, False, True, False, True]
    ids = made.facts(["generation_id"])["generation_id"]
    assert ids.iloc[0] != ids.iloc[1]
    assert [entry["id"] for entry in made.metadata["generations"]] == ids.iloc[:2].tolist()
    assert {generation["id"] for generation in generations_of(made)} == set(ids)
    alone = [generate(plan, [each], project / f"alone-{place}", FAST) for place, each in enumerate([diffusion, second])]
    for store, own in zip((first_store, second_store), alone, strict=True):
        rows = (made.frame["store"] == store).to_numpy()
        assert np.array_equal(pictures_of(made)[rows], pictures_of(own)[rows])


def test_a_checkpoint_that_nothing_is_asked_of_leaves_no_store(second, project):
    made = generate(Plan("basic7", (Cell("fear", None, None, 0, 1, 1),)), [second, second], project / "made", FAST)
    assert len(made.stores) == len(made) == 1


def test_rounds_of_a_plan_use_no_seed_twice_and_can_be_merged(second, plan, project):
    rounds = [
        generate(plan, [second], project / f"round-{number}", FAST, first=first)
        for number, first in enumerate([None, [3, 0, 4]])
    ]
    both = merging.merge(rounds, project / "both")
    assert both.frame["sample_id"].is_unique
    assert both.facts(["seed"])["seed"].is_unique


@pytest.mark.slow  # two processes that import torch, twice
@pytest.mark.parametrize("source", ["noise", "faces"])
def test_several_processes_draw_the_same_bits_as_one(diffusion, second, training, plan, project, source):
    """Both kinds from noise; then from faces, guided, in another chunking."""
    if source == "noise":
        checkpoints, settings, given = [diffusion, second], {}, {}
    else:
        checkpoints, settings = [diffusion], {"sampling": {"guide_scale": 2.0}, "source": "faces"}
        given = {"training": training, "guide": GuideSource(partial(bright_guide, 3.0), "ab" * 32)}
    one = generate(plan, checkpoints, project / "one", changed(**settings), **given)
    several = generate(plan, checkpoints, project / "several", changed(**settings, processes=2, chunk=2), **given)
    assert np.array_equal(pictures_of(one), pictures_of(several))
    assert one.frame["sample_id"].equals(several.frame["sample_id"])
    assert one.facts(["parents", "seed"]).equals(several.facts(["parents", "seed"]))
    assert one.metadata["generations"] == several.metadata["generations"]


def test_an_interrupted_generation_goes_on_to_the_same_pictures(checkpoint, plan, project, monkeypatch):
    undisturbed = generate(plan, [checkpoint], project / "whole", FAST)
    generator_class = type(load_generator(checkpoint))
    sample, calls = generator_class.sample, []

    def interrupted(self, conditions, seeds, *faces):
        calls.append(len(seeds))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(self, conditions, seeds, *faces)

    monkeypatch.setattr(generator_class, "sample", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(plan, [checkpoint], project / "killed", FAST)
    assert not (project / "killed.parquet").exists()
    resumed = generate(plan, [checkpoint], project / "killed", FAST)
    assert calls == [3, 3, 3, 1]  # the first chunk was kept
    assert np.array_equal(pictures_of(resumed), pictures_of(undisturbed))
    assert resumed.frame.equals(undisturbed.frame)
    assert not list(project.glob(".killed*"))


SLOWLY = """
import sys, time
from pathlib import Path
from fer_data.balance import read_plan
from generators.dcgan import Dcgan
from generators.sampling import GenerateConfig, generate
sample = Dcgan.sample
def slow(self, *given):
    time.sleep(0.2)
    return sample(self, *given)
Dcgan.sample = slow
plan, checkpoint, out = map(Path, sys.argv[1:])
generate(read_plan(plan), [checkpoint], out, GenerateConfig(chunk=1, processes=1))
"""


def test_a_killed_process_is_gone_on_with(second, plan, project):
    """kill -9 while drawing; then one kept chunk is damaged as a failing disk might do."""
    undisturbed = generate(plan, [second], project / "whole", changed(chunk=1))
    write_plan(plan, project / "plan.yaml")
    arguments = [project / "plan.yaml", second, project / "killed"]
    running = subprocess.Popen([sys.executable, "-c", SLOWLY, *map(str, arguments)], cwd=Path.cwd())
    kept: list[Path] = []
    deadline = time.monotonic() + 200
    while len(kept) < 2 and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
        kept = [path for path in project.glob(".killed.*.chunks/*") if not path.name.startswith(".")]
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert 2 <= len(kept) < 7
    assert not (project / "killed.parquet").exists()
    kept[0].write_bytes(kept[0].read_bytes()[:-5])
    untouched = kept[1].stat().st_mtime_ns
    times = []
    resumed = generate(plan, [second], project / "killed", changed(chunk=1), Watching(kept[1], times))
    assert times[0] == untouched
    assert np.array_equal(pictures_of(resumed), pictures_of(undisturbed))
    assert resumed.frame.equals(undisturbed.frame)
    assert not list(project.glob(".killed*"))


class Watching:
    """A reporter that looks at a file whenever something moves forward."""

    def __init__(self, path, times):
        self.path, self.times = path, times

    def stage(self, name, total):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def advance(self, amount=1, note=""):
        self.times.append(self.path.stat().st_mtime_ns)


def test_a_full_disk_is_told_and_what_was_drawn_is_kept(second, plan, project, monkeypatch):
    write_bytes = Path.write_bytes
    writes = []

    def full(path, data):
        writes.append(path)
        if len(writes) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, data)

    with monkeypatch.context() as patch, pytest.raises(FerError, match="the disk is full; make room and run"):
        patch.setattr(Path, "write_bytes", full)
        generate(plan, [second], project / "made", FAST)
    assert len(list(project.glob(".made.*.chunks/*"))) == 1
    assert not (project / "made.parquet").exists()
    assert len(generate(plan, [second], project / "made", FAST)) == 7


def test_an_existing_output_is_kept_unless_it_may_be_replaced(second, plan, project):
    generate(plan, [second], project / "made", FAST)
    with pytest.raises(FerError, match="add --replace"):
        generate(plan, [second], project / "made", FAST)
    assert len(generate(plan, [second], project / "made", FAST, replace=True)) == 7


def test_two_runs_do_not_make_one_output_at_once(second, plan, project):
    with name_lock(project / "made.parquet"), pytest.raises(FerError, match="is being written by another run"):
        generate(plan, [second], project / "made", FAST)


def test_another_seed_or_option_does_not_take_over_what_was_kept(second, plan, project, monkeypatch):
    generator_class = type(load_generator(second))
    sample = generator_class.sample

    def interrupted(self, conditions, seeds):
        if len(seeds) == 1:
            raise KeyboardInterrupt
        return sample(self, conditions, seeds)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(generator_class, "sample", interrupted)
        generate(plan, [second], project / "made", FAST)
    assert len(list(project.glob(".made.*.chunks/*"))) == 2
    other = changed(seed=1, sampling={"spread": 0.5})
    made = generate(plan, [second], project / "made", other)
    assert np.array_equal(pictures_of(made), pictures_of(generate(plan, [second], project / "whole", other)))
    assert not list(project.glob(".made.*"))


def test_real_faces_are_given_another_expression(diffusion, training, plan, root):
    config = changed(source="faces", sampling={"strength": 0.3}, parents_of=("neutral", "anger"))
    made = generate(plan, [diffusion], root / "manifests" / "re-expressed", config, training=training)
    parents = made.facts(["parents"])["parents"]
    assert parents.map(len).tolist() == [1] * 7
    from_faces = training.frame.set_index("sample_id").loc[[one[0] for one in parents]]
    assert set(from_faces["split"]) == {"train"}
    assert set(from_faces["label"]) == {"neutral", "anger"}
    assert made.frame["group_id"].tolist() == from_faces["group_id"].tolist()
    before = training.pictures(16, 1)[training.frame["sample_id"].isin(from_faces.index).to_numpy()]
    apart = np.abs(pictures_of(made)[:, None].astype(int) - before[None]).mean(axis=(2, 3, 4))
    names = training.frame["sample_id"][training.frame["sample_id"].isin(from_faces.index)].tolist()
    assert [names[column] for column in apart.argmin(axis=1)] == [one[0] for one in parents]
    (generation,) = generations_of(made)
    assert (generation["source"], generation["parents_sha256"]) == ("faces", training.sha256)
    merged = merging.merge([training, made], root / "manifests" / "re-expressed-merged", replace=True)
    real, synthetic = merged.frame.iloc[:-7], merged.frame.iloc[-7:]
    groups = real.set_index("sample_id").loc[[one[0] for one in parents], "group_id"]
    assert synthetic["group_id"].tolist() == groups.tolist()


def test_faces_to_start_from_need_a_manifest_and_a_generator_that_can(second, diffusion, training, plan, project):
    with pytest.raises(FerError, match="expected the manifest that the generator was trained on, found none"):
        generate(plan, [diffusion], project / "made", changed(source="faces"))
    with pytest.raises(
        FerError, match=r"second/checkpoint: expected a generator that can start from faces, found dcgan"
    ):
        generate(plan, [diffusion, second], project / "made", changed(source="faces"), training=training)


def test_conditions_may_be_put_on_afterwards(second, plan, project):
    made = generate(plan, [second], project / "made", changed(conditions="afterwards"))
    facts = made.facts(["occlusion", "light", "condition_source", "seed"])
    assert facts["occlusion"].iloc[0] == "mask"
    assert set(facts["condition_source"]) == {"applied"}
    generator = load_generator(second)
    asked = generator.vocabulary.encode(["disgust"] * 3, ["none"] * 3, ["normal"] * 3, "test")
    seeds = facts["seed"].to_numpy(np.int64)
    expected = put_on(generator.sample(asked, seeds[:3]), [("mask", "low")] * 3, seeds[:3])
    assert np.array_equal(pictures_of(made)[:3], expected)
    learned = generate(plan, [second], project / "learned", FAST)
    assert np.array_equal(pictures_of(made)[3:], pictures_of(learned)[3:])  # nothing is stated there
    assert not np.array_equal(pictures_of(made)[:3], pictures_of(learned)[:3])


def bright_guide(slope):
    """A guide that likes bright pictures."""
    return lambda pictures, labels: slope * pictures.mean(dim=(1, 2, 3)) - 5


def test_a_guide_steers_and_is_told(diffusion, plan, project):
    sampling = {"guide_scale": 2.0}
    plain = generate(plan, [diffusion], project / "plain", FAST)
    guide = GuideSource(partial(bright_guide, 3.0), "ab" * 32)
    guided = generate(plan, [diffusion], project / "guided", changed(sampling=sampling), guide=guide)
    assert pictures_of(guided).mean() > pictures_of(plain).mean() + 5
    assert generations_of(guided)[0]["guide_sha256"] == "ab" * 32


def test_a_guide_for_a_generator_that_none_can_steer_is_refused(second, plan, project):
    guide = GuideSource(partial(bright_guide, 3.0), "ab" * 32)
    with pytest.raises(FerError, match="expected a generator that a guide can steer, found dcgan"):
        generate(plan, [second], project / "made", FAST, guide=guide)


def test_a_condition_that_a_checkpoint_does_not_know_is_named(second, project):
    plan = Plan("basic7", (Cell("fear", "none", "normal", 0, 1, 1), Cell("fear", None, "neon", 0, 1, 1)))
    with pytest.raises(FerError, match=r"second/checkpoint: plan cell 1: light 'neon' is not known to the generator"):
        generate(plan, [second], project / "out", FAST)
    assert not list(project.glob("out*"))


def test_another_label_set_an_empty_plan_and_no_checkpoint_are_refused(second, plan, project):
    contempt = Plan("basic8", (Cell("fear", None, None, 0, 1, 1),))
    with pytest.raises(FerError, match="expected a generator of the plan's label set basic8, found basic7"):
        generate(contempt, [second], project / "out", FAST)
    with pytest.raises(FerError, match="the plan asks for no faces"):
        generate(Plan("basic7", (Cell("fear", None, None, 0, 0, 0),)), [second], project / "out", FAST)
    with pytest.raises(FerError, match="checkpoints: expected at least one to draw with, found none"):
        generate(plan, [], project / "out", FAST)
