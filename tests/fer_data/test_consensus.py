"""How reviewers are brought together, face by face."""

import builtins

import numpy as np
import pytest

from fer_data.consensus import CONSENSUS, DROP, UNSURE, Knowledge, Settled, Verdict, settle
from fer_data.errors import FerError

LABELS = ("anger", "fear", "surprise")
FEAR, ANGER, SURPRISE = (Verdict("label", name) for name in ("fear", "anger", "surprise"))


def by_majority(*said):
    ratings = {f"reviewer {number}": verdict for number, verdict in enumerate(said)}
    (settled,) = settle("majority", [ratings], Knowledge())
    assert settled.voices == tuple(ratings)
    return settled.verdict


def test_majority_needs_more_than_half():
    assert by_majority(FEAR) == FEAR
    assert by_majority(FEAR, ANGER, FEAR) == FEAR
    assert by_majority(FEAR, ANGER) == UNSURE
    assert by_majority(FEAR, ANGER, DROP) == UNSURE
    assert by_majority(DROP, DROP, FEAR) == DROP


def test_seniority_takes_the_first_who_spoke_and_a_majority_of_those_without_rank():
    knowledge = Knowledge(seniority=("anna", "bo"))
    ratings = [
        {"bo": FEAR, "eve": ANGER, "anna": UNSURE},
        {"eve": ANGER, "bo": DROP, "kim": ANGER},
        {"eve": ANGER, "kim": ANGER, "lee": FEAR},
        {"eve": ANGER, "kim": FEAR},
    ]
    assert settle("seniority", ratings, knowledge) == [
        Settled(UNSURE, ("anna",)),
        Settled(DROP, ("bo",)),
        Settled(ANGER, ("eve", "kim", "lee")),
        Settled(UNSURE, ("eve", "kim")),
    ]


def test_a_rule_without_what_it_goes_by_and_an_unknown_rule_are_refused():
    with pytest.raises(FerError, match="consensus 'loudest': expected one of majority, seniority, crowdlab"):
        settle("loudest", [], Knowledge())
    with pytest.raises(FerError, match="expected an order of reviewers"):
        settle("seniority", [], Knowledge())
    with pytest.raises(FerError, match="expected a model's probabilities"):
        settle("crowdlab", [], Knowledge(labels=LABELS))


@pytest.mark.parametrize("rule", sorted(CONSENSUS))
def test_every_rule_answers_for_every_face_and_leaves_what_all_agree_on(rule):
    ratings = [{"anna": verdict, "bo": verdict} for verdict in (FEAR, ANGER, DROP, UNSURE)] + [{"bo": SURPRISE}]
    probabilities = np.full((5, 3), 1 / 3)
    settled = settle(rule, ratings, Knowledge(("anna",), LABELS, probabilities))
    assert [one.verdict for one in settled] == [FEAR, ANGER, DROP, UNSURE, SURPRISE]


def crowd(faces=400, seed=0):
    """Truth, ratings by a good, a middling and a bad reviewer, each asked of most faces, and a fair model."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, faces)
    said = np.full((faces, 3), np.nan)
    for reviewer, skill in enumerate((0.95, 0.75, 0.45)):
        words = np.where(rng.random(faces) < skill, truth, rng.integers(0, 3, faces))
        asked = rng.random(faces) < 0.8
        said[asked, reviewer] = words[asked]
    probabilities = rng.dirichlet([1, 1, 1], faces) * 0.5 + np.eye(3)[truth] * 0.5
    kept = ~np.isnan(said).all(axis=1)
    return truth[kept], said[kept], probabilities[kept]


def rated(said):
    names = ("anna", "bo", "kim")
    return [
        {name: Verdict("label", LABELS[int(word)]) for name, word in zip(names, row, strict=True) if word == word}
        for row in said
    ]


def test_crowdlab_is_cleanlabs_and_beats_a_majority():
    multiannotator = pytest.importorskip("cleanlab.multiannotator")
    truth, said, probabilities = crowd()
    settled = settle("crowdlab", rated(said), Knowledge((), LABELS, probabilities))
    chosen = np.asarray([LABELS.index(one.verdict.label) for one in settled])
    theirs = multiannotator.get_label_quality_multiannotator(said, probabilities, verbose=False)["label_quality"]
    theirs = theirs["consensus_label"].to_numpy()
    named = (said == theirs[:, None]).any(axis=1)  # cleanlab may choose what nobody said; we do not
    several = (~np.isnan(said)).sum(axis=1) > 1
    assert (chosen == theirs)[named & several].mean() > 0.99
    assert (said == chosen[:, None]).any(axis=1).all()
    majority = settle("majority", rated(said), Knowledge())
    by_majority = np.asarray([LABELS.index(one.verdict.label) if one.verdict.label else -1 for one in majority])
    assert (chosen == truth)[several].mean() > (by_majority == truth)[several].mean() + 0.02


def test_crowdlab_leaves_drops_doubts_and_faces_that_no_model_knows_to_the_majority():
    pytest.importorskip("cleanlab")
    _, said, probabilities = crowd(60)
    more = [
        {"anna": FEAR, "bo": DROP},
        {"anna": FEAR, "bo": ANGER, "kim": UNSURE},
        {"anna": FEAR, "bo": ANGER},
        {"anna": UNSURE, "bo": UNSURE},
        {"anna": FEAR, "bo": Verdict("label", None)},
    ]
    known = np.asarray([[0.1, 0.8, 0.1]] * 2 + [[np.nan] * 3] + [[0.1, 0.8, 0.1]] * 2)
    knowledge = Knowledge((), LABELS, np.vstack([probabilities, known]))
    settled = [one.verdict for one in settle("crowdlab", rated(said) + more, knowledge)[-5:]]
    assert settled == [UNSURE, FEAR, UNSURE, UNSURE, UNSURE]


def test_crowdlab_without_cleanlab_is_told(monkeypatch):
    whole = builtins.__import__

    def without(name, *more):
        if name.startswith("cleanlab"):
            raise ImportError(name)
        return whole(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FerError, match=r"cleanlab is not installed; pip install 'fer-data-studio\[audit\]'"):
        settle("crowdlab", [{"anna": FEAR, "bo": ANGER}], Knowledge((), LABELS, np.full((1, 3), 1 / 3)))
