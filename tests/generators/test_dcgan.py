import torch

from generators.dcgan import augment, sameness


def test_augmentation_shifts_and_cuts_a_share_of_the_pictures_and_lets_gradients_through():
    images = torch.ones(400, 1, 16, 16, requires_grad=True)
    changed = augment(images, 0.25, torch.Generator().manual_seed(0))
    share = (changed != images).flatten(1).any(dim=1).float().mean().item()
    assert 0.18 < share < 0.32
    assert set(changed.unique().tolist()) == {0.0, 1.0}
    changed.sum().backward()
    assert images.grad.sum() == changed.sum()


def test_no_augmentation_changes_nothing():
    images = torch.randn(4, 3, 8, 8)
    assert augment(images, 0.0, torch.Generator().manual_seed(0)) is images


def test_pairs_that_differ_as_real_faces_do_are_not_the_same():
    real = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert sameness(real[:1].repeat(8, 1, 1, 1), real).item() == 1
    wide = torch.cat([torch.full((4, 1, 8, 8), 5.0), torch.full((4, 1, 8, 8), -5.0)])
    assert sameness(wide, real).item() == 0
