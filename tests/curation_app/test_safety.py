"""Safety, each promise tried by somebody who means harm: text that wants to be markup, paths that want to leave,
pages elsewhere that want to decide, sessions that want to see another's, and a search of the disk for faces."""

import base64
import http.client
import json
import re
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from chromium import chromium, free_port, new_page, until, wait_for_face
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from curation_app import launch
from curation_app.gate import Gate
from curation_app.settings import Settings
from fer_data import licenses, manifest
from fer_data.decision_log import Decision, DecisionLog, new_event_id, utc_now
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter

HOSTILE = (
    "<img src=x onerror=window.hit=1>",
    "<script>window.hit=1</script>",
    '"><svg onload=window.hit=1>',
    "![x](http://127.0.0.1:9/x.png) **bold** :material/delete:",
    "$\\frac{1}{2}$ `code`",
    "[link](javascript:window.hit=1)",
)
MARK = "MARK-of-a-file-that-no-route-serves"


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A project whose ids, notes and reviewers' names are hostile, and a file in it that nobody may fetch."""
    (tmp_path / "fer.toml").write_text("")
    (tmp_path / "private.txt").write_text(MARK)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    with StoreWriter("faces", tmp_path, licence=licenses.DRAWN.as_dict(), source="faces") as writer:
        for row, text in enumerate(HOSTILE):
            pixels = rng.integers(0, 256, (24, 24), dtype=np.uint8)
            writer.add(Sample(f"{row}", pixels, None, text, "train", f"row {row}", {}))
        store = writer.close()
    frame = manifest.new_rows(
        len(HOSTILE),
        sample_id=[f"faces/{text}" for text in HOSTILE],
        store=f"stores/{store.path.name}",
        store_row=range(len(HOSTILE)),
        label="fear",
        split="train",
        group_id=range(len(HOSTILE)),
        origin="real",
    )
    written = manifest.write(
        frame, tmp_path / "manifests/faces", label_set="basic7", command="test", licence=licenses.DRAWN.as_dict()
    )
    hashes = written.facts(["pixel_sha256"])["pixel_sha256"]
    log = DecisionLog(tmp_path / "decisions.sqlite")
    for reviewer in (HOSTILE[0], HOSTILE[2]):
        log.append(
            Decision(new_event_id(), f"faces/{text}", pixels, written.sha256, "keep", reviewer, utc_now(), note=text)
            for text, pixels in zip(HOSTILE, hashes, strict=True)
        )
    log.close()
    return written


@pytest.fixture
def serve(tmp_path):
    """Starts a curator and gives its port; what it writes to standard error goes to `<tmp_path>/server.log`."""
    running = []

    def run(manifest, **changes):
        port = free_port()
        settings = Settings(manifest=str(manifest.path), db=str(tmp_path / "decisions.sqlite"), **changes)
        running.append(launch.start(settings, port))
        return port

    yield run
    for process in running:
        launch.stop(process)


def ask(port, path, method="GET", **headers):
    """One request, its path sent exactly as it is written; gives status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


# -- text stays text --------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_ids_notes_and_names_from_data_are_text_on_every_page(hostile, serve):
    port = serve(hostile, reviewer=HOSTILE[0], queue="sample")
    with chromium() as browser:
        page = new_page(browser, f"http://127.0.0.1:{port}")
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.get_by_text("of 6 decided").wait_for()
        for _ in HOSTILE:  # all are decided, so the reviewer begins behind the last one
            page.wait_for_timeout(300)
            page.keyboard.press("ArrowLeft")
            require_harmless(page)
        page.get_by_text("faces/", exact=False).first.wait_for()
        for link in page.get_by_test_id("stSidebarNavLink").all():
            link.click()
            page.wait_for_timeout(3000)
            require_harmless(page)
        assert not said
        assert [url for url in asked if not url.startswith((f"http://127.0.0.1:{port}/", "data:", "blob:"))] == []


def require_harmless(page):
    """Nothing of HOSTILE became an element or ran."""
    assert page.evaluate("window.hit") is None
    assert page.locator("img[src=x], svg[onload], a[href^=javascript], img[src^=http]").count() == 0


@pytest.mark.browser
def test_script_that_did_get_into_a_page_would_not_run_and_reach_nobody(hostile, serve):
    """The second wall: what the headers forbid, tried by writing markup into the page by hand."""
    port = serve(hostile, reviewer="ada")
    with chromium() as browser:
        page = new_page(browser, f"http://127.0.0.1:{port}")
        page.get_by_text("of 6 decided").wait_for()
        outside = []
        page.on("requestfinished", lambda request: outside.append(request.url))
        page.evaluate("""() => {
            const place = document.createElement("div");
            place.innerHTML = '<img src="data:," onerror="window.hit=1"><img src="http://127.0.0.1:9/x.png">';
            document.body.append(place);
            const script = document.createElement("script");
            script.textContent = "window.hit=1";
            document.body.append(script);
        }""")
        page.wait_for_timeout(500)
        assert page.evaluate("window.hit") is None and not [url for url in outside if ":9/" in url]
        refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => '', (error) => error.message)")
        assert "Failed to fetch" in refused
        framed = new_page(browser, "about:blank")
        framed.set_content(f'<iframe src="http://127.0.0.1:{port}/"></iframe>')
        framed.wait_for_timeout(1000)
        assert framed.frames[-1].evaluate("document.body.innerText.includes('decided')") is False


# -- no way out of the server, no way in from elsewhere ---------------------------------------------------------------


def test_no_route_serves_a_file_outside(hostile, serve):
    port = serve(hostile)
    wanted = [hostile.path, *(hostile.root / name for name in ("private.txt", "decisions.sqlite"))]
    wanted += [*(hostile.root / "stores").rglob("*.arrow"), Path(launch.__file__), Path("/etc/passwd")]
    contents = [path.read_bytes()[:64] for path in wanted]
    tried = 0
    for path in wanted:
        up = "../" * 12 + str(path).lstrip("/")
        shapes = [up, up.replace("../", "%2e%2e/"), up.replace("../", "..%2f"), up.replace("/", "%2f"), f"/{path}"]
        shapes += [up.replace("/", "\\"), up.replace("../", "....//"), f"%00/{up}", f"{up}%00.png", f"file://{path}"]
        for route in ("", "static/", "media/", "component/x/", "_stcore/bidi-components/x/", "app/static/", "_stcore/"):
            for shape in shapes:
                _, _, body = ask(port, f"/{route}{shape}")
                assert not [start for start in contents if start in body] and MARK.encode() not in body, (route, shape)
                tried += 1
    assert tried == 70 * len(wanted)


@pytest.mark.parametrize(
    "path",
    [
        "/component/x/index.html",
        "/app/static/x",
        "/_stcore/upload_file/a/b",
        "/_stcore/metrics",
        "/_stcore/agent/openapi.json",
        "/_stcore/bidi-components/x/y.js",
    ],
)
def test_routes_that_nobody_needs_are_closed(served, path):
    assert ask(served, path)[0] == 404


def test_a_cut_line_does_not_shut_the_page_off_and_no_page_elsewhere_may_hold_it(served):
    status, headers, body = ask(served, "/_stcore/host-config")
    told = json.loads(body)
    assert status == 200 and told["blockErrorDialogs"] is True and told["allowedOrigins"] == []
    assert headers["cache-control"] == "no-store" and "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One curator for the tests that only ask it for something."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "fer.toml").write_text("")
    with StoreWriter("one", folder, licence=licenses.DRAWN.as_dict(), source="one") as writer:
        writer.add(Sample("0", np.zeros((8, 8), np.uint8), None, None, "train", "row 0", {}))
        store = f"stores/{writer.close().path.name}"
    frame = manifest.new_rows(
        1, sample_id=["one/0"], store=store, store_row=[0], label="fear", split="train", group_id=[0], origin="real"
    )
    written = manifest.write(
        frame, folder / "manifests/one", label_set="basic7", command="test", licence=licenses.DRAWN.as_dict()
    )
    port = free_port()
    process = launch.start(Settings(manifest=str(written.path)), port)
    yield port
    launch.stop(process)


def test_only_reading_methods_are_answered(served):
    assert {ask(served, "/", method)[0] for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS")} == {405}
    assert ask(served, "/", "HEAD")[0] == ask(served, "/")[0] == 200


def test_another_name_for_this_machine_is_refused(served):
    """DNS rebinding: a page elsewhere points its own name at 127.0.0.1."""
    for name in ("evil.example.org", "127.0.0.1.evil.example.org", "127.0.0.1@evil.example.org", "[bad", ""):
        assert ask(served, "/", Host=name)[0] == 403
    assert ask(served, "/_stcore/health", Host=f"localhost:{served}")[0] == 200
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{served}/_stcore/stream", additional_headers={"Host": "evil.example.org"}).close()


def test_a_page_elsewhere_cannot_open_a_session(served):
    url = f"ws://127.0.0.1:{served}/_stcore/stream"
    for origin in ("http://evil.example.org", "http://localhost:3000", "null"):
        with pytest.raises(InvalidStatus):
            connect(url, origin=origin)
    connect(url, origin=f"http://127.0.0.1:{served}").close()


def test_xsrf_protection_is_on(served):
    status, headers, _ = ask(served, "/_stcore/health")
    assert status == 200 and "_streamlit_xsrf=" in headers["Set-Cookie"]


def test_what_is_not_a_script_of_streamlit_is_never_kept(served):
    _, headers, page = ask(served, "/")
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy and "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    script = re.search(rb'src="\.(/static/js/[^"]+)"', page).group(1).decode()
    assert "immutable" in ask(served, script)[1]["Cache-Control"]
    assert ask(served, "/media/x.png")[1]["Cache-Control"] == "no-store"


def test_a_proxy_may_change_the_host_but_not_the_origin():
    gate = Gate(app=None, hosts=["127.0.0.1"], url="https://curator.example.org/")

    def refusal(host, origin):
        headers = [(b"host", host), (b"origin", origin)]
        return gate._refusal({"type": "websocket", "headers": headers, "path": "/_stcore/stream"})

    assert refusal(b"127.0.0.1:8501", b"https://curator.example.org") is None
    assert refusal(b"127.0.0.1:8501", b"https://evil.example.org") == 403
    assert refusal(b"evil.example.org", b"http://evil.example.org") == 403


# -- sessions keep to themselves --------------------------------------------------------------------------------------


@pytest.mark.browser
def test_sessions_do_not_see_each_others_drafts(hostile, serve):
    port = serve(hostile, queue="sample")
    with chromium() as browser:
        ada, bo = (new_page(browser, f"http://127.0.0.1:{port}") for _ in range(2))
        for page, name in ((ada, "ada"), (bo, "bo")):
            page.get_by_label("Reviewer").fill(name)
            page.keyboard.press("Enter")
            page.get_by_text("0 of 6 decided").wait_for()
        ada.get_by_placeholder(re.compile("^Note")).fill("a draft of Ada's")
        ada.wait_for_timeout(1000)
        bo.reload()
        assert bo.get_by_label("Reviewer").input_value() == ""  # a new session knows nothing of an old one
        bo.get_by_label("Reviewer").fill("bo")
        bo.keyboard.press("Enter")
        bo.get_by_text("0 of 6 decided").wait_for()
        assert bo.get_by_placeholder(re.compile("^Note")).input_value() == ""
        assert "draft" not in bo.content() and bo.evaluate("Object.keys(sessionStorage).join()").count("ada") == 0
    assert {event.reviewer for event in DecisionLog(hostile.root / "decisions.sqlite").events()} <= set(HOSTILE)


# -- faces stay in memory ---------------------------------------------------------------------------------------------

FIND_PICTURES = """() => {
    const found = new Set();
    const look = (root) => {
        for (const one of root.querySelectorAll("*")) {
            for (const text of [one.src, one.style?.backgroundImage]) {
                const match = /data:image\\/[a-z]+;base64,[^"')]+/.exec(text ?? "");
                if (match) found.add(match[0]);
            }
            if (one.shadowRoot) look(one.shadowRoot);
        }
    };
    look(document);
    return [...found];
}"""


@pytest.mark.browser
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to follow where the server's output goes")
def test_faces_are_not_on_the_disk_after_a_session(hostile, tmp_path, monkeypatch, capfd):
    profile = tmp_path / "profile"
    scratch = Path(tempfile.mkdtemp(prefix="fer-"))  # short: Chromium puts a socket there
    monkeypatch.setenv("TMPDIR", str(scratch))
    port = free_port()
    settings = Settings(
        manifest=str(hostile.path), db=str(tmp_path / "decisions.sqlite"), reviewer="ada", queue="sample"
    )
    process = launch.start(settings, port)
    pictures = set()
    try:
        with chromium(profile) as context:
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.goto(f"http://127.0.0.1:{port}")
            page.get_by_text("0 of 6 decided").wait_for()
            for count in range(1, 4):
                wait_for_face(page)
                pictures |= set(page.evaluate(FIND_PICTURES))
                page.keyboard.press("k")
                page.get_by_text(f"{count} of 6 decided").wait_for()
            page.wait_for_timeout(1000)
    finally:
        launch.stop(process)
    assert len(pictures) >= 3
    captured = "".join(capfd.readouterr())
    traces = [trace for picture in pictures for trace in traces_of(picture)]
    assert not [trace for trace in traces if trace in captured.encode()]
    places = (profile, scratch, Path("/dev/shm"))
    files = [path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 20  # the profile was really written
    assert [path for path in files if any(trace in readable(path) for trace in traces)] == []
    planted = scratch / "planted"
    planted.write_bytes(b"." * 99 + base64.b64decode(next(iter(pictures)).partition(",")[2]))
    assert any(trace in readable(planted) for trace in traces)  # the search does find what is there
    shutil.rmtree(scratch)


def traces_of(picture):
    """What a stored copy of a data URI would hold: a stretch of its text, and of the bytes that the text stands for."""
    text = picture.partition(",")[2]
    bytes_ = base64.b64decode(text)
    return text[len(text) // 2 :][:32].encode(), bytes_[len(bytes_) // 2 :][:24]


def readable(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


# -- passwords --------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_database_password_is_nowhere_to_be_seen(hostile, capfd):
    postgresql = pytest.importorskip("postgresql", reason="install the extra `postgres` to test with PostgreSQL")
    programs = postgresql.find_programs()
    if programs is None:
        pytest.skip("install PostgreSQL (apt-get install postgresql) to test with it")
    password = "pw-0815-not-to-be-seen"
    with postgresql.running(programs) as database:
        url = database.new_database().replace("fer@", f"fer:{password}@")
        port = free_port()
        told = []
        process = launch.start(Settings(manifest=str(hostile.path), db=url, reviewer="ada", queue="sample"), port)
        try:
            for name in ("cmdline", "environ"):
                told.append(Path(f"/proc/{process.pid}/{name}").read_bytes().decode("latin-1"))
            with chromium() as browser:
                page = new_page(browser, f"http://127.0.0.1:{port}")
                wait_for_face(page)
                database.stop("immediate")
                page.keyboard.press("k")
                page.get_by_text("NOT saved").first.wait_for()
                told += [page.content(), page.evaluate("document.body.innerText")]
                told += page.get_by_text("NOT saved").all_inner_texts()
                told.append(page.evaluate("JSON.stringify({...sessionStorage})"))
                database.start()
                with closing(DecisionLog(url)) as log:
                    until(lambda: [event.reviewer for event in log.events()] == ["ada"])
        finally:
            launch.stop(process)
    told += capfd.readouterr()
    assert [words for words in told if password in words] == []
