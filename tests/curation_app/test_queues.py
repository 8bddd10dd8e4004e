"""What there is to review: which faces a queue holds, in which order, and what is left when it is narrowed."""

from dataclasses import replace

import numpy as np
import pytest
from curated_project import IDS, REAL, audit_columns, keep, quality_columns
from decisions_made import decide, plain

from curation_app.collection import Collection
from curation_app.queues import KINDS, build_queue, chosen_queue, missing_queues, queue_sizes
from fer_data.decision_log import DecisionLog, undo_of
from fer_data.errors import FerError


@pytest.fixture
def collection(faces):
    return Collection(faces)


@pytest.fixture
def log(tmp_path):
    return DecisionLog(tmp_path / "decisions.sqlite")


def rows(collection, log, name, **narrowed):
    return build_queue(collection, log, name, **narrowed).rows.tolist()


def test_suspected_labels_come_worst_first(collection, log):
    assert rows(collection, log, "suspected") == [3, 1, 0, 2]


def test_suspected_labels_follow_the_order_of_review_where_the_audit_has_one(faces, log):
    keep(faces, "label_audit", "audit/faces.parquet", {**audit_columns(), "review_rank": [1, 2, 3, 4, 5, 6, 7, 8]})
    assert rows(Collection(faces), log, "suspected") == [0, 1, 2, 3]


def test_rare_labels_with_bad_scores_are_most_valuable(collection, log):
    # Of anger there is one face, of fear six, the median is four: what a score lacks counts 2 and 0.82 times.
    assert rows(collection, log, "valuable") == [3, 1, 0, 2, 6, 4, 5]  # 7 is reviewed


def test_rarity_outweighs_a_slightly_better_score(faces, log):
    scores = np.array([0.3, 0.2, 0.4, 0.5, 0.8, 0.9, 0.6, 0.7])  # the only face of anger is in the middle
    keep(faces, "label_audit", "audit/faces.parquet", {**audit_columns(), "label_score": scores})
    assert rows(Collection(faces), log, "valuable")[0] == 3


def test_groups_of_copies_stand_side_by_side(collection, log):
    conflicts = build_queue(collection, log, "conflicts")
    assert conflicts.rows.tolist() == [2, 3, 4, 9, 6, 7]
    assert np.diff(conflicts.groups, prepend=-1).astype(bool).tolist() == [True, False] * 3
    assert rows(collection, log, "leaks") == [4, 9]


def test_a_group_stays_together_where_one_of_it_is_asked_for(collection, log):
    assert rows(collection, log, "conflicts", given="anger") == [2, 3]
    assert rows(collection, log, "leaks", split="test") == [4, 9]
    assert build_queue(collection, log, "conflicts", source="b").groups.tolist() == [1, 1]


def test_synthetic_faces_come_by_what_the_judge_sees(collection, faces, log):
    assert rows(collection, log, "synthetic") == [15, 13, 14, 12]
    (faces.root / "manifests/faces.screening.parquet").unlink()
    assert rows(Collection(faces), log, "synthetic") == [12, 13, 14, 15]
    assert KINDS["synthetic"].actions == ("accept", "reject", "unsure")


def test_pictures_come_worst_first_by_the_quality_table_or_the_audit(collection, faces, log):
    assert rows(collection, log, "poor") == [1, 4]  # blurred at 0.1, dark at 0.15
    assert rows(collection, log, "not_a_face") == [8, 5]  # by voters at 0.3, by the model at 0.4
    (faces.root / "audit/faces.quality.parquet").unlink()
    assert rows(Collection(faces), log, "not_a_face") == [5]
    marks = {name: values[:8] for name, values in quality_columns().items() if "dark" in name}
    keep(faces, "label_audit", "audit/faces.parquet", {**audit_columns(), **marks})
    assert rows(Collection(faces), log, "poor") == [4, 1]


def test_outliers_come_farthest_first(collection, log):
    assert rows(collection, log, "outliers") == [6, 5]


def test_disagreements_follow_the_log(collection, faces, log):
    assert rows(collection, log, "disagreements") == []
    said = [
        decide(faces, 0, "keep"),
        decide(faces, 0, "relabel", "surprise", reviewer="ben"),
        decide(faces, 1, "keep"),
        decide(faces, 1, "relabel", "fear", reviewer="ben"),  # the same verdict by another button
        *(decide(faces, 5, action, reviewer=action) for action in ("keep", "drop", "unsure")),
    ]
    log.append(said)
    assert rows(collection, log, "disagreements") == [5, 0]  # three verdicts, then two
    log.append([undo_of(said[1])])
    assert rows(collection, log, "disagreements") == [5]


def test_disagreements_on_faces_that_are_not_here_are_no_ones(collection, log):
    log.append(replace(plain(number, action), reviewer=action) for number, action in enumerate(("keep", "drop")))
    assert rows(collection, log, "disagreements") == []


def test_the_sample_is_the_same_for_everybody(collection, faces, log, monkeypatch):
    sample = rows(collection, log, "sample")
    assert sorted(sample) == list(range(len(IDS))) and sample != list(range(len(IDS)))
    assert sample == rows(Collection(faces), log, "sample")
    monkeypatch.setattr("curation_app.queues.sample.SAMPLE_FACES", 5)
    assert len(set(rows(Collection(faces), log, "sample"))) == 5


def test_any_queue_is_narrowed_by_what_a_reviewer_asks_for(collection, log):
    assert rows(collection, log, "suspected", suggested="anger") == [2]
    assert rows(collection, log, "suspected", given="anger") == [3]
    assert rows(collection, log, "all", source="b", given="happiness") == [8, 9, 10, 11]
    assert rows(collection, log, "all", split="val") == [8]
    assert rows(collection, log, "all", where="occlusion = 'mask' or label = 'sadness'") == [0, 7, 12]
    assert rows(collection, log, "suspected", where="label = 'fear'", suggested="surprise") == [1, 0]
    for narrowed in ({"given": "joy"}, {"split": "tests"}, {"source": "c"}, {"suggested": "neutral"}):
        assert rows(collection, log, "all", **narrowed) == []
    with pytest.raises(FerError, match="there is no column"):
        build_queue(collection, log, "all", where="lable = 'fear'")


def test_faces_that_were_chosen_keep_their_order(collection):
    queue = chosen_queue(collection, [IDS[7], "gone/1", IDS[2]], "From the map")
    assert (queue.rows.tolist(), queue.kind.title, queue.name) == ([7, 2], "From the map", "chosen")


def test_sizes_tell_the_queues_that_have_faces(collection, faces, log):
    sizes = queue_sizes(collection, log)
    assert sizes == {
        "suspected": 4, "synthetic": 4, "conflicts": 6, "leaks": 2, "not_a_face": 2, "poor": 2, "outliers": 2,
        "valuable": 7, "sample": 16, "all": 16,
    }  # fmt: skip
    assert list(sizes) == [name for name in KINDS if name in sizes]
    assert missing_queues(collection, log) == {}
    log.append([decide(faces, REAL - 1, "keep"), decide(faces, REAL - 1, "drop", reviewer="ben")])
    assert queue_sizes(collection, log)["disagreements"] == 1


def test_a_queue_that_no_table_tells_says_which_command_makes_it(bare, log):
    collection = Collection(bare)
    assert list(queue_sizes(collection, log)) == ["synthetic", "conflicts", "leaks", "sample", "all"]
    missing = missing_queues(collection, log)
    assert missing["suspected"].endswith("make it with: fer audit manifests/faces")
    assert missing["poor"].endswith("make it with: fer quality manifests/faces")
    assert set(missing) == {"suspected", "not_a_face", "poor", "outliers", "valuable"}
    with pytest.raises(FerError, match="Outliers: .* make it with: fer audit manifests/faces"):
        build_queue(collection, log, "outliers")
    with pytest.raises(FerError, match="queue 'hardest' is unknown; expected one of suspected, "):
        build_queue(collection, log, "hardest")


def test_rows_are_worked_out_once_for_all_reviewers(collection, log):
    first = build_queue(collection, log, "suspected")
    assert build_queue(collection, log, "suspected").rows is first.rows
