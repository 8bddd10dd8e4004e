"""The pretrained route on a Stable Diffusion pipeline of random weights that is made on the spot."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_pipeline import write_tiny_pipeline

from fer_data.configuration import build, resolve
from fer_data.errors import FerError
from generators import stable_diffusion
from generators.condition import Vocabulary
from generators.models import checkpoint_sha256, load_generator
from generators.pretrained import Lora, LoraGeneratorConfig, LoraLearner, LoraSampling, load_lora
from generators.prompts import Prompts, phrase_of
from generators.stable_diffusion import StableDiffusion, pipeline_sha256
from generators.training import train_generator

WORDS = Vocabulary(("anger", "disgust", "neutral"), ("none", "sunglasses"), ("normal", "low"))
CONDITIONS = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 2, 2], [2, 0, 2]])
SEEDS = np.array([3, 4, 5, 6])


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Path:
    return write_tiny_pipeline(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def make(pipeline):
    def config(**settings) -> LoraGeneratorConfig:
        values = {
            "pretrained": str(pipeline),
            "size_px": 16,
            "steps": 6,
            "batch_size": 4,
            "rank": 4,
            "alpha": 8,
            "learning_rate": 1e-2,
            "keep_every": 2,
            "derived_faces": 6,
            "minimum_per_class": 3,
            "sampling": {"steps": 3, "batch": 2},
        }
        return build(LoraGeneratorConfig, {**values, **settings}, "test")

    return config


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def learn(learner: LoraLearner, images: torch.Tensor, steps: range) -> list[float]:
    return [learner.step(images, CONDITIONS, 0.0, torch.Generator().manual_seed(step))["loss"] for step in steps]


@pytest.fixture(scope="module")
def checkpoint(training, make, tmp_path_factory) -> Path:
    return train_generator("lora", training, make(), tmp_path_factory.mktemp("runs") / "lora")


def test_prompts_say_what_is_known_and_nothing_else() -> None:
    prompts = Prompts(WORDS, {"low": "at night"})
    assert prompts([1, 1, 1]) == "a photo of a face showing disgust, wearing sunglasses, at night"
    assert prompts([2, 2, 0]) == "a photo of a face with a neutral expression, in even light"
    assert prompts([3, 1, 2]) == "a photo of a face, wearing sunglasses"
    assert prompts([3, 2, 2]) == ""
    assert phrase_of("label", "happily surprised") == "showing a happily surprised expression"
    with pytest.raises(FerError, match="phrases: 'mask' is no word of these training faces; expected one of anger"):
        Prompts(WORDS, {"mask": "masked"})


def test_every_word_of_the_design_has_a_phrase() -> None:
    from fer_data.expressions import LIGHTS, OCCLUSIONS

    phrases = [phrase_of("occlusion", word) for word in OCCLUSIONS] + [phrase_of("light", word) for word in LIGHTS]
    assert len(set(phrases)) == len(OCCLUSIONS) + len(LIGHTS) and all(phrases)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_the_loss_falls_on_what_is_learned(make, images, tmp_path, prediction_type) -> None:
    folder = write_tiny_pipeline(tmp_path / "tiny", prediction_type=prediction_type)
    learner = LoraLearner(make(pretrained=str(folder), condition_dropout=0.0), WORDS)
    first = np.mean(learn(learner, images, range(8)))
    for _ in range(5):
        last = np.mean(learn(learner, images, range(8)))  # the same noise again
    assert last < 0.97 * first


def test_training_moves_the_adapter_and_nothing_of_the_pipeline(make, images) -> None:
    learner = LoraLearner(make(), WORDS)
    base = learner._base
    before = {name: tensor.clone() for name, tensor in base.unet.named_parameters() if "lora" not in name}
    untrained = learner.generator().sample(CONDITIONS.numpy(), SEEDS)
    with base.using("trained"):
        base.unet.disable_adapters()
        plain = Lora(base, "average", learner._prompts, WORDS, learner._config)._draw(
            torch.zeros(2, *base.latent_shape), CONDITIONS[:2]
        )
        base.unet.enable_adapters()
    learner_start = learner.generator()._draw(torch.zeros(2, *base.latent_shape), CONDITIONS[:2])
    assert torch.equal(plain, learner_start)  # an adapter begins as no change
    learn(learner, images, range(4))
    assert (learner.generator().sample(CONDITIONS.numpy(), SEEDS) != untrained).mean() > 0.1
    for name, tensor in base.unet.named_parameters():
        if "lora" not in name:
            assert torch.equal(tensor, before[name]), name
    assert [
        name for name, tensor in base.unet.named_parameters() if tensor.requires_grad and "trained" not in name
    ] == []
    assert learner.state()["trained.0"].shape == learner.state()["average.0"].shape


def test_a_picture_depends_on_its_seed_condition_and_face_alone(make, images) -> None:
    learner = LoraLearner(make(), WORDS)
    learn(learner, images, range(2))
    generator = learner.generator()
    together = generator.sample(CONDITIONS.numpy(), SEEDS)
    assert together.shape == (4, 1, 16, 16) and together.dtype == np.uint8
    for row in range(4):
        alone = generator.sample(CONDITIONS[row : row + 1].numpy(), SEEDS[row : row + 1])
        np.testing.assert_array_equal(alone[0], together[row])
    swapped = generator.sample(CONDITIONS.numpy()[[1, 0, 2, 3]], SEEDS)
    assert (swapped[0] != together[0]).any()
    faces = np.random.default_rng(0).integers(0, 256, (4, 1, 16, 16), dtype=np.uint8)
    redrawn = generator.sample(CONDITIONS.numpy(), SEEDS, faces)
    alone = generator.sample(CONDITIONS[2:3].numpy(), SEEDS[2:3], faces[2:3])
    np.testing.assert_array_equal(alone[0], redrawn[2])
    assert (redrawn != together).any()
    assert generator.starts_from_faces and "pretrained" not in generator.sampling


def test_a_weak_re_expression_stays_near_the_face_and_a_full_one_forgets_it(make, monkeypatch) -> None:
    face, noise = (torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    moved = {}
    for strength in (0.1, 1.0):
        learner = LoraLearner(make(sampling={"steps": 10, "strength": strength}), WORDS)
        monkeypatch.setattr(learner._base, "decode", lambda latents, *_: latents)
        with torch.no_grad():
            moved[strength] = learner.generator()._draw(noise, CONDITIONS[:2], 10 * face) - 10 * face
    assert moved[0.1].abs().mean() < 1 < 5 < moved[1.0].abs().mean()


def test_colour_and_another_resolution_work(make, tmp_path) -> None:
    learner = LoraLearner(make(channels=3, size_px=24, resolution_px=32), WORDS)
    colour = torch.rand(4, 3, 24, 24) * 2 - 1
    assert np.isfinite(learn(learner, colour, range(1))).all()
    assert learner._base.latent_shape == (4, 16, 16)
    assert learner.generator().sample(CONDITIONS.numpy()[:1], SEEDS[:1]).shape == (1, 3, 24, 24)


def test_latents_are_encoded_once_and_alike_alone_or_in_a_batch(make, images, monkeypatch) -> None:
    learner = LoraLearner(make(), WORDS)
    seen = []
    encode = learner._base.encode
    monkeypatch.setattr(learner._base, "encode", lambda faces: seen.append(len(faces)) or encode(faces))
    learn(learner, images, range(3))
    assert seen == [1] * 4
    torch.testing.assert_close(learner._encode(images), encode(images), atol=2e-3, rtol=2e-3)  # half precision
    assert torch.equal(encode(images)[2:3], encode(images[2:3]))


def test_resume_gives_the_same_weights(make, images) -> None:
    whole = LoraLearner(make(), WORDS)
    learn(whole, images, range(4))
    first = LoraLearner(make(), WORDS)
    learn(first, images, range(2))
    first.generator().sample(CONDITIONS.numpy()[:1], SEEDS[:1])  # a sheet on the way changes nothing
    state = {name: tensor.clone() for name, tensor in first.state().items()}
    second = LoraLearner(make(seed=0), WORDS)
    second.load_state(state)
    learn(second, images, range(2, 4))
    for name, tensor in whole.state().items():
        assert torch.equal(second.state()[name], tensor), name


def test_the_verb_s_path_trains_saves_and_resumes(training, make, checkpoint, tmp_path) -> None:
    description = json.loads((checkpoint / "generator.json").read_text())
    assert description["kind"] == "lora" and description["steps"] == 6
    base = json.loads((checkpoint / "base.json").read_text())
    assert base == {"sha256": pipeline_sha256(Path(make().pretrained))}
    assert (checkpoint / "pytorch_lora_weights.safetensors").is_file()
    run = checkpoint.parent
    assert (run / "sheet.png").is_file()
    again = tmp_path / "again"
    shutil.copytree(run, again)
    shutil.rmtree(again / "checkpoint")  # as a kill after step 6 of 6 left it
    resumed = train_generator("lora", training, make(), again)
    assert checkpoint_sha256(resumed) == checkpoint_sha256(checkpoint)


def test_the_same_pipeline_in_another_folder_is_the_same_training(training, make, checkpoint, tmp_path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(make().pretrained, moved)
    resumed = tmp_path / "resumed"
    shutil.copytree(checkpoint.parent, resumed)
    shutil.rmtree(resumed / "checkpoint")
    there = make(pretrained=str(moved), sampling={"steps": 3, "batch": 2, "pretrained": str(moved)})
    done = train_generator("lora", training, there, resumed)
    assert json.loads((done / "generator.json").read_text())["config"]["pretrained"] == str(moved)
    assert checkpoint_sha256(done) == checkpoint_sha256(checkpoint)


def test_another_pipeline_in_the_same_folder_is_another_training(training, make, checkpoint, tmp_path) -> None:
    folder = write_tiny_pipeline(tmp_path / "tiny", seed=1)
    with pytest.raises(FerError, match="holds another run: pipeline_sha256 = .* choose another folder"):
        train_generator("lora", training, make(pretrained=str(folder)), checkpoint.parent)
    with pytest.raises(FerError, match=r"expected a Stable Diffusion pipeline .* found none"):
        train_generator("lora", training, make(pretrained=str(tmp_path / "gone")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_diffusers_itself_reloads_the_adapter_and_draws_the_same(checkpoint, make) -> None:
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    ours = load_generator(checkpoint)
    rows = np.array([[1, 0, 0], [2, 0, 0]])
    drawn = ours._draw(torch.ones(2, *ours._base.latent_shape), torch.from_numpy(rows))
    config = make()
    pipeline = StableDiffusionPipeline.from_pretrained(
        config.pretrained, local_files_only=True, safety_checker=None, requires_safety_checker=False
    )
    pipeline.load_lora_weights(checkpoint)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        prompt=[ours._prompts(row) for row in rows.tolist()],
        latents=torch.ones(2, *ours._base.latent_shape),
        num_inference_steps=config.sampling.steps,
        guidance_scale=config.sampling.guidance,
        output_type="pt",
    ).images
    grey = (images * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    torch.testing.assert_close(((drawn + 1) / 2).clamp(0, 1), grey, atol=1e-2, rtol=0)
    assert next(iter(pipeline.unet.peft_config.values())).lora_alpha == config.alpha


def test_a_checkpoint_wants_the_pipeline_it_was_trained_on(checkpoint, make, tmp_path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(make().pretrained, moved)
    drawn = load_generator(checkpoint, {"pretrained": str(moved)}).sample(np.array([[0, 0, 0]]), SEEDS[:1])
    np.testing.assert_array_equal(drawn, load_generator(checkpoint).sample(np.array([[0, 0, 0]]), SEEDS[:1]))
    other = write_tiny_pipeline(tmp_path / "other", seed=1)
    with pytest.raises(FerError, match="expected the pipeline that .* was trained on .* sampling.pretrained"):
        load_generator(checkpoint, {"pretrained": str(other)})
    with pytest.raises(FerError, match="expected a Stable Diffusion pipeline .* nothing is downloaded"):
        load_generator(checkpoint, {"pretrained": "stabilityai/some-model"})
    state = LoraLearner(make(), WORDS).state()
    with pytest.raises(FerError, match="expected the pipeline that this training began with"):
        LoraLearner(make(pretrained=str(other)), WORDS).load_state(state)


def test_folders_that_are_no_pipeline_are_refused(make, pipeline, tmp_path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(pipeline, broken)
    (broken / "unet/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(FerError, match="broken: this pipeline cannot be read"):
        StableDiffusion(broken, None, torch.device("cpu"))
    pickled = tmp_path / "pickled"
    shutil.copytree(pipeline, pickled)
    weights = pickled / "vae/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(FerError, match="pickled: this pipeline cannot be read"):
        StableDiffusion(pickled, None, torch.device("cpu"))
    index = broken / "model_index.json"
    index.write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(FerError, match="expected a StableDiffusionPipeline, found FluxPipeline"):
        pipeline_sha256(broken)
    index.write_text("[]")
    with pytest.raises(FerError, match="expected a StableDiffusionPipeline, found None"):
        pipeline_sha256(broken)
    with pytest.raises(FerError, match="resolution_px: expected a multiple of 4 .* found 18"):
        LoraLearner(make(resolution_px=18), WORDS)
    with pytest.raises(FerError, match="modules: expected layers of .* found to_nothing"):
        LoraLearner(make(modules=["to_nothing"]), WORDS)
    long = LoraLearner(make(phrases={"anger": "x " * 200}), WORDS)
    with pytest.raises(FerError, match="expected at most 160 tokens, found"):
        learn(long, torch.zeros(4, 1, 16, 16), range(1))


def test_missing_packages_are_named_with_the_extra(make, monkeypatch) -> None:
    real = stable_diffusion.importlib.util.find_spec
    monkeypatch.setattr(
        stable_diffusion.importlib.util, "find_spec", lambda name: None if name == "peft" else real(name)
    )
    with pytest.raises(FerError, match=r"found no peft; install fer-data-studio\[pretrained\]"):
        LoraLearner(make(), WORDS)


def test_the_loaded_adapter_is_the_average_that_was_saved(make, images, tmp_path) -> None:
    learner = LoraLearner(make(ema_decay=0.5), WORDS)
    learn(learner, images, range(3))
    learner.save(tmp_path)
    loaded = load_lora(tmp_path, make(), WORDS, LoraSampling(steps=3, batch=2))
    np.testing.assert_array_equal(
        loaded.sample(CONDITIONS.numpy(), SEEDS), learner.generator().sample(CONDITIONS.numpy(), SEEDS)
    )
    trained = Lora(learner._base, "trained", learner._prompts, WORDS, learner._config)
    assert (trained.sample(CONDITIONS.numpy(), SEEDS) != loaded.sample(CONDITIONS.numpy(), SEEDS)).any()


def test_the_preset_wants_a_folder_and_nothing_else() -> None:
    assert resolve(LoraGeneratorConfig, "lora", pretrained="models/sd").pretrained == "models/sd"
    with pytest.raises(FerError, match="lora: pretrained: Field required"):
        resolve(LoraGeneratorConfig, "lora")
