"""Generated faces that an experiment makes itself: from each fold's own labels, checked before hours are spent."""

import json
from pathlib import Path

import pytest

from experiments.before_after import open_parts, run_experiment
from experiments.making.drawn import SourceConfig
from experiments.settings import ExperimentConfig
from fer_data import manifest as manifests
from fer_data import tables
from fer_data.errors import FerError

TINY = {"size_px": 16, "steps": 2, "batch_size": 16, "evaluations": 1, "threads": 1, "trackers": []}
SOURCE = {
    "kind": "dcgan",
    "generator": {"size_px": 16, "steps": 2, "batch_size": 8, "derived_faces": 8, "minimum_per_class": 2,
                  "widths": [16, 16], "noise_width": 8},
    "judges": {"fewest": 1, "guide": {**TINY, "model": "thin_vgg"}, "measuring": TINY, "conditions": None,
               "screening": {**TINY, "model": "thin_resnet10", "steps": 60}},
    "classes": ["disgust", "fear"],
    "ratio": 0.2,
    "fill": {"round_faces": 24, "budget_faces": 60, "generate": {"processes": 1},
             "screen": {"minimum_p": 0.0, "too_near": 0.0, "broken": 0.0}},
}  # fmt: skip
TRAIN = {"model": "thin_resnet10", "size_px": 16, "steps": 4, "batch_size": 32, "evaluations": 2, "threads": 1,
         "trackers": []}  # fmt: skip


def config(**changes) -> ExperimentConfig:
    add = {"source": "dcgan", "ratio": 0.1, "weight": 0.3, "short": "take"}
    values = {
        "name": "cv",
        "evaluate_on": "manifests/faces",
        "arms": [{"name": "baseline"}, {"name": "more", "make": {"review": {"order": "random"}, "add": [add]}}],
        "sources": {"dcgan": SOURCE},
        "baseline": "baseline",
        "primary": "more",
        "seeds": [1],
        "train": TRAIN,
        "folds": {"count": 2, "val_share": 0.2},
        "bootstrap": 100,
    }
    return ExperimentConfig(**{**values, **changes})


@pytest.mark.slow
@pytest.mark.usefixtures("drawn_as_squares")
def test_every_fold_has_a_generator_of_its_own(project: Path) -> None:
    out = project / "runs/cv"
    ahead = open_parts(config(), project, out, draws=False)
    assert [list(part.design.undrawn) for part in ahead] == [["more"], ["more"]]
    assert not list((project / "runs").glob("cv/fold*/sources"))
    results = json.loads(run_experiment(config(), project, out).read_text())
    assert results["arms"][1]["training_faces"]["origins"]["synthetic"] > 0
    folds = sorted((project / "manifests/cv").glob("fold?-*.parquet"))
    for number, path in enumerate(folds):
        fold = manifests.read(path)
        judged = set(fold.frame["sample_id"][fold.frame["split"] != "train"])
        seen = list((project / f"runs/cv/fold{number}/sources").glob("dcgan-*/checkpoint/seen.parquet"))
        assert len(seen) == 1
        assert judged.isdisjoint(tables.read_table(seen[0])[0]["sample_id"].to_pylist())
    before = {path: path.stat().st_mtime_ns for path in (project / "manifests/cv").rglob("*.parquet")}
    again = json.loads(run_experiment(config(), project, out).read_text())
    assert {path: path.stat().st_mtime_ns for path in before} == before  # nothing is drawn or made twice
    assert again["numbers_sha256"] == results["numbers_sha256"]


def test_a_source_that_cannot_be_made_is_refused_first(project: Path) -> None:
    for changes, message in (
        ({"kind": "gan"}, "gan"),
        ({"generator": {"stepz": 3}}, "unknown key 'stepz'"),
        ({"generator": "no-such-preset"}, "no such file or preset"),
        ({"judges": {"guidez": 1}}, "unknown key 'guidez'"),
    ):
        with pytest.raises(FerError, match=message):
            open_parts(config(sources={"dcgan": {**SOURCE, **changes}}), project, project / "runs/cv")
    assert SourceConfig(**SOURCE).generator_config().steps == 2
    assert SourceConfig(**{**SOURCE, "generator": "dcgan-tiny", "judges": "judges-tiny"}).judges_config().fewest == 1
