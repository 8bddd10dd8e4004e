import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.auditing.combining import Trial
from fer_data.auditing.noise import estimate_noise
from fer_data.auditing.policies import (
    ACTIONS,
    POLICIES,
    Judged,
    PolicyConfig,
    decide,
    expected,
    try_policies,
    under_planted,
)
from fer_data.auditing.policy_application import apply_policy
from fer_data.errors import FerError
from fer_data.expressions import BASIC7

RULES = PolicyConfig(
    relabel_score=0.2,
    relabel_suggestion=0.7,
    drop_score=0.1,
    drop_suggestion=0.4,
    soften_score=0.5,
)
SIZE, RATE = 4, 0.2


def judged(labels, suggested, score, suggestion_score, no_face=None):
    no_face = np.zeros(len(labels), dtype=bool) if no_face is None else np.asarray(no_face)
    return Judged(np.asarray(labels), np.asarray(suggested), np.asarray(score), np.asarray(suggestion_score), no_face)


def posterior_of(truth, labels, rng):
    """P(true | face, label) where every label is wrong at RATE, of faces that lean to their truth."""
    logits = rng.normal(0, 1, (len(truth), SIZE)) + 2.5 * np.eye(SIZE)[truth]
    shown = np.exp(2.5 * logits) / np.exp(2.5 * logits).sum(axis=1, keepdims=True)
    given = np.where(np.eye(SIZE)[labels] > 0, 1 - RATE, RATE / (SIZE - 1)) * shown
    return shown, given / given.sum(axis=1, keepdims=True)


def world(count=8000, planted=3000, seed=0):
    """Truth, faces under their given labels, the trial of planted ones, and the noise estimate."""
    rng = np.random.default_rng(seed)

    def wrong(labels, chosen):
        return np.where(chosen, (labels + rng.integers(1, SIZE, len(labels))) % SIZE, labels)

    truth = rng.integers(0, SIZE, count)
    labels = wrong(truth, rng.random(count) < RATE)
    shown, posterior = posterior_of(truth, labels, rng)
    rows = np.arange(count)
    others = posterior.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    faces = judged(labels, suggested, posterior[rows, labels], posterior[rows, suggested])
    true = rng.integers(0, SIZE, planted)
    original = wrong(true, rng.random(planted) < RATE)
    label = wrong(original, np.ones(planted, dtype=bool))
    under = posterior_of(true, label, rng)[1]
    every = np.arange(planted)
    trial = Trial(every, label, original, np.ones(planted), under[every, label], under)
    return truth, faces, trial, estimate_noise(labels, shown @ np.full((SIZE, SIZE), 0.02) + 0.92 * shown, rows)


def test_the_first_rule_that_holds_decides():
    faces = judged(
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        [1, 1, 1, 1, 2, 1, 1, 0, 2, 3],
        [0.2, 0.21, 0.05, 0.05, 0.1, 0.51, 0.9, 0.05, 0.0, 0.1],
        [0.7, 0.75, 0.39, 0.41, 0.69, 0.4, 0.1, 0.9, 0.9, 0.9],
        np.arange(10) == 6,
    )
    done = ["relabel", "soften", "drop", "soften", "soften", "keep", "drop", "soften", "relabel", "relabel"]
    assert decide(RULES, faces, ()).tolist() == done
    # Label 1 is guarded: what would change a face of it, or make one, is left to a person.
    left = ["person", "person", "person", "person", "soften", "keep", "person", "soften", "person", "relabel"]
    assert decide(RULES, faces, (1,)).tolist() == left


def test_the_policies_grow_bolder():
    careful, balanced, thorough = POLICIES.values()
    assert list(POLICIES) == ["careful", "balanced", "thorough"]
    _, faces, _, _ = world(2000, 10)
    changed = [(decide(policy, faces, ()) != "keep").sum() for policy in (careful, balanced, thorough)]
    assert changed[0] < changed[1] < changed[2]


def test_planted_faces_are_judged_under_the_wrong_label():
    posterior = np.array([[0.1, 0.6, 0.3], [0.7, 0.2, 0.1]])
    planted, original = np.array([0, 0]), np.array([1, 1])
    seen = under_planted(Trial(np.arange(2), planted, original, np.ones(2), posterior[:, 0], posterior))
    assert seen.suggested.tolist() == [1, 1]
    assert seen.suggestion_score.tolist() == [0.6, 0.2]
    assert seen.score.tolist() == [0.1, 0.7]


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_the_expected_precision_is_close_to_the_real_one(threshold):
    truth, faces, trial, noise = world()
    policy = RULES.model_copy(update={"relabel_suggestion": threshold})
    actions = decide(policy, faces, ())
    told = expected(policy, faces, trial, noise, ())
    assert told.counts == {action: int((actions == action).sum()) for action in ACTIONS}
    value, low, high = told.new_labels
    real = (faces.suggested == truth)[actions == "relabel"].mean()
    assert low <= real <= high
    assert value == pytest.approx(real, abs=0.2)
    assert value <= real + 0.05  # planted originals are wrong themselves at times: rather too little is promised


def test_planted_faces_count_by_their_weight():
    _, faces, trial, noise = world()
    found = under_planted(trial).suggested == trial.original
    weight = np.where(found, 3.0, 0.5)
    heavy = Trial(trial.rows, trial.planted, trial.original, weight, trial.score, trial.posterior)
    light, strong = (expected(RULES, faces, one, noise, ()).new_labels for one in (trial, heavy))
    assert strong[1] > light[1]  # more of the wrong labels are found, so more of what is changed was wrong


def test_drops_are_judged_too():
    truth, faces, trial, noise = world()
    policy = RULES.model_copy(update={"drop_score": 0.2, "drop_suggestion": 0.65})
    dropped = decide(policy, faces, ()) == "drop"
    value, low, high = expected(policy, faces, trial, noise, ()).drops
    assert low <= (faces.labels != truth)[dropped].mean() <= high
    assert low <= value <= high


def test_nothing_planted_or_nothing_changed_promises_nothing():
    _, faces, trial, noise = world(2000, 200)
    empty = Trial(
        *(getattr(trial, name)[:0] for name in ("rows", "planted", "original", "weight", "score", "posterior"))
    )
    assert expected(RULES, faces, empty, noise, ()).as_dict()["new_labels"] is None
    never = RULES.model_copy(update={"relabel_score": 0.0, "drop_score": 0.0})
    told = expected(never, faces, trial, noise, ())
    assert (told.new_labels, told.drops) == (None, None)
    everything = expected(RULES, faces, trial, noise, range(SIZE))
    assert everything.counts["relabel"] == everything.counts["drop"] == everything.counts["soften"] == 0


NAMES = ("anger", "disgust", "fear", "happiness")


def test_all_policies_are_told_as_json():
    _, faces, trial, noise = world(2000, 500)
    told = try_policies(faces, trial, noise, (1,), NAMES)
    assert told == json.loads(json.dumps(told))
    assert told["guarded"] == ["disgust"]
    assert list(told["rules"]) == list(told["expected"]) == list(POLICIES)
    assert set(told["expected"]["careful"]["counts"]) == set(ACTIONS)
    assert PolicyConfig(**told["rules"]["balanced"]) == POLICIES["balanced"]


@pytest.fixture
def audited(picture_manifest, project):
    """Eight faces, an audit table of seven of them, and its path."""
    given = ["anger", "anger", "fear", "fear", "disgust", "sadness", "neutral", "neutral"]
    origins = ["source"] * 6 + ["decision:majority", "source"]
    soft = np.full(7, 1 / 7, dtype=np.float32)
    made = picture_manifest(
        range(8), given, ["train"] * 8, label_origin=np.array(origins, dtype=object), target=[soft, soft, *[None] * 6]
    )
    frame = pd.DataFrame(
        {
            "sample_id": made.frame["sample_id"][:7],
            "given_label": given[:7],
            "suggested_label": ["fear", "anger", "sadness", "anger", "fear", "sadness", "sadness"],
            "label_score": [0.05, 0.9, 0.3, 0.05, 0.01, 0.8, 0.01],
            "suggestion_score": [0.9, 0.9, 0.5, 0.2, 0.99, 0.8, 0.99],
            "kind": ["wrong", "fine", "ambiguous", "wrong", "wrong", "not_a_face", "wrong"],
            **{f"p_{name}": np.full(7, 1 / 7) for name in BASIC7},
        }
    )
    return made, frame, write_audit(project / "audits" / "a.parquet", made, frame)


def write_audit(path, made, frame, policies=True, sha256=None):
    rules = RULES.model_copy(update={"soften_score": 0.4}).model_dump()
    tried = {"guarded": ["disgust"], "rules": {"balanced": rules}, "expected": {"balanced": {"new_labels": None}}}
    metadata = tables.provenance(
        "label_audit",
        "test",
        parents={"manifests/set.parquet": sha256 or made.sha256},
        **({"policies": tried} if policies else {}),
    )
    return tables.write_table(path, pa.Table.from_pandas(frame, preserve_index=False), metadata, replace=True)


def test_a_policy_becomes_a_manifest(audited, project):
    made, _, path = audited
    done = apply_policy(made, path, "balanced", project / "manifests" / "better")
    frame = manifests.read(project / "manifests" / "better").frame
    kept = [0, 1, 2, 4, 6, 7]  # face 3 has no likely label, 5 is no face
    assert frame["sample_id"].tolist() == made.frame["sample_id"][kept].tolist()
    assert frame["label"].tolist() == ["fear", "anger", "fear", "disgust", "neutral", "neutral"]
    policy = "policy:balanced"
    assert frame["label_origin"].tolist() == [policy, "source", policy, "source", "decision:majority", "source"]
    assert [target is None for target in frame["target"]] == [True, False, False, True, True, True]
    soft = dict(zip(BASIC7, frame["target"][2], strict=True))
    assert soft["fear"] == pytest.approx(0.3)
    assert soft["sadness"] == pytest.approx(0.5)
    assert soft["anger"] == pytest.approx(0.04)
    assert manifests.validate(done, full=True) == []
    told = done.metadata["policy"]
    assert told["counts"] == {"keep": 2, "relabel": 1, "drop": 2, "soften": 1, "person": 1}
    assert told["decided"] == 1
    assert told["moves"] == {"anger → fear": 1}
    assert told["expected"] == {"new_labels": None}
    assert set(done.metadata["parents"]) == {"manifests/set.parquet", "audits/a.parquet"}
    assert done.metadata["configuration"]["rules"]["relabel_suggestion"] == 0.7


def test_a_target_is_a_distribution_whatever_the_scores_are(audited, project):
    made, frame, path = audited
    frame = frame.assign(label_score=0.39, suggestion_score=0.65, kind="wrong")
    frame.loc[0, ["label_score", "suggestion_score"]] = 0.0, 0.4
    frame.loc[0, [f"p_{name}" for name in BASIC7]] = 0.0
    frame.loc[2, [f"p_{name}" for name in BASIC7]] = 0.0
    write_audit(path, made, frame)
    done = apply_policy(made, path, "balanced", project / "manifests" / "better")
    targets = np.stack(done.frame["target"].dropna().to_list())
    assert len(targets) > 2
    assert np.allclose(targets.sum(axis=1), 1)
    assert (targets >= 0).all()


def test_what_cannot_be_applied_is_refused(audited, project):
    made, frame, path = audited
    out = project / "manifests" / "better"
    with pytest.raises(FerError, match="tried the policy 'bold', found balanced"):
        apply_policy(made, path, "bold", out)
    write_audit(path, made, frame, sha256="0" * 64)
    with pytest.raises(FerError, match="expected an audit of"):
        apply_policy(made, path, "balanced", out)
    write_audit(path, made, frame, policies=False)
    with pytest.raises(FerError, match="found none"):
        apply_policy(made, path, "balanced", out)
    assert not manifests.manifest_path(out).exists()
    write_audit(path, made, frame)
    apply_policy(made, path, "balanced", out)
    with pytest.raises(FerError, match="replace"):
        apply_policy(made, path, "balanced", out)
