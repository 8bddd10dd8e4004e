"""The pages beside reviewing in a real Chromium."""

import pytest
from chromium import chromium, draw_around, free_port, new_page, until, wait_for_standstill
from decisions_made import decide

from curation_app import launch

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>![x](http://example.org)"


@pytest.fixture
def page(settings, project, log):
    log.append([decide(project, 1, "keep"), decide(project, 1, "drop", reviewer=HOSTILE)])
    port = free_port()
    server = launch.start(settings, port)
    try:
        with chromium() as browser:
            opened = new_page(browser, f"http://{launch.HOST}:{port}/")
            opened.asked = []
            opened.on("request", lambda request: opened.asked.append(request.url))
            opened.locator(".review").wait_for()
            yield opened
    finally:
        launch.stop(server)


def go(page, title):
    page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True).click()
    page.get_by_role("heading", name=title, exact=True).wait_for()


def find_map(page):
    page.locator(".map li").first.wait_for()  # it is drawn, and listens
    wait_for_standstill(page)
    return page.locator(".map canvas")


def test_pages_open_from_the_side_and_nothing_is_asked_elsewhere(page):
    for title in ("Overview", "Reviewers", "Effects"):
        go(page, title)
    go_to_review = page.get_by_test_id("stSidebarNav").get_by_text("Review", exact=True)
    go_to_review.click()
    page.locator(".review").wait_for()
    assert all("127.0.0.1" in url or url.startswith(("data:", "blob:")) for url in page.asked)
    assert not page.locator("img[src='x']").count()


def test_what_was_chosen_at_the_side_stays_when_another_page_was_looked_at(page):
    page.get_by_text("Blind", exact=True).click()
    page.get_by_text("Synthetic faces (4)").click()
    page.get_by_label("Reviewer").fill("cleo")
    page.get_by_label("Reviewer").press("Enter")
    page.locator(".review", has_text="Synthetic faces").wait_for()
    go(page, "Effects")
    page.get_by_test_id("stSidebarNav").get_by_text("Review", exact=True).click()
    page.locator(".review", has_text="Synthetic faces").wait_for()
    assert page.get_by_role("switch", name="Blind").is_checked()
    assert page.get_by_label("Reviewer").input_value() == "cleo"


def test_faces_around_which_somebody_draws_are_a_queue(page):
    go(page, "Overview")
    canvas = find_map(page)
    draw_around(page, canvas, [(0.4, 0.4), (0.45, 0.4), (0.45, 0.45)])
    page.get_by_text("No face lies inside").wait_for()
    draw_around(page, canvas, [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)])
    page.get_by_role("button", name="Review these").click()
    page.locator(".review", has_text="From the map").wait_for()
    assert page.locator(".review", has_text="From the map").count() == 1


def test_the_map_is_used_with_keys_alone(page):
    go(page, "Overview")
    canvas = find_map(page)
    canvas.focus()
    for key in [*["+"] * 20, "ArrowLeft", "ArrowRight", "Enter"]:
        page.keyboard.press(key)
    page.get_by_text("selected:").wait_for()
    page.keyboard.press("Escape")
    until(lambda: not page.get_by_text("selected:").count())
    assert page.get_by_text("selected:").count() == 0


def test_the_disagreements_are_one_click_from_the_reviewers(page):
    go(page, "Reviewers")
    page.get_by_text("Review the 1 face on which reviewers differ").click()
    page.locator(".review", has_text="Disagreements").wait_for()
    assert page.locator(".review", has_text="Disagreements").count() == 1
