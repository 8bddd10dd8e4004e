"""Takes the pictures of the curator's pages for docs/curator.md: `python docs/drawn/curator.py`.

Faces are drawn, a small classifier is trained and audits their labels, and two reviewers are simulated: what the pages
show is made with the verbs, as anybody would make it, in a temporary project. Needs Chromium and Playwright.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from curation_app import launch
from curation_app.collection import Collection
from curation_app.queues import build_queue
from curation_app.settings import Settings
from fer_data import manifest as manifests
from fer_data.decision_log import Decision, DecisionLog, new_event_id, utc_now

HERE = Path(__file__).parent
SIZE = {"width": 1280, "height": 720}
TALL = {"width": 1280, "height": 1240}
PREDICT = """
folds: 2
least_steps: 1
train: {model: thin_resnet10, size_px: 32, epochs: 30, batch_size: 64, evaluations: 1}
"""
PORT = 8599
REVIEWED = 60


def make_project(root: Path) -> Settings:
    """Draw faces, predict, audit, and let two reviewers decide on some."""
    (root / "fer.toml").write_text("")
    (root / "predict.yaml").write_text(PREDICT)
    for words in (
        "import procedural --count 1600 --seed 7 --out manifests/drawn",
        "predict manifests/drawn --explain --config predict.yaml",
        "audit manifests/drawn",
    ):
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
        subprocess.run([sys.executable, "-m", "fer_cli", *words.split()], cwd=root, env=environment, check=True)
    settings = Settings(
        manifest=str(root / "manifests/drawn"), audit=str(root / "audit/drawn.parquet"),
        db=str(root / "decisions.sqlite"), reviewer="ada",
    )  # fmt: skip
    with closing(DecisionLog(root / "decisions.sqlite")) as log:
        log.append(review(Collection(manifests.read(settings.manifest)), log))
    return settings


def review(collection: Collection, log: DecisionLog) -> list[Decision]:
    """Two reviewers who know the truth, one of them less often, on the suspected faces behind the first ones."""
    rows = build_queue(collection, log, "suspected").rows[64 : 64 + REVIEWED].tolist()
    truth = collection.manifest.facts(["true_label"])["true_label"].tolist()
    rng = np.random.default_rng(0)
    made = []
    for reviewer, knows in (("simulated:ben", 0.95), ("simulated:eve", 0.75)):
        for row in rows:
            face = collection.face(row)
            label = truth[row] if rng.random() < knows else str(rng.choice(collection.labels))
            said: dict[str, Any] = {"action": "keep"}
            if label != face.label:
                said = {"action": "relabel", "label": label} if label in collection.labels else {"action": "drop"}
            made.append(
                Decision(
                    new_event_id(), face.sample_id, face.pixel_sha256, collection.manifest.sha256, reviewer=reviewer,
                    time=utc_now(), elapsed_ms=int(rng.integers(500, 2500)), queue="suspected",
                    shown={"label": face.label, "suggestion": face.suggestion, "blind": False}, **said,
                )
            )  # fmt: skip
    return made


def photograph(page: Page, name: str) -> None:
    """Keep what the page shows once nothing on it moves."""
    page.wait_for_timeout(2500)
    page.screenshot(path=HERE / f"curator-{name}.png")


def visit(page: Page) -> None:
    """Go through the pages."""
    page.goto(f"http://{launch.HOST}:{PORT}/")
    page.locator(".review[data-showing=face]").wait_for()
    photograph(page, "single")
    page.get_by_text("A page at a time").click()
    page.locator(".review[data-layout=page]").wait_for()
    for key in (" ", "ArrowRight", "ArrowRight", " "):
        page.keyboard.press(key)
    photograph(page, "page")
    page.keyboard.press("v")
    page.keyboard.press("m")
    photograph(page, "closeup")
    page.keyboard.press("Escape")
    for title in ("Overview", "Reviewers", "Effects"):
        page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True).click()
        page.get_by_role("heading", name=title, exact=True).wait_for()
        if title == "Overview":
            page.locator(".map li").first.wait_for()
            page.set_viewport_size(TALL)
        photograph(page, title.lower())
        page.set_viewport_size(SIZE)


if __name__ == "__main__":
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        server = launch.start(make_project(Path(folder)), PORT)
        try:
            browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
            visit(browser.new_context(viewport=SIZE).new_page())
        finally:
            launch.stop(server)
