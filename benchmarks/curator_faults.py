"""What reviewers lose when the server is killed, the line is cut, and the disk is full.

    python benchmarks/curator_faults.py --manifest manifests/fer2013 [--quick] [--out docs/results/curator_faults.jsonl]

A scripted reviewer decides faces in a real Chromium. Fifty times the server is killed with SIGKILL right after a key,
two more faces are decided while it is gone, and it is started again; every second time the page is reloaded. Fifty
times every connection between browser and server is broken off right after a key. Then the disk that the log lies on
(a tmpfs of 2 MB; needs root) is filled while faces are decided, and freed again. After each kill the log is read
before the server starts again: what the page called saved must be in it. At the end everything that was decided must
be in it once.
"""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from curator_log import Kept, LogReader, Outcome
from curator_options import curator_parser, parse
from curator_page import ReviewPage, browsing
from curator_server import Faces, serving
from curator_wire import Wire
from measuring import figure, keep, tell
from million_faces import make_faces
from playwright.async_api import Browser

BENCH = "curator_faults"
KEYS = ("k", "4", "7", "u")
SEED = 20260101
WHO = "scripted"
DISK_MB = 2


def main() -> None:
    arguments = parse(curator_parser(__doc__, "two kills, three cuts"))
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        manifest = arguments.manifest or make_faces(Path(folder) / "drawn", 3000).path
        asyncio.run(measure(lines, Faces.of(manifest, arguments.audit), Path(folder), quick=arguments.quick))
    keep(lines, arguments.out)


async def measure(lines: list[str], faces: Faces, folder: Path, *, quick: bool) -> None:
    kills, cuts = (2, 3) if quick else (50, 50)
    reader = LogReader(faces.manifest)
    async with browsing() as (browser,):
        for name, times, trial in (("kill -9 and restart", kills, kill_often), ("connections cut", cuts, cut_often)):
            started = time.perf_counter()
            kept, unkept, decided = await trial(browser, faces, folder / f"{name.split()[0]}.sqlite", reader, times)
            seconds = time.perf_counter() - started
            tell_kept(lines, f"{times} x {name}", kept, decided, saved_but_lost=unkept, seconds=round(seconds, 1))
        await fill_disk(lines, browser, faces, folder, reader)


async def kill_often(browser: Browser, faces: Faces, log: Path, reader: LogReader, times: int) -> tuple[Kept, int, int]:
    """Kill the server again and again; returns the comparison at the end and what was called saved but was not."""
    rng = np.random.default_rng(SEED)
    unkept = 0
    with serving(faces, log, WHO) as server:
        page = await ReviewPage.open(browser, server.url)
        for number in range(times):
            await decide(page, int(rng.integers(2, 7)))
            server.kill()
            await decide(page, 2)
            unkept += await called_saved_but_lost(page, log, reader)
            server.start()
            if number % 2:
                await reload(page)
            await page.wait_until_saved()
        kept = reader.compare(log, {WHO: outcomes(page, reader)})
        decided = len(page.faces)
        await page.page.context.close()
    return kept, unkept, decided


async def cut_often(browser: Browser, faces: Faces, log: Path, reader: LogReader, times: int) -> tuple[Kept, int, int]:
    """Break the connections off again and again; returned is the same."""
    rng = np.random.default_rng(SEED)
    unkept = 0
    with serving(faces, log, WHO) as server:
        async with Wire(server.port).carrying() as wire:
            page = await ReviewPage.open(browser, wire.url)
            for _ in range(times):
                await decide(page, int(rng.integers(2, 5)))
                assert wire.cut()
                await decide(page, 1)
                unkept += await called_saved_but_lost(page, log, reader)
                await page.wait_until_saved()
            kept = reader.compare(log, {WHO: outcomes(page, reader)})
            decided = len(page.faces)
            await page.page.context.close()
    return kept, unkept, decided


async def fill_disk(lines: list[str], browser: Browser, faces: Faces, folder: Path, reader: LogReader) -> None:
    """Fill the disk while faces are decided, free it, and look what the page said meanwhile."""
    with small_disk(folder) as disk:
        if disk is None:
            tell(lines, figure(BENCH, "disk full", [0], "decisions", n=0, target="0", why="no right to mount a tmpfs"))
            return
        log, filler = disk / "decisions.sqlite", disk / "filler"
        with serving(faces, log, WHO) as server:
            page = await ReviewPage.open(browser, server.url)
            await decide(page, 3)
            await page.wait_until_saved()
            fill(filler)
            await decide(page, 5)
            await page.wait_for_words("NOT saved")
            waiting = len(await page.unsaved_rows())
            unkept = await called_saved_but_lost(page, log, reader)
            filler.unlink()
            await page.wait_until_saved()
            await reload(page)
            await decide(page, 3)
            await page.wait_until_saved()
            kept = reader.compare(log, {WHO: outcomes(page, reader)})
            tell_kept(lines, "disk full", kept, len(page.faces), saved_but_lost=unkept, told_unsaved=waiting)
            await page.page.context.close()


async def decide(page: ReviewPage, count: int) -> None:
    """Decide so many faces, as fast as the page takes them."""
    for _ in range(count):
        await page.look(0)
        await page.decide_at_last(KEYS[len(page.faces) % len(KEYS)])


async def reload(page: ReviewPage) -> None:
    """Load the page again, as a reviewer would who saw that something is wrong."""
    page.page.once("dialog", lambda dialog: dialog.accept())  # it warns where something is not saved
    await page.page.reload()
    await page.wait_for_face()


async def called_saved_but_lost(page: ReviewPage, log: Path, reader: LogReader) -> int:
    """How many decisions the page no longer keeps, though they are not in the log."""
    unsaved = await page.unsaved_rows()
    called = [one for one in outcomes(page, reader) if one[0] not in unsaved]
    return reader.compare(log, {WHO: called}).lost


def outcomes(page: ReviewPage, reader: LogReader) -> list[tuple[int, Outcome]]:
    return [(row, reader.outcome(key)) for row, key in page.faces]


def tell_kept(lines: list[str], name: str, kept: Kept, decided: int, *, saved_but_lost: int, **more: float) -> None:
    facts: dict[str, Any] = {"doubled": kept.doubled, "changed": kept.changed, "saved_but_lost": saved_but_lost, **more}
    facts |= {"target": "0", "reached": kept.faultless and not saved_but_lost}
    tell(lines, figure(BENCH, f"decisions lost, {name}", [kept.lost], "decisions", n=decided, **facts))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of its own of `DISK_MB`, or None where this user may not mount one."""
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(filler: Path) -> None:
    """Take all the room that is left."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


if __name__ == "__main__":
    main()
