"""What else is made of a model's probabilities and votes without names, for benchmarks/audit_votes.py.

Every rater is taken to be like every other: the votes are counts. Functions return the probability of each label,
float64 [N, V], from

    probabilities   float64 [N, V], the model's; 0 for what it does not know
    counts          int64 [N, V], how many raters said what
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_FLOOR = 1e-5


def naive_bayes(probabilities: Array, counts: Counts) -> Array:
    """The model's probability times that of every vote, where all raters are right equally often.

    How often is counted on the labels that the product itself finds, until it stays (one-coin Dawid-Skene, as in
    Zhang et al., "Spectral methods meet EM", 2014).
    """
    names = counts.shape[1]
    right, posterior = 0.7, probabilities
    for _ in range(50):
        posterior = _product(probabilities, counts, np.full((names, names), (1 - right) / (names - 1)), right)
        right = float((posterior * counts).sum() / max(counts.sum(), 1))
    return posterior


def naive_bayes_of_model(probabilities: Array, counts: Counts) -> Array:
    """The same with a whole confusion matrix, counted on what the model alone finds."""
    return _product(probabilities, counts, _confusion(probabilities, counts))


def dawid_skene(probabilities: Array, counts: Counts) -> Array:
    """The same with a confusion matrix that is counted on what the product itself finds, until it stays.

    Dawid and Skene (JRSS C 28, 1979) with one matrix for all raters, and the model as the prior of every face.
    """
    posterior = naive_bayes(probabilities, counts)
    for _ in range(50):
        posterior = _product(probabilities, counts, _confusion(posterior, counts))
    return posterior


def _confusion(posterior: Array, counts: Counts) -> Array:
    told: Array = posterior.T @ counts + 1.0
    return told / told.sum(axis=1, keepdims=True)


def _product(probabilities: Array, counts: Counts, confusion: Array, right: float | None = None) -> Array:
    if right is not None:
        confusion = confusion.copy()
        np.fill_diagonal(confusion, right)
    logs = np.log(np.maximum(probabilities, _FLOOR)) + counts @ np.log(np.maximum(confusion, _FLOOR)).T
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    posterior: Array = odds / odds.sum(axis=1, keepdims=True)
    return posterior
