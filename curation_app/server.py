"""The server process: `python -m curation_app.server`, started by `process.begin` and ended with who called it.

Its orders come as one line of JSON on standard input, because a command line and an environment can be read by others.
The input stays open as long as `fer curate` lives: when it ends, the server ends too, however it was killed.
One line on standard output answers that it serves. What it opens was opened by whoever gives the orders, meanwhile.
"""

import contextlib
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any

ENDING_SECONDS = 5

OPTIONS = {
    "secrets.files": [],  # those of other apps are none of ours
    "server.headless": True,  # no browser, no e-mail prompt
    "server.fileWatcherType": "none",
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "type",
    "runner.postScriptGC": False,  # it took nine tenths of the time of a decision; Python collects by itself
    "logger.level": "warning",
    "theme.base": "light",
    "theme.primaryColor": "#2b6cb0",
}


def main() -> int:
    """Serve until told to stop. Returns the exit status."""
    gc.disable()  # while modules are imported, nothing is thrown away
    answers = _take_stdout()

    import streamlit.web.server.starlette.starlette_app  # noqa: F401  # before the orders come

    from curation_app.settings import VARIABLE

    line = sys.stdin.readline()
    if not line:  # whoever started it thought better of it
        return 0
    orders = json.loads(line)
    threading.Thread(target=_end_with_launch, daemon=True).start()
    os.environ[VARIABLE] = json.dumps(orders["settings"])
    _serve(orders, lambda: _answer(answers))
    return 0


def _serve(orders: dict[str, Any], ready: Callable[[], None]) -> None:
    from starlette.middleware import Middleware
    from streamlit import App

    from curation_app.gate import Gate
    from curation_app.page_files import PageFiles

    @contextlib.asynccontextmanager
    async def lifespan(_: App) -> AsyncIterator[None]:
        ready()
        threading.Thread(target=_warm_up, daemon=True).start()
        yield

    app = App(
        Path(__file__).with_name("app.py"),
        secrets=orders["secrets"],
        lifespan=lifespan,
        middleware=[Middleware(Gate, hosts=orders["hosts"], url=orders["url"]), Middleware(PageFiles)],
    )
    place = {"server.address": orders["host"], "server.port": orders["port"]}
    app.run(config={**OPTIONS, **place})


def _warm_up() -> None:
    """Do for nobody what the first page does, while the browser still reads Streamlit's scripts."""
    from curation_app import navigation, reviewing  # noqa: F401
    from curation_app.settings import from_environment
    from fer_data.errors import FerError

    try:
        with contextlib.suppress(FerError):  # the page will tell
            reviewing.rehearse(from_environment())
    finally:
        gc.freeze()  # what is there by now stays, and is not looked through at every collection
        gc.enable()


def _take_stdout() -> IO[str]:
    """Standard output for the answer alone; whatever else is printed goes nowhere."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return answers


def _answer(answers: IO[str]) -> None:
    with contextlib.suppress(BrokenPipeError), answers:
        answers.write("serving\n")


def _end_with_launch() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ENDING_SECONDS)
    os._exit(1)  # decisions are on the disk already


if __name__ == "__main__":
    sys.exit(main())
