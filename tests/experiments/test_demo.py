"""The demo, every stage of it, at a size that proves the path and nothing about faces."""

import io
import shutil

import fer2013_forms as forms
import numpy as np
import pytest
from rich.console import Console

from experiments.demo import DemoConfig, run_demo
from experiments.settings import ExperimentConfig
from fer_data import manifest
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.files import read_json
from fer_data.progress import SILENT
from generators.models import generator_kind

CLASSIFIER = "{model: thin_resnet10, size_px: 16, epochs: 1, evaluations: 1, allow_empty_classes: true}"
TINY = (
    "predict.folds=2",
    f"predict.train={CLASSIFIER}",
    f"judges={{screening: {CLASSIFIER}, measuring: {CLASSIFIER}}}",
    "plan={labels: [disgust, fear], target: 90, occlusions: [none, mask], lights: [normal, low]}",
    "generators={dcgan: {size_px: 16, steps: 3, derived_faces: 60, minimum_per_class: 1},"
    " diffusion: {size_px: 16, steps: 3, derived_faces: 60, minimum_per_class: 1, widths: [8, 16]}}",
)
ARMS = [{"name": name, "manifest": f"manifests/{name}"} for name in ("faces", "clean", "diffusion-balanced")]
EXPERIMENT = (
    "experiment={name: tiny, evaluate_on: manifests/faces, baseline: faces, primary: diffusion-balanced, "
    "leaks: score_apart, seeds: [1], bootstrap: 100, train: {model: thin_resnet10, size_px: 16, steps: 4, "
    f"batch_size: 32, evaluations: 1, allow_empty_classes: true}}, arms: {ARMS}}}"
)


def demo(out, *settings, data=None, **arguments):
    screen = io.StringIO()
    console = Console(file=screen, width=200)
    given = {"votes": None, "full": False, **arguments}
    run_demo(data=data, out=out, settings=[*settings], reporter=SILENT, console=console, **given)
    return screen.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_job_on_drawn_faces_and_again(tmp_path):
    settings = ("options.count=500", *TINY, EXPERIMENT)
    screen = demo(tmp_path, *settings)
    assert "[13/13] report" in screen and "curator" in screen
    page = (tmp_path / "report.html").read_text()
    assert "simulated:planted_truth" in page and "drawn by this tool" in page
    assert not {"http://", "https://", "<script"} & {page[i : i + 8] for i in range(len(page) - 8)}
    results = read_json(tmp_path / "report.json")
    clean = manifest.read(tmp_path / "manifests/clean")
    assert clean.metadata["decisions"]["reviewers"] == ["simulated:planted_truth"]
    for name in ("raw", "faces", "clean", "dcgan-synthetic", "diffusion-balanced"):
        assert manifest.validate(manifest.read(tmp_path / "manifests" / name), full=True) == []
    assert demo(tmp_path, *settings).count("done before") == 13
    shutil.rmtree(tmp_path / "runs/tiny")  # the runs again, from nothing: the same numbers to the last bit
    assert demo(tmp_path, *settings).count("done before") == 11
    assert read_json(tmp_path / "report.json")["numbers_sha256"] == results["numbers_sha256"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_votes_beside_a_csv_are_found_and_review_it(tmp_path):
    download = tmp_path / "download"
    download.mkdir()
    lines = [line for line in forms.csv_lines(420)]
    forms.write_lines(download / "fer2013.csv", lines)
    votes = forms.votes_lines(420)
    rows = np.random.default_rng(0).integers(0, 7, 420)
    for row, winner in enumerate(rows):  # clear majorities, so that every class has a truth
        counts = ["0"] * 10
        counts[winner] = "10"
        votes[row + 1] = ",".join([*votes[row + 1].split(",")[:2], *counts])
    forms.write_lines(download / "fer2013new.csv", votes)
    plan = "plan={labels: [disgust, fear], target: 60, occlusions: [unknown, mask], lights: [normal, low]}"
    screen = demo(tmp_path / "demo", "subset=300", *TINY, plan, EXPERIMENT, data=download)
    assert "simulated:ferplus_majority" in screen
    assert "FER+ majority" in (tmp_path / "demo/report.html").read_text()
    assert len(manifest.read(tmp_path / "demo/manifests/faces")) < len(manifest.read(tmp_path / "demo/manifests/raw"))


@pytest.mark.parametrize("preset", ["demo", "demo-fer2013", "demo-fer2013-full"])
def test_presets_are_whole(preset):
    config = resolve(DemoConfig, preset)
    experiment = resolve(ExperimentConfig, config.experiment)
    assert {"manifests/faces", "manifests/clean"} <= {arm.manifest for arm in experiment.arms}
    for kind, name in config.generators.items():
        assert resolve(generator_kind(kind).config, name).size_px
        assert f"manifests/{kind}-balanced" in {arm.manifest for arm in experiment.arms}
    assert set(config.judges) == {"screening", "measuring"}


def test_what_does_not_fit_together_is_refused(tmp_path):
    with pytest.raises(FerError, match="belong to --data"):
        demo(tmp_path, full=True)
    with pytest.raises(FerError, match="none.csv is missing; expected a FER-2013 download"):
        demo(tmp_path, data=tmp_path / "none.csv")
