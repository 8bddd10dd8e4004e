"""Filling a plan, with generators whose pictures are made up: what counts here is who is asked for what, and when."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from classifier.prediction import load_classifier
from classifier.training import TrainConfig, train_manifest
from experiments import fill_plan as filling
from experiments.fill_plan import FillConfig, fill_plan
from experiments.filled import SURPLUS, describe_filled
from fer_data import manifest as manifests
from fer_data import tables
from fer_data.configuration import build
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.plans import Cell, Plan
from generators import dcgan
from generators.dcgan import DcganConfig
from generators.training import train_generator

ROOT = Path(__file__).resolve().parents[2]

# Bright squares as in conftest.py, one in three wrong; the seed alone decides. Sent to another process, too.
DRAW = """
def draw(self, conditions, seeds, faces=None):
    import numpy as np
    pictures = np.empty((len(seeds), 1, 16, 16), dtype=np.uint8)
    for index, (label, seed) in enumerate(zip(conditions[:, 0], seeds)):
        random = np.random.default_rng(int(seed))
        place = int(label) if random.random() < 0.67 else int(label + 1) % 7
        image = random.integers(0, 140, (16, 16))
        row, column = divmod(place, 3)
        image[5 * row : 5 * row + 4, 5 * column : 5 * column + 4] += 80
        pictures[index] = image
    return pictures
"""
CODE = (
    DRAW
    + """
import os, signal, sys
from pathlib import Path
from experiments import fill_plan as filling
from fer_data import manifest as manifests
from fer_data.configuration import build
from fer_data.plans import read_plan
from generators import dcgan
os.chdir(sys.argv[1])
dcgan.Dcgan.sample = draw
screen, done = filling.screen, []
def killed(*args, **options):
    done.append(1)
    if len(done) == 2: os.kill(os.getpid(), signal.SIGKILL)
    return screen(*args, **options)
filling.screen = killed
config = build(filling.FillConfig, eval(sys.argv[2]), "test")
filling.fill_plan(read_plan(Path("plan.yaml")), [Path("runs/dcgan/checkpoint")], manifests.read("manifests/clean"),
                  Path("judges"), "manifests/killed", config)
"""
)
SETTINGS = {
    "round_faces": 12,
    "generate": {"processes": 1, "chunk": 4},
    "screen": {"minimum_p": 0.2, "too_near": 0.0, "broken": 0.0},
}


@pytest.fixture
def draw(monkeypatch):
    scope: dict = {}
    exec(DRAW, scope)
    monkeypatch.setattr(dcgan.Dcgan, "sample", scope["draw"])


@pytest.fixture(scope="module")
def ready(module_project):
    """The project with a generator and a screening judge; there is no measuring judge at all."""
    clean = manifests.read(module_project / "manifests/clean")
    config = build(TrainConfig, {"model": "thin_resnet10", "size_px": 16, "epochs": 12, "threads": 1}, "test")
    for role in ("screening", "guide"):
        train_manifest(clean, config, module_project / "judges" / role, leaks="score_apart")
    tiny = {"size_px": 16, "widths": [16, 16], "noise_width": 8, "steps": 2, "batch_size": 8, "derived_faces": 8}
    train_generator("dcgan", clean, build(DcganConfig, tiny, "test"), module_project / "runs/dcgan")
    return module_project


@pytest.fixture
def place(ready, tmp_path, monkeypatch):
    """A copy of it to work in."""
    folder = tmp_path / "copy"
    shutil.copytree(ready, folder)
    monkeypatch.chdir(folder)
    return folder


PLAN = Plan(
    "basic7",
    (
        Cell("disgust", None, None, 3, 9, 6),
        Cell("anger", "none", "normal", 6, 6, 0),
        Cell("fear", "none", "low", 0, 5, 5),
    ),
)


def fill(place, out="manifests/filled", plan=PLAN, **settings):
    config = build(FillConfig, {**SETTINGS, **settings}, "test")
    clean = manifests.read(place / "manifests/clean")
    return fill_plan(plan, [place / "runs/dcgan/checkpoint"], clean, place / "judges", out, config)


def test_a_plan_is_filled_to_the_count_and_what_was_dropped_is_told(place, draw):
    filled = fill(place, budget_faces=40)
    disgust = filled.cells[0]
    assert (disgust["label"], disgust["asked"], disgust["kept"], disgust["missing"]) == ("disgust", 6, 6, 0)
    table, metadata = tables.read_table(filled.table, kind="screening")
    frame = table.to_pandas()
    assert frame["sample_id"].tolist() == filled.drawn.frame["sample_id"].tolist()
    assert filled.kept.frame["sample_id"].tolist() == frame["sample_id"][frame["keep"]].tolist()
    assert frame["sample_id"].is_unique
    assert (frame["reason"].isna() == frame["keep"]).all()
    for cell in filled.cells:
        assert cell["made"] == cell["kept"] + sum(cell["dropped"].values())
        assert 0 <= cell["yield"] <= 1
    assert "the judge disagrees" in metadata["reasons"]
    assert metadata["cells"] == filled.cells == filled.kept.metadata["plan"]["cells"]
    assert manifests.validate(filled.kept, full=True) == manifests.validate(filled.drawn, full=True) == []
    seeds = filled.drawn.facts(["seed"])["seed"]
    assert seeds.is_unique
    assert set(filled.kept.frame["label"]) <= {"disgust", "fear"}
    assert [entry["state"] for entry in manifests.lineage(filled.kept)][:3] == ["as it was"] * 3
    assert not list(place.glob("manifests/.*"))
    judge = load_classifier(place / "judges/screening")
    judged = judge.probabilities(filled.kept.pictures(16, 1)).argmax(axis=1)
    assert [BASIC7[k] for k in judged] == filled.kept.frame["label"].tolist()


def test_more_than_asked_is_cut_in_the_order_of_drawing(place, draw):
    plan = Plan("basic7", (Cell("disgust", None, None, 0, 4, 4),))
    filled = fill(place, plan=plan, round_faces=40, first_yield=0.1)
    frame = tables.read_table(filled.table)[0].to_pandas()
    assert (frame["reason"] == SURPLUS).any()
    passed = frame["keep"] | (frame["reason"] == SURPLUS)
    assert frame["keep"][passed].tolist() == [True] * 4 + [False] * (int(passed.sum()) - 4)
    assert filled.cells[0]["yield"] == pytest.approx(passed.mean())


def test_a_spent_budget_leaves_what_it_got(place, draw):
    plan = Plan("basic7", (Cell("disgust", None, None, 0, 8, 8),))
    filled = fill(place, plan=plan, budget_faces=1)
    (cell,) = filled.cells
    assert cell["made"] == 8
    assert cell["missing"] == 8 - cell["kept"] > 0
    lines = describe_filled(filled.cells)
    assert any("are missing: the budget is spent" in line for line in lines)
    assert any(line.startswith("disgust") and "8" in line for line in lines)
    again = fill(place, out="manifests/short", minutes=1e-6)
    assert sum(cell["made"] for cell in again.cells) <= 12  # one round, whatever it brought


def test_a_killed_filling_goes_on_and_ends_the_same(place, draw, ready):
    from fer_data.plans import write_plan

    undisturbed = fill(place, out="manifests/whole", budget_faces=40)
    write_plan(PLAN, place / "plan.yaml")
    settings = repr({**SETTINGS, "budget_faces": 40})
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(place), settings],
        cwd=ROOT, capture_output=True, text=True, env={"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    assert not (place / "manifests/killed.parquet").exists()
    work = list((place / "manifests").glob(".killed.*.filling"))
    assert len(work) == 1 and (work[0] / "round-000.parquet").is_file()
    assert json.loads((work[0] / "round-001.json").read_text())["seconds"] is None
    resumed = fill(place, out="manifests/killed", budget_faces=40)
    assert resumed.kept.frame.equals(undisturbed.kept.frame)
    assert resumed.drawn.frame.equals(undisturbed.drawn.frame)
    assert np.array_equal(resumed.kept.pictures(16, 1), undisturbed.kept.pictures(16, 1))
    assert not list((place / "manifests").glob(".killed*"))


def test_the_guide_is_asked_for_only_where_it_has_weight(place, draw, monkeypatch):
    from experiments import fill_plan as module

    given = []
    generate = module.generate

    def noted(*args, guide=None, **options):
        given.append(guide)
        return generate(*args, **options)

    monkeypatch.setattr(module, "generate", noted)
    plan = Plan("basic7", (Cell("disgust", None, None, 0, 2, 2),))
    fill(place, plan=plan)
    assert given[0] is None
    with pytest.raises(FerError, match="guide_scale"):  # a DCGAN cannot be steered: it does not know the option
        fill(place, out="manifests/guided", plan=plan, generate={"processes": 1, "sampling": {"guide_scale": 1.0}})
    assert given[-1] is not None and len(given[-1].sha256) == 64


def test_the_same_command_reads_what_it_filled_and_another_is_refused(place, draw, monkeypatch):
    plan = Plan("basic7", (Cell("disgust", None, None, 0, 2, 2),))
    first = fill(place, plan=plan)
    monkeypatch.setattr(filling, "generate", None)  # nothing may be drawn again
    again = fill(place, plan=plan)
    assert again.kept.sha256 == first.kept.sha256
    assert again.drawn.sha256 == first.drawn.sha256
    assert (again.table, again.cells) == (first.table, first.cells)
    for change in ({"budget_faces": 9}, {"screen": {**SETTINGS["screen"], "minimum_p": 0.1}}):
        with pytest.raises(FerError, match=r"filled.parquet exists"):
            fill(place, plan=plan, **change)


def test_what_cannot_be_filled_is_refused_before_anything_is_drawn(place, draw):
    with pytest.raises(FerError, match="the plan asks for no faces"):
        fill(place, plan=Plan("basic7", (Cell("fear", None, None, 0, 0, 0),)))
    with pytest.raises(FerError, match="expected the plan's label set basic8"):
        fill(place, plan=Plan("basic8", (Cell("fear", None, None, 0, 1, 1),)))
    (place / "manifests/taken-drawn.parquet").write_text("")
    with pytest.raises(FerError, match="taken-drawn.parquet exists"):
        fill(place, out="manifests/taken")
    told = place / "judges/screening/checkpoint/classifier.json"
    description = json.loads(told.read_text())
    told.write_text(json.dumps({**description, "labels": description["labels"][::-1]}))
    with pytest.raises(FerError, match="expected a classifier of the plan's labels"):
        fill(place)
    shutil.rmtree(place / "judges/screening")
    with pytest.raises(FerError, match="screening"):
        fill(place)
