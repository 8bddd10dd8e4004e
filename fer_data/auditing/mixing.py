"""Which labels are wrong, told apart from what the classifier cannot tell.

The confident joint counts difficulty as noise, most of all in classes that have few errors. So it is re-estimated from
the posterior that it implies, as EM would do:

    P(given | face) = Σ P(given | true) P(true | face)    is solved for P(true | face), then
    P(true | face, given) ∝ P(given | true) P(true | face)    is averaged into a new joint.

One or two rounds come closer to the joint where it is known; later ones empty rare classes, or fill them.
"""

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Labels, Probabilities

_STEPS = 10  # of the deconvolution: stopped early, as noise would be sharpened too
_TINY = 1e-12

Array = NDArray[np.float64]


def unmix(probabilities: Probabilities, joint: Array) -> Probabilities:
    """P(true label | face) from P(given label | face), float64 [N, K]; rows sum to 1.

    Multiplicative updates, which keep distributions distributions (Richardson, JOSA 62, 1972; Lucy, AJ 79, 1974).

    Args:
        probabilities: float64 [N, K], out-of-fold, of the given labels.
        joint: float64 [K, K], given × true.
    """
    transition = _transition(joint)
    true = np.tile(joint.sum(axis=0), (len(probabilities), 1))
    for _ in range(_STEPS):
        expected = np.maximum(true @ transition.T, _TINY)
        np.divide(probabilities, expected, out=expected)
        true *= expected @ transition
    return np.asarray(true / np.maximum(true.sum(axis=1, keepdims=True), _TINY))


def reestimate_joint(labels: Labels, probabilities: Probabilities, joint: Array) -> Array:
    """The joint distribution of given and true labels that the posterior under `joint` implies, float64 [K, K].

    Args:
        labels: int64 [N], given labels.
        probabilities: float64 [N, K], out-of-fold.
        joint: float64 [K, K], given × true.
    """
    posterior = unmix(probabilities, joint) * _transition(joint)[labels]
    posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), _TINY)
    classes = len(joint)
    sums = np.stack([np.bincount(labels, posterior[:, true], classes) for true in range(classes)], axis=1)
    return np.asarray(sums / sums.sum())


def _transition(joint: Array) -> Array:
    """P(given | true), float64 [given, true]; a label that nothing shows is given as what it is."""
    shares = joint.sum(axis=0)
    return np.where(shares > 0, joint / np.maximum(shares, _TINY), np.eye(len(joint)))
