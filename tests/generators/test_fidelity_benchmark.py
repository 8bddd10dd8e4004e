"""What the benchmark of fidelity draws again, what it promises, and how it dates snapshots."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fer_data.errors import FerError
from fer_data.files import write_json
from fer_data.plans import Cell
from generators.fidelity import FidelityConfig, read_reference
from generators.models import describe_checkpoint
from generators.training import train_generator
from generators.weights import write_tensors

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench_modules():
    """The benchmark's modules; programs lie in no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        names = ("fidelity_lines", "training_stages", "fidelity_fer2013")
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})


@pytest.fixture(scope="module")
def run(training, root, make_config):
    """A training with two snapshots."""
    folder = root / "runs/staged"
    train_generator("diffusion", training, make_config("diffusion", snapshots=[0.5, 0.9]), folder)
    return folder


def test_stages_are_dated_by_the_pace_of_the_run(bench_modules, run):
    found = bench_modules.training_stages.stages(run)
    assert [stage.steps for stage in found] == [3, 6]  # the last snapshot is the checkpoint
    assert found[1].minutes == 2 * found[0].minutes > 0
    assert [stage.training_faces for stage in found] == [24, 48]
    assert found[0].as_dict()["steps"] == 3
    early, late = found
    by_minute = bench_modules.training_stages.by_minute
    assert by_minute(found, late.minutes) is late and by_minute(found, 0.9 * late.minutes) is early
    assert by_minute(found, 0) is early


def test_a_stage_has_the_losses_before_it(bench_modules, run, tmp_path):
    (tmp_path / "snapshot-50").symlink_to(run / "snapshot-50")
    write_json(tmp_path / "history.json", [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 9, "loss": 1}])
    with pytest.raises(FerError, match="expected a run of fer train-generator .* found no state.safetensors"):
        bench_modules.training_stages.stages(tmp_path)
    write_tensors(tmp_path / "state.safetensors", {}, {"steps": 12, "seconds": 240.0})
    stage = bench_modules.training_stages.stages(tmp_path)[0]
    assert (stage.minutes, stage.losses) == (1.0, {"step": 2, "loss": 2.0})
    (tmp_path / "snapshot-50").unlink()
    with pytest.raises(FerError, match="found no checkpoint"):
        bench_modules.training_stages.stages(tmp_path)


def test_faces_are_drawn_again_where_anything_that_decides_them_differs(bench_modules, run, training):
    """Two checkpoints of one run, two settings, two counts: six places, each its own."""
    program = bench_modules.fidelity_fer2013
    stages = bench_modules.training_stages.stages(run)
    sizes = program.Sizes(4, 4, 4)

    def place(stage=stages[1], count=4, **sampling):
        bench = program.Bench(training, Path("j"), None, None, {"diffusion": stages}, sampling, sizes, None)
        cells = [Cell("fear", None, "normal", 0, count, count)]
        return bench._place("a", stage.checkpoint, cells, {"generate": bench._options("diffusion")})

    places = [place(), place(stages[0]), place(count=5), place(steps=3), place(steps=4)]
    assert len(set(places)) == len(places)
    assert place() == places[0] and place(steps=3) == places[3]
    assert describe_checkpoint(stages[0].checkpoint)["steps"] == 3


def test_drawn_faces_are_read_and_not_drawn_again(bench_modules, run, training, monkeypatch):
    program = bench_modules.fidelity_fer2013
    monkeypatch.chdir(training.root)
    stages = bench_modules.training_stages.stages(run)
    faces = SimpleNamespace(labels=training.frame["label"].to_numpy(), lights=np.full(len(training), "normal", object))
    reference = SimpleNamespace(training=faces)
    bench = program.Bench(
        training, Path("j"), None, reference, {"diffusion": stages}, {"steps": 2}, program.Sizes(1, 1, 2), None
    )
    drawn = bench.draw("diffusion", stages[1])
    assert drawn.frame["label"].value_counts().to_dict() == dict.fromkeys(training.labels, 2)
    before = drawn.path.stat().st_mtime_ns
    assert bench.draw("diffusion", stages[1]).path.stat().st_mtime_ns == before
    assert bench.draw("diffusion", stages[0]).path != drawn.path
    assert bench.draw("re_expression", stages[1]).path != drawn.path


def test_curves_and_sources_at_equal_time(bench_modules, run, training, root, make_config, judge, monkeypatch):
    program, stages = bench_modules.fidelity_fer2013, bench_modules.training_stages.stages
    train_generator("dcgan", training, make_config("dcgan"), root / "runs/staged-dcgan")
    monkeypatch.chdir(training.root)
    reference = read_reference(training, judge, FidelityConfig(fewest=10, subsets=2))
    found = {"diffusion": stages(run), "dcgan": stages(root / "runs/staged-dcgan")}
    loaded = SimpleNamespace(measuring=judge, conditions=None)
    bench = program.Bench(training, Path("j"), loaded, reference, found, {"steps": 2}, program.Sizes(1, 1, 2), None)
    curve = list(program.curve_figures(bench, None))
    kids = [line for line in curve if line["figure"] == "curve_kid_judge" and line["label"] == "all"]
    assert [(line["source"], line["steps"]) for line in kids] == [("diffusion", 3), ("diffusion", 6), ("dcgan", 6)]
    assert all(line["n"] == 14 and line["interval"][0] < line["value"] and line["minutes"] >= 0 for line in kids)
    assert {line["reason"] for line in curve if line["figure"] == "curve_kid_judge" and line["label"] == "fear"} == {
        "2 faces and 6 real training faces, fewer than 10 on a side"
    }
    equal = list(program.equal_time_figures(bench))
    told = [line["source"] for line in equal if (line["figure"], line["label"]) == ("equal_time_kid_judge", "all")]
    assert told == ["diffusion", "re_expression", "dcgan"]
    json.dumps([*curve, *equal], allow_nan=False, default=lambda value: value.item())


def measure(value, real=None, **more):
    around = {"value": value, "low": value - 0.1, "high": value + 0.1, "count": 20}
    beside = None if real is None else {"value": real, "low": real - 0.1, "high": real + 0.1, "count": 90}
    return {**around, "real": beside, **more}


def fidelity(agreement, coverage, flagged):
    """As `measure_fidelity` tells it, one space."""
    names = ("kid", "frechet", "frechet_infinity")
    group = {
        "agreement": measure(agreement, 0.3),
        "features": {
            "judge": {**{name: measure(0.5, 0.2) for name in names}, "coverage": measure(coverage, expected=1)}
        },
        "copies": {"flagged": measure(flagged, 0.01)},
        "memorisation": {"pixels": {"nearer_training": measure(0.5, 0.5)}},
    }
    keys = [("all", None), ("label", "disgust"), ("label", "fear")]
    return [{"level": level, "label": label, **group} for level, label in keys]


def test_what_was_promised_is_held_against_the_figures(bench_modules):
    lines = bench_modules.fidelity_lines
    measured = {"groups": fidelity(0.2, 0.8, 0.02), "kept": fidelity(0.44, 0.75, 0.02)}
    told = list(lines.source_lines([], measured, {"source": "dcgan"}))

    def reached(figure, faces, label):
        asked = {"figure": figure, "faces": faces, "label": label}
        return next(line["reached"] for line in told if asked.items() <= line.items())

    assert reached("agreement", "drawn", "fear") is None
    assert reached("agreement", "kept", "fear") is False  # 0.45 is asked for
    assert reached("coverage_judge", "kept", "fear") is False  # less than what was drawn
    assert reached("copies_flagged", "drawn", "all") is True
    assert reached("copies_flagged", "kept", "all") is False
    assert reached("copies_flagged", "kept", "fear") is None
    better = {"groups": fidelity(0.2, 0.6, 0.0), "kept": fidelity(0.46, 0.65, 0.01)}
    told += lines.source_lines([], better, {"source": "diffusion"})
    best = list(lines.best_coverage(told))
    assert [(line["label"], line["source"], line["value"], line["reached"]) for line in best] == [
        ("disgust", "dcgan", 0.75, True),
        ("fear", "dcgan", 0.75, True),
    ]
    told = list(lines.source_lines([], better, {"source": "diffusion"}))
    assert [reached(*asked) for asked in (("agreement", "kept", "fear"), ("coverage_judge", "kept", "fear"))] == [
        True
    ] * 2
    assert [line["reached"] for line in lines.best_coverage(told)] == [False, False]


def test_lines_tell_real_faces_beside_and_why_there_is_none(bench_modules):
    line = bench_modules.fidelity_lines.beside(
        measure(0.123456, 0.02), "kid_judge", "MMD²", {"label": "fear"}, digits=5
    )
    assert (line["value"], line["interval"], line["n"]) == (0.12346, [0.02346, 0.22346], 20)
    assert (line["peer_value"], line["peer_interval"], line["peer_n"]) == (0.02, [-0.08, 0.12], 90)
    nothing = bench_modules.fidelity_lines.beside({"value": None, "reason": "too few", "real": None}, "kid", "MMD²", {})
    assert nothing["value"] is nothing["interval"] is nothing["peer_value"] is None and nothing["reason"] == "too few"
    cell = {"asked": 4, "made": 8, "kept": 4, "yield": 0.5, "dropped": {"blank": 4}}
    told = bench_modules.fidelity_lines.yield_line(cell, {"label": "fear"})
    assert (told["value"], told["n"], told["dropped"]) == (0.5, 8, {"blank": 4})
    assert told["interval"][0] < 0.5 < told["interval"][1]
    assert bench_modules.fidelity_lines.yield_line({**cell, "made": 0}, {})["reason"] == "no face was drawn"
