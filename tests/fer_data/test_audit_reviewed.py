import numpy as np
import pyarrow as pa
import pytest

from fer_data import decision_log, decisions, tables
from fer_data.auditing.reviewed import NONE, known_labels, project_log, reviewed_labels, scores_before
from fer_data.decision_log import Decision, DecisionLog
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.manifest import read
from fer_data.simulated_review import simulate_review

ANGER, FEAR, SADNESS = (BASIC7.index(name) for name in ("anger", "fear", "sadness"))
GIVEN = ["fear", "fear", "anger", "anger", "sadness", None]


@pytest.fixture
def faces(picture_manifest):
    """Six faces, of which 0 and 1 are one picture."""
    return picture_manifest([0, 0, 2, 3, 4, 5], GIVEN, ["train"] * 6)


@pytest.fixture
def log(project):
    return DecisionLog(project / "decisions.sqlite")


def decide(made, row, action, label=None, *, reviewer="ada", **changes):
    given = made.frame["label"].astype(object).iloc[row]
    return Decision(
        **{
            "event_id": decision_log.new_event_id(),
            "sample_id": made.frame["sample_id"].iloc[row],
            "pixel_sha256": made.facts(["pixel_sha256"])["pixel_sha256"].iloc[row],
            "manifest_sha256": made.sha256,
            "action": action,
            "reviewer": reviewer,
            "time": decision_log.utc_now(),
            "label": label,
            "shown": {"label": None if given != given else given, "suggestion": None, "blind": False},
            **changes,
        }
    )


def told(reviewed):
    """Row → before, verdict, sure, own."""
    columns = (reviewed.before, reviewed.verdict, reviewed.sure, reviewed.own)
    return dict(zip(reviewed.rows.tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True))


def codes(made):
    return np.array([BASIC7.index(label) if label in BASIC7 else NONE for label in made.frame["label"]])


def test_nothing_decided_is_nothing_reviewed(faces, log):
    for source in (None, log):
        reviewed = reviewed_labels(faces, source)
        assert len(reviewed) == 0
        assert not reviewed.settled(codes(faces)).any()
        assert [len(part) for part in known_labels(reviewed, codes(faces))] == [0, 0, 0]


def test_each_kind_of_decision_becomes_a_verdict(faces, log):
    log.append([decide(faces, 2, "relabel", "fear"), decide(faces, 3, "keep"), decide(faces, 4, "drop")])
    log.append([decide(faces, 5, "unsure")])
    reviewed = reviewed_labels(faces, log)
    assert told(reviewed) == {
        2: (ANGER, FEAR, True, True),
        3: (ANGER, ANGER, True, True),
        4: (SADNESS, NONE, True, True),
        5: (NONE, NONE, False, True),
    }
    assert reviewed.sample_ids.tolist() == faces.frame["sample_id"].iloc[2:].tolist()
    assert reviewed.is_wrong(codes(faces)).tolist() == [True, False, True, False]
    assert reviewed.settled(codes(faces)).tolist() == [False, False, True, True, True, True]
    rows, wrong, true = known_labels(reviewed, codes(faces))
    assert (rows.tolist(), wrong.tolist(), true.tolist()) == ([2, 3, 4], [True, False, True], [FEAR, ANGER, NONE])


def test_the_same_picture_under_another_id_is_known_but_settled_only_where_its_label_agrees(faces, log):
    log.append([decide(faces, 0, "relabel", "anger")])
    reviewed = reviewed_labels(faces, log)
    assert told(reviewed) == {0: (FEAR, ANGER, True, True), 1: (FEAR, ANGER, True, False)}
    assert reviewed.settled(codes(faces))[:2].tolist() == [True, False]
    assert reviewed.contradicted(codes(faces))[:2].tolist() == [False, True]
    log.append([decide(faces, 0, "keep")])
    reviewed = reviewed_labels(faces, log)
    assert reviewed.settled(codes(faces))[:2].tolist() == [True, True]
    assert not reviewed.contradicted(codes(faces)).any()


def test_a_decision_on_this_id_outranks_one_on_its_picture(faces, log):
    log.append([decide(faces, 0, "relabel", "anger"), decide(faces, 1, "keep")])
    assert told(reviewed_labels(faces, log)) == {0: (FEAR, ANGER, True, True), 1: (FEAR, FEAR, True, True)}


def test_one_reviewer_speaks_once_for_a_picture_and_reviewers_who_differ_leave_it_unsure(picture_manifest, log):
    faces = picture_manifest([0, 0, 0], ["fear"] * 3, ["train"] * 3)
    log.append([decide(faces, 0, "keep"), decide(faces, 1, "relabel", "anger")])
    assert told(reviewed_labels(faces, log))[2] == (FEAR, ANGER, True, False)  # the last word on the picture
    log.append([decide(faces, 2, "keep"), decide(faces, 2, "relabel", "sadness", reviewer="bo")])
    assert told(reviewed_labels(faces, log))[2] == (FEAR, NONE, False, True)


def test_decisions_on_other_pictures_and_undone_ones_do_not_count(faces, log):
    other = decide(faces, 2, "relabel", "fear", pixel_sha256="another")
    taken_back = decide(faces, 3, "keep")
    log.append([other, taken_back])
    log.append([decision_log.undo_of(taken_back)])
    assert len(reviewed_labels(faces, log)) == 0


def test_what_was_applied_counts_as_reviewed_with_and_without_the_log(faces, log):
    log.append([decide(faces, 2, "relabel", "fear"), decide(faces, 3, "keep"), decide(faces, 4, "unsure")])
    applied = decisions.apply(faces, log, faces.path.with_name("clean"))
    alone = reviewed_labels(read(applied.path), None)
    assert told(alone) == {2: (NONE, FEAR, True, True), 3: (NONE, ANGER, True, True), 4: (NONE, SADNESS, True, True)}
    reviewed = reviewed_labels(read(applied.path), log)
    assert told(reviewed)[2] == (ANGER, FEAR, True, True)
    assert told(reviewed)[4] == (SADNESS, NONE, False, True)
    assert not reviewed.is_wrong(codes(applied)).any()
    assert reviewed.settled(codes(applied)).tolist() == [False, False, True, True, True, False]


def test_a_soft_label_that_unsure_reviewers_left_is_not_sure(faces, log):
    log.append([decide(faces, 2, "unsure", shown={"label": "anger", "suggestion": "fear", "blind": False})])
    applied = decisions.apply(faces, log, faces.path.with_name("clean"))
    assert told(reviewed_labels(applied, None)) == {2: (NONE, ANGER, False, True)}


def test_rows_follow_the_order_of_other_faces(faces, log):
    log.append([decide(faces, 2, "keep"), decide(faces, 4, "drop")])
    ids = faces.frame["sample_id"].to_numpy(dtype=object)
    some = reviewed_labels(faces, log).among(ids[[4, 3, 0]])
    assert (some.rows.tolist(), some.sample_ids.tolist()) == ([0], [ids[4]])
    both = reviewed_labels(faces, log).among(ids[[4, 3, 2]])
    assert told(both) == {0: (SADNESS, NONE, True, True), 2: (ANGER, ANGER, True, True)}


def test_the_score_of_the_label_that_was_looked_at_comes_from_the_audit_before(faces, log, project):
    log.append([decide(faces, 2, "relabel", "fear"), decide(faces, 3, "keep"), decide(faces, 5, "unsure")])
    reviewed = reviewed_labels(faces, log)
    posterior = np.tile(np.arange(7) / 21, (6, 1))
    now = scores_before(reviewed, posterior, BASIC7, None)
    assert np.allclose(now, [ANGER / 21, ANGER / 21, np.nan], equal_nan=True)
    ids = faces.frame["sample_id"]
    table = pa.table({"sample_id": [ids[3], ids[2]], "given_label": ["fear", "anger"], "label_score": [0.9, 0.125]})
    before = tables.write_table(project / "a.parquet", table, tables.provenance("label_audit", "test"))
    then = scores_before(reviewed, posterior, BASIC7, before)
    assert np.allclose(then, [0.125, ANGER / 21, np.nan], equal_nan=True)  # face 3 was judged under another label


def test_the_log_of_the_project_is_found_where_it_lies(faces, log):
    log.append([decide(faces, 2, "keep")])
    assert len(reviewed_labels(faces, project_log(faces))) == 1


def test_a_project_without_decisions_has_no_log(faces):
    assert project_log(faces) is None


def test_an_unknown_rule_is_refused(faces):
    with pytest.raises(FerError, match="expected one of majority"):
        reviewed_labels(faces, None, consensus="loudest")


def test_a_rule_that_goes_by_seniority_or_by_a_model_needs_what_it_goes_by(faces, log):
    log.append([decide(faces, 2, "relabel", "fear"), decide(faces, 2, "keep", reviewer="ben")])
    assert told(reviewed_labels(faces, log, consensus="seniority", seniority=["ada"]))[2] == (ANGER, FEAR, True, True)
    assert told(reviewed_labels(faces, log, consensus="seniority", seniority=["ben"]))[2] == (ANGER, ANGER, True, True)
    with pytest.raises(FerError, match="expected an order of reviewers"):
        reviewed_labels(faces, log, consensus="seniority")
    with pytest.raises(FerError, match="expected a model's probabilities"):
        reviewed_labels(faces, log, consensus="crowdlab")


def test_a_simulated_review_is_understood(picture_manifest, log, project):
    truth = ["anger", "fear", "fear", "sadness"]
    facts = [{"true_label": label} for label in truth]
    faces = picture_manifest(range(4), ["anger", "anger", "fear", "fear"], ["train"] * 4, facts=facts)
    ids = faces.frame["sample_id"]
    audit = pa.table({"sample_id": ids, "suggested_label": truth, "rank": [3, 1, 4, 2]})
    path = tables.write_table(project / "a.parquet", audit, tables.provenance("label_audit", "test"))
    simulate_review(faces, path, log, 3, rule="planted_truth")
    reviewed = reviewed_labels(faces, log)
    rows, wrong, true = known_labels(reviewed, codes(faces))
    assert (rows.tolist(), wrong.tolist()) == ([0, 1, 3], [False, True, True])
    assert [BASIC7[code] for code in true] == ["anger", "fear", "sadness"]
