"""One score from all that is known, with weights learnt on planted noise.

Every part of the evidence says of a label how plausible it is, and how plausible the best other one is. What each is
worth is learnt from labels that are known to be wrong because they were planted (`fer_data.auditing.planting`):

- in the repeats of `fer predict`, some labels were planted before training, so that even what the training tells
  of a label is known for wrong ones;
- where nothing was planted, labels are replaced only for judging. Out-of-fold probabilities and neighbours of a face
  do not depend on its own label, training does: so it is left out.

The model is a logistic one for presence-only data (`fer_data.auditing.presence`), with an intercept per label that
follows from how often that label is wrong (`fer_data.auditing.noise`). No face is scored with weights that were
learnt on it or on one of its group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_data.auditing.evidence import Evidence, Labels, Probabilities
from fer_data.auditing.examples import (
    Examples,
    log_plausibility,
    mean_known,
    replaced_examples,
    trained_examples,
    untrained_parts,
)
from fer_data.auditing.noise import NoiseEstimate, estimate_noise
from fer_data.auditing.presence import Model, deal, learn
from fer_data.configuration import Configuration
from fer_data.errors import FerError

Scores = NDArray[np.float64]
Matrix = NDArray[np.float64]

_SHARPNESS = (0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0, 2.5, 3.0)
_FACES = 500  # a label of so many believes half of what is estimated of its frequency
_BISECTIONS = 24  # of an interval of 40
# Of the estimated rates, while weights are learnt: a weak classifier's own mistakes are in them, and where they are far
# too high, right labels are learnt as wrong ones. Too low, they only make the score less sure, which is mended later.
_CAUTION = 0.5
_LEAST_SPREAD = 0.045  # of the rates of labels; they are never taken for quite the same
_Z = 1.959963984540054  # of a two-sided 95 % interval
_LEAST_WRONG = 0.005  # no label is always right, and none always wrong


class CombineConfig(Configuration):
    """How the combined score is learnt."""

    # Fewer planted labels in all repeats teach nothing: what training tells is left out then.
    least_planted: int = Field(default=100, ge=1)
    # Share of the faces whose label is replaced for judging, where no repeat trained on planted ones.
    replaced: float = Field(default=0.3, gt=0, lt=1)
    # Weights are learnt on at most so many faces.
    sample: int = Field(default=60_000, ge=100)
    # Groups are dealt to so many folds; each is scored with the weights learnt on the others.
    folds: int = Field(default=3, ge=2)
    # How strongly weights are drawn to equal ones: the more labels were planted, the more is learnt from them.
    penalty: float = Field(default=5.0, ge=0)


@dataclass(frozen=True)
class Trial:
    """How planted labels were judged; what policies learn their precision from.

    A face planted in several repeats is there several times, each time judged by that repeat alone.

    Attributes:
        rows: int64 [M], positions in the evidence.
        planted, original: int64 [M], the wrong label and the given one that it replaced (mostly right, not always).
        weight: float64 [M], what a planted face stands for, mean 1.
        score: float64 [M], of the planted label.
        posterior: float64 [M, K], under the planted label.
    """

    rows: Labels
    planted: Labels
    original: Labels
    weight: Scores
    score: Scores
    posterior: Probabilities


@dataclass(frozen=True)
class Combined:
    """The combined judgement of every face.

    Attributes:
        score: float64 [N], 1 - estimated P(given label wrong), 0..1.
        posterior: float64 [N, K], estimated P(true label | everything); rows sum to 1, that of the given label is
            its score.
        error_rates: float64 [K], P(wrong | given label) that the scores are held to.
        weights: part of the evidence → its share of what moves the score, 0..1, they sum to 1.
        dynamics_used: whether labels were planted in training, so that what it tells could be learnt from.
        trial: how planted labels were judged.
    """

    score: Scores
    posterior: Probabilities
    error_rates: Scores
    weights: dict[str, float]
    dynamics_used: bool
    trial: Trial


def combine(
    evidence: Evidence,
    config: CombineConfig,
    seed: int,
    *,
    noise: NoiseEstimate | None = None,
    shares: Sequence[Matrix | None] | None = None,
) -> Combined:
    """Learn what wrong labels look like from planted ones, and judge every given label by it.

    Args:
        seed: of the parts, of samples and of what is planted for judging.
        noise: how labels go wrong and how often, of the same faces; None estimates it on a sample.
        shares: `neighbour_shares` of each repeat, for whoever has them already; None computes them.

    Raises:
        FerError: fewer than two groups of faces, as none could be scored with weights that were not learnt on it; or
            repeats that kept different things of the training.
    """
    rng = np.random.default_rng((seed, 0x636F6D62))
    fold = deal(evidence.groups, config.folds, rng)
    sample = np.sort(rng.permutation(len(evidence))[: config.sample])
    noise = _noise(evidence.take(sample)) if noise is None else noise
    joint = noise.joint.value
    rates, frequency = _rates(noise), _frequencies(joint, np.bincount(evidence.labels, minlength=len(joint)))

    parts = untrained_parts(evidence, shares)
    plausible = log_plausibility(list(parts.values()))
    replaced = replaced_examples(evidence, parts, joint, sample, config.replaced, rng)
    model = learn(
        [replaced], evidence.labels, fold, _CAUTION * rates, sample, config.penalty / max(len(replaced.rows), 1)
    )
    wrong = model.judge(replaced.given, evidence.labels, fold)
    tried = [replaced]
    trained = [trained_examples(evidence, repeat, parts, joint) for repeat in evidence.repeats]
    _refuse_unlike(trained)
    planted = sum(len(examples.rows) for examples in trained)
    dynamics_used = planted >= config.least_planted
    if dynamics_used:
        model = learn(trained, evidence.labels, fold, _CAUTION * rates, sample, config.penalty / planted)
        wrong = _mean_where_trained(wrong, trained, model, evidence.labels, fold)
        tried = trained
    others = _Others(_sharpness(tried, plausible, evidence.labels), np.log(frequency))
    shift = _shifts(rates, wrong, evidence.labels)
    trial = _joined([_try(examples, model, shift, evidence.labels, fold, others, plausible) for examples in tried])
    if dynamics_used:
        plausible = log_plausibility([*parts.values(), *_seen(evidence)])
    score = _right(wrong + shift[evidence.labels])
    posterior = others.posterior(score, evidence.labels, plausible)
    return Combined(score, posterior, rates, model.shares(), dynamics_used, trial)


def _noise(evidence: Evidence) -> NoiseEstimate:
    return estimate_noise(evidence.labels, evidence.probabilities, evidence.groups, repeats=evidence.repeats)


def _rates(noise: NoiseEstimate) -> Scores:
    """P(wrong | given label), float64 [K]: what is not known well is drawn to the rate of all labels.

    A weak classifier finds some labels hard and takes them for noisy. How far rates may differ is what is left of
    their spread when their errors are taken off (empirical Bayes: Efron and Morris, JASA 70, 1975).
    """
    values, total = noise.error_rates.value, float(noise.error_rate.value)
    variance = ((noise.sampled_rates.high - noise.sampled_rates.low) / (2 * _Z)) ** 2
    weight = noise.given / max(int(noise.given.sum()), 1)
    between = max(float(weight @ ((values - total) ** 2 - variance)), _LEAST_SPREAD**2)
    rates = total + (values - total) * between / (between + variance)
    return np.asarray(np.clip(rates, _LEAST_WRONG, 1 - _LEAST_WRONG))


def _frequencies(joint: Matrix, faces: Labels) -> Scores:
    """How many times more often a label is true than given, float64 [K].

    Drawn to 1 for labels of few faces: it is what the others spill over that decides there.
    """
    given, true = joint.sum(axis=1), joint.sum(axis=0)
    ratio = np.divide(true, given, out=np.ones(len(joint)), where=(given > 0) & (true > 0))
    belief = faces / (faces + _FACES)
    return np.asarray(belief * ratio + (1 - belief))


@dataclass(frozen=True)
class _Others:
    """How P(true label) is shared among the labels that are not given.

    Attributes:
        sharpness: what logarithms of plausibility are multiplied by.
        shift: float64 [K], how much more often a label is true than given, as a logarithm.
    """

    sharpness: float
    shift: Scores

    def posterior(self, score: Scores, labels: Labels, plausible: Matrix) -> Probabilities:
        """P(true label): the score for the label, the rest for the others by plausibility, float64 [n, K]."""
        logs = self.sharpness * plausible + self.shift
        others = np.exp(logs - logs.max(axis=1, keepdims=True)) + 1e-12
        np.put_along_axis(others, labels[:, None], 0.0, axis=1)
        posterior: Probabilities = others * ((1 - score) / others.sum(axis=1))[:, None]
        np.put_along_axis(posterior, labels[:, None], score[:, None], axis=1)
        return posterior


def _sharpness(examples: Sequence[Examples], plausible: Matrix, labels: Labels) -> float:
    """The sharpness under which what was planted over is likeliest; 1 where nothing was planted."""
    rows = np.concatenate([part.rows for part in examples])
    if not len(rows):
        return 1.0
    planted = np.concatenate([part.planted_labels for part in examples])
    weights = np.concatenate([part.weights for part in examples])
    even = np.zeros(plausible.shape[1])
    likelihood = []
    for sharpness in _SHARPNESS:
        posterior = _Others(sharpness, even).posterior(np.zeros(len(rows)), planted, plausible[rows])
        own = np.take_along_axis(posterior, labels[rows][:, None], axis=1)[:, 0]
        likelihood.append(float(weights @ np.log(own)))
    return _SHARPNESS[int(np.argmax(likelihood))]


def _mean_where_trained(
    wrong: Scores, examples: Sequence[Examples], model: Model, labels: Labels, fold: Labels
) -> Scores:
    """The mean logit over the repeats that trained on a face under its given label; `wrong` where none did.

    A mean is less noisy than what the weights were learnt for, so that it may be trusted more: it is spread as widely
    as the logits of one repeat.
    """
    total, squares, count = np.zeros(len(labels)), 0.0, np.zeros(len(labels))
    for part in examples:
        logits = model.judge(part.given, labels, fold)
        total += np.where(part.known, logits, 0)
        squares += _variance(logits[part.known], labels[part.known]) / len(examples)
        count += part.known
    there = count > 0
    mean = total / np.maximum(count, 1)
    spread = _variance(mean[there], labels[there])
    centre = _means(mean[there], labels[there], model.coefficients.shape[1])[labels]
    widened = centre + (mean - centre) * np.sqrt(squares / spread if spread > 0 else 1.0)
    return np.where(there, widened, wrong)


def _variance(logits: Scores, labels: Labels) -> float:
    """The variance within labels."""
    if not len(logits):
        return 0.0
    return float(((logits - _means(logits, labels, int(labels.max()) + 1)[labels]) ** 2).mean())


def _means(logits: Scores, labels: Labels, classes: int) -> Scores:
    """The mean of each label's faces, 0 for a label that none has."""
    return np.asarray(np.bincount(labels, logits, classes) / np.maximum(np.bincount(labels, minlength=classes), 1))


def _shifts(rates: Scores, wrong: Scores, labels: Labels) -> Scores:
    """What to add to the logits of each label, float64 [K], so that the mean of P(wrong) is `rates`; by bisection."""
    low, high = np.full(len(rates), -20.0), np.full(len(rates), 20.0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        above = _means(1 - _right(wrong + middle[labels]), labels, len(rates)) > rates
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray((low + high) / 2)


def _try(
    examples: Examples, model: Model, shift: Scores, labels: Labels, fold: Labels, others: _Others, plausible: Matrix
) -> Trial:
    """How planted labels are judged."""
    rows, planted = examples.rows, examples.planted_labels
    score = _right(model.judge(examples.planted, planted, fold[rows]) + shift[planted])
    posterior = others.posterior(score, planted, plausible[rows])
    return Trial(rows, planted, labels[rows], examples.weights, score, posterior)


def _joined(trials: Sequence[Trial]) -> Trial:
    return Trial(**{name: np.concatenate([getattr(trial, name) for trial in trials]) for name in Trial.__annotations__})


def _refuse_unlike(examples: Sequence[Examples]) -> None:
    kinds = {tuple(dict.fromkeys(part.names)) for part in examples}
    if len(kinds) > 1:
        raise FerError(
            "combined score: expected repeats that kept the same of the training, found "
            f"{' and '.join(sorted(', '.join(kind) for kind in kinds))}; predict again"
        )


def _seen(evidence: Evidence) -> list[Matrix]:
    """How classifiers see the faces that they trained on under the given label, [N, K]; NaN for other faces."""
    told = [
        np.where((repeat.trained_label == evidence.labels)[:, None], repeat.seen, np.nan)
        for repeat in evidence.repeats
        if repeat.seen is not None
    ]
    return [mean_known(told)] if told else []


def _right(wrong: Scores) -> Scores:
    """1 - P(wrong) from its logit."""
    return np.asarray(1 / (1 + np.exp(np.clip(wrong, -500, 500))))
