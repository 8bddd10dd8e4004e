import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_data import pages
from fer_data.pages import Html, Section

EVIL = "<script>alert('x')</script>\"&"


class Audit(HTMLParser):
    """Collects tags, and what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def audited(html: str) -> Audit:
    audit = Audit()
    audit.feed(html)
    assert audit.open == []
    return audit


def faces(count: int, channels: int = 1, size: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, channels, size, size), dtype=np.uint8)


def sheet_of(html: str) -> np.ndarray:
    (data,) = re.findall(r"data:image/png;base64,([^)]+)\)", html)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_a_page_is_whole_and_loads_nothing():
    html = pages.page("Title", [Section("One", pages.paragraph("text"))], lead="what this is")
    audit = audited(html)
    assert html.startswith("<!doctype html>")
    assert audit.loads == []
    assert not {"script", "link", "iframe"} & set(audit.tags)
    assert "default-src 'none'" in html
    assert "@import" not in html
    assert "http://" not in html
    assert "https://" not in html


@pytest.mark.parametrize(("count", "has_contents"), [(4, False), (5, True)])
def test_contents_come_with_the_fifth_section(count, has_contents):
    html = pages.page("Title", [Section(f"Part {number}", "") for number in range(count)])
    assert ("nav" in audited(html).tags) is has_contents
    if has_contents:
        targets = re.findall(r'href="#([^"]+)"', html)
        assert len(targets) == count
        assert all(f'id="{target}"' in html for target in targets)


def test_everything_from_data_is_escaped():
    body = (
        pages.paragraph(EVIL)
        + pages.heading(EVIL)
        + pages.code(EVIL)
        + pages.key_figures({EVIL: EVIL})
        + pages.table([EVIL, "n"], [[EVIL, EVIL]])
        + pages.matrix([EVIL], [EVIL], np.array([[0.5]]), rows_are=EVIL, columns_are=EVIL)
        + pages.figure("", EVIL)
        + pages.face_sheet(faces(2), 2, [EVIL, (EVIL, EVIL)])
    )
    html = pages.page(EVIL, [Section(EVIL, body)] * 5, lead=EVIL)
    assert "script" not in audited(html).tags
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 18


def test_markup_made_here_is_kept_in_cells():
    html = pages.table(["a", "b"], [[pages.code("x<y"), Html("<b>1</b>")]])
    assert '<th scope="row"><code>x&lt;y</code></th>' in html
    assert '<td class="right"><b>1</b></td>' in html


def test_a_table_with_a_row_of_another_length_is_a_mistake():
    with pytest.raises(ValueError, match="zip"):
        pages.table(["a", "b"], [["1"]])


@pytest.mark.parametrize("channels", [1, 3])
def test_all_faces_lie_in_one_sheet_where_the_page_looks_for_them(channels):
    images = faces(5, channels)
    html = pages.face_sheet(images, columns=3)
    sheet = sheet_of(html)
    height, width = sheet.shape[:2]
    positions = re.findall(r"background-size:([\d.]+)% ([\d.]+)%;background-position:([\d.]+)% ([\d.]+)%", html)
    assert len(positions) == 5
    for image, (wide, high, left, top) in zip(images, positions, strict=True):
        # As CSS places a background: its size in units of the box, its offset as a share of what sticks out.
        assert width / 6 == pytest.approx(float(wide) / 100, abs=1e-4)
        assert height / 6 == pytest.approx(float(high) / 100, abs=1e-4)
        column = round(float(left) / 100 * (width - 6))
        row = round(float(top) / 100 * (height - 6))
        shown = sheet[row : row + 6, column : column + 6]
        assert np.array_equal(shown if channels == 3 else shown[..., None], image.transpose(1, 2, 0))
        assert sheet[row - 1, column].tolist() == sheet[row, column].tolist()  # the border repeats the edge


def test_a_single_column_and_captions_in_lines():
    html = pages.face_sheet(faces(2), columns=1, captions=["fear", ["anger", "0.1"]])
    audited(html)
    assert html.count("<li ") == 2
    assert "<span>anger</span><span>0.1</span>" in html
    assert 'aria-label="anger · 0.1"' in html


def test_pairs_bullets_and_meters_escape_and_measure():
    html = pages.pairs([(EVIL, pages.bullets([EVIL, pages.code("x")])), ("share", pages.meter(0.125))])
    audit = audited(html)
    assert audit.tags.count("li") == 2
    assert "script" not in audit.tags
    assert 'style="width:12.50%"></i></span> 12.5 %' in html
    # Neither end is reached by rounding.
    assert pages.meter(0.99999).endswith(" 99.9 %")
    assert pages.meter(0.00001).endswith(" 0.1 %")
    assert pages.meter(1).endswith(" 100 %")
    assert pages.meter(0).endswith(" 0 %")


def test_charts_and_tables_say_what_they_are():
    import altair as alt
    import pandas as pd

    html = pages.chart(alt.Chart(pd.DataFrame({"x": [1]})).mark_bar().encode(x="x:Q"), "how <many>")
    assert 'role="group" aria-label="how &lt;many&gt;"' in html
    table = pages.table(["label", "faces"], [["fear", "1"]])
    assert table.count('scope="col"') == 2
    assert '<th scope="row">fear</th>' in table


def test_no_faces_are_told():
    assert "No faces" in pages.face_sheet(np.empty((0, 1, 6, 6), np.uint8), columns=4)


def test_a_missing_share_is_a_dash_and_agreement_is_blue():
    html = pages.matrix(
        ["a", "b"], ["a", "b"], np.array([[0.9, 0.1], [np.nan, np.nan]]), rows_are="given", columns_are="true"
    )
    assert html.count("<td>–</td>") == 2
    assert "rgba(31,95,139,0.900);color:#fff" in html
    assert "rgba(201,122,32,0.100)" in html


def test_charts_are_drawn_without_script_and_share_no_ids():
    import altair as alt
    import pandas as pd

    data = pd.DataFrame({"label": ["fear", EVIL], "faces": [1, 2]})
    one = pages.chart(alt.Chart(data).mark_bar(clip=True).encode(x="faces:Q", y="label:N"))
    two = pages.chart(alt.Chart(data).mark_line(clip=True).encode(x="faces:Q", y="label:N"))
    html = pages.page("charts", [Section("one", one), Section("two", two)])
    assert html.count("<svg") == 2
    assert "<script" not in html
    assert audited(html).loads == []
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    used = re.findall(r"url\(#([^)]+)\)", html)
    assert used
    assert set(used) <= set(ids)


def test_the_same_chart_gives_the_same_svg():
    import altair as alt
    import pandas as pd

    data = pd.DataFrame({"x": [1, 2], "y": [3, 4]})
    drawings = [pages.chart(alt.Chart(data).mark_line().encode(x="x:Q", y="y:Q")) for _ in range(2)]
    assert drawings[0] == drawings[1]


def test_stored_faces_come_in_the_order_asked_for(picture_manifest):
    made = picture_manifest([1, 2, 3], ["fear"] * 3, ["train"] * 3)
    shown = pages.stored_faces(made, [2, 0])
    assert shown.shape == (2, 1, 8, 8)
    assert np.array_equal(shown, made.pictures(8, 1)[[2, 0]])
    assert pages.stored_faces(made, [1], largest_px=4).shape == (1, 1, 4, 4)
    assert len(pages.stored_faces(made, [])) == 0
    colour = picture_manifest([1], ["fear"], ["train"], source="colour", colour=True)
    assert pages.stored_faces(colour, [0]).shape == (1, 3, 8, 8)


def test_a_page_replaces_the_one_before(tmp_path: Path):
    path = pages.write_page(tmp_path / "deep" / "page.html", "ä")
    pages.write_page(path, "ö")
    assert path.read_text(encoding="utf-8") == "ö"
