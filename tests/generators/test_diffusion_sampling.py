"""Solvers against a flow whose end is known, guidance, the guide, and starting from faces."""

import numpy as np
import pytest
import torch

from fer_data.configuration import build
from fer_data.errors import FerError
from generators.condition import Vocabulary
from generators.diffusion_sampling import Diffusion, DiffusionSampling, noise_levels, scheduler_at
from generators.models import GENERATORS
from generators.pixels import noise, to_uint8

SOLVERS = ("euler", "heun", "dpm", "unipc")
WORDS = Vocabulary(("dark", "bright"), (), ())
SPREAD = 0.25
SHAPE = (1, 8, 8)


def means(conditions):
    """Dark faces lie around -.4, bright ones around .4, unlabelled ones around 0."""
    return torch.tensor([-0.4, 0.4, 0.0])[conditions[:, 0]][:, None, None, None]


def gaussian_velocity(images, levels, conditions):
    """The exact velocity E[e - x | x_s] where faces are Gaussian pixels: its flow ends at mean + SPREAD e."""
    mean, level = means(conditions), levels[:, None, None, None]
    variance = ((1 - level) * SPREAD) ** 2 + level**2
    return -mean + (level - (1 - level) * SPREAD**2) / variance * (images - (1 - level) * mean)


def gaussian(**settings):
    return Diffusion(gaussian_velocity, WORDS, 8, 1, build(DiffusionSampling, {"guidance": 1, **settings}, "test"))


def follow(solver, steps, velocity=gaussian_velocity):
    """Pictures float32 after so many steps from the noise of seeds 0 and 1, and where the exact flow ends."""
    images, conditions = noise(np.arange(2), SHAPE), torch.tensor([[0, 0, 0], [1, 0, 0]])
    exact = means(conditions) + SPREAD * images
    scheduler = scheduler_at(solver, noise_levels(steps))
    for time, level in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
        images = scheduler.step(velocity(images, level.expand(2), conditions), time, images).prev_sample
    return images, exact


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_ends_where_the_exact_flow_does(solver):
    images, exact = follow(solver, 200)
    assert (images - exact).abs().max() < 0.01


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_ends_where_euler_with_many_more_steps_does_on_a_crooked_flow(solver):
    def crooked(images, levels, conditions):
        return gaussian_velocity(images, levels, conditions) + torch.sin(3 * images) * levels[:, None, None, None]

    reference, straight = follow("euler", 2000, crooked)
    images, _ = follow(solver, 200, crooked)
    assert (images - reference).abs().max() < 0.02
    assert (straight - reference).abs().max() > 0.1


@pytest.mark.parametrize("solver", ["heun", "dpm", "unipc"])
def test_second_order_pays_at_few_steps(solver):
    error = {name: (lambda pair: (pair[0] - pair[1]).abs().mean())(follow(name, 12)) for name in ("euler", solver)}
    assert error[solver] < error["euler"] / 2


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_very_few_steps_give_finite_pictures(solver, steps):
    assert torch.isfinite(follow(solver, steps)[0]).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_seed_gives_the_same_picture_alone_or_in_a_batch(solver, make_config):
    config = make_config("diffusion", sampling={"solver": solver, "steps": 3, "guidance_interval": [0.2, 0.9]})
    generator = GENERATORS["diffusion"].learner(config, WORDS).generator()
    conditions, seeds = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([5, 6, 7])
    faces = to_uint8(noise(np.arange(3), (1, 16, 16)))
    for start in ((), (faces,)):
        together = generator.sample(conditions, seeds, *start)
        alone = generator.sample(conditions[1:2], seeds[1:2], *(each[1:2] for each in start))
        assert np.array_equal(alone[0], together[1])
        assert together.std() > 5


def test_levels_fall_evenly_or_shifted_from_where_the_path_starts():
    assert torch.allclose(noise_levels(4), torch.tensor([1, 0.75, 0.5, 0.25, 0]))
    even = torch.linspace(1, 0, 5)
    assert torch.allclose(noise_levels(4, shift=3), 3 * even / (1 + 2 * even))
    part = noise_levels(10, start=0.6)
    assert torch.allclose(part, torch.linspace(0.6, 0, 7))
    shifted = noise_levels(10, start=0.6, shift=3)
    assert shifted[0] == pytest.approx(0.6)
    assert len(shifted) == 5  # level .6 is passed after the even time 1/3
    assert len(noise_levels(10, start=0.01)) == 2


def test_guidance_is_applied_inside_its_interval_only():
    asked = []

    def watching(images, levels, conditions):
        asked.append((round(float(levels[0]), 3), conditions[0, 0].item()))
        return gaussian_velocity(images, levels, conditions)

    options = DiffusionSampling(solver="euler", steps=4, guidance=2, guidance_interval=(0.25, 0.75))
    Diffusion(watching, WORDS, 8, 1, options).sample(np.zeros((1, 3), np.int64), np.zeros(1, np.int64))
    assert asked == [(1.0, 0), (0.75, 0), (0.75, 2), (0.5, 0), (0.5, 2), (0.25, 0)]


def test_guidance_moves_away_from_the_unlabelled_picture():
    conditions, seeds = np.array([[0, 0, 0], [1, 0, 0]]), np.array([3, 3])
    plain = gaussian().sample(conditions, seeds).astype(float).mean(axis=(1, 2, 3))
    strong = gaussian(guidance=2).sample(conditions, seeds).astype(float).mean(axis=(1, 2, 3))
    assert strong[0] < plain[0] - 10
    assert strong[1] > plain[1] + 10


def test_conditions_have_a_guidance_of_their_own():
    words = Vocabulary(("dark", "bright"), (), ("low",))
    conditions = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 0, 1]])  # two of them in low light
    asked = []

    def plain(images, levels, conditions):
        asked.append(conditions.tolist())
        return images + (conditions[:, 0] * 2.0 + conditions[:, 2] * 0.5)[:, None, None, None]

    def velocity(rows, **settings):
        asked.clear()
        options = build(DiffusionSampling, {"guidance": 3, **settings}, "test")
        drawn = Diffusion(plain, words, 8, 1, options).velocity(torch.zeros(len(rows), *SHAPE), torch.tensor(0.5), rows)
        return drawn[:, 0, 0, 0]

    # all unknown: 2 * 2 + .5 = 4.5; with the label alone 0.5 or 2.5; with the low light 0 or 2
    apart = velocity(conditions, condition_guidance=1)
    assert apart.tolist() == pytest.approx([4.5 + 3 * (0.5 - 4.5) - 0.5, 4.5 + 3 * (2.5 - 4.5) - 0.5, 4.5 + 3 * -2])
    assert len(asked) == 3
    alike = velocity(conditions, condition_guidance=3)
    assert torch.allclose(alike, velocity(conditions, condition_guidance=None))
    assert len(asked) == 2
    assert velocity(conditions[2:], condition_guidance=1).item() == pytest.approx(apart[2].item())
    assert len(asked) == 2  # no condition is stated: nothing to look at a third time


def bright_guide(pictures, labels):
    """Label 1 is bright, label 0 is not."""
    return torch.nn.functional.logsigmoid((2 * labels - 1) * 4 * pictures.mean(dim=(1, 2, 3)))


def test_a_guide_moves_each_picture_towards_its_own_label():
    conditions, seeds = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([3, 3, 3])
    plain = gaussian().sample(conditions, seeds).astype(float)
    guided = gaussian(guide_scale=0.3).guided(bright_guide)
    steered = guided.sample(conditions, seeds).astype(float)
    change = (steered - plain).mean(axis=(1, 2, 3))
    assert change[0] < -2
    assert change[1] > 2
    assert np.array_equal(steered[2], plain[2])  # nobody asked for a label
    assert np.array_equal(guided.sample(conditions[1:2], seeds[1:2])[0], steered[1])
    assert np.abs(change).max() < 0.3 * 127.5  # the scale bounds how far


def test_a_guide_that_is_sure_changes_nothing():
    conditions, seeds = np.array([[1, 0, 0]]), np.array([3])

    def sure(pictures, labels):
        return 1e-30 * pictures.mean(dim=(1, 2, 3))

    drawn = gaussian(guide_scale=1.0).guided(sure).sample(conditions, seeds)
    assert np.array_equal(drawn, gaussian().sample(conditions, seeds))


def test_a_guide_is_not_asked_outside_the_interval_or_at_scale_zero():
    def never(pictures, labels):
        raise AssertionError("asked")

    conditions, seeds = np.array([[1, 0, 0]]), np.array([3])
    plain = gaussian().sample(conditions, seeds)
    assert np.array_equal(gaussian(guide_scale=0).guided(never).sample(conditions, seeds), plain)
    outside = gaussian(guide_scale=1.0, guidance_interval=(0.0, 0.0)).guided(never)
    assert np.array_equal(outside.sample(conditions, seeds), plain)
    with pytest.raises(AssertionError, match="asked"):
        gaussian(guide_scale=1.0).guided(never).sample(conditions, seeds)


def test_a_guide_steers_unless_it_is_told_not_to():
    unguided = gaussian()
    assert unguided.sampling["guide_scale"] is None
    guided, stated = unguided.guided(bright_guide), gaussian(guide_scale=0.1).guided(bright_guide)
    assert guided.sampling["guide_scale"] == 0.1
    conditions, seeds = np.array([[1, 0, 0]]), np.array([3])
    assert np.array_equal(guided.sample(conditions, seeds), stated.sample(conditions, seeds))


def test_a_scale_without_a_guide_is_refused():
    with pytest.raises(FerError, match=r"guide_scale 0.5 expects a guide, found none"):
        gaussian(guide_scale=0.5).sample(np.zeros((1, 3), np.int64), np.zeros(1, np.int64))


def test_a_face_keeps_its_pattern_less_the_stronger_it_is_changed():
    face = np.full((1, 1, 8, 8), 90, np.uint8)
    face[..., ::2] = 160
    conditions, seeds = np.array([[1, 0, 0]]), np.array([11])
    kept = {}
    for strength in (0.05, 0.5, 1.0):
        drawn = gaussian(strength=strength, steps=40).sample(conditions, seeds, face)
        kept[strength] = np.corrcoef(drawn.ravel(), face.ravel())[0, 1]
    assert kept[0.05] > 0.95 > kept[0.5] > kept[1.0]
    noise_only = gaussian(steps=40).sample(conditions, seeds)
    assert np.array_equal(drawn, noise_only)


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_dark_face_turns_bright_when_asked():
    face = to_uint8(-0.4 + SPREAD * noise(np.array([4]), SHAPE))
    face.flags.writeable = False  # as a mapped file is
    drawn = gaussian(strength=0.7, steps=40).sample(np.array([[1, 0, 0]]), np.array([11]), face)
    assert drawn.mean() > face.mean() + 40


def test_colour_is_drawn_steered_and_started_from():
    options = DiffusionSampling(steps=4, guide_scale=0.2)
    generator = Diffusion(gaussian_velocity, WORDS, 8, 3, options).guided(bright_guide)
    conditions, seeds = np.array([[1, 0, 0]]), np.array([11])
    drawn = generator.sample(conditions, seeds)
    assert drawn.shape == (1, 3, 8, 8)
    assert not np.array_equal(drawn[:, 0], drawn[:, 1])
    again = generator.sample(conditions, seeds, drawn)
    assert np.abs(again.astype(float) - drawn).mean() < np.abs(drawn[:, :, ::-1].astype(float) - drawn).mean()


@pytest.mark.parametrize("interval", [(0.8, 0.2), (-0.1, 1), (0, 1.5)])
def test_an_interval_out_of_order_is_refused(interval):
    with pytest.raises(FerError, match="guidance_interval must hold two noise levels in order"):
        build(DiffusionSampling, {"guidance_interval": interval}, "test")


def test_the_options_can_be_written_and_read_back():
    options = DiffusionSampling(guidance_interval=(0.1, 0.8))
    written = dict(Diffusion(gaussian_velocity, WORDS, 8, 1, options).sampling)
    assert written["guidance_interval"] == [0.1, 0.8]
    assert build(DiffusionSampling, written, "test") == options
