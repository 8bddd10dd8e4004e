"""A reviewer at the curator's page: a real Chromium whose keys are pressed by Playwright.

The page is asked nothing but what it shows: the attributes `data-showing`, `data-row`, `data-page` and `data-outbox`
of the panel, and what it keeps in sessionStorage. A face counts as shown once its picture is decoded and a frame with
it has been painted; a key was pressed when the browser says so (`KeyboardEvent.timeStamp`).
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import TimeoutError as PlaywrightTimeout

PANEL = ".review"
SHOWING = f"{PANEL}[data-showing=face]"
LOOK_MS = 130  # the page takes no decision on a face that was on the screen for less than 100 ms
PRESSES, PATIENCE_MS = 5, 2000  # of a reviewer whose key was not taken

_PROBE = """(panel) => {
  const probe = window.ferProbe = { shown: [], saved: [], told: [] };
  let pressed = null, unsaved = null;
  const tell = () => {
    probe.told = probe.told.filter(([list, count, done]) => probe[list].length < count || done());
  };
  const painted = (act) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = act;
    channel.port2.postMessage(null);
  });
  window.addEventListener("keydown", (event) => { pressed = event.timeStamp; unsaved ??= event.timeStamp; }, true);
  new MutationObserver((changes) => {
    const names = new Set(changes.map((change) => change.attributeName));
    if (pressed !== null && (names.has("data-row") || names.has("data-page"))) {
      const at = pressed;
      pressed = null;
      const done = () => painted(() => { probe.shown.push(performance.now() - at); tell(); });
      const picture = panel.querySelector("img.face");
      picture && panel.dataset.layout === "single" ? picture.decode().then(done, done) : done();
    }
    if (panel.dataset.outbox === "0" && names.has("data-outbox") && unsaved !== null) {
      probe.saved.push(performance.now() - unsaved);
      unsaved = null;
      tell();
    }
  }).observe(panel, { attributes: true });
}"""
_WAIT = """([list, count]) => window.ferProbe[list].length >= count
  || new Promise((done) => window.ferProbe.told.push([list, count, () => (done(true), false)]))"""
_PENDING = """() => Object.keys(sessionStorage).filter((key) => key.startsWith("fer-outbox-"))
  .flatMap((key) => JSON.parse(sessionStorage.getItem(key))?.events ?? []).map((event) => event.row)"""


@asynccontextmanager
async def browsing(count: int = 1) -> AsyncIterator[list[Browser]]:
    """So many Chromiums, closed at the end."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as driver:
        browsers = [
            await driver.chromium.launch(executable_path=path, args=["--no-sandbox"], handle_sigint=False)
            for _ in range(count)
        ]
        yield browsers
        for browser in browsers:
            await browser.close()


class ReviewPage:
    """One page with the curator.

    Attributes:
        page: Playwright's page.
        faces: what was decided, in order: (row of the manifest, key).
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faces: list[tuple[int, str]] = []
        self._shown = 0

    @classmethod
    async def open(cls, browser: Browser, url: str, name: str | None = None) -> "ReviewPage":
        """Open the curator in a fresh tab, and wait until the first face is painted; arguments as for `visit`."""
        made = await cls.blank(browser)
        await made.visit(url, name)
        return made

    @classmethod
    async def blank(cls, browser: Browser) -> "ReviewPage":
        """An empty tab of 1280x720 that shares nothing with others, no cache either."""
        context = await browser.new_context(viewport={"width": 1280, "height": 720})
        made = cls(await context.new_page())
        made.page.set_default_timeout(60_000)
        return made

    async def visit(self, url: str, name: str | None = None) -> None:
        """Open the curator in this tab, and wait until the first face is painted.

        Args:
            name: what to write into the field for the reviewer's name; None where the server was told.
        """
        await self.page.goto(url)
        if name is not None:
            field = self.page.get_by_label("Reviewer", exact=True)
            await field.fill(name)
            await field.press("Enter")
        await self.wait_for_face()
        await self.page.evaluate("() => document.activeElement?.blur()")  # a key in the field would be its text

    async def wait_for_face(self) -> None:
        """Wait until a face is painted, and begin to measure."""
        await self.page.locator(SHOWING).wait_for()
        await self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        await self.watch()

    async def watch(self) -> None:
        """Begin to measure, with no key pressed so far."""
        await self.page.locator(PANEL).evaluate(_PROBE)
        self._shown = 0

    async def by_the_page(self) -> None:
        """Turn to a page of faces at a time."""
        await self.page.get_by_text("A page at a time", exact=True).click()
        await self.page.locator(f"{SHOWING}[data-layout=page]").wait_for()
        await self.watch()

    async def look(self, milliseconds: float) -> None:
        """Do nothing but look, for so long after the face was painted."""
        await self.page.wait_for_timeout(max(milliseconds, LOOK_MS))

    async def row(self) -> int:
        """The row of the face on the screen."""
        return int(await self.attribute("row"))

    async def attribute(self, name: str) -> str:
        """What the panel says of itself."""
        return str(await self.page.locator(PANEL).get_attribute(f"data-{name}"))

    async def decide(self, key: str) -> None:
        """Press a key that decides the face on the screen, and wait until another one is painted in its place."""
        self.faces.append((await self.row(), key))
        await self.turn(key)

    async def decide_at_last(self, key: str) -> int:
        """The same where the line may just have come back: Streamlit then builds the panel anew, and the page takes no
        key on a face that was not on the screen long enough. Presses until another face is there; tells how often."""
        row = await self.row()
        self.faces.append((row, key))
        for presses in range(1, PRESSES + 1):
            await self.page.keyboard.press(key)
            try:
                await self.page.locator(f"{SHOWING}:not([data-row='{row}'])").wait_for(timeout=PATIENCE_MS)
            except PlaywrightTimeout:
                continue
            return presses
        raise RuntimeError(f"the page took no {key!r} on the face of row {row}, pressed {PRESSES} times")

    async def turn(self, key: str) -> None:
        """Press a key that brings up another face or page, and wait until it is painted."""
        await self.page.keyboard.press(key)
        self._shown += 1
        await self.page.evaluate(_WAIT, ["shown", self._shown])

    async def wait_until_saved(self) -> None:
        """Wait until the page says that all is saved."""
        await self.page.locator(f"{PANEL}[data-outbox='0']").wait_for()

    async def wait_for_words(self, words: str) -> None:
        """Wait until the page says something of how saving goes."""
        await self.page.locator(f"{PANEL} [role=status]", has_text=words).wait_for()

    async def unsaved_rows(self) -> set[int]:
        """Rows whose decisions the page keeps since it was not told yet that they are saved."""
        return set(await self.page.evaluate(_PENDING))

    async def times(self, what: str) -> list[float]:
        """Milliseconds from each key to the next face ("shown"), or to all being saved ("saved")."""
        found: dict[str, Any] = await self.page.evaluate("() => ({...window.ferProbe, told: []})")
        return [float(value) for value in found[what]]
