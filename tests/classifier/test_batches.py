import numpy as np
import pytest
import torch

from classifier.augmentation import augment
from classifier.batches import Batches
from classifier.data import step_seed, to_input

CPU = torch.device("cpu")


def test_a_batch_is_the_same_whenever_it_is_asked_for(striped_faces, tiny):
    config = tiny.model_copy(update={"mixup": 0.4})
    first, second = (Batches(striped_faces(70), config, 40, CPU) for _ in range(2))
    first(0), first(1)
    for a, b in zip(first(5), second(5), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first(5).images, first(6).images)


def test_a_batch_is_what_its_parts_make(striped_faces, tiny):
    faces = striped_faces(70)
    batch = Batches(faces, tiny, 40, CPU)(3)
    generator = torch.Generator().manual_seed(step_seed(tiny.seed, "augmentation 0", 3))
    expected = to_input(augment(faces.images[batch.rows], tiny.augmentation, generator))
    assert torch.equal(batch.images, expected)
    torch.testing.assert_close(batch.targets, faces.targets[batch.rows] * 0.9 + 0.1 / 7)
    assert torch.equal(batch.weights, torch.ones(32))


def test_processes_share_a_batch_and_draw_apart(striped_faces, tiny):
    faces = striped_faces(70)
    whole = Batches(faces, tiny, 40, CPU)(2)
    parts = [Batches(faces, tiny, 40, CPU, rank, 2)(2) for rank in range(2)]
    assert torch.equal(torch.stack([part.rows for part in parts], dim=1).flatten(), whole.rows)
    assert [len(part.images) for part in parts] == [16, 16]


def test_pictures_grow_to_their_full_side(striped_faces, tiny):
    config = tiny.model_copy(update={"start_px": 8, "grown_by": 0.5})
    batches = Batches(striped_faces(70), config, 40, CPU)
    sides = [batches.size_px(step) for step in range(40)]
    assert sides[0] == 8 and sides == sorted(sides) and set(sides) == {8, 12, 16}
    assert sides[20:] == [16] * 20
    assert [batches(step).images.shape[-1] for step in (0, 12, 30)] == [8, 12, 16]


@pytest.mark.parametrize("moving", [True, False])
def test_a_small_picture_is_the_large_one_seen_from_afar(moving, striped_faces, tiny):
    """Whatever else is done to it: its mean grey level is nearly that of the large one."""
    quiet = {"shift": 0.0, "rotation_degrees": 0.0, "zoom": 0.0, "brightness": 0.0, "contrast": 0.0, "erasing": 0.0}
    augmentation = tiny.augmentation.model_copy(update={**quiet, "zoom": 0.01 * moving})
    faces = striped_faces(70, size_px=48)
    small = augment(faces.images, augmentation, torch.Generator().manual_seed(0), 24)
    assert small.shape == (70, 1, 24, 24)
    means = faces.images.float().mean(dim=(1, 2, 3))
    np.testing.assert_allclose(small.mean(dim=(1, 2, 3)), means, atol=3)


def test_effective_numbers_become_weights(striped_faces, tiny):
    faces = striped_faces(70).select(np.arange(70) % 7 != 1)
    config = tiny.model_copy(update={"effective_number": 0.9})
    batch = Batches(faces, config, 40, CPU)(0)
    assert batch.weights.tolist() == pytest.approx([1.0] * 32, abs=1e-5)  # equal classes, equal weights
