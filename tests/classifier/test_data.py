import numpy as np
import pytest
import torch
from PIL import Image

from classifier.augmentation import AugmentationConfig, affine_places, augment, erase, move, relight
from classifier.data import BalancedOrder, ShuffledOrder, load_faces, step_seed, to_input, to_view

OFF = {"mirror": False, "shift": 0, "rotation_degrees": 0, "zoom": 0, "brightness": 0, "contrast": 0, "erasing": 0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_load_faces_honours_targets_repeat_and_missing_labels(striped_manifest):
    soft = [0.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0]
    manifest = striped_manifest(
        [0, 1, 2, 3, 4],
        ["train"] * 4 + ["test"],
        label=["anger", None, "fear", None, "sadness"],
        target=[None, None, soft, soft, None],
        repeat=[2, 1, 1, 0, 1],
        weight=np.array([0.25, 1, 1, 1, 1], dtype=np.float32),
    )
    rows = (manifest.frame["split"] == "train").to_numpy()
    faces = load_faces(manifest, rows, 16, 1)
    assert faces.sample_ids == ["stripes/0000", "stripes/0000", "stripes/0002"]
    assert faces.weights.tolist() == [0.25, 0.25, 1.0]
    assert faces.targets.tolist() == [np.eye(7)[0].tolist()] * 2 + [soft]
    assert torch.equal(faces.images[2], torch.from_numpy(manifest.pictures(16, 1))[2])
    assert faces.images.dtype == torch.uint8 and faces.targets.dtype == torch.float32
    assert faces.classes.tolist() == [0, 0, 2]


def test_the_hash_sees_everything_that_training_sees(striped_faces):
    faces = striped_faces(14)
    assert faces.sha256() == striped_faces(14).sha256()
    seen = {faces.sha256()}
    for name in ("images", "targets", "weights"):
        other = striped_faces(14)
        getattr(other, name)[3] = 0
        seen.add(other.sha256())
    renamed = striped_faces(14)
    renamed.sample_ids[0] = "another"
    seen.add(renamed.sha256())
    assert len(seen) == 5


def test_select_keeps_the_order(striped_faces):
    faces = striped_faces(7)
    chosen = faces.select(np.array([False, True, False, False, True, False, False]))
    assert chosen.sample_ids == ["stripes/1", "stripes/4"] and chosen.classes.tolist() == [1, 4]


def test_every_row_comes_once_per_pass_and_steps_stand_alone():
    order = ShuffledOrder(10, 4, seed=3)
    drawn = torch.cat([order(step) for step in range(5)])
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()
    assert torch.equal(ShuffledOrder(10, 4, seed=3)(2), order(2))  # spans two passes, asked for out of order
    assert sorted(ShuffledOrder(3, 7, seed=0)(0).tolist()[:3]) == [0, 1, 2]  # a batch longer than a pass


def test_balanced_order_draws_classes_equally_and_rows_within_them():
    classes = np.array([0] * 90 + [3] * 9 + [5])
    order = BalancedOrder(classes, 1000, seed=0)
    drawn = classes[torch.cat([order(step) for step in range(9)]).numpy()]
    shares = np.bincount(drawn, minlength=6)[[0, 3, 5]] / len(drawn)
    assert np.abs(shares - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 9000)
    assert set(range(100)) == {row for step in range(9) for row in order(step).tolist()}
    assert torch.equal(order(4), BalancedOrder(classes, 1000, seed=0)(4))


def test_step_seeds_differ_by_seed_scope_and_step():
    seeds = {step_seed(*key) for key in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]}
    assert len(seeds) == 4 and step_seed(0, "a", 0) in seeds


def test_views_are_greyed_and_resized_as_pillow_does():
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (1, 3, 20, 20), dtype=np.uint8)
    grey = to_view(torch.from_numpy(colour), 20, 1)[0, 0].numpy()
    expected = np.asarray(Image.fromarray(colour[0].transpose(1, 2, 0)).convert("L"))
    assert np.abs(grey.astype(int) - expected).max() <= 1
    smooth = np.asarray(Image.fromarray(expected).resize((40, 40), Image.Resampling.BICUBIC))
    small = to_view(torch.from_numpy(smooth.copy()[None, None]), 20, 1)[0, 0].numpy()
    resized = np.asarray(Image.fromarray(smooth).resize((20, 20), Image.Resampling.BICUBIC))
    assert np.abs(small.astype(int) - resized).max() <= 2
    assert to_view(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), 8, 3).shape == (2, 3, 8, 8)


def test_input_is_centred():
    images = torch.tensor([[[[0, 255]]]], dtype=torch.uint8)
    assert to_input(images).flatten().tolist() == [-2.0, 2.0]


def test_augmentation_off_changes_nothing(striped_faces):
    images = striped_faces(7).images
    assert torch.equal(augment(images, AugmentationConfig(**OFF), generator()), images.float())


def test_the_same_generator_gives_the_same_batch(striped_faces):
    images, config = striped_faces(14).images, AugmentationConfig()
    first, same, other = (augment(images, config, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert first.min() >= 0 and first.max() <= 255 and first.dtype == torch.float32


def test_mirror_alone_mirrors_about_half_exactly(striped_faces):
    images = striped_faces(70).images.float()
    moved = move(images, AugmentationConfig(**{**OFF, "mirror": True}), generator())
    same = torch.isclose(moved, images, atol=0.05).all(dim=(1, 2, 3))
    mirrored = torch.isclose(moved, images.flip(3), atol=0.05).all(dim=(1, 2, 3))
    assert (same ^ mirrored).all() and 20 <= int(mirrored.sum()) <= 50


def test_shift_stays_within_its_share(striped_faces):
    images = torch.zeros(50, 1, 41, 41)
    images[:, :, 20, 20] = 1
    moved = move(images, AugmentationConfig(**{**OFF, "shift": 0.1}), generator())
    places = moved.flatten(1).argmax(dim=1)
    offsets = torch.stack([places // 41, places % 41]) - 20
    assert offsets.abs().max() in (3, 4, 5)


def test_rotation_keeps_the_shape_of_a_face():
    images = torch.zeros(20, 1, 41, 41)
    images[:, :, 20, 36] = images[:, :, 20, 35] = images[:, :, 20, 34] = 1
    moved = move(images, AugmentationConfig(**{**OFF, "rotation_degrees": 90.0}), generator())
    places = moved.flatten(1).argmax(dim=1)
    radius = ((places // 41 - 20) ** 2 + (places % 41 - 20) ** 2).float().sqrt()
    assert ((radius > 13) & (radius < 17)).all()
    assert (places // 41 - 20).abs().max() > 8  # some turned far


def test_light_changes_mean_and_spread_as_told():
    images = 127 + 20 * torch.randn(200, 1, 16, 16, generator=generator())
    brighter = relight(images, AugmentationConfig(**{**OFF, "brightness": 0.1}), generator(1))
    shift = (brighter.mean(dim=(1, 2, 3)) - images.mean(dim=(1, 2, 3))).abs()
    assert 23 < shift.max() <= 25.6
    harder = relight(images, AugmentationConfig(**{**OFF, "contrast": 0.2}), generator(1))
    ratio = harder.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    assert 0.79 < ratio.min() < 0.83 and 1.17 < ratio.max() < 1.21


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_erasing_fills_one_rectangle_with_one_level(share):
    images = torch.full((400, 1, 20, 20), 300.0)
    erased = erase(images, AugmentationConfig(**{**OFF, "erasing": share, "erased_side": 0.5}), generator())
    holes = erased[:, 0] != 300
    hit = holes.any(dim=(1, 2))
    assert abs(float(hit.float().mean()) - share) < 0.15
    for picture, hole in zip(erased[hit][:20, 0], holes[hit][:20], strict=True):
        rows, columns = hole.any(dim=1), hole.any(dim=0)
        assert torch.equal(hole, rows[:, None] & columns[None, :])
        assert rows.sum() <= 10 and columns.sum() <= 10
        assert len(picture[hole].unique()) == 1


@pytest.mark.parametrize("side_px", [1, 15, 48])
def test_places_are_those_of_pytorch(side_px):
    affine = torch.randn(6, 2, 3, generator=generator())
    expected = torch.nn.functional.affine_grid(affine, [6, 1, side_px, side_px], align_corners=False)
    torch.testing.assert_close(affine_places(affine, side_px), expected, rtol=1e-5, atol=1e-6)


def test_gamma_bends_grey_levels_between_its_bounds():
    images = torch.full((200, 1, 4, 4), 100.0)
    bent = relight(images, AugmentationConfig(**{**OFF, "gamma": 0.5}), generator())
    exponents = (bent[:, 0, 0, 0] / 255).log() / torch.tensor(100 / 255).log()
    assert exponents.min() == pytest.approx(1 / 1.5, rel=0.03) and exponents.max() == pytest.approx(1.5, rel=0.03)
    assert exponents.log().mean() == pytest.approx(0, abs=0.05)  # darker as often as lighter
    ends = relight(torch.tensor([0.0, 255.0]).view(2, 1, 1, 1), AugmentationConfig(**{**OFF, "gamma": 4}), generator())
    assert ends.flatten().tolist() == [0.0, 255.0]
