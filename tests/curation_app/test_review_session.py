"""A reviewer's way through a queue as the server knows it, and what it makes of what a browser sends."""

import uuid

import pytest

from curation_app.queues import build_queue
from curation_app.review.session import Review
from fer_data.decision_log import Decision, new_event_id, not_undone, standing, utc_now
from fer_data.errors import FerError


@pytest.fixture
def review(collection, log):
    return Review(collection, log, "ada", build_queue(collection, log, "suspected"))


def event(review, place, action, label=None, **more):
    face = review.collection.face(review.row(place))
    sent = {"event_id": new_event_id(), "row": face.row, "pixel_sha256": face.pixel_sha256, "action": action}
    return {**sent, "label": label, "queue": "suspected", "elapsed_ms": 1250, **more}


def undo(sent):
    return {"event_id": new_event_id(), "action": "undo", "undoes": sent["event_id"], "queue": "suspected"}


def test_a_decision_is_in_the_log_with_what_was_shown_before_it_is_acknowledged(review, log):
    sent = event(review, 0, "relabel", "surprise", note=" clear ")
    receipt = review.receive([sent])
    assert (receipt.acknowledged, receipt.refused, receipt.failed) == ([sent["event_id"]], [], None)
    (found,) = log.events()
    assert (found.sample_id, found.action, found.label, found.note) == ("real/3", "relabel", "surprise", "clear")
    assert found.shown == {"label": "fear", "suggestion": "surprise", "blind": False}
    assert (found.reviewer, found.queue, found.elapsed_ms) == ("ada", "suspected", 1250)
    assert found.manifest_sha256 == review.collection.manifest.sha256
    assert review.outcome(0).action == "relabel" and not review.is_open(0)
    assert review.progress().decided == 1 and review.progress().left == 3


def test_an_outbox_that_is_sent_again_is_acknowledged_again_and_written_once(review, collection, log):
    outbox = [event(review, 0, "keep"), event(review, 1, "drop")]
    first = review.receive(outbox).acknowledged
    assert first == [one["event_id"] for one in outbox]
    assert review.receive([*outbox, outbox[0]]).acknowledged == [*first, first[0]]
    later = Review(collection, log, "ada", review.queue)  # after a restart
    assert later.receive(outbox).acknowledged == first
    assert len(log.events()) == 2


def test_undo_takes_back_what_is_in_the_log_and_what_is_still_on_its_way(review, log):
    kept, dropped = event(review, 0, "keep"), event(review, 1, "drop")
    review.receive([kept])
    receipt = review.receive([undo(kept), dropped, undo(dropped)])
    assert len(receipt.acknowledged) == 3
    assert standing(log.events()) == {} and review.open_places() == [0, 1, 2, 3]
    refused = review.receive([undo(kept)]).refused
    assert "taken back already" in refused[0]["why"] and len(log.events()) == 4


def test_what_the_same_reviewer_decides_in_another_tab_is_heard_and_what_others_decide_is_not(review, collection, log):
    other = Review(collection, log, "ada", review.queue)
    bens = Review(collection, log, "ben", review.queue)
    dropped = event(other, 1, "drop")
    other.receive([event(other, 0, "keep"), dropped])
    bens.receive([event(bens, 2, "keep")])
    assert review.open_places() == [0, 1, 2, 3]
    review.catch_up()
    assert review.open_places() == [2, 3] and review.outcome(1).action == "drop"
    review.receive([undo(dropped)])
    assert log.events()[-1].undoes == dropped["event_id"]
    other.catch_up()
    other.catch_up()
    assert other.open_places() == [1, 2, 3] and other.progress().decided == 1
    assert [[entry.action for entry in step] for step in other.last_steps(5)] == [["keep"]]


def test_a_tab_goes_on_while_the_log_cannot_be_read(review, collection, log, break_log):
    Review(collection, log, "ada", review.queue).receive([event(review, 0, "keep")])
    with break_log(reads=True):
        review.catch_up()
        assert review.is_open(0)
    review.catch_up()
    assert not review.is_open(0)


def test_undo_brings_an_earlier_decision_back(review):
    kept, dropped = event(review, 0, "keep"), event(review, 0, "drop")
    review.receive([kept, dropped])
    assert review.outcome(0).action == "drop"
    review.receive([undo(dropped)])
    assert review.outcome(0).action == "keep" and not review.is_open(0)


def test_another_run_goes_on_where_this_one_stopped_and_can_undo_it(review, collection, log):
    review.receive([event(review, 0, "keep"), event(review, 1, "drop", batch=str(uuid.uuid4()))])
    later = Review(collection, log, "ada", review.queue)
    assert later.open_places() == [2, 3] and later.progress().decided == 2
    assert [[entry.action for entry in step] for step in later.last_steps(10)] == [["keep"], ["drop"]]
    assert Review(collection, log, "ben", review.queue).open_places() == [0, 1, 2, 3]
    assert later.who == review.who != Review(collection, log, "ben", review.queue).who


def test_the_decisions_of_a_page_are_one_step(review):
    batch = str(uuid.uuid4())
    review.receive([event(review, place, "keep", batch=batch) for place in (0, 1)] + [event(review, 2, "drop")])
    assert [len(step) for step in review.last_steps(10)] == [2, 1]
    assert [len(step) for step in review.last_steps(1)] == [1]


def test_open_places_come_from_here_on_and_then_from_the_beginning(review):
    review.receive([event(review, 2, "keep")])
    assert review.open_places(2) == [3, 0, 1] and review.open_places(1, 2) == [1, 3]
    review.receive([event(review, place, "keep") for place in (0, 1, 3)])
    assert review.open_places() == []


def test_a_face_outside_the_queue_is_found_and_not_counted(review, log):
    place = review.find("real/9")
    assert place == 4 == review.find("real/9") and review.place_of(review.row(place)) == 4
    review.receive([event(review, place, "drop")])
    assert review.outcome(place).action == "drop" and review.progress().decided == 0
    assert review.find("real/1") == 1
    with pytest.raises(FerError, match="no face of this manifest has the id 'real/99'"):
        review.find("real/99")


def test_pace_counts_looks_and_not_pauses(review):
    assert review.progress().seconds_each is None
    looks = zip(range(3), (2000, 4000, 600_000), strict=True)
    review.receive([event(review, place, "keep", elapsed_ms=look) for place, look in looks])
    assert review.progress().seconds_each == pytest.approx(3.0)


def test_what_could_not_be_saved_is_told_and_not_acknowledged(review, log, break_log):
    saved, waiting = event(review, 0, "keep"), event(review, 1, "drop")
    review.receive([saved])
    with break_log():
        receipt = review.receive([saved, waiting])
        assert receipt.acknowledged == [saved["event_id"]] and "NOT saved" in receipt.failed
        assert review.is_open(1)
    assert review.receive([saved, waiting]).failed is None
    assert [found.action for found in log.events()] == ["keep", "drop"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"action": "praise"}, "action"),
        ({"event_id": "x"}, "event_id"),
        ({"row": -1}, "row"),
        ({"row": 99}, "holds another picture"),
        ({"row": None}, "holds another picture"),
        ({"pixel_sha256": "0" * 64}, "holds another picture"),
        ({"action": "relabel", "label": "joy"}, "expected one of anger"),
        ({"action": "relabel"}, "expected a label with relabel"),
        ({"label": "fear"}, "expected a label with relabel"),
        ({"action": "undo"}, "never saved"),
        ({"action": "undo", "undoes": "00000000-0000"}, "never saved"),
        ({"elapsed_ms": "soon"}, "elapsed_ms"),
        ({"note": "x" * 3000}, "note"),
        ({"reviewer": "ben"}, "reviewer"),
    ],
)
def test_what_can_never_be_saved_is_refused_and_stands_in_nobodys_way(review, log, changes, why):
    sent, good = {**event(review, 0, "keep"), **changes}, event(review, 1, "drop")
    receipt = review.receive([sent, good])
    assert [one["event_id"] for one in receipt.refused] == [sent["event_id"]] and why in receipt.refused[0]["why"]
    assert receipt.acknowledged == [good["event_id"]] and receipt.failed is None
    assert [found.sample_id for found in log.events()] == ["real/1"]


def test_what_is_no_event_is_refused(review, log):
    receipt = review.receive(["keep", None, {}])
    assert [one["event_id"] for one in receipt.refused] == ["", "", ""] and log.events() == []


def test_what_the_log_refuses_is_told_apart_from_the_rest(review, log):
    taken, good = event(review, 0, "keep"), event(review, 1, "drop")
    face = review.collection.face(review.row(2))
    log.append(
        [Decision(taken["event_id"], face.sample_id, face.pixel_sha256, "0" * 64, "drop", "ben", utc_now())]
    )  # the id of ben's decision
    receipt = review.receive([taken, good])
    assert [one["event_id"] for one in receipt.refused] == [taken["event_id"]]
    assert receipt.acknowledged == [good["event_id"]]
    assert [found.reviewer for found in not_undone(log.events())] == ["ben", "ada"]


def test_blind_decisions_say_so(review, log):
    review.receive([event(review, 0, "relabel", "fear", blind=True)])
    assert log.events()[0].shown["blind"] is True


def test_what_was_decided_on_faces_of_another_manifest_can_be_undone(review, collection, log):
    log.append([Decision("0" * 12, "elsewhere/1", "0" * 64, "1" * 64, "drop", "ada", utc_now())])
    later = Review(collection, log, "ada", review.queue)
    (step,) = later.last_steps(5)
    assert step[0].row == -1
    assert later.receive([undo({"event_id": "0" * 12})]).refused == []
    assert standing(log.events()) == {}
