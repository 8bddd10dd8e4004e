"""A page of faces in a real Chromium: selected, decided, annotated and looked at closely."""

import pytest

from fer_data.decision_log import standing

pytestmark = pytest.mark.browser


def found(log):
    return [(event.sample_id, event.action, event.label) for event in log.events()]


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


def test_a_note_on_a_page_goes_with_the_next_decision_and_no_other(visit, log):
    reviewer = visit(mode="page").press("PageDown").wait_for("suggests surprise").press(" ", "n")
    reviewer.page.keyboard.type("hands <b>")
    reviewer.press("PageUp").wait_for("suggests surprise")  # while it is written keys do nothing else
    reviewer.press("Escape", "PageUp").wait_for("suggests anger")
    note = reviewer.page.get_by_label("Note, saved with the next decision on this page")
    assert note.input_value() == ""  # it is the other page's
    reviewer.press("PageDown").wait_for("suggests surprise").press(" ", "6").wait(outbox=0, decided=1)
    assert note.input_value() == ""
    reviewer.press("k").wait(outbox=0, decided=3)
    assert [event.note for event in log.events()] == ["hands <b>", None, None]


def test_a_face_of_a_page_is_looked_at_closely_with_keys_alone(visit, log):
    reviewer = visit(mode="page").press("PageDown").wait_for("suggests surprise").press("v")
    closeup = reviewer.page.get_by_role("dialog", name="The face, large")
    closeup.get_by_text("real/3 · 12×12 px").wait_for()
    assert "label score 0.10" in closeup.text_content()
    assert closeup.locator("img.face").bounding_box()["width"] > 200
    reviewer.press("ArrowRight")
    closeup.get_by_text("real/1 · 12×12 px").wait_for()
    reviewer.press(" ", "+", "k")
    closeup.get_by_text("selected").wait_for()
    assert "brightness(110%)" in closeup.locator("img.face").get_attribute("style")
    reviewer.press("Escape")
    closeup.wait_for(state="hidden")
    reviewer.wait_for("1 selected").press("d").wait(outbox=0, decided=1)
    assert found(log) == [("real/1", "drop", None)]
    reviewer.press("v")
    closeup.get_by_text("you decided").wait_for()
    closeup.get_by_text("you: dropped").wait_for()
    reviewer.press("v")
    closeup.wait_for(state="hidden")


def test_a_face_of_a_page_is_looked_at_closely_by_a_double_click_or_a_button(visit):
    reviewer = visit(mode="page").press("PageDown").wait_for("suggests surprise")
    reviewer.page.locator(".cell").nth(2).dblclick()
    closeup = reviewer.page.get_by_role("dialog", name="The face, large")
    closeup.get_by_text("face 3 of 3").wait_for()
    closeup.get_by_role("button", name="Close").click()
    reviewer.wait_for("none selected")
    reviewer.page.locator(".cell").nth(1).click()
    reviewer.page.get_by_role("button", name="Enlarge").click()
    closeup.get_by_text("face 2 of 3").wait_for()
    closeup.get_by_text("selected").wait_for()
    assert "face 2 of 3" in closeup.text_content()


def test_blind_a_closeup_tells_no_more_than_the_page(visit):
    reviewer = visit(mode="page", blind=True).press("v")
    closeup = reviewer.page.get_by_role("dialog", name="The face, large")
    closeup.get_by_text("12×12 px").wait_for()
    assert "label and opinion are hidden" in closeup.text_content() and "real/" not in closeup.text_content()
