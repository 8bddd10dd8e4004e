"""A real Chromium for tests that look at a page, driven by Playwright."""

import shutil
import socket
import time
from contextlib import contextmanager

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
SIZE = {"width": 1280, "height": 720}
PATIENCE_MS = 60_000
LOOK_MS = 150  # nobody has seen a face sooner, and the curator takes no key before that


@contextmanager
def chromium(profile=None):
    """A browser, or the one context of a browser that keeps its profile in a folder; the test skips without one."""
    if PROGRAM is None:
        pytest.skip("neither chromium nor chromium-browser is on the PATH; install one to test the page itself")
    playwright = pytest.importorskip("playwright.sync_api", reason="install playwright to test the page itself")
    options = {"executable_path": PROGRAM, "args": ["--no-sandbox"]}
    with playwright.sync_playwright() as driver:
        if profile is None:
            opened = driver.chromium.launch(**options)
        else:
            opened = driver.chromium.launch_persistent_context(str(profile), viewport=SIZE, **options)
        try:
            yield opened
        finally:
            opened.close()


def new_page(browser, url):
    """A page at `url` in a context of its own: no cookies, no storage of another."""
    page = browser.new_context(viewport=SIZE).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    return page


def free_port():
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, seconds=20):
    """Wait for something that the page has been told and the disk is about to show."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.05)


def wait_for_face(page):
    """Wait until the curator shows a face and takes a key for it: a key that comes sooner decides nothing."""
    page.locator(".review[data-showing=face]").wait_for()
    page.wait_for_timeout(LOOK_MS)


def wait_for_standstill(page):
    """Wait until Streamlit has put every element in its place: what still loads is smaller, and what is below moves."""
    until(lambda: not page.get_by_test_id("stSkeleton").count())


def draw_around(page, element, corners):
    """Drag the pointer from corner to corner of an element: shares of its width and height, 0..1.

    Every corner is looked for anew, on the screen and where the element is by then.
    """
    box = element.bounding_box()
    places = [{"x": box["width"] * x, "y": box["height"] * y} for x, y in corners]
    element.hover(position=places[0])
    page.mouse.down()
    for place in places[1:]:
        element.hover(position=place)
    page.mouse.up()
