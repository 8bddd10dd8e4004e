import numpy as np
import pytest
import torch

from fer_data.errors import FerError
from generators.condition import Vocabulary
from generators.dcgan import DcganConfig, DcganLearner, sameness, usual_difference
from generators.devices import Devices

VOCABULARY = Vocabulary(("a", "b"), (), ())


def test_pairs_that_differ_as_real_faces_do_are_not_the_same():
    real = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    usual = usual_difference(real)
    assert usual.item() == pytest.approx(2 / np.pi**0.5, rel=0.05)  # the mean of |N(0, 1) - N(0, 1)|
    assert sameness(real[:1].repeat(8, 1, 1, 1), usual).item() == 1
    assert sameness(real, usual).item() < 0.05
    assert sameness(torch.cat([real[:32], -real[:32]]), usual).item() == 0


def test_one_picture_brighter_and_harder_is_the_same_picture():
    real = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    pairs = torch.cat([real[:32], 3 * real[:32] + 0.5])
    assert sameness(pairs, usual_difference(real)).item() > 0.98


def learner(**settings):
    config = DcganConfig(steps=9, size_px=16, widths=(16, 16), noise_width=8, **settings)
    return DcganLearner(config, VOCABULARY, Devices())


def learn(learner, steps, images=None):
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1 if images is None else images
    conditions = torch.zeros(len(images), 3, dtype=torch.int64)
    return [learner.step(images, conditions, 0.0, torch.Generator().manual_seed(step)) for step in range(steps)]


def test_augmentation_follows_how_certain_the_critic_is():
    """With these seeds it finds all pictures real, or none; its learning rate is too small to change that."""
    for seed, told, way in ((0, 1.0, 1), (1, -1.0, -1)):
        adaptive = learner(augment=0.3, certainty=0.0, seed=seed, discriminator_rate=1e-6)
        assert [losses["certainty"] for losses in learn(adaptive, 3)] == [told] * 3
        assert adaptive.state()["share"].item() == pytest.approx(0.3 + way * 3 * 8 / 20_000)
    fixed = learner(augment=0.3)
    learn(fixed, 2)
    assert fixed.state()["share"].item() == pytest.approx(0.3)


def test_r1_flattens_the_critic_at_real_faces():
    """The loss of a first step without and with R1 differs by the weighted squared norm of the gradient."""
    plain, flat = learner(augment=0.0), learner(augment=0.0, r1=0.5)
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    images.requires_grad_()
    labels = torch.zeros(8, 3, dtype=torch.int64)
    without, with_it = (learn(each, 1, images.detach())[0]["critic"] for each in (plain, flat))
    assert with_it > without
    scores = flat._critic.eval().judge(flat._critic.look(images), labels)
    gradient = torch.autograd.grad(scores.sum(), images)[0]
    assert with_it - without == pytest.approx(0.5 * 8 * gradient.square().sum(dim=(1, 2, 3)).mean().item(), rel=0.2)


def test_a_batch_without_a_pair_for_each_process_is_refused():
    class TwoProcesses:
        device, num_processes, process_index, scaler = torch.device("cpu"), 2, 0, None

    config = DcganConfig(steps=9, size_px=16, widths=(16, 16), batch_size=2)
    with pytest.raises(FerError, match="on 2 processes: expected a batch_size of at least 4, .* found 2; raise it"):
        DcganLearner(config, VOCABULARY, Devices(TwoProcesses()))


def test_a_dcgan_cannot_start_from_faces():
    drawing = learner().generator()
    assert not drawing.starts_from_faces
    with pytest.raises(FerError, match="dcgan: cannot start from faces"):
        drawing.sample(np.zeros((1, 3), np.int64), np.zeros(1, np.int64), np.zeros((1, 1, 16, 16), np.uint8))


def test_pictures_without_a_label_have_no_label_loss():
    critic = learner()._critic
    features = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    unknown = torch.tensor(VOCABULARY.unknown).expand(4, 3)
    assert critic.label_loss(features, unknown).item() == 0
    half = torch.cat([torch.zeros(2, 3, dtype=torch.int64), unknown[:2]])
    known = critic.label_loss(features[:2], half[:2]).item()
    assert critic.label_loss(features, half).item() == pytest.approx(known / 2)
