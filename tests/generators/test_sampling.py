import dataclasses
import json
import shutil

import numpy as np
import pytest

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.balance import Cell, Plan
from fer_data.errors import FerError
from generators.models import load_generator
from generators.sampling import GenerateConfig, generate, lay_out

FAST = GenerateConfig(chunk=3)


def pictures_of(manifest):
    return manifest.pictures(16, 1)


def test_a_plan_is_fulfilled_with_full_provenance(checkpoint, kind, plan, training, root):
    made = generate(plan, checkpoint, root / "manifests" / f"made-{kind}", FAST)
    assert made.frame["label"].tolist() == ["disgust"] * 3 + ["fear"] * 4
    assert set(made.frame["origin"]) == {"synthetic"}
    assert set(made.frame["split"]) == {"train"}
    assert set(made.frame["label_origin"]) == {"generated"}
    assert made.frame["group_id"].is_unique
    assert manifests.validate(made, full=True) == []
    facts = made.facts(["occlusion", "light", "condition_source", "generation_id", "seed"])
    assert facts["occlusion"].iloc[0] == "mask"
    assert facts["light"].iloc[0] == "low"
    assert facts[["occlusion", "light"]].iloc[3:].isna().all(axis=None)
    assert set(facts["condition_source"]) == {"generated"}
    assert facts["seed"].is_unique
    generation = next(iter(made.stores.values())).info["generation"]
    assert facts["generation_id"].tolist() == [generation["id"]] * 7
    assert made.frame["sample_id"].iloc[2] == f"synthetic-{generation['id'][:8]}/000002"
    assert generation["manifest_sha256"] == training.sha256
    assert generation["kind"] == kind
    assert generation["checkpoint"] == f"runs/{kind}/checkpoint"
    seen, _ = tables.read_table(root / generation["seen"], kind="seen")
    assert len(seen) == 42
    assert made.metadata["licence"] == training.metadata["licence"]
    assert manifests.lineage(made)[1]["state"] == "as it was"


def test_pictures_are_what_the_generator_draws_for_their_seeds(checkpoint, plan, tmp_path):
    (tmp_path / "fer.toml").write_text("")
    made = generate(plan, checkpoint, tmp_path / "made", FAST)
    generator = load_generator(checkpoint)
    seeds = made.facts(["seed"])["seed"].to_numpy(np.int64)
    alone = generator.sample(generator.vocabulary.encode(["fear"], [None], [None], "test"), seeds[5:6])
    assert np.array_equal(alone[0], pictures_of(made)[5])


def test_a_larger_plan_repeats_the_faces_of_a_smaller_one(checkpoint, plan):
    generator = load_generator(checkpoint)
    larger = dataclasses.replace(
        plan, cells=tuple(dataclasses.replace(cell, count=2 * cell.count) for cell in plan.cells)
    )
    few, many = lay_out(plan, generator, 5), lay_out(larger, generator, 5)
    assert few.seeds[:3].tolist() == many.seeds[:3].tolist()
    assert few.seeds[3:].tolist() == many.seeds[6:10].tolist()
    assert not set(few.seeds) & set(lay_out(plan, generator, 6).seeds)
    assert (few.seeds >= 0).all()


def test_a_killed_generation_goes_on_to_the_same_pictures(checkpoint, plan, tmp_path, monkeypatch):
    (tmp_path / "fer.toml").write_text("")
    undisturbed = generate(plan, checkpoint, tmp_path / "whole", FAST)
    generator_class = type(load_generator(checkpoint))
    sample, calls = generator_class.sample, []

    def killed(self, conditions, seeds):
        calls.append(len(seeds))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(self, conditions, seeds)

    monkeypatch.setattr(generator_class, "sample", killed)
    with pytest.raises(KeyboardInterrupt):
        generate(plan, checkpoint, tmp_path / "killed", FAST)
    assert not (tmp_path / "killed.parquet").exists()
    resumed = generate(plan, checkpoint, tmp_path / "killed", FAST)
    assert calls == [3, 3, 3, 1]  # the first chunk was kept
    assert np.array_equal(pictures_of(resumed), pictures_of(undisturbed))
    assert resumed.frame.equals(undisturbed.frame)
    assert not list(tmp_path.glob(".killed*"))


def test_an_existing_output_is_kept_unless_it_may_be_replaced(checkpoint, plan, tmp_path):
    (tmp_path / "fer.toml").write_text("")
    generate(plan, checkpoint, tmp_path / "made", FAST)
    with pytest.raises(FerError, match="add --replace"):
        generate(plan, checkpoint, tmp_path / "made", FAST)
    assert len(generate(plan, checkpoint, tmp_path / "made", FAST, replace=True)) == 7


def test_a_condition_that_the_checkpoint_does_not_know_is_named(checkpoint, tmp_path):
    description = json.loads((checkpoint / "generator.json").read_text())
    unaware = tmp_path / "unaware"
    shutil.copytree(checkpoint, unaware)
    plan = Plan("basic7", (Cell("fear", "none", "normal", 0, 1, 1), Cell("fear", "hair", None, 0, 1, 1)))
    if "hair" in description["vocabulary"]["occlusion"]:
        plan = dataclasses.replace(plan, cells=(*plan.cells, Cell("fear", None, "neon", 0, 1, 1)))
    with pytest.raises(FerError, match=r"plan cell \d: (occlusion|light) '\w+' is not known to the generator"):
        generate(plan, unaware, tmp_path / "out", FAST)
    assert not (tmp_path / "out.parquet").exists()


def test_another_label_set_and_an_empty_plan_are_refused(checkpoint, tmp_path):
    with pytest.raises(FerError, match="expected a generator of the plan's label set basic8, found basic7"):
        generate(Plan("basic8", (Cell("fear", None, None, 0, 1, 1),)), checkpoint, tmp_path / "out", FAST)
    with pytest.raises(FerError, match="the plan asks for no faces"):
        generate(Plan("basic7", (Cell("fear", None, None, 0, 0, 0),)), checkpoint, tmp_path / "out", FAST)
