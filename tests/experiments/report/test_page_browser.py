"""The page in a real browser: nothing sticks out, on a desk or on a telephone."""

from pathlib import Path

import pytest
from chromium import chromium

from experiments.report import write_report

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(tmp_path: Path, full_results, synthesis, width: int) -> None:
    path = write_report(full_results, tmp_path / "report.html", synthesis=synthesis)
    told: list[str] = []
    with chromium() as browser:
        page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("request", lambda request: told.append(request.url))
        page.goto(path.resolve().as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Charts are not shrunk below what can be read: letters of 12 px stay at 10 px or more.
        shares = page.evaluate(
            """[...document.querySelectorAll(".chart > svg")].map(
                drawing => drawing.getBoundingClientRect().width / drawing.width.baseVal.value)"""
        )
        assert len(shares) > 6 and min(shares) > 0.85
        answer = page.locator("p.lead").first.bounding_box()
        assert answer is not None and answer["y"] < 400
    assert [word for word in told if not word.startswith(("file:", "data:"))] == []
