"""The curator in a real Chromium: keys decide, decisions are on the disk, and nothing that was decided is lost."""

import signal
import time

import pytest
from chromium import PATIENCE_MS, until, wait_for_face

from curation_app import launch
from fer_data import decisions
from fer_data.decision_log import not_undone, standing

pytestmark = pytest.mark.browser


def found(log):
    return [(event.sample_id, event.action, event.label) for event in log.events()]


def test_keys_decide_and_nothing_leaves_the_machine_or_scrolls(visit, log, project):
    reviewer = visit()
    outside = []
    reviewer.page.on("request", lambda request: outside.append(request.url))
    assert reviewer.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    reviewer.press("6", "k", "d").wait(outbox=0, decided=3)
    assert [action for _, action, _ in found(log)] == ["relabel", "keep", "drop"]
    reviewer.press("z").wait(outbox=0, decided=2)
    assert [event.action for event in not_undone(log.events())] == ["relabel", "keep"]
    reviewer.press("u").wait(outbox=0, decided=3)
    reviewer.press("a", "c", "r").press("k").wait(outbox=0, decided=4).wait_for("Every face of this queue is decided")
    reviewer.press("z").wait(outbox=0, decided=3, showing="face")
    clean = decisions.apply(project, log, "manifests/clean")
    assert clean.frame["label"].tolist()[3] == "surprise"
    local = (f"http://{launch.HOST}:{reviewer.port}/", "data:", "blob:")
    assert [url for url in outside if not url.startswith(local)] == []


TWICE = """for (let count = 0; count < 2; count++)
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "k", bubbles: true, composed: true }));"""


def test_a_key_pressed_twice_does_not_decide_a_face_that_nobody_saw(visit, log):
    reviewer = visit()
    wait_for_face(reviewer.page)
    reviewer.page.evaluate(TWICE)  # both before anything can come between them
    reviewer.wait(outbox=0, decided=1).press("d").wait(outbox=0, decided=2)
    assert [action for _, action, _ in found(log)] == ["keep", "drop"]


def test_a_killed_server_loses_nothing_and_nothing_is_doubled(visit, serve, log):
    reviewer = visit().press("6").wait(outbox=0, decided=1)
    reviewer.server.send_signal(signal.SIGKILL)
    reviewer.server.wait()
    reviewer.press("k").wait(outbox=1).wait_for("NOT saved: the server does not answer")
    wait_for_face(reviewer.page)
    reviewer.page.get_by_role("button", name="Drop face").click()  # nothing lies over the page, or shuts it off
    reviewer.wait(outbox=2, decided=3)
    assert not reviewer.page.get_by_role("dialog").count() and len(log.events()) == 1
    serve(reviewer.port)
    reviewer.page.on("dialog", lambda dialog: dialog.accept())  # it warns before it leaves
    reviewer.page.reload()
    reviewer.wait(outbox=0, decided=3, showing="face")
    assert found(log)[0] == ("real/3", "relabel", "surprise")
    assert [action for _, action, _ in found(log)] == ["relabel", "keep", "drop"]
    reviewer.press("z", "z", "z").wait(outbox=0, decided=0)  # also what an earlier run decided
    assert standing(log.events()) == {}


def test_a_server_that_comes_back_hears_what_it_missed_without_a_reload(visit, serve, log):
    reviewer = visit().press("6").wait(outbox=0, decided=1)
    reviewer.server.send_signal(signal.SIGKILL)
    reviewer.server.wait()
    reviewer.press("k").wait(outbox=1, decided=2)
    serve(reviewer.port)
    reviewer.wait(outbox=0, decided=2, showing="face")
    assert [action for _, action, _ in found(log)] == ["relabel", "keep"]


def test_a_page_with_unsaved_decisions_warns_before_it_is_left(visit):
    reviewer = visit()
    reviewer.server.send_signal(signal.SIGSTOP)
    reviewer.press("k").wait(outbox=1)
    warned = []
    reviewer.page.on("dialog", lambda dialog: (warned.append(dialog.type), dialog.dismiss()))
    reviewer.page.close(run_before_unload=True)
    ends = time.monotonic() + 20
    while not warned and time.monotonic() < ends:
        reviewer.page.context.pages[0].wait_for_timeout(50)
    reviewer.server.send_signal(signal.SIGCONT)
    assert warned == ["beforeunload"]


def test_what_is_not_saved_is_said_in_red_and_saved_once_it_can_be(visit, log, break_log):
    reviewer = visit()
    with break_log():
        reviewer.press("k").wait(outbox=1).wait_for("the disk is full")
        assert reviewer.page.locator(".word.failed").is_visible()
        reviewer.press("d").wait(outbox=2, decided=2)
    reviewer.wait(outbox=0, decided=2).wait_for("saved")
    assert [action for _, action, _ in found(log)] == ["keep", "drop"]


def test_blind_the_browser_is_told_neither_label_nor_opinion_nor_name(visit, log):
    reviewer = visit(blind=True)
    sent = []
    reviewer.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sent.append(frame)))
    reviewer.page.reload()
    reviewer.wait(showing="face")
    assert "label and opinion are hidden" in reviewer.read() and "real/" not in reviewer.read()
    assert not reviewer.page.get_by_role("button", name="Keep label").count()
    heard = b"".join(frame if isinstance(frame, bytes) else frame.encode() for frame in sent)
    assert b"data:image/png" in heard and b"real/" not in heard and b'"suggestion"' not in heard
    reviewer.press("3").wait(outbox=0, decided=1)
    (event,) = log.events()
    assert (event.label, event.shown["blind"]) == ("fear", True)


def test_a_link_opens_its_queue_at_its_face_and_an_id_is_found(visit, log):
    reviewer = visit(query="?queue=sample&sample=real/2").wait_for("real/2")
    assert "Random sample" in reviewer.read()
    reviewer.press("j")
    reviewer.page.keyboard.type("real/7")
    reviewer.page.keyboard.press("Enter")
    reviewer.wait_for("real/7").press("j")
    reviewer.page.keyboard.type("nowhere/1")
    reviewer.page.keyboard.press("Enter")
    reviewer.wait_for("no face of this manifest has the id").press("k").wait(outbox=0)
    assert found(log) == [("real/7", "keep", None)]


def test_a_note_is_saved_with_its_decision_and_keys_do_nothing_while_it_is_written(visit, log):
    reviewer = visit().press("n")
    reviewer.page.keyboard.type("duck <b>")
    reviewer.press("Escape", "d").wait(outbox=0, decided=1)
    assert [(event.action, event.note) for event in log.events()] == [("drop", "duck <b>")]
    reviewer.press("ArrowLeft").wait_for("“duck <b>”")


def test_the_view_can_be_changed_and_the_help_names_the_keys(visit):
    reviewer = visit(keys={"smooth": "b"}).press("+", "+", ">", "b")
    face = reviewer.page.locator("img.face")
    assert "brightness(120%) contrast(110%)" in face.get_attribute("style")
    assert face.evaluate("face => face.style.imageRendering") == "auto"
    reviewer.press("o")
    assert face.evaluate("face => face.style.imageRendering + face.style.filter") == "pixelated"
    reviewer.press("?")
    help_sheet = reviewer.page.get_by_role("dialog", name="Keys")
    help_sheet.wait_for()
    assert (
        "the face shows surprise" in help_sheet.text_content()
        and "take back the last step" in help_sheet.text_content()
    )
    reviewer.press("k", "Escape")
    help_sheet.wait_for(state="hidden")
    assert reviewer.page.locator(".review").get_attribute("data-decided") == "0"


def test_on_a_tablet_a_tap_decides_and_nothing_is_cut_off(visit, log):
    reviewer = visit()
    reviewer.page.set_viewport_size({"width": 768, "height": 1024})
    until(lambda: reviewer.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
    wait_for_face(reviewer.page)
    reviewer.page.get_by_role("button", name="Unsure").click()
    reviewer.wait(outbox=0, decided=1)
    assert [action for _, action, _ in found(log)] == ["unsure"]


def test_another_reviewer_signs_only_what_is_theirs(visit, log, break_log):
    reviewer = visit()
    name = reviewer.page.get_by_label("Reviewer")
    with break_log():
        reviewer.press("k").wait(outbox=1)
        name.fill("ben")
        name.press("Enter")
        reviewer.wait(outbox=0).wait_for("1 decision signed “ada”")
    reviewer.press("d").wait(outbox=0, decided=1)
    assert [(event.reviewer, event.action) for event in log.events()] == [("ben", "drop")]
    name.fill("ada")
    name.press("Enter")
    reviewer.page.locator(".others:empty").wait_for(state="attached")
    reviewer.wait(outbox=0, decided=1)
    assert [(event.reviewer, event.action) for event in log.events()] == [("ben", "drop"), ("ada", "keep")]


COUNTED_LINES = """window.lines = [];
window.WebSocket = class extends WebSocket { constructor(...where) { super(...where); window.lines.push(this); } };"""


def test_a_cut_line_loses_nothing_and_doubles_nothing(visit, log):
    reviewer = visit()
    reviewer.page.add_init_script(COUNTED_LINES)
    reviewer.page.reload()
    for count, key in enumerate("kdu", start=1):
        reviewer.press(key)
        reviewer.page.evaluate("window.lines.forEach((line) => line.close())")
        reviewer.wait(outbox=0, decided=count)
    assert [action for _, action, _ in found(log)] == ["keep", "drop", "unsure"]


def test_a_face_that_was_decided_while_the_line_was_cut_is_not_shown_again(visit, log):
    reviewer = visit("?queue=all")
    reviewer.page.add_init_script(COUNTED_LINES)
    reviewer.page.reload()
    for count in range(1, 9, 2):
        reviewer.press("k")
        reviewer.page.evaluate("window.lines.forEach((line) => line.close())")
        reviewer.press("d").wait(outbox=0, decided=count + 1)
    decided = [sample_id for sample_id, _, _ in found(log)]
    assert len(decided) == len(set(decided)) == 8


def test_what_can_never_be_saved_is_named_and_can_be_dismissed(visit, log):
    reviewer = visit()
    reviewer.server.send_signal(signal.SIGSTOP)
    reviewer.press("k").wait(outbox=1)
    reviewer.page.evaluate(
        "for (const key of Object.keys(sessionStorage)) sessionStorage.setItem(key, "
        'sessionStorage.getItem(key).replace(/pixel_sha256":"..../, \'pixel_sha256":"0000\'))'
    )
    reviewer.server.send_signal(signal.SIGKILL)
    reviewer.server.wait()
    reviewer.page.on("dialog", lambda dialog: dialog.accept())
    reviewer.serve(reviewer.port)
    reviewer.page.reload()
    reviewer.wait_for("1 decision refused").wait(outbox=0, decided=0)
    assert log.events() == []
    reviewer.page.get_by_role("button", name="Dismiss").click()
    reviewer.wait_for("saved")
    assert not reviewer.page.locator(".word.failed").count()


COMES_BACK = "window.dispatchEvent(new Event('focus'))"  # Playwright's pages all believe that they are in front


def test_a_tab_hears_what_the_same_reviewer_decided_in_another(visit, log):
    reviewer = visit()
    page = reviewer.page.context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(reviewer.page.url)
    other = type(reviewer)(page).wait(showing="face")
    other.press("6", "d").wait(outbox=0, decided=2)
    reviewer.page.evaluate(COMES_BACK)  # it was on the first face, which is decided by now
    reviewer.wait(decided=2, place=2, showing="face").press("k").wait(outbox=0, decided=3)
    assert [sample_id for sample_id, _, _ in found(log)] == ["real/3", "real/1", log.events()[2].sample_id]
    assert len({event.sample_id for event in log.events()}) == 3
    other.page.evaluate(COMES_BACK)
    other.wait(decided=3).press("z").wait(outbox=0, decided=2)  # the last step, wherever it was made
    assert len(not_undone(log.events())) == 2 and log.events()[-1].undoes == log.events()[2].event_id


def test_decisions_that_wait_survive_a_look_at_another_page_and_leaving_from_there_warns(visit, log, break_log):
    reviewer = visit()
    side = reviewer.page.get_by_test_id("stSidebarNav")
    with break_log():
        reviewer.press("k", "6").wait(outbox=2, decided=2).wait_for("the disk is full")
        side.get_by_text("Effects", exact=True).click()
        reviewer.page.get_by_role("heading", name="Effects", exact=True).wait_for()
        with reviewer.page.expect_event("dialog") as warned:
            reviewer.page.close(run_before_unload=True)
        assert warned.value.type == "beforeunload"
        warned.value.dismiss()
        side.get_by_text("Review", exact=True).click()
        reviewer.wait(outbox=2, showing="face").wait_for("the disk is full")
    reviewer.wait(outbox=0, decided=2)
    assert [action for _, action, _ in found(log)] == ["keep", "relabel"]
