import numpy as np
import pytest
import torch
from torch.nn import functional as F

from classifier.mixing import mix


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    images = 255 * torch.rand(16, 1, 12, 12, generator=generator)
    return images, torch.eye(7)[torch.arange(16) % 7], torch.rand(16, generator=generator)


def own_shares(mixed, images):
    """Each face's share of its own mixture, from the pictures alone: the best fit among all partners."""
    flat, blend = images.flatten(1), mixed.flatten(1)
    shares = []
    for row in range(len(flat)):
        fits = []
        for partner in range(len(flat)):
            step = flat[row] - flat[partner]
            share = 1.0 if partner == row else float((blend[row] - flat[partner]) @ step / (step @ step))
            fits.append((float((blend[row] - torch.lerp(flat[partner], flat[row], share)).norm()), share, partner))
        shares.append(min(fits)[1:])
    return shares


def test_without_alphas_nothing_changes(batch):
    assert all(a is b for a, b in zip(mix(*batch, mixup=0, cutmix=0, rng=np.random.default_rng(0)), batch, strict=True))


def test_mixup_mixes_pictures_and_losses_in_one_proportion(batch):
    images, targets, weights = batch
    mixed, mixed_targets, mixed_weights = mix(*batch, mixup=0.4, cutmix=0, rng=np.random.default_rng(1))
    logits = torch.randn(16, 7)
    losses = F.cross_entropy(logits, mixed_targets, reduction="none") * mixed_weights
    for row, (share, partner) in enumerate(own_shares(mixed, images)):
        assert 0.5 - 1e-4 <= share <= 1 + 1e-4
        own = weights[row] * F.cross_entropy(logits[row], targets[row])
        other = weights[partner] * F.cross_entropy(logits[row], targets[partner])
        torch.testing.assert_close(losses[row], share * own + (1 - share) * other, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(mixed_targets.sum(dim=1), torch.ones(16))


def test_cutmix_puts_one_rectangle_and_counts_its_pixels(batch):
    images, targets, _ = batch
    ones = torch.ones(16)
    mixed, mixed_targets, _ = mix(images, targets, ones, mixup=0, cutmix=1.0, rng=np.random.default_rng(2))
    foreign = (mixed != images).squeeze(1)
    assert foreign.any()
    for row in range(16):
        rows, columns = foreign[row].any(dim=1), foreign[row].any(dim=0)
        assert torch.equal(foreign[row], rows[:, None] & columns[None, :])  # a rectangle
        share = 1 - float(foreign[row].float().mean())
        assert share >= 0.4
        own = float(mixed_targets[row, row % 7])
        assert own == pytest.approx(share, abs=1e-5) or own == pytest.approx(1.0)  # the partner may be of its class


def test_where_both_are_on_batches_take_turns(batch):
    kinds = set()
    for seed in range(12):
        mixed, *_ = mix(*batch, mixup=1.0, cutmix=1.0, rng=np.random.default_rng(seed))
        untouched = (mixed == batch[0]).float().mean()
        kinds.add("cut" if untouched > 0.3 else "blend")
    assert kinds == {"cut", "blend"}


def test_faces_without_weight_mix_without_nan(batch):
    images, targets, _ = batch
    _, mixed, weights = mix(images, targets, torch.zeros(16), mixup=1.0, cutmix=0, rng=np.random.default_rng(3))
    assert torch.isfinite(mixed).all() and not weights.any()
