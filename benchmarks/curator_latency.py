"""How long a reviewer waits: for the first page, for the next face, for the next page of 64, with a million faces too.

    python benchmarks/curator_latency.py --manifest manifests/fer2013 [--million manifests/faces] [--quick] [--out FILE]

A real `fer curate`, a real Chromium, both on this machine. `first page` runs from the start of the command to the
first face painted in a browser that is open already. A key is timed by the browser, from the press to the frame in
which the next face (or page) is painted. Between two keys the reviewer looks, 250 ms in single review and 600 ms at a
page, less than people need; `decisions a minute` is with half a second. The million faces are drawn ones, made by
`million_faces.py` into a temporary folder (minutes) unless a manifest is named; --quick draws 3,000 faces for both.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from curator_options import curator_parser, parse
from curator_page import ReviewPage, browsing
from curator_server import CuratorServer, Faces, serving
from measuring import figure, keep, tell
from million_faces import make_faces
from playwright.async_api import Browser

from fer_data import manifest as manifests

BENCH = "curator_latency"
KEYS = ("k", "4", "7", "u")  # keep, two labels, unsure: what a reviewer presses, in turn
LOOK_MS, PAGE_LOOK_MS, SLOW_LOOK_MS = 250, 600, 500
MOST_RATIO = 1.2
WHO = "benchmark"


def main() -> None:
    parser = curator_parser(__doc__, "few keys, drawn faces")
    parser.add_argument("--million", type=Path, help="manifest of a million faces; made if left out")
    arguments = parse(parser)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows = 3000 if arguments.quick else 10**6
        drawn = None if arguments.million and arguments.manifest else make_faces(folder / "drawn", rows).path
        real = Faces.of(arguments.manifest or drawn, arguments.audit)
        many = Faces.of(arguments.million or drawn)
        lines: list[str] = []
        asyncio.run(measure(lines, real, many, folder, quick=arguments.quick))
    keep(lines, arguments.out)


async def measure(lines: list[str], real: Faces, many: Faces, folder: Path, *, quick: bool) -> None:
    """All figures, of the real set and of the many faces; the two take turns, so that both meet the same machine."""
    keys, pages, starts = (10, 4, 1) if quick else (100, 20, 3)
    rounds = 1 if quick else 3
    names = [f"{len(manifests.read(faces.manifest)):,} faces" for faces in (real, many)]
    async with browsing() as (browser,):
        for name, faces, seconds in zip(names, (real, many), (3, 5), strict=True):
            firsts = [await first_page(browser, faces, folder / f"first-{name}-{run}") for run in range(starts)]
            tell(lines, limited(f"first page, {name}", firsts, "s", seconds, median=True))
        shown: list[list[float]] = [[], []]
        turned: list[list[float]] = [[], []]
        with serving(real, folder / "real.sqlite", WHO) as first, serving(many, folder / "many.sqlite", WHO) as second:
            for _ in range(rounds):
                for number, server in enumerate((first, second)):
                    shown[number] += await single(browser, server, keys, LOOK_MS)
                    turned[number] += await by_page(browser, server, pages)
            tell(lines, limited(f"key to next face, {names[0]}", shown[0], "ms", 150))
            tell(lines, compared(f"key to next face, {names[1]}", shown[1], shown[0]))
            for name, values in zip(names, turned, strict=True):
                tell(lines, limited(f"page of 64: key to next page, {name}", values, "ms", 300))
            tell(lines, await pace(browser, first, keys))


async def first_page(browser: Browser, faces: Faces, folder: Path) -> float:
    """Seconds from the command to the first face in a browser that is open, with an empty tab and an empty cache."""
    folder.mkdir()
    server = CuratorServer(faces, folder / "decisions.sqlite", WHO)
    review = await ReviewPage.blank(browser)
    started = time.perf_counter()
    try:
        server.start()
        await review.visit(server.url)
        seconds = time.perf_counter() - started
        await review.page.context.close()
    finally:
        server.stop()
    return seconds


async def single(browser: Browser, server: CuratorServer, keys: int, look_ms: float) -> list[float]:
    """Milliseconds from key to next face, of so many keys."""
    review = await ReviewPage.open(browser, server.url)
    await go_through(review, keys, look_ms)
    times = await review.times("shown")
    await review.page.context.close()
    return times


async def go_through(review: ReviewPage, keys: int, look_ms: float) -> None:
    """Decide so many faces one by one, and wait until all is saved."""
    for number in range(keys):
        await review.look(look_ms)
        await review.decide(KEYS[number % len(KEYS)])
    await review.wait_until_saved()


async def by_page(browser: Browser, server: CuratorServer, pages: int) -> list[float]:
    """Milliseconds from a key that decides a page of 64 to the next page."""
    review = await ReviewPage.open(browser, server.url)
    await review.by_the_page()
    for _ in range(pages):
        await review.look(PAGE_LOOK_MS)
        await review.turn("k")
    await review.wait_until_saved()
    times = await review.times("shown")
    await review.page.context.close()
    return times


async def pace(browser: Browser, server: CuratorServer, keys: int) -> dict[str, object]:
    """How many faces a minute are decided by one who looks for half a second at each, until all are saved."""
    review = await ReviewPage.open(browser, server.url)
    started = time.perf_counter()
    await go_through(review, keys, SLOW_LOOK_MS)
    rate = 60 * keys / (time.perf_counter() - started)
    await review.page.context.close()
    name = "decisions a minute, half a second's look"
    return figure(BENCH, name, [rate], "1/min", n=keys, target=">= 70", reached=rate >= 70, digits=1)


def compared(name: str, values: Sequence[float], others: Sequence[float]) -> dict[str, object]:
    """A figure whose 95th percentile is held against that of others."""
    p95, other_p95 = float(np.percentile(values, 95)), float(np.percentile(others, 95))
    made = limited(name, values, "ms", MOST_RATIO * other_p95)
    return {**made, "target": f"p95 < {MOST_RATIO} x that above", "ratio": round(p95 / other_p95, 2)}


def limited(name: str, values: Sequence[float], unit: str, limit: float, *, median: bool = False) -> dict[str, object]:
    """A figure with its 95th percentile (or median) below a limit."""
    value = float(np.median(values) if median else np.percentile(values, 95))
    target = f"{'' if median else 'p95 '}< {limit:g} {unit}"
    quantiles = {"p50": round(float(np.median(values)), 3), "p95": round(float(np.percentile(values, 95)), 3)}
    made = figure(BENCH, name, values, unit, n=len(values), target=target, reached=value < limit, **quantiles)
    return {**made, "value": round(value, 3)}


if __name__ == "__main__":
    main()
