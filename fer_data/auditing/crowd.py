"""What several raters and the model say together about a face, and what follows for its given label.

Most datasets that keep votes keep counts: eight people said fear, two said surprise, and nobody knows who. Such raters
are exchangeable: no quality can be known of "the third vote". What can be learnt from counts alone is

    what most people would say   of faces that the model judges like this one, and that were given this label: a
                                 softmax regression fitted to the votes of other faces
    how far to believe it        against the votes of the face itself: as if so many more raters had voted

Together: a Dirichlet prior for the shares of all raters who might be asked, and the votes that were cast (the
Dirichlet-multinomial). For raters who are known by name see `fer_data.auditing.raters`. Nothing here knows a truth.
Unlike one true label with independent errors (Dawid and Skene 1979), it lets a face be ambiguous in itself: two votes
for fear make a third one likelier than the model and the errors of raters alone do, and posteriors do not become more
certain than ten people are.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data.auditing.evidence import Evidence, Probabilities, Rows
from fer_data.auditing.raters import crowdlab, dealt
from fer_data.errors import FerError
from fer_data.manifest import Manifest

Shares = NDArray[np.float64]

_FOLDS = 5  # what is expected of a face is fitted on the votes of four fifths, its own not among them
_FIT_FACES = 20_000  # more than these change a few hundred weights by nothing that matters
_PENALTY = 3.0  # on the weights, in votes' worth of log-likelihood
_FLOOR = 1e-5  # of probabilities; log 0 would let one face decide a weight
_PRIOR_RATERS = 3.0  # how many raters the expectation is worth, where no face has two votes to tell
_PRIOR_SPREAD = 0.5  # in log: between 2 and 5 without being contradicted


@dataclass(frozen=True)
class Votes:
    """How many raters said what.

    Attributes:
        names: the V things that a rater may say, among them all labels of the audit; FER+ adds contempt (where it is
            no label), unknown and NF, not a face.
        counts: int64 [N, V]; a row of zeros where nobody was asked.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]

    def take(self, rows: Rows) -> "Votes":
        """The votes of these faces only."""
        return Votes(self.names, self.counts[rows])


@dataclass(frozen=True)
class Consensus:
    """What raters and model say together.

    Attributes:
        names: the audit's K labels first, then what else raters may say; V in all.
        expected: float64 [N, V], the share of all raters that would say this; rows sum to 1.
        posterior: float64 [N, V], the probability that more raters would say this than anything else; rows sum to 1.
        concentration: how many raters the model's expectation is worth.
    """

    names: tuple[str, ...]
    expected: Shares
    posterior: Shares
    concentration: float

    def probable(self) -> NDArray[np.object_]:
        """What most raters would say, object [N] of `names`: one of the labels, or none of them (unknown, NF)."""
        return np.asarray(np.array(self.names, dtype=object)[self.posterior.argmax(axis=1)])

    def agreement(self) -> NDArray[np.float64]:
        """1 where all raters would say the same, 0 where everything is said as often: float64 [N], 1 - entropy."""
        entropy = -(self.expected * np.log(np.maximum(self.expected, np.finfo(np.float64).tiny))).sum(axis=1)
        return np.asarray(np.clip(1 - entropy / np.log(self.expected.shape[1]), 0, 1))


def read_votes(manifest: Manifest, sample_ids: NDArray[np.object_]) -> Votes:
    """The votes that a manifest's stores keep for these faces.

    Raises:
        FerError: the manifest does not have these faces, or no store of it has votes.
    """
    names = manifest.votes_labels()
    if not names:
        raise FerError(f"{manifest.path}: expected votes, found none in its stores; audit without votes")
    positions = pd.Index(manifest.frame["sample_id"]).get_indexer(pd.Index(sample_ids))
    if (positions < 0).any():
        raise FerError(
            f"{manifest.path}: expected the audited faces, found {int((positions < 0).sum())} missing "
            f"(first: {sample_ids[positions < 0][0]}); take the votes of the manifest that was audited"
        )
    column = manifest.facts(["votes"])["votes"].iloc[positions]
    counts = np.zeros((len(sample_ids), len(names)), dtype=np.int64)
    voted = column.notna().to_numpy(dtype=bool)
    if voted.any():
        counts[voted] = np.stack(column[voted].to_list())
    return Votes(names, counts)


def consensus(evidence: Evidence, votes: Votes, posterior: Probabilities | None = None, *, seed: int = 0) -> Consensus:
    """What most raters would say of each face, judged from its votes, the model and its given label.

    The expectation is a softmax regression on the log-probabilities of the model (out of fold and, where the repeats
    have them, of classifiers that saw the face) and the given label, fitted to the votes of faces of other groups. It
    is the mean of a Dirichlet distribution, whose concentration makes the votes most likely that fell on one face
    together (Minka, "Estimating a Dirichlet distribution", 2000, section 2, with a weak prior: a single vote per face
    says nothing about it). With the votes that were cast it is a Dirichlet distribution again.

    Args:
        posterior: float64 [N, K], a better judgement than the probabilities alone (`combining`), used beside them.
        seed: of the folds.

    Raises:
        FerError: the votes do not fit the evidence, or there are none.
    """
    votes = arranged(evidence, votes)
    expected = expected_votes(evidence, votes, posterior, seed=seed)
    concentration = _concentration(expected, votes.counts, seed)
    strength = concentration * expected + votes.counts
    return Consensus(
        votes.names, strength / strength.sum(axis=1, keepdims=True), _most_likely_said(strength), concentration
    )


def vote_scores(
    evidence: Evidence, votes: Votes, judged: Consensus, *, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """One number per face and way of judging with votes, float64 [N], 0..1, low = bad.

    Returns:
        consensus: the probability that most raters would say the given label.
        crowdlab: cleanlab's (`raters.crowdlab`); the counts are dealt to raters in random order, as it wants raters.
            Votes for what is no label count as not cast.
        agreement: how far raters would agree, whatever they say; low for an ambiguous face.
    """
    own = judged.posterior[np.arange(len(evidence)), evidence.labels]
    counts = arranged(evidence, votes).counts[:, : len(evidence.names)]
    ratings = dealt(counts, np.random.default_rng(seed))
    return {"consensus": own, "crowdlab": crowdlab(evidence, ratings), "agreement": judged.agreement()}


def expected_votes(
    evidence: Evidence, votes: Votes, posterior: Probabilities | None = None, *, seed: int = 0
) -> Shares:
    """What raters would say of each face, without its own votes: float64 [N, V], rows sum to 1.

    Arguments, order of columns and errors are those of `consensus`.
    """
    counts = arranged(evidence, votes).counts
    return _expected_shares(_regressors(evidence, posterior), counts, evidence.groups, seed)


def arranged(evidence: Evidence, votes: Votes) -> Votes:
    """The votes with the audit's labels first, in their order.

    Raises:
        FerError: other faces, labels that the raters were not asked for, negative counts, or no votes at all.
    """
    counts = np.asarray(votes.counts)
    if counts.ndim != 2 or counts.shape != (len(evidence), len(votes.names)):
        raise FerError(
            f"votes: expected counts [{len(evidence)}, {len(votes.names)}] of {len(evidence)} audited faces, found "
            f"an array {list(counts.shape)}; take the votes of the manifest that was audited"
        )
    missing = [name for name in evidence.names if name not in votes.names]
    if missing:
        raise FerError(
            f"votes: expected votes for every label, found none named {', '.join(missing)} among "
            f"{', '.join(votes.names)}; audit a label set that the raters were asked for, or without votes"
        )
    if (counts < 0).any():
        raise FerError(f"votes: expected counts, found {int(counts.min())}; import the votes again")
    if not counts.any():
        raise FerError(f"votes: expected some for these {len(evidence)} faces, found none; audit without votes")
    names = (*evidence.names, *(name for name in votes.names if name not in evidence.names))
    return Votes(names, counts[:, [votes.names.index(name) for name in names]])


def _regressors(evidence: Evidence, posterior: Probabilities | None) -> NDArray[np.float64]:
    """What a face's votes are expected from, float64 [N, D]."""
    blocks: list[NDArray[Any]] = [_centred_logs(evidence.probabilities), np.eye(len(evidence.names))[evidence.labels]]
    blocks += [] if posterior is None else [_centred_logs(posterior)]
    seen = [repeat.seen for repeat in evidence.repeats if repeat.seen is not None]
    if seen:
        # Centred logs of equal numbers are zero: a repeat that did not train on a face adds nothing.
        logs = np.sum([_centred_logs(np.where(np.isfinite(part), part, 1.0)) for part in seen], axis=0)
        known = np.sum([np.isfinite(part).all(axis=1, keepdims=True) for part in seen], axis=0)
        blocks += [logs / np.maximum(known, 1), np.minimum(known, 1)]
    return np.hstack([*blocks, np.ones((len(evidence), 1))])


def _centred_logs(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    logs = np.log(np.maximum(probabilities.astype(np.float64), _FLOOR))
    centred: NDArray[np.float64] = logs - logs.mean(axis=1, keepdims=True)
    return centred


def _expected_shares(
    regressors: NDArray[np.float64], counts: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> Shares:
    """What raters would say, from what those of other groups' faces said: float64 [N, V], rows sum to 1."""
    random = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    fold = (random.permutation(int(group.max(initial=0)) + 1) % _FOLDS)[group]
    voted = counts.any(axis=1)
    expected = np.empty(counts.shape)
    for held in range(_FOLDS):
        rows = _some(np.flatnonzero(voted & (fold != held)), random)
        weights = _fit_weights(regressors[rows], counts[rows])
        own = fold == held
        expected[own] = np.exp(_log_softmax(regressors[own] @ weights))
    return expected


def _fit_weights(regressors: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights [D, V] of the softmax regression that makes the counts most likely, by L-BFGS."""
    from scipy.optimize import minimize

    shape = regressors.shape[1], counts.shape[1]
    totals, scale = counts.sum(axis=1, keepdims=True), max(int(counts.sum()), 1)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape)
        logs = _log_softmax(regressors @ weights)
        gradient = regressors.T @ (np.exp(logs) * totals - counts) + _PENALTY * weights
        return float(_PENALTY / 2 * (weights**2).sum() - (counts * logs).sum()) / scale, gradient.ravel() / scale

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return np.asarray(found.x).reshape(shape)


def _concentration(expected: Shares, counts: NDArray[np.int64], seed: int) -> float:
    """How many raters the expectation is worth: the Dirichlet-multinomial's concentration, most probable value."""
    from scipy.optimize import minimize_scalar
    from scipy.special import gammaln

    rows = _some(np.flatnonzero(counts.sum(axis=1) > 1), np.random.default_rng(seed))
    shares, told = expected[rows], counts[rows]
    totals = told.sum(axis=1)

    def surprise(log_concentration: float) -> float:
        concentration = np.exp(log_concentration)
        pseudo = concentration * shares
        likelihood = gammaln(concentration) - gammaln(concentration + totals)
        likelihood = likelihood.sum() + (gammaln(pseudo + told) - gammaln(pseudo)).sum()
        return float(0.5 * ((log_concentration - np.log(_PRIOR_RATERS)) / _PRIOR_SPREAD) ** 2 - likelihood)

    return float(np.exp(minimize_scalar(surprise, bounds=(-3, 6), method="bounded").x))


def _most_likely_said(strength: Shares) -> Shares:
    """How probable it is that more raters would say this than any other, float64 [N, V], rows sum to 1.

    For a Dirichlet distribution the chance that one share exceeds another is a beta distribution's; each share is held
    against the strongest other only, and the chances are brought to a sum of 1: exact for two, close for more.
    """
    from scipy.special import betainc

    rows = np.arange(len(strength))
    first = strength.argmax(axis=1)
    others = strength.copy()
    others[rows, first] = -1
    rival = np.repeat(strength[rows, first][:, None], strength.shape[1], axis=1)
    rival[rows, first] = others.max(axis=1)
    chances = betainc(rival, strength, 0.5)
    normalized: Shares = chances / chances.sum(axis=1, keepdims=True)
    return normalized


def _some(rows: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """All rows, or as many as are needed."""
    return rows if len(rows) <= _FIT_FACES else np.sort(random.choice(rows, _FIT_FACES, replace=False))


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs
