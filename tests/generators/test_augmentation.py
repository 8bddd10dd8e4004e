import torch

from generators.augmentation import augment, draw_changes


def changes(count):
    return draw_changes(count, 16, torch.Generator().manual_seed(0))


def test_augmentation_shifts_and_cuts_a_share_of_the_pictures_and_lets_gradients_through():
    images = torch.ones(400, 1, 16, 16, requires_grad=True)
    changed = augment(images, 0.25, *changes(400))
    share = (changed != images).flatten(1).any(dim=1).float().mean().item()
    assert 0.18 < share < 0.32
    assert set(changed.unique().tolist()) == {0.0, 1.0}
    changed.sum().backward()
    assert images.grad.sum() == changed.sum()


def test_a_picture_is_shifted_by_its_own_shift():
    images = torch.arange(256.0).reshape(1, 1, 16, 16)
    shift, centre = torch.tensor([[1, -2]]), torch.tensor([[-100, -100]])
    shifted = augment(images, 1.0, shift, centre, torch.zeros(1))
    assert torch.equal(shifted[0, 0, :15, 2:], images[0, 0, 1:, :14])
    assert not shifted[0, 0, 15].any()
    assert not shifted[0, 0, :, :2].any()


def test_no_augmentation_changes_nothing():
    images = torch.randn(4, 3, 8, 8)
    assert augment(images, 0.0, *changes(4)) is images
