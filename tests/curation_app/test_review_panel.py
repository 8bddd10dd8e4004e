"""What the browser is sent: the faces around the one on the screen, pages, and what it must not be shown."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from curation_app import cards
from curation_app.knowledge.synthetic import Judgement
from curation_app.queues import build_queue
from curation_app.review.page_plan import PagePlan
from curation_app.review.panel import Desk
from curation_app.review.session import Review
from curation_app.review.window import window
from fer_data.decision_log import Decision, new_event_id, utc_now
from fer_data.errors import FerError


def review_of(collection, log, queue="suspected", **more):
    return Review(collection, log, "ada", build_queue(collection, log, queue), **more)


def open_desk(review, **more):
    return Desk.open(review, **{"page_faces": None, "changed_keys": {}, **more})


def pages_of(plan):
    return [plan.places(number) for number in range(len(plan))]


def message(desk, **more):
    return {"number": 7, "who": desk.review.who, "round": desk.round, "outbox": [], "at": 0, "held": [], **more}


def decide(review, place, action, label=None):
    face = review.collection.face(review.row(place))
    return {
        "event_id": new_event_id(),
        "row": face.row,
        "pixel_sha256": face.pixel_sha256,
        "action": action,
        "label": label,
    }


@pytest.fixture
def desk(collection, log):
    return open_desk(review_of(collection, log))


def test_the_first_face_comes_alone_and_then_what_lies_around_it(desk):
    first = desk.answer(None)
    assert (first["at"], list(first["faces"]), first["more"], first["ahead"]) == (0, ["0"], True, [1, 2, 3])
    rest = desk.answer(message(desk, held=[0]))
    assert (sorted(rest["faces"]), rest["more"], rest["number"]) == (["1", "2", "3"], False, 7)
    assert desk.answer(message(desk, held=[0, 1, 2, 3]))["faces"] == {}


def test_a_face_is_sent_with_what_is_known_of_it(desk):
    face = desk.answer(None)["faces"]["0"]
    assert (face["id"], face["label"], face["suggestion"], face["size"]) == ("real/3", "fear", "surprise", "12×12 px")
    assert face["picture"].startswith("data:image/png;base64,")
    assert len(face["probabilities"]) == 7 and "label score 0.10" in face["facts"]


def test_what_belongs_together_is_side_by_side(collection, log):
    order = build_queue(collection, log, "all")
    queue = replace(order, groups=np.repeat(np.arange(len(order) // 2), 2))
    review = Review(collection, log, "ada", queue)
    face = window(review, 2, [])["faces"]["2"]
    assert [one["id"] for one in face["mates"]["faces"]] == [collection.sample_id(review.row(3))]
    assert [len(page) for page in pages_of(PagePlan(review, 5))] == [4, 4, 4, 2]
    assert review.mates(review.find("real/1")).tolist() != [] and len(review.mates(len(queue))) == 0


def test_decisions_are_acknowledged_and_the_window_moves_on(desk):
    sent = decide(desk.review, 0, "relabel", "surprise")
    answer = desk.answer(message(desk, outbox=[sent], at=1, held=[0, 1, 2, 3]))
    assert answer["acknowledged"] == [sent["event_id"]] and answer["decided"] == 1
    assert answer["outcomes"] == {"3": ["relabel", "surprise"]} and answer["ahead"] == [2, 3]
    assert [[one["place"] for one in step] for step in answer["steps"]] == [[0]]


def test_a_message_of_another_reviewer_or_round_does_not_decide_here(desk, log):
    sent = decide(desk.review, 0, "keep")
    assert desk.answer(message(desk, who="0" * 16, outbox=[sent]))["acknowledged"] == []
    assert desk.answer("nonsense")["at"] == 0 and log.events() == []
    answer = desk.answer(message(desk, round="another", outbox=[sent], at=3, held=[0]))
    assert answer["acknowledged"] == [sent["event_id"]]  # decided is decided, whichever queue is open now
    assert answer["at"] == 0 and list(answer["faces"]) == ["0"]


@pytest.mark.parametrize("at", [None, -1, 99, "1", True])
def test_a_place_that_is_none_is_answered_with_what_is_open(desk, at):
    answer = desk.answer(message(desk, at=at, held=["x", 1]))
    assert answer["ahead"] == [0, 1, 2, 3] and set(answer["faces"]) == {"0", "2", "3"}


def test_an_id_is_found_and_an_unknown_one_is_told(desk):
    found = desk.answer(message(desk, find={"number": 1, "id": " real/1 "}))
    assert found["found"] == {"number": 1, "at": 1, "why": None} and found["at"] == 1
    lost = desk.answer(message(desk, find={"number": 2, "id": "real/x"}))
    assert lost["found"]["at"] is None and "no face of this manifest" in lost["found"]["why"]


def test_a_face_of_a_page_is_told_in_full_to_whoever_wants_to_see_it_large(collection, log):
    desk = open_desk(review_of(collection, log), page_faces=3)
    looked = desk.answer(message(desk, look={"number": 4, "place": 1}))["looked"]
    assert (looked["number"], looked["face"]["id"]) == (4, "real/1")
    assert looked["face"] == window(desk.review, 1, [])["faces"]["1"]
    for wrong in (None, "1", {"number": 1}, {"number": 1, "place": -1}, {"number": 1, "place": 4}, {"place": "1"}):
        assert desk.answer(message(desk, look=wrong))["looked"] is None
    blind = open_desk(review_of(collection, log, blind=True), page_faces=3)
    face = blind.answer(message(blind, look={"number": 1, "place": 0}))["looked"]["face"]
    assert set(face) == {"place", "row", "pixel_sha256", "earlier", "picture", "size"}


def test_a_message_hears_first_what_the_same_reviewer_decided_elsewhere(desk, collection, log):
    other = review_of(collection, log)
    other.receive([decide(other, 0, "relabel", "surprise")])
    answer = desk.answer(message(desk, at=0, held=[0, 1]))
    assert answer["decided"] == 1 and answer["outcomes"] == {"3": ["relabel", "surprise"]}
    assert answer["ahead"] == [1, 2, 3]


def test_a_link_begins_at_its_face(collection, log):
    desk = open_desk(review_of(collection, log), sample_id="real/2")
    assert desk.answer(None)["at"] == 3 and desk.answer(None)["linked"]
    with pytest.raises(FerError, match="no face of this manifest"):
        open_desk(review_of(collection, log), sample_id="real/x")


def test_a_restart_keeps_the_round_of_single_faces_and_cuts_pages_anew(collection, log):
    assert open_desk(review_of(collection, log)).round == open_desk(review_of(collection, log)).round
    assert open_desk(review_of(collection, log)).round != open_desk(review_of(collection, log, blind=True)).round
    pages = [open_desk(review_of(collection, log), page_faces=2).round for _ in range(2)]
    assert pages[0] != pages[1]


def test_blind_nothing_that_tells_the_label_is_sent(collection, log):
    log.append([Decision(new_event_id(), "real/3", "0" * 64, "0" * 64, "relabel", "ben", utc_now(), label="anger")])
    review = review_of(collection, log, blind=True, lead=True)
    for page_faces in (None, 3):
        told = open_desk(review, page_faces=page_faces).answer(None)
        assert "real/" not in json.dumps(told) and 'suggestion": "' not in json.dumps(told)
        assert "keep" not in [one["action"] for one in told["actions"]]
    face = open_desk(review).answer(None)["faces"]["0"]
    assert set(face) == {"place", "row", "pixel_sha256", "earlier", "picture", "size"} and face["earlier"] == []


def test_earlier_decisions_are_ones_own_and_for_a_lead_those_of_others(collection, log):
    for name, action in (("ben", "drop"), ("ada", "keep")):
        log.append([Decision(new_event_id(), "real/3", "0" * 64, "0" * 64, action, name, utc_now(), note="hm")])
    own = window(review_of(collection, log), 0, [])["faces"]["0"]["earlier"]
    assert [(one["who"], one["what"], one["note"]) for one in own] == [("you", "kept", "hm")]
    all_of_them = window(review_of(collection, log, lead=True), 0, [])["faces"]["0"]["earlier"]
    assert [one["who"] for one in all_of_them] == ["ben", "you"]


def test_a_heat_map_is_a_veil_and_a_broken_one_costs_no_face(collection, log, monkeypatch):
    monkeypatch.setattr(collection, "heat_map", lambda row: np.array([[0, 255]], dtype=np.uint8))
    veil = open_desk(review_of(collection, log)).answer(None)["faces"]["0"]["heat_map"]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(veil.split(",")[1]))))
    assert pixels[0, 0, 3] == 0 and 0 < pixels[0, 1, 3] < 255

    def fail(row):
        raise FerError("heat map: broken")

    monkeypatch.setattr(collection, "heat_map", fail)
    face = open_desk(review_of(collection, log)).answer(None)["faces"]["0"]
    assert face["heat_map"] is None and face["picture"]


def test_what_a_judge_says_of_a_synthetic_face_is_told_beside_the_nearest_training_face(collection, log, monkeypatch):
    said = Judgement("disgust", 0.91, 0.9, "copy", "real/4", 0.02)
    monkeypatch.setattr(collection, "judge", lambda row: said)
    told = open_desk(review_of(collection, log, "synthetic")).answer(None)["faces"]["0"]["judge"]
    assert told["words"][0] == "the judge sees disgust" and told["words"][-1] == "screening drops it: copy"
    assert told["words"][2] == "unseen real faces that come nearer to a training face: 2 % (0 % is nearly a copy)"
    assert told["nearest"]["faces"][0]["id"] == "real/4" and told["nearest"]["sheet"].startswith("data:image/png")
    monkeypatch.setattr(collection, "judge", lambda row: replace(said, nearest="gone/1", reason=None))
    told = open_desk(review_of(collection, log, "synthetic")).answer(None)["faces"]["0"]["judge"]
    assert told["nearest"] is None and len(told["words"]) == 3


def test_faces_are_shown_while_the_log_cannot_be_read(collection, log, break_log):
    review = review_of(collection, log)
    with break_log(reads=True):
        face = window(review, 0, [])["faces"]["0"]
    assert face["picture"] and "cannot be read" in face["earlier"][0]["what"]


def test_a_picture_that_cannot_be_read_is_told_and_the_others_are_shown(collection, log, monkeypatch):
    def fail(row):
        raise FerError("store: broken")

    monkeypatch.setattr(collection, "picture", fail)
    face = open_desk(review_of(collection, log)).answer(None)["faces"]["0"]
    assert face["picture"] is None and face["fault"] == "store: broken"
    page = open_desk(review_of(collection, log), page_faces=2).answer(None)["pages"]["0"]
    assert page["sheet"].startswith("data:image/png")


def test_pages_hold_one_predicted_class_each_and_stay_as_they_were_cut(collection, log):
    review = review_of(collection, log)
    plan = PagePlan(review, 2)
    cut = [plan.window(number, [])["pages"][str(number)] for number in range(len(plan))]
    assert [page["suggestion"] for page in cut] == ["anger", "surprise", "surprise"]
    assert [[face["id"] for face in page["faces"]][:1] for page in cut[:2]] == [["real/2"], ["real/3"]]
    review.receive([decide(review, place, "keep") for place in plan.places(1)])
    assert plan.open_pages(1, 9) == [2, 0] and plan.places(1) == [0, 1]
    assert plan.window(0, [0])["ahead"] == [2]


def test_faces_decided_before_the_pages_were_cut_get_a_page_when_they_are_taken_back(collection, log):
    review = review_of(collection, log)
    review.receive([decide(review, place, "keep") for place in (0, 1)])
    plan = PagePlan(review, 64)
    assert len(plan) == 2 and plan.page_of([0, 1]) == 2 == plan.page_of([1]) and plan.places(2) == [0, 1]
    assert plan.page_of([]) is None


def test_blind_pages_are_not_sorted_by_opinion(collection, log):
    plan = PagePlan(review_of(collection, log, blind=True), 64)
    assert len(plan) == 1 and plan.places(0) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("groups", "pages"),
    [
        (None, [[0, 1, 2], [3, 4]]),
        ([1, 1, 2, 2, 3], [[0, 1], [2, 3, 4]]),
        ([1, 1, 1, 1, 2], [[0, 1, 2], [3, 4]]),
        ([1, 2, 3, 3, 3], [[0, 1], [2, 3, 4]]),
        ([4, 4, 4, 4, 4], [[0, 1, 2], [3, 4]]),
    ],
)
def test_groups_are_not_torn_apart_where_they_fit_on_a_page(collection, log, groups, pages):
    queue = build_queue(collection, log, "all")
    five = replace(queue, rows=queue.rows[:5], groups=None if groups is None else np.asarray(groups))
    assert pages_of(PagePlan(Review(collection, log, "ada", five, blind=True), 3)) == pages


def test_a_queue_without_faces_is_finished(collection, log):
    queue = build_queue(collection, log, "suspected", given="disgust")
    for page_faces in (None, 4):
        answer = open_desk(Review(collection, log, "ada", queue), page_faces=page_faces).answer(None)
        assert (answer["at"], answer["total"], answer["ahead"]) == (None, 0, [])


def test_synthetic_faces_are_accepted_or_rejected(collection, log):
    desk = open_desk(review_of(collection, log, "synthetic"))
    assert [(one["action"], one["key"]) for one in desk.answer(None)["actions"]] == [
        ("accept", "a"), ("reject", "x"), ("unsure", "u"),
    ]  # fmt: skip


def test_a_sheet_holds_its_faces_row_by_row():
    faces = [np.full((6, 6), 10 * index, np.uint8) for index in range(1, 4)]
    grey = cards.sheet([*faces, faces[0]], columns=3, face_px=6)
    assert grey.shape == (12, 18) and [int(grey[3, column]) for column in (0, 6, 12)] == [10, 20, 30]
    whole = cards.sheet([*faces, np.full((3, 3, 3), 90, np.uint8)], columns=3, face_px=6)
    assert whole.shape == (12, 18, 3)
    assert int(whole[8, 2, 1]) == 90 and not whole[6:, 6:].any() and whole[3, 3].tolist() == [10, 10, 10]


@pytest.mark.parametrize(("action", "words"), [("relabel", "→ fear"), ("keep", "kept"), ("reject", "rejected")])
def test_outcomes_are_told_in_words(action, words):
    assert cards.outcome_text(action, "fear" if action == "relabel" else None) == words
