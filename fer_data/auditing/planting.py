"""Labels made wrong on purpose: what the audit learns from, and what tells how often it is right.

A wrong label of a real data set is seldom drawn at random: somebody found it plausible. So a face given a is
planted as b with odds

    P(given b | true a) × P(b | face)

the first from the noise that the data shows (`joint`), the second from the classifier that did not train on the
face. Both matter: noise of the first kind alone is caught too easily, and what is learnt on it trusts the model's
word too much.
"""

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Labels

_SPARED_BELOW = 20  # faces: a class so small loses none, so that every fold keeps some
_LEAST = 1e-3  # no confusion is impossible, and no face beyond taking for another

Matrix = NDArray[np.float64]


def plant(labels: Labels, probabilities: NDArray[np.floating] | None, share: float, seed: int, classes: int) -> Labels:
    """Labels of which a share is wrong on purpose.

    Without probabilities every face and every other label is as likely; with them, the odds are those of
    `planting_odds`. A label that no face has is never planted, and a class of fewer than 20 faces loses none.

    Args:
        labels: int64 [N], given labels.
        probabilities: float [N, K], out-of-fold; None where no classifier has spoken yet.
        share: of the labels, 0..1.
        classes: K.

    Returns:
        int64 [N].
    """
    rng = np.random.default_rng((seed, 0x706C616E74))
    counts = np.bincount(labels, minlength=classes)
    allowed = np.flatnonzero(counts[labels] >= _SPARED_BELOW)
    amount = round(share * len(labels))
    if probabilities is None:
        chosen = rng.permutation(allowed)[:amount]
        odds = np.ones((len(chosen), classes))
    else:
        odds = planting_odds(labels[allowed], probabilities[allowed], confident_joint(labels, probabilities))
        odds[:, counts == 0] = 0
        kept = draw_rows(odds.sum(axis=1), amount, rng)
        chosen, odds = allowed[kept], odds[kept]
    odds[:, counts == 0] = 0
    odds[np.arange(len(chosen)), labels[chosen]] = 0
    planted = labels.copy()
    possible = odds.sum(axis=1) > 0
    drawn = draw_columns(odds, rng)
    planted[chosen[possible]] = drawn[possible]
    return planted


def confident_joint(labels: Labels, probabilities: NDArray[np.floating]) -> Matrix:
    """The joint distribution of given (rows) and true labels by confident learning, float64 [K, K], sums to 1."""
    from cleanlab.count import estimate_joint

    return np.asarray(estimate_joint(labels, np.asarray(probabilities, dtype=np.float64)), dtype=np.float64)


def planting_odds(labels: Labels, probabilities: NDArray[np.floating], joint: Matrix) -> Matrix:
    """How likely each face is given each other label by mistake, float64 [N, K], 0 for its own; not normalised.

    Args:
        labels: int64 [N], taken for true.
        probabilities: float [N, K], out-of-fold.
        joint: float64 [K, K], given × true.
    """
    confusion = joint / np.maximum(joint.sum(axis=0, keepdims=True), 1e-12)
    odds: Matrix = (confusion.T[labels] + _LEAST) * (probabilities + _LEAST)
    np.put_along_axis(odds, labels[:, None], 0.0, axis=1)
    return odds


def planting_weights(labels: Labels, planted: Labels, odds: Matrix) -> NDArray[np.float64]:
    """What each planted face stands for, so that together they are as if drawn by `odds`; float64 [M], mean 1.

    Faces of a first repeat are planted evenly, as no odds are known yet; later ones by odds. The likelier of the
    two is taken for what was done: evenly planted faces then weigh their odds, the others the same.

    Args:
        labels: int64 [M], given labels of planted faces.
        planted: int64 [M], what they were planted as.
        odds: float64 [M, K], `planting_odds` of these faces.
    """
    if not len(planted):
        return np.zeros(0)
    own = np.maximum(np.take_along_axis(odds, planted[:, None], axis=1)[:, 0], 1e-12)
    total = np.maximum(odds.sum(axis=1), 1e-12)
    even = -np.log(max(odds.shape[1] - 1, 1))
    if np.log(own / total).mean() > even:
        return np.ones(len(planted))
    return np.asarray(own / own.mean())


def draw_rows(weights: NDArray[np.float64], amount: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Distinct rows, likelier by weight, int64 [≤ amount] (Efraimidis and Spirakis, 2006); none of weight 0."""
    possible: Labels = np.flatnonzero(weights > 0).astype(np.int64)
    times = rng.exponential(size=len(possible)) / weights[possible]
    amount = min(amount, len(possible))
    return np.asarray(possible[np.argsort(times, kind="stable")[:amount]])


def draw_columns(odds: Matrix, rng: np.random.Generator) -> Labels:
    """One column of each row, by its odds, int64 [N]; any where a row has none."""
    odds = odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-300)
    drawn = (odds.cumsum(axis=1) < rng.random((len(odds), 1)) * odds.sum(axis=1, keepdims=True)).sum(axis=1)
    return np.asarray(np.minimum(drawn, odds.shape[1] - 1), dtype=np.int64)
