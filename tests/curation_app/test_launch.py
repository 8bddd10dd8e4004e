"""`fer curate`: where it listens, what it refuses, and that its server never outlives it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from chromium import free_port
from typer.testing import CliRunner
from websockets.sync.client import connect

import curation_app
from curation_app import launch
from curation_app.process import ENDING_SECONDS, begin, stop
from curation_app.settings import VARIABLE, Settings, without_settings
from fer_cli import app
from fer_data.errors import FerError

ROOT = Path(curation_app.__file__).parent.parent
PASSWORD = "pw-4711-not-to-be-seen"


def is_served(port):
    with socket.socket() as probe:
        return probe.connect_ex((launch.HOST, port)) == 0


def wait_until_gone(process, port):
    ends = time.monotonic() + 30
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < ends:
        time.sleep(0.05)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert not is_served(port)


def test_launch_tells_where_and_ends_when_it_is_terminated(project, audit):
    told = []

    def end(words):
        told.append(words)
        os.kill(os.getpid(), signal.SIGTERM)  # what a service manager does

    port = free_port()
    assert launch.launch(project.path, audit, port=port, reviewer="ada", tell=end) in (0, -signal.SIGTERM)
    assert f"curator at http://127.0.0.1:{port}" in told[0] and str(project.root / "decisions.sqlite") in told[0]
    assert not is_served(port)


def test_a_killed_fer_curate_leaves_no_server_behind(project):
    port = free_port()
    command = [sys.executable, "-m", "fer_cli", "curate", str(project.path), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ROOT}) as fer:
        assert "curator at" in fer.stdout.readline()
        (server,) = psutil.Process(fer.pid).children()
        assert is_served(port)
        fer.kill()
    wait_until_gone(server, port)


def hear_ctrl_c():
    """A shell that runs the tests in the background lets its children ignore SIGINT; a terminal does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_in_the_terminal_ends_it_in_silence(project):
    command = [sys.executable, "-m", "fer_cli", "curate", str(project.path), "--port", str(free_port())]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    fer = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ROOT}, preexec_fn=hear_ctrl_c, **pipes)
    try:
        assert "curator at" in fer.stdout.readline()
        (server,) = psutil.Process(fer.pid).children()
        for _ in range(2):  # whoever is in a hurry presses twice
            os.killpg(fer.pid, signal.SIGINT)
            time.sleep(0.05)
        assert fer.communicate(timeout=60) == ("", "") and fer.returncode == 0
    finally:
        fer.kill()  # its server ends with it
        fer.communicate()
    assert not server.is_running()


def test_what_is_wrong_is_told_in_the_terminal_and_nothing_keeps_running(project, audit, tmp_path):
    children = psutil.Process().children()
    with pytest.raises(FerError, match="nowhere"):
        launch.launch("nowhere", port=free_port())
    (tmp_path / "text.sqlite").write_text("no database " * 100)
    with pytest.raises(FerError, match="decision log .* cannot be opened"):
        launch.launch(project.path, audit, tmp_path / "text.sqlite", free_port())
    assert psutil.Process().children() == children


def test_a_port_that_is_taken_is_refused(project, settings, monkeypatch):
    with socket.socket() as holder:
        holder.bind((launch.HOST, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(FerError, match=f"port {taken} .* is taken"):
            launch.launch(project.path, port=taken)
        with pytest.raises(FerError, match="did not start"):
            launch.start(settings, taken)
    monkeypatch.setattr(launch, "_is_free", lambda host, port: False)
    with pytest.raises(FerError, match="no port from 8501"):
        launch.launch(project.path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "curator.example.org"])
def test_without_sign_in_no_other_address_is_listened_on(project, host):
    with pytest.raises(FerError, match=r"let reviewers sign in \(--oidc FILE\), or insist with --insecure-public"):
        launch.launch(project.path, host=host)


def test_the_command_line_refuses_in_one_sentence(project):
    told = CliRunner().invoke(app, ["curate", str(project.path), "--host", "0.0.0.0"])
    assert isinstance(told.exception, FerError) and "--insecure-public" in str(told.exception)
    url = f"postgresql+psycopg://ada:{PASSWORD}@127.0.0.1:1/log"
    told = CliRunner().invoke(app, ["curate", str(project.path), "--db", url])
    assert isinstance(told.exception, FerError) and "FER_DB" in str(told.exception)
    assert PASSWORD not in str(told.exception)
    told = CliRunner().invoke(app, ["curate", str(project.path), "--db", "postgresql+psycopg://h/log?password=x"])
    assert isinstance(told.exception, FerError) and "FER_DB" in str(told.exception)


def test_who_insists_is_public_and_any_name_of_the_machine_is_answered(settings):
    public = settings.model_copy(update={"public": True})
    assert launch.orders(public, 8501, "0.0.0.0")["hosts"] == []
    assert launch.orders(settings, 8501, launch.HOST)["hosts"] == ["127.0.0.1", "::1", "localhost"]
    assert launch.page_url(settings, 8501, "::1") == "http://[::1]:8501"
    assert launch.is_loopback("127.0.0.3") and not launch.is_loopback("10.0.0.1")


def test_insecure_public_listens_where_it_is_told(project):
    told = []

    def end(words):
        told.append(words)
        os.kill(os.getpid(), signal.SIGTERM)

    port = free_port()
    launch.launch(project.path, port=port, host="0.0.0.0", insecure_public=True, tell=end)
    assert f"http://0.0.0.0:{port}" in told[0]


def test_neither_command_line_nor_environment_of_a_running_server_holds_the_password(settings, tmp_path):
    # A decision log in SQLite has no password; the name of its file stands for the URL that has one.
    secret = settings.model_copy(update={"db": str(tmp_path / f"{PASSWORD}.sqlite")})
    port = free_port()
    process = launch.start(secret, port)
    try:
        ran = psutil.Process(process.pid)
        assert PASSWORD not in " ".join(ran.cmdline()) + str(ran.environ())
    finally:
        launch.stop(process)
    assert PASSWORD not in repr(secret)
    assert without_settings({VARIABLE: "x", "HOME": "h"}) == {"HOME": "h"}


def test_a_password_that_is_wrong_is_not_repeated(project):
    with pytest.raises(FerError) as refused:
        launch.launch(project.path, db=f"postgresql+psycopg://ada:{PASSWORD}@127.0.0.1:1/log", port=free_port())
    assert "decision log" in str(refused.value) and PASSWORD not in str(refused.value)


def test_sign_in_without_its_package_is_told(project, monkeypatch):
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FerError, match=r"Authlib is not installed; pip install 'fer-data-studio\[team\]'"):
        launch.launch(project.path, oidc="oidc.toml")


def test_a_server_that_nobody_tells_what_to_serve_ends():
    process = begin()
    process.stdin.close()
    assert process.wait(60) == 0
    stop(process)


def test_a_server_with_an_open_page_ends_soon(project, settings):
    port = free_port()
    process = launch.start(settings, port)
    with connect(f"ws://127.0.0.1:{port}/_stcore/stream"):
        started = time.monotonic()
        launch.stop(process)
    assert time.monotonic() - started < ENDING_SECONDS and not is_served(port)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="public"):
        Settings(manifest="m", public="maybe")
