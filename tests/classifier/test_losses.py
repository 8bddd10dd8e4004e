import numpy as np
import pytest
import torch
from torch.nn import functional as F

from classifier.losses import class_prior, even_out, mean_loss, smooth


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(32, 7, generator=generator) * 3
    targets = torch.rand(32, 7, generator=generator).softmax(dim=1)
    return logits, targets, torch.rand(32, generator=generator)


def test_without_gamma_it_is_cross_entropy(batch):
    logits, targets, weights = batch
    expected = (weights * F.cross_entropy(logits, targets, reduction="none")).mean()
    torch.testing.assert_close(mean_loss(logits, targets, weights), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_focal_loss_against_its_definition(batch, gamma):
    logits, targets, weights = (value.double().numpy() for value in batch)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.mean([-w * sum(t * (1 - q) ** gamma * np.log(q) for t, q in zip(ts, qs, strict=True))
                        for w, ts, qs in zip(weights, targets, p, strict=True)])  # fmt: skip
    assert float(mean_loss(*batch, focal=gamma)) == pytest.approx(expected, rel=1e-5)


def test_a_face_that_is_certain_has_a_finite_slope():
    logits = torch.tensor([[60.0, 0.0]], requires_grad=True)
    mean_loss(logits, torch.tensor([[1.0, 0.0]]), torch.ones(1), focal=0.5).backward()
    assert torch.isfinite(logits.grad).all()


def test_smoothing_a_soft_target_keeps_its_sum(batch):
    smoothed = smooth(batch[1], 0.14)
    torch.testing.assert_close(smoothed.sum(dim=1), torch.ones(32))
    torch.testing.assert_close(smoothed, batch[1] * 0.86 + 0.02)
    one_hot = torch.eye(7)[:3]
    logits = batch[0][:3]
    expected = F.cross_entropy(logits, torch.arange(3), label_smoothing=0.14)  # torch's own, for hard labels
    torch.testing.assert_close(mean_loss(logits, smooth(one_hot, 0.14), torch.ones(3)), expected)


def test_the_class_prior_counts_weights_and_never_is_zero(striped_faces):
    faces = striped_faces(14)
    faces.weights[faces.classes == 0] = 3
    faces.weights[faces.classes == 1] = 0
    prior = class_prior(faces)
    assert prior.tolist() == pytest.approx([6 / 16, 0.5 / 14, *[2 / 16] * 5])


def test_weights_by_effective_numbers(striped_faces):
    faces = striped_faces(70).select(np.arange(70) < 67)  # 10 faces of some classes, 9 of the others
    faces = faces.select((faces.classes != 1) | (np.arange(67) < 7))  # one of class 1
    beta = 0.9
    weights = even_out(faces, beta)
    counts = np.bincount(faces.classes, minlength=7)
    per_class = (1 - beta) / (1 - beta**counts)
    expected = per_class[faces.classes]
    np.testing.assert_allclose(weights.numpy(), expected * len(faces) / expected.sum(), rtol=1e-5)
    torch.testing.assert_close(even_out(faces, 0.0), faces.weights)


def test_a_class_without_faces_does_not_spoil_effective_numbers(striped_faces):
    faces = striped_faces(70)
    weights = even_out(faces.select(faces.classes != 3), 0.99)
    assert torch.isfinite(weights).all() and float(weights.sum()) == pytest.approx(60)


def test_labels_as_evidence_against_the_definition(batch):
    logits, likelihoods, weights = (value.double().numpy() for value in batch)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.mean(-weights * np.log((p * likelihoods).sum(axis=1)))
    assert float(mean_loss(*batch, likelihood=True)) == pytest.approx(expected, rel=1e-5)


def test_a_label_that_is_certain_is_no_evidence_but_the_label(batch):
    logits, _, weights = batch
    logits.requires_grad_()
    certain = torch.eye(7)[torch.arange(32) % 7]
    slopes = [
        torch.autograd.grad(mean_loss(logits, certain, weights, likelihood=kind), logits)[0] for kind in (True, False)
    ]
    torch.testing.assert_close(slopes[0], slopes[1])


def test_the_prior_of_labels_that_are_evidence_is_that_of_the_truth(striped_faces):
    """Two in five of class 0 are called 1; the shares of the labels are not those of the classes."""
    random = np.random.default_rng(0)
    true = random.choice(7, 7000, p=[0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    given = np.where((true == 0) & (random.random(7000) < 0.4), 1, true)
    confusions = torch.eye(7)
    confusions[0, :2] = torch.tensor([0.6, 0.4])
    faces = striped_faces(7000)
    faces.targets.copy_(confusions[:, given].T)
    prior = class_prior(faces, likelihood=True)
    assert prior.tolist() == pytest.approx(np.bincount(true, minlength=7) / 7000, abs=0.02)
    assert class_prior(faces)[0] < 0.34
