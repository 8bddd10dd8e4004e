"""Noise re-estimated from the posterior it implies, where the joint that labels were drawn from is known."""

import warnings

import numpy as np
import pytest

from fer_data.auditing.mixing import reestimate_joint, unmix
from fer_data.auditing.planting import confident_joint

CONFUSION = np.array(  # true × given
    [[0.95, 0.05, 0.0, 0.0], [0.25, 0.7, 0.05, 0.0], [0.05, 0.1, 0.83, 0.02], [0.0, 0.0, 0.3, 0.7]]
)
SHARES = np.array([0.4, 0.3, 0.25, 0.05])


def mixture(faces: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Given labels, exact P(given | face), and the joint of given and true labels."""
    rng = np.random.default_rng(seed)
    odds = SHARES * np.exp(rng.normal(0, 2.5, (faces, 4)))
    true = odds / odds.sum(axis=1, keepdims=True)
    truth = (true.cumsum(axis=1) < rng.random((faces, 1))).sum(axis=1)
    labels = (CONFUSION[truth].cumsum(axis=1) < rng.random((faces, 1))).sum(axis=1)
    joint = np.zeros((4, 4))
    np.add.at(joint, (labels, truth), 1 / faces)
    return labels, true @ CONFUSION, joint


def test_two_rounds_come_closer_to_the_joint_that_the_labels_were_drawn_from() -> None:
    labels, probabilities, known = mixture(20_000, seed=5)
    joint = confident_joint(labels, probabilities)
    errors = [abs(joint - known).sum()]
    for _ in range(2):
        joint = reestimate_joint(labels, probabilities, joint)
        errors.append(abs(joint - known).sum())
    assert joint.sum() == pytest.approx(1)
    assert errors[2] < errors[1] < errors[0]


def test_unmixing_undoes_what_mixing_did() -> None:
    _, probabilities, known = mixture(5000, seed=6)
    true = unmix(probabilities, known)
    assert true.sum(axis=1) == pytest.approx(1)
    transition = known / known.sum(axis=0)
    assert abs(true @ transition.T - probabilities).mean() < 0.02
    assert abs(true - probabilities).mean() > 0.05
    assert unmix(probabilities, np.diag(SHARES)) == pytest.approx(probabilities)


def test_a_label_that_no_face_has_is_no_trouble() -> None:
    labels, probabilities, _ = mixture(2000, seed=8)
    kept = labels < 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start = confident_joint(labels[kept], probabilities[kept])
        joint = reestimate_joint(labels[kept], probabilities[kept], start)
    assert np.isfinite(joint).all() and joint[3].sum() == 0
