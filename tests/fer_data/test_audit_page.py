import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from fer_data import audit_page, tables
from fer_data.auditing.page.estimate import drawn_rate
from fer_data.auditing.page.summary import Rate, read_noise, read_rate
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.votes import FERPLUS_COLUMNS

K = len(BASIC7)
COUNT = 140
EVIL = "<script>alert(1)</script>"


class Words(HTMLParser):
    """The page's text, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href") and not value.startswith("#")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path) -> tuple[str, str]:
    """The page's markup, and its text in one line."""
    html = path.read_text()
    words = Words()
    words.feed(html)
    assert words.open == []
    assert words.sources == []
    assert "<script" not in html
    return html, " ".join(" ".join(words.text).split())


def section(text: str, title: str, following: str) -> str:
    """What stands between the last two headings of these names."""
    start = text.rindex(f" {title} ")
    return text[start : text.index(f" {following} ", start + 1)]


def old_table(made) -> pd.DataFrame:
    """The columns that every audit has had: label k is doubted for k + 1 in every second face."""
    given = made.frame["label"].to_numpy(dtype=object)
    code = np.array([BASIC7.index(label) for label in given])
    count = len(given)
    suggested = np.where(np.arange(count) % 2 == 0, (code + 1) % K, code)
    score = np.where(suggested != code, 0.2, 0.9) - np.arange(count) / (20 * count)
    chances = np.full((count, K), 0.02)
    chances[np.arange(count), suggested] = 0.88
    frame = {
        "sample_id": made.frame["sample_id"].to_numpy(),
        "given_label": given,
        "suggested_label": np.array(BASIC7, dtype=object)[suggested],
        "label_score": score,
        "is_label_issue": suggested != code,
        "rank": np.argsort(np.argsort(score)) + 1,
    }
    frame |= {f"p_{name}": chances[:, index].astype(np.float32) for index, name in enumerate(BASIC7)}
    return pd.DataFrame(frame)


def full_table(made) -> pd.DataFrame:
    """All columns; the faces 0 to 7 show each kind of doubt, faces 8 and 9 are reviewed."""
    table = old_table(made)
    count, ids = len(table), table["sample_id"]
    doubted = (table["given_label"] != table["suggested_label"]).to_numpy()
    kind = np.where(doubted, "wrong", "fine").astype(object)
    kind[[0, 2, 4]] = ["ambiguous", "not_a_face", "out_of_distribution"]
    return table.assign(
        second_label=np.roll(table["suggested_label"].to_numpy(), 1),
        kind=kind,
        suggestion_score=np.where(doubted, 0.77, 0.9),
        review_rank=table["rank"],
        is_reviewed=np.isin(np.arange(count), [8, 9]),
        neighbours=[[ids[(row + step) % count] for step in (1, 2, 3)] for row in range(count)],
        neighbour_labels=[[table["given_label"][(row + step) % count] for step in (1, 2, 3)] for row in range(count)],
    )


def full_summary() -> dict:
    """Every key that the page knows."""
    conditional = np.full((K, K), 0.05) + 0.65 * np.eye(K)
    rate = {"value": 0.3, "low": 0.25, "high": 0.375}
    entry = {"created": "2026-01-02T03:04:05+00:00", "manifest": "manifests/set.parquet", "faces": 140, "reviewed": 0}
    return {
        "noise": {
            "labels": list(BASIC7),
            "error_rate": rate,
            "error_rates": dict.fromkeys(BASIC7, rate) | {"disgust": {"value": 0.5, "low": 0.2, "high": 0.8}},
            "conditional": {
                "value": conditional.tolist(),
                "low": (conditional / 2).tolist(),
                "high": np.minimum(conditional * 1.2, 1).tolist(),
            },
        },
        "guarded": ["disgust"],
        "expected": {name: {"precision": 0.81, "recall": 0.62} for name in BASIC7},
        "kinds": {"fine": 70, "wrong": 67, "ambiguous": 1, "not_a_face": 1, "out_of_distribution": 1},
        "policies": [
            {"name": "careful", "rule": "relabel if label_score <= 0.1", "relabelled": 1234, "dropped": 5,
             "softened": 6, "expected_precision": 0.95, "interval": [0.93, 0.97]},
            {"name": "plain", "relabelled": 0},
        ],
        "overlapping": [{"labels": ["fear", "sadness"], "share": 0.04, "low": 0.03, "high": 0.05, "faces": 5.6}],
        "other": {
            "class_imbalance": {
                "count": 1,
                "sentence": f"Rare: disgust {EVIL}.",
                "rows": [{"label": "disgust", "faces": 12345, "share": 0.0123, "rare": True, "note": None}] * 12,
            },
            "leak": {"count": 0, "sentence": "No leak.", "rows": []},
        },
        "history": [
            {**entry, "error_rate": 0.4, "low": 0.3, "high": 0.5, "error_rates": {"fear": {"value": 0.45}}},
            {**entry, "reviewed": 20, "error_rate": 0.3, "low": 0.25, "high": 0.375,
             "error_rates": {"fear": {"value": 0.3, "low": 0.2, "high": 0.4}, "anger": None}},
        ],
        "weights": [{"part": "late_margin", "weight": -0.5}, {"part": "neighbours", "weight": 1.5}],
    }  # fmt: skip


def write(made, project, table, summary, **configuration):
    config = {"score": "combined", "mark": "noise_estimate", "use_votes": False, **configuration}
    facts = tables.provenance(
        "label_audit", "test", parents={"manifests/set.parquet": made.sha256}, configuration=config, summary=summary
    )
    path = project / "audit" / "set.parquet"
    tables.write_table(path, pa.Table.from_pandas(table, preserve_index=False), facts, replace=True)
    return audit_page.write_audit_page(made, path, project / "audit" / "set.html")


@pytest.fixture
def made(picture_manifest):
    return picture_manifest(range(COUNT), [BASIC7[row % K] for row in range(COUNT)], ["train"] * COUNT)


def test_a_full_audit_has_every_section_and_loads_nothing(made, project):
    html, text = read(write(made, project, full_table(made), full_summary()))
    titles = re.findall(r"<h2>([^<]+)</h2>", html)
    assert titles == [
        "Estimate", "Given and true labels", "How the estimate moved", "Review next", *BASIC7, "Without a reviewer",
        "Labels that overlap", "Other issues", "What the score is made of", "How this was made",
    ]  # fmt: skip
    assert "140 labels were compared" in text
    assert "30 % are estimated to be wrong" in text
    assert "nan" not in text.lower()
    assert "None" not in text
    assert "emotion" not in text.lower()


def test_the_estimate_is_told_with_intervals_and_per_class(made, project):
    _, text = read(write(made, project, full_table(made), full_summary()))
    assert "about 42 are estimated to be wrong: with 95 % confidence between 35 and 52." in text
    assert "disgust * 20 10 81 % 62 % 50.0 % (20.0 to 80.0) surprise 5 %" in text
    assert "fear 20 10 81 % 62 % 30.0 % (25.0 to 37.5)" in text
    assert "the model agrees with 50.0 %" in text
    assert "marked as suspect 70 (50.0 %)" in text
    assert "decided by people 2" in text
    assert "* disgust: too few faces" in text
    assert "perhaps not a face 1" in text


def test_the_noise_matrix_names_the_largest_mistakes_and_every_interval(made, project):
    html, text = read(write(made, project, full_table(made), full_summary()))
    assert html.count('<table class="matrix">') == 1
    assert "anger → disgust 1 5.0 % (2.5 to 6.0)" in text
    assert html.count("0.35–0.84") == K  # the interval of every diagonal cell
    assert html.count("0.03–0.06") + html.count("0.02–0.06") == K * (K - 1)


def test_a_card_tells_what_is_suggested_why_and_shows_neighbours(made, project):
    html, text = read(write(made, project, full_table(made), full_summary()))
    cards = re.findall(r"<li><i role=.*?</li>", html)
    wrong = next(card for card in cards if " · 0014<" in card)
    assert "<b>anger → disgust</b>" in wrong
    assert "disgust 77 %" in wrong
    assert re.findall(r'aria-label="(\w+)"', wrong) == ["0014", "disgust", "fear", "happiness"]
    assert "disgust 77 % · ambiguous" in text
    assert "<b>disgust or neutral</b>" in next(card for card in cards if " · 0000<" in card)
    assert "happiness 77 % · perhaps not a face" in text
    assert "surprise 77 % · unlike all others" in text
    assert not [card for card in cards if " · 0008<" in card]  # a person has decided it


def test_the_pictures_on_the_page_are_the_faces_that_are_named(made, project):
    html, _ = read(write(made, project, full_table(made), full_summary()))
    _, markup = html.split("<h2>anger</h2>")
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^)]+)\)", markup)[1]))))
    card = re.search(r"<li><i role=.*?</li>", markup)[0]
    key = int(re.search(r'aria-label="(\d+)"', card)[1])
    pixels = np.random.default_rng(key).integers(0, 256, (8, 8), dtype=np.uint8)
    assert np.array_equal(sheet[1:9, 1:9], pixels)


def test_the_next_looks_come_in_their_order_with_what_they_should_find(made, project):
    table = full_table(made)
    table["review_rank"] = COUNT + 1 - table["rank"]
    html, text = read(write(made, project, table, full_summary()))
    part = html.split("<h2>Review next</h2>")[1].split("<h2>anger</h2>")[0]
    keys = re.findall(r'<li><i role="img" aria-label="(\d+)"', part)
    order = table[~table["is_reviewed"]].sort_values("review_rank")
    assert keys == [sample_id.partition("/")[2] for sample_id in order["sample_id"].head(64)]
    found = (1 - order["label_score"].head(100)).sum()
    assert f"100 {found:.0f} {found:.0f} %" in text
    assert "fer curate manifests/set --audit audit/set.parquet" in text


def test_without_a_probability_no_finds_are_promised(made, project):
    _, text = read(write(made, project, full_table(made), full_summary(), score="self_confidence"))
    assert "Review next" in text
    assert "wrong labels found" not in text


def test_when_every_face_is_decided_nothing_is_left_to_review(made, project):
    _, text = read(write(made, project, full_table(made).assign(is_reviewed=True), full_summary()))
    assert "Every face has been decided by a person." in text


def test_policies_issues_history_and_weights_are_told(made, project):
    _, text = read(write(made, project, full_table(made), full_summary()))
    assert "careful relabel if label_score <= 0.1 1,234 5 6 95.0 % (93.0 to 97.0)" in text
    assert "plain 0 0 0 –" in text
    assert "fear and sadness 6 4.0 % (3.0 to 5.0)" in text
    assert "Class imbalance" in text
    assert f"Rare: disgust {EVIL}." in text
    assert "disgust 12,345 0.0123 yes –" in text
    assert "2 more in the table." in text
    assert "2026-01-02 03:04 set 140 20 30.0 % (25.0 to 37.5)" in text
    assert "fear 45.0 % 30.0 % (20.0 to 40.0) −15.0" in text
    assert text.index("neighbours +1.50 75.0 %") < text.index("late margin −0.50 25.0 %")


def test_an_audit_from_before_these_columns_gives_a_page(made, project):
    shares = np.full((K, K), 0.1) + 0.3 * np.eye(K)
    matrix = [*shares.tolist()[1:], [None] * K]
    rates = dict.fromkeys(BASIC7[:-1], 0.25) | {BASIC7[-1]: None}
    summary = {"labels": list(BASIC7), "error_rate": 0.25, "error_rates": rates, "true_given": matrix}
    html, text = read(write(made, project, old_table(made), summary, score="normalized_margin"))
    assert re.findall(r"<h2>([^<]+)</h2>", html) == ["Estimate", "Given and true labels", *BASIC7, "How this was made"]
    assert "25 % are estimated to be wrong" in text
    assert html.count('<ol class="cards"') == K
    assert 'class="near"' not in html
    assert "disgust 88 %" in text
    assert "neutral 20 10 –" in text


def test_an_audit_without_a_summary_gives_a_page(made, project):
    html, text = read(write(made, project, old_table(made), {}))
    assert re.findall(r"<h2>([^<]+)</h2>", html) == ["Estimate", *BASIC7, "How this was made"]
    assert "estimated to be wrong" not in text


def test_a_picture_that_occurs_twice_is_shown_once_also_among_neighbours(picture_manifest, project):
    made = picture_manifest([0] * COUNT, [BASIC7[row % K] for row in range(COUNT)], ["train"] * COUNT)
    table = full_table(made).drop(columns="review_rank")
    html, _ = read(write(made, project, table, {}))
    assert html.count('<li><i role="img"') == K
    assert html.count('<i role="img"') == 2 * K  # one neighbour each


def test_votes_are_shown_only_where_the_audit_used_them(picture_manifest, project):
    counts = dict(zip(FERPLUS_COLUMNS, [0] * 10, strict=True)) | {"sadness": 7, "neutral": 2, "fear": 1}
    facts = [{"votes": list(counts.values())}, {}] * (COUNT // 2)
    labels = [BASIC7[row // 2 % K] for row in range(COUNT)]
    made = picture_manifest(range(COUNT), labels, ["train"] * COUNT, facts=facts, votes=FERPLUS_COLUMNS)
    _, text = read(write(made, project, full_table(made), {}, use_votes=True))
    assert "votes: sadness 7, neutral 2, fear 1" in text
    assert "votes used" in text
    _, text = read(write(made, project, full_table(made), {}))
    assert "votes: " not in text


def test_a_class_that_nobody_doubts_says_so(made, project):
    table = old_table(made)
    own = table["given_label"] == "fear"
    table.loc[own, "suggested_label"] = "fear"
    html, _ = read(write(made, project, table, {}))
    assert "The model agrees with every label of this class." in html.split("<h2>fear</h2>")[1].split("<h2>")[0]


def test_ids_are_escaped(picture_manifest, project):
    keys = [f"<script>{row}</script>" for row in range(COUNT)]
    made = picture_manifest(range(COUNT), [BASIC7[row % K] for row in range(COUNT)], ["train"] * COUNT, ids=keys)
    html, _ = read(write(made, project, full_table(made), full_summary()))
    assert "&lt;script&gt;" in html


def test_a_page_for_another_manifest_is_refused(made, picture_manifest, project):
    write(made, project, old_table(made), {})
    other = picture_manifest([1], ["fear"], ["train"], source="other")
    with pytest.raises(FerError, match=rf"{COUNT} others \(first: set/0000\); audit this manifest"):
        audit_page.write_audit_page(other, project / "audit" / "set.parquet", project / "a.html")
    assert not (project / "a.html").exists()


def test_rates_are_read_in_either_form():
    assert read_rate(None) is None
    assert read_rate({"value": None}) is None
    assert read_rate(0.5) == Rate(0.5)
    assert str(read_rate({"value": 0.125, "low": 0.1, "high": 0.2})) == "12.5 % (10.0 to 20.0)"
    assert str(Rate(0.5)) == "50.0 %"


def test_a_label_that_no_face_is_given_has_no_row_in_the_matrix():
    told = {"labels": ["a", "b"], "error_rates": {"a": {"value": 0.1}, "b": None}}
    noise = read_noise({"noise": {**told, "conditional": {"value": [[0.9, 0.1], None]}}}, ("a", "b"))
    assert noise.conditional[0].tolist() == [0.9, 0.1]
    assert np.isnan(noise.conditional[1]).all()
    assert np.isnan(noise.low).all()
    assert list(noise.error_rates) == ["a"]
    assert noise.error_rate is None


def test_an_interval_is_drawn_to_scale():
    bar = drawn_rate(Rate(0.2, 0.1, 0.4), 0.5)
    assert "left:20.00%;width:60.00%" in bar
    assert '<b style="left:40.00%">' in bar
    assert "left:0.00%;width:0.00%" in drawn_rate(Rate(0.0), 0.0)
