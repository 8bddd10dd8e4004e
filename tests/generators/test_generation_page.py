"""The page of a generation: what it says, what it leaves out, and that it stays light and whole."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.licenses import DRAWN, FER2013
from fer_data.project import relative
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from generators.fidelity import FidelityConfig, measure_fidelity
from generators.generation_page import write_generation_page
from generators.sampling import GenerateConfig, generate
from generators.screening import ScreenConfig, screen

EVIL = "<script>alert(1)</script>"
REASONS = ("the judge disagrees", "near-copy of a training face", "blank")
GENERATION = {
    "id": "0123456789abcdef",
    "kind": "diffusion",
    "checkpoint": "runs/gone/checkpoint",
    "checkpoint_sha256": "f" * 64,
    "training_sha256": "e" * 64,
    "sampling": {"steps": 8, "guidance": 2.5},
    "seed": 0,
    "guide_sha256": None,
}
PLAN = [
    ("disgust", "mask", "low", 6),
    ("disgust", None, None, 4),
    ("fear", "none", "normal", 5),
    ("fear", "hair", "back", 2),
]


class Words(HTMLParser):
    """The page's text, what it points to, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.open: list[str] = []
        self.sources: list[str] = []
        self.names: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.sources += [values[name] for name in ("src", "href") if name in values and values[name][0] != "#"]
        if values.get("role") == "img":
            self.names.append(values["aria-label"])
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)


def read(path) -> tuple[str, str, list[str]]:
    """The page's markup, its text in one line, and the names of its pictures."""
    html = path.read_text()
    words = Words()
    words.feed(html)
    assert words.open == []
    assert words.sources == []
    assert "<script" not in html
    text = " ".join(" ".join(words.text).split())
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)
    return html, text, words.names


def section(text: str, title: str, following: str) -> str:
    """What stands between the last two headings of these names."""
    start = text.rindex(f" {title} ")
    return text[start : text.index(f" {following} ", start + 1)]


def sheets(html: str) -> list[Image.Image]:
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", html)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def write_generation(root, name, cells, *, size=16, channels=1, parents=None, licence=DRAWN, generation=GENERATION):
    """A manifest of synthetic faces; cells are (label, occlusion, light, faces drawn). Grey level tells the face."""
    plan = [{"label": a, "occlusion": b, "light": c, "have": 0, "target": n, "count": n} for a, b, c, n in PLAN]
    random = np.random.default_rng(0)
    with StoreWriter(
        name, root, licence=licence.as_dict(), source=name, generation=generation | {"plan": {"cells": plan}}
    ) as writer:
        labels = []
        for label, occlusion, light, drawn in cells:
            for _ in range(drawn):
                index = len(labels)
                shape = (size, size) if channels == 1 else (size, size, 3)
                facts = {"occlusion": occlusion, "light": light, "condition_source": "generated", "seed": index}
                facts["generation_id"] = generation["id"]
                if parents is not None:
                    facts["parents"] = [parents[index % len(parents)]]
                coarse = random.integers(0, 256, size=(size // 2, size // 2, *shape[2:]), dtype=np.uint8)
                picture = coarse.repeat(2, axis=0).repeat(2, axis=1)  # neighbours alike, as in a photograph
                writer.add(Sample(f"{index:06d}", picture, label, label, "train", f"face {index}", facts))
                labels.append(label)
        store = writer.close()
    rows = manifests.new_rows(
        len(labels),
        sample_id=[f"{name}/{index:06d}" for index in range(len(labels))],
        store=relative(store.path, root),
        store_row=np.arange(len(labels)),
        label=labels,
        label_origin="generated",
        split="train",
        group_id=np.arange(len(labels)),
        origin="synthetic",
    )
    return manifests.write(
        rows, root / "manifests" / name, label_set="basic7", command="test", licence=licence.as_dict(), replace=True
    )


def write_screening(drawn, training, *, name="kept", cells=(), **columns):
    """Every third face is dropped, the reasons in turn; face i is near training face i."""
    count = len(drawn)
    dropped = np.arange(count) % 3 == 0
    reason = np.array([REASONS[(index // 3) % len(REASONS)] for index in range(count)], dtype=object)
    ids = training.frame["sample_id"].to_numpy()
    frame = {
        "sample_id": drawn.frame["sample_id"],
        "given_label": drawn.frame["label"],
        "keep": ~dropped,
        "reason": np.where(dropped, reason, None),
        "judge_label": np.where(dropped, "anger", drawn.frame["label"].to_numpy(dtype=object)),
        "judge_p": np.linspace(0.1, 0.9, count, dtype=np.float32),
        "nearest_sample_id": [ids[index % len(ids)] for index in range(count)],
        "copy_score": np.linspace(0.9, 0.0, count),
        "is_copy": dropped & (reason == REASONS[1]),
        **columns,
    }
    metadata = tables.provenance(
        "screening",
        "fer screen",
        configuration={"minimum_p": 0.25, "false_copies": 0.01},
        calibration={"faces": "validation", "count": 321, "flagged": 0.0062},
        cells=list(cells),
    )
    path = drawn.root / "manifests" / f"{name}.screening.parquet"
    return tables.write_table(
        path, pa.Table.from_pandas(pd.DataFrame(frame), preserve_index=False), metadata, replace=True
    )


def measure(value, low=None, high=None, real=None, **others):
    return {"value": value, "low": low, "high": high, "count": 50, "real": real, **others}


def missing(reason):
    return {"value": None, "reason": reason}


def group(level, label=None, occlusion=None, light=None, agreement=0.4):
    real = {"value": 0.55, "low": 0.5, "high": 0.6, "count": 99}
    share = measure(agreement, agreement - 0.1, agreement + 0.1, real, chance=0.143)
    small = label == "fear"
    spread = {
        "kid": missing("12 faces, at least 30 are needed")
        if small
        else measure(0.0123, 0.01, 0.015, {"value": 0.0004}),
        "coverage": measure(0.61, 0.5, 0.7, {"value": 0.93, "low": 0.9, "high": 0.95}, expected=0.97),
        "precision": measure(0.71, 0.6, 0.8, real),
        "frechet": measure(12.5, 11.0, 14.0, {"value": 3.25}),
        "vendi": measure(1234.5, None, None, None),
    }
    found = {"level": level, "label": label, "occlusion": occlusion, "light": light, "count": 17, "agreement": share}
    found["copies"] = {"flagged": measure(0.0123, 0.0, 0.03, real), "exact": measure(0.0, 0.0, 0.01, real)}
    if level in ("all", "label", "condition"):
        found["features"] = {"judge": spread}
    if level in ("all", "label"):
        found["memorisation"] = {"pixels": {"distance_ratio": measure(1.02, 0.9, 1.1, {"value": 1.0})}}
    if level in ("condition", "cell"):
        found["occlusion_agreement"] = measure(0.81, 0.7, 0.9, None)
        found["light_agreement"] = missing("no condition judge was given")
    return found


def fidelity():
    """As `generators.fidelity` documents it, two labels, one condition and one cell."""

    def groups(agreement):
        asked = (("all",), ("label", "disgust"), ("label", "fear"), ("condition", None, "mask", "low"))
        return [group(*words, agreement=agreement) for words in (*asked, ("cell", "disgust", "mask", "low"))]

    return {
        "kind": "fidelity",
        "synthetic": {"count": 17},
        "held_out": "val",
        "features": {"judge": {"width": 64}},
        "groups": groups(0.4),
        "kept": [entry for entry in groups(0.88) if entry["label"] != "fear"],
    }


@pytest.fixture(scope="module")
def drawn(root, training):
    return write_generation(root, "drawn", [*PLAN[:3], ("surprise", None, "low", 3)])


def test_whole_page(root, training, drawn):
    page = write_generation_page(
        root / "page.html", drawn, training, screening=write_screening(drawn, training), fidelity=fidelity()
    )
    html, text, names = read(page)
    assert "18 faces that were never photographed were drawn for a plan that asks for 17" in text
    assert "screening kept 12 of them, and 7 are still missing" in text
    assert "40 % drawn · 88 % kept · 55 % real" in text
    assert "1.2 % drawn" in text
    assert "disgust: any occlusion, any light" not in text
    faces = section(text, "Synthetic faces", "Asked, drawn, kept")
    assert faces.index("Synthetic disgust, no stated condition: 4 asked, 4 drawn") < faces.index(
        "Synthetic disgust, mask"
    )
    assert "Synthetic fear, hair or scarf, light from behind: 2 asked, 0 drawn" not in faces
    assert "Synthetic surprise, any occlusion, low light: 3 drawn" in faces
    assert html.count("<svg") == 1
    assert sum(name.startswith("synthetic:") for name in names) == 12 + 6 + 12 + 2
    assert sum(name.startswith("real training face") for name in names) == 12 + 2


def test_yields(root, training, drawn):
    page = write_generation_page(root / "page.html", drawn, training, screening=write_screening(drawn, training))
    _, text, _ = read(page)
    table = section(text, "Asked, drawn, kept", "What screening dropped, and why")
    assert "disgust no stated condition 4 4 2 2 50.0 %" in table
    assert "disgust mask, low light 6 6 4 2 66.7 %" in table
    assert "fear hair or scarf, light from behind 2 0 0 2 –" in table
    assert "surprise any occlusion, low light – 3 2 – 66.7 %" in table
    assert "all 17 18 12 7 66.7 %" in table


def test_a_plan_filled_in_rounds_is_told_by_its_table(root, training):
    """Every round was another plan; only the table says what was asked for in all, and how many were good enough."""
    drawn = write_generation(root, "rounds", [("disgust", "mask", "low", 4)])
    cell = {"label": "disgust", "occlusion": "mask", "light": "low", "asked": 2, "made": 4, "kept": 2, "yield": 0.75}
    table = write_screening(
        drawn, training, cells=[cell], keep=[False, True, True, False], reason=["blank", None, None, "more than asked"]
    )
    _, text, _ = read(write_generation_page(root / "page.html", drawn, training, screening=table))
    assert "for a plan that asks for 2; screening kept 2 of them, and the plan is full" in text
    assert "disgust mask, low light 2 4 2 75.0 %" in text


def test_dropped_faces_tell_why(root, training, drawn):
    page = write_generation_page(root / "page.html", drawn, training, screening=write_screening(drawn, training))
    _, text, names = read(page)
    told = section(text, "What screening dropped, and why", "Nearest training faces")
    assert [told.count(f" {reason[0].upper()}{reason[1:]} ") for reason in REASONS] == [1, 1, 1]
    assert "disgust → anger 10 %" in told
    assert "synthetic: disgust, mask, low light (drawn/000000)" in names


def test_neighbours_come_closest_first(root, training, drawn):
    page = write_generation_page(root / "page.html", drawn, training, screening=write_screening(drawn, training))
    _, text, _ = read(page)
    told = section(text, "Nearest training faces", "Fidelity")
    scores = [float(score) for score in re.findall(r"score (\d\.\d+)", told)]
    closest = scores[:12]
    assert closest == sorted(closest)
    assert closest[0] == 0.0
    assert "0.6 % of these would be called one" in told
    assert "2 of 2 faces dropped that lie nearer" in told


def test_neighbours_are_the_faces_named(root, training, drawn):
    """The picture beside the synthetic face is that of the training face in the table."""
    page = write_generation_page(root / "page.html", drawn, training, screening=write_screening(drawn, training))
    html, _, _ = read(page)
    start = html.index("Kept, and closest to a training face")
    sheet = np.asarray(sheets(html[start:])[0])
    face = drawn.pictures(16, 1)[17, 0]
    real = training.pictures(16, 1)[17, 0]
    assert (sheet[1:17, 1:17] == face).all()
    assert (sheet[19:35, 1:17] == real).all()  # twelve in a row: the first real face opens the second


def test_repeated_faces_stand_beside_the_one_that_was_kept(root, training, drawn):
    siblings = [None] * len(drawn)
    siblings[0], siblings[3] = drawn.frame["sample_id"].iloc[5], "drawn/of-another-day"
    scores = np.full(len(drawn), 0.25)
    table = write_screening(drawn, training, sibling_sample_id=siblings, sibling_score=scores)
    html, text, names = read(write_generation_page(root / "page.html", drawn, training, screening=table))
    told = text[text.index("Dropped, and like another sample") :]
    assert "synthetic disgust score 0.250 synthetic, kept disgust" in told
    assert "synthetic, kept: drawn/of-another-day is gone" in told
    assert "synthetic face drawn/000005" in names
    sheet = np.asarray(sheets(html[html.index("Dropped, and like another sample") :])[0])
    assert (sheet[1:17, 37:53] == drawn.pictures(16, 1)[5, 0]).all()


def test_parents_stand_beside_re_expressed_faces(root, training):
    parents = training.frame["sample_id"].tolist()[:3]
    drawn = write_generation(root, "re-expressed-page", PLAN[:1], parents=parents)
    page = write_generation_page(root / "page.html", drawn, training)
    _, text, names = read(page)
    assert "6 of 6 re-expressed faces" in text
    assert names.count(f"real training face {parents[0]}") == 2
    screened = write_screening(drawn, training)
    _, text, names = read(write_generation_page(root / "page.html", drawn, training, screening=screened))
    assert "real, nearest its parent" in text
    assert "real its parent" in text


def test_without_screening_and_fidelity(root, training, drawn):
    html, text, _ = read(write_generation_page(root / "page.html", drawn, training))
    assert "none of them has been screened yet" in text
    assert "What screening dropped" not in text
    assert "Not measured yet" in text
    assert "fer screen manifests/drawn --training manifests/faces" in text
    assert "fer fidelity manifests/drawn --training manifests/faces" in text
    assert "<svg" not in html


def test_a_full_plan_asks_for_nothing_more(root, training):
    drawn = write_generation(root, "full", PLAN)
    table = write_screening(drawn, training, keep=np.ones(len(drawn), bool), reason=None, is_copy=False)
    _, text, _ = read(write_generation_page(root / "page.html", drawn, training, screening=table))
    assert "screening kept 17 of them, and the plan is full" in text
    assert "Screening dropped nothing" in text
    assert "faces of the plan are missing" not in text
    assert "fer merge manifests/faces manifests/kept --plan PLAN" in text


def test_fidelity_stands_beside_real_faces(root, training, drawn):
    _, text, _ = read(write_generation_page(root / "page.html", drawn, training, fidelity=fidelity()))
    told = section(text, "Fidelity", "How they were made")
    assert "held-out real faces (val)" in told
    assert "disgust 40 % (30 to 50) of 17 88 % (78 to 98) of 17 55 % (50 to 60) of 99 14.3 %" in told
    assert "0.0123 (0.01 to 0.015) real 0.0004" in told
    assert "61 % (50 to 70) real 93 % (90 to 95) ideal 97 %" in told
    assert "fear drawn, 17 faces – (1)" in told
    assert "Why there is no figure: (1) 12 faces, at least 30 are needed." in told
    assert "mask, low light kept, 17 faces 88 % (78 to 98)" in told
    assert "no condition judge was given" in told
    assert "1,234 real –" in told or "1,235 real –" in told


def test_licence_says_what_follows(root, training, drawn):
    _, text, _ = read(write_generation_page(root / "page.html", drawn, training))
    assert "Not to be passed on" not in text
    bound = write_generation(root, "bound", PLAN[:1], licence=FER2013)
    _, text, _ = read(write_generation_page(root / "page.html", bound, training))
    assert (
        "Not to be passed on: the generator's weights and the faces that it drew; the training faces, and so this"
        in text
    )


def test_names_are_escaped(root, training, drawn):
    generation = GENERATION | {"checkpoint": EVIL, "sampler": EVIL}
    evil = write_generation(root, "evil", PLAN[:1], generation=generation)
    told = fidelity()
    told["features"] = {EVIL: {"width": 1}}
    for entry in told["groups"]:
        entry["features"] = {EVIL: {"kid": missing(EVIL)}}
    table = write_screening(evil, training, reason=[EVIL, None, None] * 2)
    _, text, _ = read(write_generation_page(root / "page.html", evil, training, screening=table, fidelity=told))
    assert EVIL in text


def test_a_checkpoint_tells_of_its_training(root, training, checkpoint, kind):
    generation = GENERATION | {"kind": kind, "checkpoint": relative(checkpoint, root)}
    drawn = write_generation(root, f"page-{kind}", PLAN[:1], generation=generation)
    _, text, _ = read(write_generation_page(root / "page.html", drawn, training))
    assert "trained 6 steps of 8 faces" in text
    assert "42 training faces (" in text
    assert "16 px, grey" in text


def test_a_generation_from_end_to_end(root, training, checkpoint, kind, plan, judge):
    """What generate, screen and measure_fidelity write is what the page reads."""
    config = GenerateConfig(processes=1)
    drawn = generate(plan, [checkpoint], root / "manifests" / f"paged-{kind}", config, replace=True)
    kept, table = screen(drawn, training, judge, root / "manifests" / f"paged-{kind}-kept", ScreenConfig(size_px=16))
    told = measure_fidelity(drawn, training, judge, FidelityConfig(size_px=16), kept=kept)
    page = write_generation_page(root / "page.html", drawn, training, screening=table, fidelity=told)
    _, text, names = read(page)
    assert (
        f"7 faces that were never photographed were drawn for a plan that asks for 7; screening kept {len(kept)}"
        in text
    )
    reasons = tables.read_metadata(table)["reasons"]
    assert all(f"{reason[0].upper()}{reason[1:]} " in text for reason in reasons)
    assert sum(name.startswith("synthetic: disgust, mask, low light") for name in names) >= 3
    assert "generator " + kind in text
    assert "fewer than 30" in text


def test_colour_faces_beside_grey_ones(root, training):
    drawn = write_generation(root, "colour", PLAN[:1], size=24, channels=3)
    page = write_generation_page(root / "page.html", drawn, training, screening=write_screening(drawn, training))
    html, _, _ = read(page)
    assert {sheet.mode for sheet in sheets(html)} == {"RGB"}


@pytest.mark.parametrize(("size", "channels"), [(48, 1), (96, 3)])
def test_every_cell_of_a_large_plan_stays_light(root, training, size, channels):
    cells = [(label, a, b, 3) for label in training.labels for a in (None, *OCCLUSIONS) for b in (None, *LIGHTS)]
    drawn = write_generation(root, f"large-{size}", cells, size=size, channels=channels)
    page = write_generation_page(root / "page.html", drawn, training, screening=write_screening(drawn, training))
    html, text, _ = read(page)
    assert page.stat().st_size < 5_000_000
    assert text.count("Synthetic anger, ") == 40
    assert html.count("<svg") == 1


def test_the_same_page_again(root, training, drawn):
    table = write_screening(drawn, training)
    first = write_generation_page(
        root / "page.html", drawn, training, screening=table, fidelity=fidelity()
    ).read_bytes()
    again = write_generation_page(
        root / "page.html", drawn, training, screening=table, fidelity=fidelity()
    ).read_bytes()
    assert first == again


def test_verdicts_on_other_faces_are_refused(root, training, drawn):
    other = write_generation(root, "other", PLAN[:1])
    with pytest.raises(FerError, match="expected verdicts on faces of .*drawn.parquet, found 6 on others"):
        write_generation_page(root / "page.html", drawn, training, screening=write_screening(other, training))


def test_no_faces_are_refused(root, training):
    empty = write_generation(root, "empty", [])
    with pytest.raises(FerError, match="expected synthetic faces to show, found no rows"):
        write_generation_page(root / "page.html", empty, training)
