"""What holds for every kind of generator."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DModel
from safetensors.torch import save_file

from fer_data.configuration import build, resolve
from fer_data.errors import FerError
from generators import dcgan, diffusion
from generators.condition import Vocabulary
from generators.devices import drawing_device
from generators.models import GENERATORS, checkpoint_sha256, describe_checkpoint, generator_kind, load_generator
from generators.pixels import SAMPLE_BATCH, fold, to_float, to_uint8, unfold


def order(generator, count):
    sizes = generator.vocabulary.sizes
    conditions = np.stack([np.arange(count) % size for size in sizes], axis=1)
    return conditions, np.arange(count, dtype=np.int64) * 7919 + 2**40


def test_pictures_have_the_promised_shape_type_and_range(checkpoint):
    generator = load_generator(checkpoint)
    pictures = generator.sample(*order(generator, 5))
    assert pictures.shape == (5, 1, 16, 16)
    assert pictures.dtype == np.uint8
    assert pictures.std() > 5


def test_the_same_seed_gives_the_same_picture_alone_or_in_a_batch(checkpoint):
    generator = load_generator(checkpoint)
    conditions, seeds = order(generator, SAMPLE_BATCH + 9)
    together = generator.sample(conditions, seeds)
    for row in (0, 1, SAMPLE_BATCH - 1, SAMPLE_BATCH, SAMPLE_BATCH + 8):
        alone = generator.sample(conditions[row : row + 1], seeds[row : row + 1])
        assert np.array_equal(alone[0], together[row])
    turned = np.random.default_rng(0).permutation(len(seeds))
    assert np.array_equal(generator.sample(conditions[turned], seeds[turned]), together[turned])


def test_seed_and_condition_both_matter(checkpoint):
    generator = load_generator(checkpoint)
    conditions = np.array([[0, 0, 0], [0, 0, 0], [3, 0, 0]])
    first, other_seed, other_label = generator.sample(conditions, np.array([1, 2, 1]))
    assert not np.array_equal(first, other_seed)
    assert not np.array_equal(first, other_label)


def test_nothing_asked_gives_nothing(checkpoint):
    generator = load_generator(checkpoint)
    assert generator.sample(np.empty((0, 3), np.int64), np.empty(0, np.int64)).shape == (0, 1, 16, 16)


def test_a_learner_saved_and_loaded_draws_the_same(kind, make_config, tmp_path):
    config = make_config(kind, channels=3, size_px=20 if kind == "dcgan" else 24)
    vocabulary = Vocabulary(("a", "b"), ("none",), ("low",))
    learner = GENERATORS[kind].learner(config, vocabulary)
    images = torch.rand(8, 3, config.size_px, config.size_px) * 2 - 1
    learner.step(images, torch.zeros(8, 3, dtype=torch.int64), 0.0, torch.Generator().manual_seed(0))
    learner.save(tmp_path)
    loaded = GENERATORS[kind].load(tmp_path, config, vocabulary, config.sampling)
    conditions, seeds = order(loaded, 4)
    drawn = loaded.sample(conditions, seeds)
    assert drawn.shape == (4, 3, config.size_px, config.size_px)
    assert np.array_equal(drawn, learner.generator().sample(conditions, seeds))


def test_initial_weights_follow_the_seed_and_leave_the_global_state_alone(kind, make_config):
    vocabulary = Vocabulary(("a",), (), ())

    def first(seed):
        return next(iter(GENERATORS[kind].learner(make_config(kind, seed=seed), vocabulary).state().values()))

    before = torch.get_rng_state()
    assert torch.equal(first(0), first(0))
    assert not torch.equal(first(0), first(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_sampling_options_replace_those_of_training_and_unknown_ones_are_refused(checkpoint, kind):
    option = {"dcgan": {"spread": 0.5}, "diffusion": {"steps": 2, "guidance": 1.0}}[kind]
    changed = load_generator(checkpoint, option)
    assert option.items() <= dict(changed.sampling).items()
    conditions, seeds = order(changed, 2)
    assert not np.array_equal(changed.sample(conditions, seeds), load_generator(checkpoint).sample(conditions, seeds))
    with pytest.raises(FerError, match=r"unknown key 'guidence'"):
        load_generator(checkpoint, {"guidence": 2})


def test_a_guide_is_taken_by_what_it_can_steer_and_refused_by_the_others(checkpoint, kind):
    def guide(pictures, labels):
        return pictures.mean(dim=(1, 2, 3)) - 5

    if kind == "dcgan":
        with pytest.raises(FerError, match="expected a generator that a guide can steer, found dcgan"):
            load_generator(checkpoint, guide=guide)
        return
    plain, steered = load_generator(checkpoint), load_generator(checkpoint, {"guide_scale": 2.0}, guide)
    conditions, seeds = order(plain, 2)
    assert not np.array_equal(plain.sample(conditions, seeds), steered.sample(conditions, seeds))


def test_diffusers_itself_loads_a_diffusion_model(make_config, tmp_path):
    learner = GENERATORS["diffusion"].learner(make_config("diffusion"), Vocabulary(("a",), (), ()))
    learner.save(tmp_path)
    unet = UNet2DModel.from_pretrained(tmp_path / "unet")
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(tmp_path / "scheduler")
    assert unet.config.in_channels == 4
    assert scheduler.config.num_train_timesteps == 1000


def test_an_unknown_kind_and_broken_checkpoints_are_refused(checkpoint, tmp_path):
    with pytest.raises(FerError, match="'vae' is unknown; expected one of dcgan, diffusion"):
        generator_kind("vae")
    with pytest.raises(FerError, match="is missing"):
        load_generator(tmp_path)
    for content, missing in (("[]", "kind, config"), ('{"kind": "dcgan", "config": {}}', "label_set, vocabulary")):
        (tmp_path / "generator.json").write_text(content)
        with pytest.raises(FerError, match=rf"generator\.json: expected a generator's {missing}.*, found none"):
            describe_checkpoint(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    for weights in broken.rglob("*.safetensors"):
        weights.unlink()
    with pytest.raises(FerError, match="weights cannot be read"):
        load_generator(broken)


@pytest.mark.parametrize("garbage", [b"", b"not safetensors at all"])
def test_damaged_weights_are_told(checkpoint, tmp_path, garbage):
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    for weights in broken.rglob("*.safetensors"):
        weights.write_bytes(garbage)
    with pytest.raises(FerError, match="weights cannot be read"):
        load_generator(broken)


def test_identity_follows_weights_but_not_when_the_manifest_was_written(checkpoint, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    assert checkpoint_sha256(copy) == checkpoint_sha256(checkpoint)
    description = describe_checkpoint(copy)
    (copy / "generator.json").write_text(json.dumps({**description, "manifest_sha256": "0" * 64}))
    assert checkpoint_sha256(copy) == checkpoint_sha256(checkpoint)
    weights = next(copy.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert checkpoint_sha256(copy) != checkpoint_sha256(checkpoint)


def test_identity_does_not_hang_on_the_order_of_notes_in_a_weights_file(checkpoint, tmp_path):
    tensors, notes = {"w": torch.arange(6.0)}, {"one": "1", "two": "2"}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(checkpoint / "generator.json", tmp_path / name)
        save_file(tensors, tmp_path / name / "weights.safetensors", metadata=notes)
    path = tmp_path / "b" / "weights.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(reversed(header["__metadata__"].items()))
    turned = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    path.write_bytes(data[:8] + turned + data[8 + length :])
    assert path.read_bytes() != data
    assert checkpoint_sha256(tmp_path / "a") == checkpoint_sha256(tmp_path / "b")


def test_a_checkpoint_is_opened_where_drawing_is_fastest(checkpoint, kind, monkeypatch):
    module = {"dcgan": dcgan, "diffusion": diffusion}[kind]
    assert drawing_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(module, "drawing_device", lambda: torch.device("meta"))
    assert {tensor.device.type for tensor in load_generator(checkpoint)._network.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 5, "minutes": 1}, "either steps or minutes"),
        ({"steps": None}, "either steps or minutes"),
        ({"channels": 2}, "channels must be 1 or 3"),
        ({"seed": -1}, "seed: .*greater than or equal to 0"),
        ({"snapshots": [0.5, 1.0]}, "snapshots must lie between 0 and 1"),
        ({"size_px": 20, "widths": [8, 8, 8]}, "multiple of 8"),
        ({"widths": []}, "with 0 widths"),
        ({"widths": [8, 12]}, "widths must be multiples of 8"),
        ({"stepz": 5}, "did you mean 'steps'"),
    ],
)
def test_wrong_configurations_are_refused_in_one_sentence(kind, settings, message):
    with pytest.raises(FerError, match=message):
        build(GENERATORS[kind].config, {"steps": 5, **settings}, "test")


def test_a_bare_no_in_yaml_is_no_mixed_precision(kind):
    given = resolve(GENERATORS[kind].config, None, ["steps=5", "mixed_precision=no"])
    assert given.mixed_precision == "no"


def test_scaling_and_folding_are_inverses():
    pictures = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert np.array_equal(to_uint8(to_float(pictures)), pictures.numpy())
    images = torch.randn(2, 3, 8, 8)
    assert fold(images).shape == (2, 12, 4, 4)
    assert torch.equal(unfold(fold(images)), images)
