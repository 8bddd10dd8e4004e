"""The curator in a real Chromium: keys decide, decisions are on the disk, and nothing that was decided is lost."""

import signal

import pytest
from chromium import chromium, free_port, new_page

from curation_app import launch
from fer_data import decisions
from fer_data.decision_log import not_undone, standing

pytestmark = pytest.mark.browser

LOOK_MS = 150  # nobody has seen a face sooner, and the page takes no key before that
TEXT_OF_PANEL = "document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.textContent"


class Reviewer:
    """Somebody at the page, with patience."""

    def __init__(self, page):
        self.page = page

    def wait(self, **data):
        self.page.locator(".review" + "".join(f"[data-{name}='{value}']" for name, value in data.items())).wait_for()
        return self

    def press(self, *keys):
        for key in keys:
            if key != "z":
                self.wait(showing="face")
            self.page.wait_for_timeout(LOOK_MS)
            self.page.keyboard.press(key)
        return self

    def read(self):
        return self.page.evaluate(TEXT_OF_PANEL)

    def wait_for(self, words):
        self.page.locator(".review", has_text=words).wait_for()
        return self


@pytest.fixture
def serve(settings):
    running = []

    def run(port, **changes):
        running.append(launch.start(settings.model_copy(update=changes), port))
        return running[-1]

    yield run
    for process in running:
        launch.stop(process)


@pytest.fixture
def visit(serve):
    """Opens a page of a server with these settings; the server and its port are at `.server` and `.port`."""
    with chromium() as browser:

        def open_page(query="", **changes):
            port = free_port()
            server = serve(port, **changes)
            reviewer = Reviewer(new_page(browser, f"http://{launch.HOST}:{port}/{query}"))
            reviewer.server, reviewer.port, reviewer.serve = server, port, serve
            return reviewer.wait(showing="face")

        yield open_page


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


def test_a_key_pressed_twice_does_not_decide_a_face_that_nobody_saw(visit, log):
    reviewer = visit().press("k")
    reviewer.page.keyboard.press("k")
    reviewer.wait(outbox=0, decided=1).press("d").wait(outbox=0, decided=2)
    assert [action for _, action, _ in found(log)] == ["keep", "drop"]


def test_a_killed_server_loses_nothing_and_nothing_is_doubled(visit, serve, log):
    reviewer = visit().press("6").wait(outbox=0, decided=1)
    reviewer.server.send_signal(signal.SIGKILL)
    reviewer.server.wait()
    reviewer.press("k", "d").wait(outbox=2, decided=3).wait_for("NOT saved: the server does not answer")
    assert len(log.events()) == 1
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
    for _ in range(100):
        if warned:
            break
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


def test_three_are_wrong_and_the_others_right_takes_two_keys(visit, log):
    reviewer = visit(mode="page").wait(layout="page")
    assert "The model suggests anger" in reviewer.read()
    reviewer.press("PageDown").wait_for("The model suggests surprise")
    reviewer.press(" ", "Shift+ArrowRight").wait_for("2 selected: a key decides these")
    reviewer.press("6", "k").wait(outbox=0, decided=3).wait_for("The model suggests anger")
    assert found(log)[:2] == [("real/3", "relabel", "surprise"), ("real/1", "relabel", "surprise")]
    assert [action for _, action, _ in found(log)[2:]] == ["keep"]
    batches = [event.shown["batch"] for event in log.events()]
    assert batches[0] == batches[1] != batches[2]
    reviewer.press("z", "z").wait(outbox=0, decided=0)
    assert standing(log.events()) == {}


def test_a_page_is_selected_by_hand_too(visit, log):
    reviewer = visit(mode="page").press("PageDown").wait_for("suggests surprise")
    cells = reviewer.page.locator(".cell")
    cells.nth(0).click()
    cells.nth(2).click(modifiers=["Shift"])
    cells.nth(1).click()
    reviewer.wait_for("2 selected")
    reviewer.page.get_by_role("button", name="Drop face").click()
    reviewer.wait(outbox=0, decided=2)
    assert [sample_id for sample_id, _, _ in found(log)] == ["real/3", log.events()[1].sample_id]
    assert cells.nth(0).get_attribute("aria-label") == "face 1, dropped"


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
    assert not help_sheet.is_visible() and reviewer.page.locator(".review").get_attribute("data-decided") == "0"


def test_on_a_tablet_a_tap_decides_and_nothing_is_cut_off(visit, log):
    reviewer = visit()
    reviewer.page.set_viewport_size({"width": 768, "height": 1024})
    reviewer.page.wait_for_timeout(500)
    assert reviewer.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
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
