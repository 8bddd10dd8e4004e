"""A real Chromium for tests that look at a page, driven by Playwright."""

import shutil
import socket
import time
from contextlib import contextmanager

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
SIZE = {"width": 1280, "height": 720}
PATIENCE_MS = 60_000


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
