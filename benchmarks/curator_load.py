"""Twenty reviewers at once, and what the server's memory does in a long day.

    python benchmarks/curator_load.py --manifest manifests/fer2013 [--part reviewers|memory] [--quick] [--out FILE]

`reviewers`: two Chromiums and 18 websocket clients that speak the page's protocol, 500 decisions each, all on one log,
at 40 decisions a minute each, twice of what is asked, so that it takes half the time. Afterwards every decision is
looked up in the log. `saved` runs from the decision to the server's word that it is on the disk.
`memory`: one reviewer decides 5,000 faces one by one, another decides 500 pages of 64 in a Chromium; the server's
memory, without the pages of mapped files (the store), is taken after the first 50 decisions and 5 pages and at the
end; --decisions asks for fewer of both. Server, browsers and clients share the machine.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
from curator_log import LogReader, Outcome
from curator_options import curator_parser, parse
from curator_page import ReviewPage, browsing
from curator_server import Faces, serving
from curator_socket import SocketReviewer
from measuring import figure, keep, tell
from million_faces import make_faces

BENCH = "curator_load"
KEYS = ("k", "4", "7", "u")
PACE = 40  # decisions a minute
ASKED_PACE = 20
SAVED_MS, GROWTH_MB = 500, 50
PARTS = ("reviewers", "memory")


def main() -> None:
    parser = curator_parser(__doc__, "five reviewers, ten decisions each; ten pages")
    parser.add_argument("--part", choices=PARTS, help="only this; default both")
    parser.add_argument("--decisions", type=int, help="of the memory's part, default 5000; a tenth as many pages")
    arguments = parse(parser)
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        manifest = arguments.manifest or make_faces(Path(folder) / "drawn", 3000).path
        faces = Faces.of(manifest, arguments.audit)
        if arguments.part in (None, "reviewers"):
            asyncio.run(measure_reviewers(lines, faces, Path(folder) / "load.sqlite", quick=arguments.quick))
        if arguments.part in (None, "memory"):
            decisions = arguments.decisions or (40 if arguments.quick else 5000)
            asyncio.run(measure_memory(lines, faces, Path(folder) / "memory.sqlite", decisions))
    keep(lines, arguments.out)


async def measure_reviewers(lines: list[str], faces: Faces, log: Path, *, quick: bool) -> None:
    browsers, clients, decisions = (1, 4, 10) if quick else (2, 18, 500)
    reader = LogReader(faces.manifest)
    with serving(faces, log) as server:
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(browsing(browsers))
            pages = [
                await ReviewPage.open(browser, server.url, f"browser {number}") for number, browser in enumerate(opened)
            ]
            sockets = [SocketReviewer(server.url, f"client {number}") for number in range(clients)]
            for client in sockets:
                await client.open()
                stack.push_async_callback(client.close)
            async with asyncio.TaskGroup() as group:
                for number, reviewer in enumerate([*pages, *sockets]):
                    group.create_task(_review(reviewer, reader, decisions, number))
            for page in pages:
                await page.wait_until_saved()
            saved = [value for one in sockets for value in one.saved_ms]
            saved += [value for page in pages for value in await page.times("saved")]
            shown = [value for page in pages for value in await page.times("shown")]
    pressed: dict[str, list[tuple[int, Outcome]]] = {
        f"browser {number}": [(row, reader.outcome(key)) for row, key in page.faces]
        for number, page in enumerate(pages)
    }
    pressed |= {one.name: [(row, (action, label)) for _, row, action, label in one.decided] for one in sockets}
    kept = reader.compare(log, pressed)
    count = sum(len(one) for one in pressed.values())
    facts = {"reviewers": len(pressed), "pace": PACE, "asked_pace": ASKED_PACE, "changed": kept.changed}
    for name, value in (("lost", kept.lost), ("doubled", kept.doubled)):
        reached = value == 0 and not kept.changed
        tell(
            lines,
            figure(BENCH, f"decisions {name}", [value], "decisions", n=count, target="0", reached=reached, **facts),
        )
    tell(lines, _p95("decision to saved", saved, SAVED_MS))
    tell(lines, _p95("key to next face, in the browsers meanwhile", shown, None))


async def _review(reviewer: ReviewPage | SocketReviewer, reader: LogReader, decisions: int, number: int) -> None:
    """Decide at an even pace; everybody begins at another moment."""
    clock = asyncio.get_running_loop()
    begin = clock.time() + number * 60 / PACE / 20
    for step in range(decisions):
        await asyncio.sleep(max(0.0, begin + step * 60 / PACE - clock.time()))
        key = KEYS[step % len(KEYS)]
        if isinstance(reviewer, ReviewPage):
            await reviewer.decide(key)
        else:
            await reviewer.decide(*reader.outcome(key))


async def measure_memory(lines: list[str], faces: Faces, log: Path, decisions: int) -> None:
    warm_decisions, warm_pages = (5, 2) if decisions < 500 else (50, 5)
    pages = max(2, decisions // 10)
    with serving(faces, log, "page") as server:
        async with browsing() as (browser,):
            page = await ReviewPage.open(browser, f"{server.url}/?queue=all")
            await page.by_the_page()
            client = SocketReviewer(server.url, "single", "all")
            await client.open()
            await _work(page, client, warm_pages, warm_decisions)
            before = server.memory_mb()
            await _work(page, client, pages, decisions)
            grown = server.memory_mb() - before
            await client.close()
    name = f"server memory after {decisions:,} decisions and {pages} pages"
    reached = grown < GROWTH_MB
    facts = {"target": f"grows by < {GROWTH_MB} MB", "reached": reached, "before_mb": round(before, 1)}
    tell(lines, figure(BENCH, name, [grown], "MB", n=decisions + pages, digits=1, **facts))


async def _work(page: ReviewPage, client: SocketReviewer, pages: int, decisions: int) -> None:
    """Decide pages and single faces, both as fast as they come."""

    async def turn() -> None:
        for _ in range(pages):
            await page.look(0)
            await page.turn("k")
        await page.wait_until_saved()

    async def decide() -> None:
        for _ in range(decisions):
            await client.decide("keep")

    await asyncio.gather(turn(), decide())


def _p95(name: str, values: Sequence[float], limit_ms: float | None) -> dict[str, object]:
    value = float(np.percentile(values, 95))
    target, reached = (None, None) if limit_ms is None else (f"p95 < {limit_ms:g} ms", value < limit_ms)
    made = figure(BENCH, name, values, "ms", n=len(values), target=target, reached=reached, digits=1)
    return {**made, "value": round(value, 1), "p50": round(float(np.median(values)), 1), "p95": round(value, 1)}


if __name__ == "__main__":
    main()
