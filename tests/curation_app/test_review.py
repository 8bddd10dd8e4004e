"""Queues and a reviewer's way through them, without a page."""

import sqlite3

import numpy as np
import pyarrow as pa
import pytest

from curation_app import cards, keys
from curation_app.collection import Collection
from curation_app.queues import KINDS, build_queue, waiting
from curation_app.session import Review
from curation_app.settings import Settings, from_environment
from fer_data import tables
from fer_data.decision_log import standing
from fer_data.errors import FerError
from fer_data.expressions import LABEL_SETS


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def review(collection, log):
    clock = Clock()
    made = Review(collection, log, "ada", build_queue(collection, "suspected"), page_faces=3, clock=clock)
    made.clock = clock
    return made


def test_queues_hold_what_they_say_in_the_order_they_say(collection):
    assert build_queue(collection, "suspected").rows.tolist() == [3, 1, 0, 2]
    assert build_queue(collection, "suspected", suggested="anger").rows.tolist() == [2]
    assert build_queue(collection, "suspected", given="disgust").rows.tolist() == []
    assert build_queue(collection, "synthetic").rows.tolist() == [10, 11, 12, 13]
    sample = build_queue(collection, "sample").rows
    assert sorted(sample) == list(range(14)) and (sample != np.arange(14)).any()
    assert np.array_equal(sample, build_queue(collection, "sample").rows)
    assert waiting(collection) == {"suspected": 4, "synthetic": 4, "sample": 14}
    with pytest.raises(FerError, match="queue 'hardest'"):
        build_queue(collection, "hardest")


def test_without_an_audit_there_is_no_opinion_and_nothing_suspected(project):
    bare = Collection(project)
    assert list(waiting(bare)) == ["synthetic", "sample"]
    face = bare.face(0)
    assert (face.label, face.suggestion, face.score, face.probabilities, face.occlusion) == (
        "fear",
        None,
        None,
        None,
        "mask",
    )
    assert bare.picture(0).shape == (12, 12)


def test_an_audit_of_other_faces_is_refused_and_of_more_faces_is_counted(project, audit, tmp_path):
    table, metadata = tables.read_table(audit)

    def changed(name, made):
        return Collection(project, tables.write_table(tmp_path / name, made, metadata))

    ids = pa.array([f"elsewhere/{row}" for row in range(6)])
    with pytest.raises(FerError, match="none of its faces"):
        changed("a.parquet", table.set_column(0, "sample_id", ids))
    with pytest.raises(FerError, match="p_neutral is missing"):
        changed("b.parquet", table.drop_columns(["p_neutral"]))
    more = changed("c.parquet", pa.concat_tables([table, table.set_column(0, "sample_id", ids)]))
    assert more.opinions_elsewhere == 6 and more.face(3).score == pytest.approx(0.1)


def test_a_decision_is_in_the_log_with_what_was_shown_and_the_next_face_comes(review, log):
    review.clock.now = 1.25
    assert review.decide("real/3", "relabel", "surprise", "clear")
    (event,) = log.events()
    assert (event.sample_id, event.action, event.label, event.note) == ("real/3", "relabel", "surprise", "clear")
    assert event.shown == {"label": "fear", "suggestion": "surprise", "blind": False}
    assert (event.reviewer, event.queue, event.elapsed_ms) == ("ada", "suspected", 1250)
    assert event.manifest_sha256 == review.collection.manifest.sha256
    assert event.pixel_sha256 == review.collection.manifest.facts(["pixel_sha256"])["pixel_sha256"].iloc[3]
    assert review.face.sample_id == "real/1"


def test_a_key_pressed_twice_does_not_decide_a_face_that_nobody_saw(review, log):
    assert review.decide("real/3", "keep")
    assert not review.decide("real/3", "keep")
    assert len(log.events()) == 1 and review.face.sample_id == "real/1"


def test_the_queue_ends_and_comes_back_with_undo(review, log):
    while review.face is not None:
        review.decide(review.face.sample_id, "keep")
    assert review.progress().left == 0 and len(log.events()) == 4
    assert not review.decide("real/2", "drop")
    assert review.undo() == 1
    assert review.face.sample_id == "real/2" and review.progress().left == 1
    review.step(-1)
    assert review.earlier(review.face).action == "keep"
    assert review.decide(review.face.sample_id, "drop")
    assert review.face.sample_id == "real/2"  # the only one that is open
    assert {key[0]: event.action for key, event in standing(log.events()).items()} == {
        "real/3": "keep", "real/1": "keep", review.collection.face(0).sample_id: "drop",
    }  # fmt: skip


def test_stepping_stops_at_both_ends(review, log):
    review.step(-5)
    assert review.place == 0
    review.step(99)
    assert review.face.sample_id == "real/2"
    review.decide("real/2", "unsure")
    assert review.face.sample_id == "real/3"  # from the end on to what was left before


def test_another_run_goes_on_where_this_one_stopped_and_can_undo_it(review, collection, log):
    review.decide("real/3", "keep")
    review.decide("real/1", "drop")
    later = Review(collection, log, "ada", build_queue(collection, "suspected"))
    assert later.progress().decided == 2 and later.face.sample_id.startswith("real/<img")
    assert Review(collection, log, "ben", build_queue(collection, "suspected")).progress().decided == 0
    assert later.undo() == later.undo() == 1 and later.undo() == 0
    assert later.face.sample_id == "real/3" and standing(log.events()) == {}


def test_undo_of_a_face_of_another_queue_leaves_this_one_where_it_is(review, collection, log):
    review.decide("real/3", "keep")
    synthetic = Review(collection, log, "ada", build_queue(collection, "synthetic"))
    assert synthetic.undo() == 1
    assert synthetic.face.sample_id == "made/0" and synthetic.progress().decided == 0


def test_a_page_is_decided_in_one_step_and_taken_back_in_one(review, log):
    page = [face.sample_id for face in review.page]
    assert len(page) == 3 and page[:2] == ["real/3", "real/1"]
    assert review.decide_page([*page[:2], "real/9"], "relabel", "surprise") == 2  # real/9 is not on the page
    assert [face.sample_id for face in review.page] == page  # stays until all of it is decided
    assert review.decide_page(page[2:], "keep") == 1
    assert [face.sample_id for face in review.page] == ["real/2"]
    assert review.undo() == 1 and review.undo() == 2 and review.undo() == 0
    assert standing(log.events()) == {}
    assert [face.sample_id for face in review.page][:3] == page
    assert review.decide_page([], "keep") == 0


def test_what_was_not_saved_stays_and_is_written_once_when_tried_again(review, log, tmp_path):
    with sqlite3.connect(tmp_path / "decisions.sqlite") as other:
        other.execute("ALTER TABLE decisions RENAME TO away")
    with pytest.raises(FerError, match="NOT saved"):
        review.decide("real/3", "keep")
    assert review.face.sample_id == "real/3" and review.progress().decided == 0
    tried = next(iter(review._unsaved.values()))
    with sqlite3.connect(tmp_path / "decisions.sqlite") as other:
        other.execute("ALTER TABLE away RENAME TO decisions")
    log.append(tried)  # the first try had reached the disk after all
    assert review.decide("real/3", "keep")
    assert log.events() == tried and review.face.sample_id == "real/1"


def test_pace_counts_looks_and_not_pauses(review):
    assert review.progress().seconds_left is None
    for seconds in (2.0, 4.0, 600.0):
        review.clock.now += seconds
        review.decide(review.face.sample_id, "keep")
    assert review.progress().seconds_left == pytest.approx(3.0)


def test_blind_decisions_say_so(collection, log):
    blind = Review(collection, log, "ada", build_queue(collection, "suspected"), blind=True)
    blind.decide("real/3", "relabel", "fear")
    assert log.events()[0].shown == {"label": "fear", "suggestion": "surprise", "blind": True}


def test_no_key_does_two_things_or_is_kept_by_streamlit():
    for names in LABEL_SETS.values():
        labels = keys.label_keys(names)
        assert len(labels) == len(names)
        for kind in KINDS.values():
            used = [
                keys.ACTION_KEYS[action] for action in (*kind.actions, "undo", "back", "next") if action != "relabel"
            ]
            used += [keys.HELP_KEY, *(labels.values() if "relabel" in kind.actions else ())]
            assert len(set(used)) == len(used) and not set(used) & {"C", "R"}


def test_what_comes_from_data_is_text_on_the_cards(collection):
    face = collection.face(0)
    shown = cards.opinion_bars(["<b>"], np.ones(1, np.float32), "<b>", None) + cards.label_card(face, "<i>")
    shown += cards.face_card(collection.picture(0), face.sample_id)
    assert "<b>" not in shown.replace("<b>fear</b>", "").replace("<b>surprise</b>", "").replace("<b>&lt;i&gt;</b>", "")
    assert "<img src=x" not in shown and "<i>" not in shown


def test_a_sheet_holds_its_faces_row_by_row():
    faces = [np.full((6, 6), 10 * index, np.uint8) for index in range(1, 4)]
    faces.append(np.full((3, 3, 3), 90, np.uint8))
    whole = cards.sheet(faces, columns=3, face_px=6)
    assert whole.shape == (12, 18, 3)
    assert [int(whole[3, column, 0]) for column in (0, 6, 12)] == [10, 20, 30]
    assert int(whole[8, 2, 1]) == 90 and not whole[6:, 6:].any()


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "about 40 s"), (1020, "about 17 minutes"), (9000, "about 2.5 hours")]
)
def test_times_are_told_as_people_say_them(seconds, words):
    assert cards.spell_time(seconds) == words


def test_settings_travel_through_the_environment(settings, monkeypatch):
    with pytest.raises(FerError, match="fer curate MANIFEST"):
        from_environment()
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert from_environment() == settings
    with pytest.raises(ValueError, match="mode"):
        Settings(manifest="m", db="d", mode="both")
