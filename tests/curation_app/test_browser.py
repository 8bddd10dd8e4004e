"""The curator in a real Chromium: keys decide, decisions are on the disk, and a killed server loses none."""

import os
import shutil
import signal
import socket
import time

import pytest

from curation_app import launch
from fer_data import decisions
from fer_data.errors import FerError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def free_port():
    with socket.socket() as probe:
        probe.bind((launch.HOST, 0))
        return probe.getsockname()[1]


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
def page():
    if CHROMIUM is None:
        pytest.skip("neither chromium nor chromium-browser is on the PATH; install one to test the page itself")
    playwright = pytest.importorskip("playwright.sync_api", reason="install playwright to test the page itself")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(60_000)
        page.outside = []
        page.on("request", lambda request: page.outside.append(request.url))
        yield page
        browser.close()


def wait_for(page, words):
    page.locator(".fer-top", has_text=words).wait_for()


@pytest.mark.browser
def test_keys_decide_and_a_killed_server_loses_nothing(serve, page, log, project):
    port = free_port()
    server = serve(port)
    page.goto(f"http://{launch.HOST}:{port}")
    wait_for(page, "0 of 4 decided")
    page.get_by_role("button", name="Keys").wait_for()
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")  # nothing to scroll at 1280x720
    for count, key in enumerate(("6", "k", "d"), start=1):
        page.keyboard.press(key)
        wait_for(page, f"{count} of 4 decided")
        assert len(log.events()) == count  # on the disk before the page said so
    page.keyboard.press("z")
    wait_for(page, "2 of 4 decided")
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert [event.action for event in decisions.not_undone(log.events())] == ["relabel", "keep"]
    serve(port)
    page.goto(f"http://{launch.HOST}:{port}")
    wait_for(page, "2 of 4 decided")
    page.get_by_role("button", name="Keys").wait_for()
    page.keyboard.press("u")
    wait_for(page, "3 of 4 decided")
    stands = decisions.standing(log.events()).values()
    assert [(event.action, event.label) for event in stands] == [
        ("relabel", "surprise"),
        ("keep", None),
        ("unsure", None),
    ]
    clean = decisions.apply(project, log, "manifests/clean")
    assert clean.frame["label"].tolist()[3] == "surprise"
    local = (f"http://{launch.HOST}:{port}/", "data:", "blob:")
    assert [url for url in page.outside if not url.startswith(local)] == []


@pytest.mark.browser
def test_a_page_is_selected_and_decided_by_keys(serve, page, log):
    port = free_port()
    serve(port, mode="page")
    page.goto(f"http://{launch.HOST}:{port}")
    page.locator(".cell").nth(3).wait_for()
    for key in (" ", "Shift+ArrowRight", "6"):
        page.keyboard.press(key)
    wait_for(page, "2 of 4 decided")
    page.locator(".cell.decided").nth(1).wait_for()
    page.keyboard.press("k")  # the rest
    wait_for(page, "4 of 4 decided")
    found = [(event.sample_id, event.action, event.label) for event in log.events()]
    assert found[:2] == [("real/3", "relabel", "surprise"), ("real/1", "relabel", "surprise")]
    assert [action for _, action, _ in found[2:]] == ["keep", "keep"]
    page.keyboard.press("z")
    wait_for(page, "2 of 4 decided")


def test_launch_tells_where_and_ends_when_it_is_terminated(project, audit, monkeypatch):
    told = []

    def end(words):
        told.append(words)
        os.kill(os.getpid(), signal.SIGTERM)  # what a service manager does

    started = time.monotonic()
    launch.launch(project.path, audit, port=free_port(), reviewer="ada", tell=end)
    assert "curator at http://127.0.0.1:" in told[0] and str(project.root / "decisions.sqlite") in told[0]
    assert time.monotonic() - started < 60


def test_launch_refuses_a_port_that_is_taken_and_a_server_that_ends(project, settings, monkeypatch):
    with socket.socket() as holder:
        holder.bind((launch.HOST, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(FerError, match=f"port {taken} .* is taken"):
            launch.launch(project.path, port=taken)
        with pytest.raises(FerError, match="did not start"):
            launch.start(settings, taken)
    monkeypatch.setattr(launch, "_is_free", lambda port: False)
    with pytest.raises(FerError, match="no port from 8501"):
        launch.launch(project.path)
