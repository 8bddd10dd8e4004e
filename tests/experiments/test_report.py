"""The report tells what the numbers say, whichever way they fell, and opens without a network."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from experiments import wording
from experiments.report import write_report
from experiments.results import Question, View, summarise
from experiments.sheets import Sheet, dropped, generated, relabelled
from fer_data import manifest as manifests
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.licenses import FER2013

ARMS = ("baseline", "sampled", "cleaned")


def make_results(gain: float, *, drawn: bool = False, reviewed: bool = True, seeds=(1, 2)) -> dict:
    """Results of simulated answers: arm `cleaned` is right `gain` more often than the baseline."""
    generator = np.random.default_rng(4)
    truth = np.repeat(np.arange(7), (60, 8, 70, 90, 60, 60, 60))
    hardness = generator.random(len(truth))
    probabilities = {}
    for arm, skill in zip(ARMS, (0.5, 0.51, 0.5 + gain), strict=True):
        for seed in seeds:
            right = hardness + generator.normal(0, 0.05, len(truth)) < skill
            answers = np.where(right, truth, (truth + 1) % 7)
            probabilities[arm, seed] = np.eye(7, dtype=np.float32)[answers]
    leaked = np.arange(len(truth)) % 11 == 0
    unclear = np.arange(len(truth)) % 13 == 0
    views = [
        View(split, labels, name, kept, int((kept < 0).sum()))
        for split, inside in (("official", np.ones(len(truth), bool)), ("leak_free", ~leaked))
        for labels, name, kept in (
            ("given", "given labels", np.where(inside, truth, -1)),
            ("reference", "FER+ majority", np.where(inside & ~unclear, truth, -1)),
        )
    ]
    question = Question(list(ARMS), "baseline", "cleaned", "reference", "balanced_accuracy", list(seeds), 400)
    numbers = summarise(question, probabilities, views, BASIC7, np.arange(len(truth)))
    review = {
        "manifest": "m",
        "reviewers": ["simulated:FER+ majority"],
        "relabelled": 40,
        "dropped": 2,
        "log_sha256": "1",
    }
    return {
        "kind": "experiment", "schema_version": 1, "name": "x", "title": "Before & after",
        "configuration": {"name": "x", "note": "<script>"},
        "question": {
            "baseline": "baseline", "primary": "cleaned", "labels": "reference", "metric": "balanced_accuracy",
            "seeds": list(seeds), "resamples": 400,
        },
        "versions": {"python": "3"}, "machine": {"cores": 2, "kind": "x86_64"}, "labels": list(BASIC7), "drawn": drawn,
        "evaluate_on": {
            "manifest": "manifests/faces.parquet", "sha256": "a" * 64, "counts": {}, "licence": FER2013.as_dict(),
            "validation_faces": 50,
        },
        "leaks": {
            "policy": "drop_from_train", "test_faces_with_twins_in_train": 288, "test_faces_with_twins_in_val": 4,
            "val_faces_with_twins_in_train": 7, "faces_in_groups_that_cross_splits": 600,
            "dropped_from_train": {"baseline": 295, "sampled": 295, "cleaned": 0},
        },
        "arms": [
            {
                "name": arm, "title": f"Arm {arm}", "note": "", "manifest": "manifests/m.parquet",
                "manifest_sha256": "b" * 64, "train_rows_sha256": "c" * 64, "licence": FER2013.as_dict(),
                "train": {"model": "thin_resnet10", "steps": 8}, "changes": {"balanced_sampling": arm == "sampled"},
                "training_faces": {
                    "rows": 100, "per_class": dict.fromkeys(BASIC7, 14), "origins": {"real": 100},
                    "sources": {"f": 100},
                },
                "lineage": [{"path": "m", "command": "fer apply"}, {"path": "l", "command": "fer import fer2013"}],
                "reviews": [review] if reviewed and arm == "cleaned" else [],
            }
            for arm in ARMS
        ],
        "runs": [
            {
                "arm": arm, "seed": seed, "run_sha256": "d" * 64, "seconds": 100.0, "versions": {}, "metrics": {},
                "history": [
                    {"step": step, "train_loss": 2 - step / 10, "val_accuracy": 0.4, "val_balanced_accuracy": step / 20}
                    for step in (4, 8)
                ],
            }
            for arm in ARMS for seed in seeds
        ],
        **numbers,
    }  # fmt: skip


SYNTHESIS = {
    "note": "Small presets.",
    "sources": [
        {
            "name": "dcgan", "title": "DCGAN <faces>", "preset": "24 px", "asked": 900, "made": 890, "kept": 600,
            "dropped": {"judge disagrees": 290},
            "agreement": {"fear": {"agreed": 45, "of": 90}, "anger": {"agreed": 0, "of": 0}},
            "kid": {"value": 0.08, "standard_error": 0.01, "floor": 0.002},
        },
        {
            "name": "diffusion", "title": "Diffusion", "preset": "24 px", "asked": 9, "made": 9, "kept": 9,
            "dropped": {}, "agreement": {"fear": {"agreed": 9, "of": 9}},
        },
    ],
}  # fmt: skip


def test_the_answer_is_stated_as_it_came() -> None:
    gain, nothing, loss = (wording.answer(make_results(value)) for value in (0.2, 0.0, -0.2))
    pattern = (
        r"^“Arm cleaned” {} balanced accuracy by [\d.]+ points \[[\d.]+, [\d.]+\] against “Arm baseline” on the test"
    )
    assert re.match(pattern.format("raises"), gain)
    assert re.match(pattern.format("lowers"), loss)
    assert re.match(r"^No difference shown: .* by [+−][\d.]+ points \[−[\d.]+, \+[\d.]+\]", nothing)
    assert "test split without exact twins in train or val, judged by FER+ majority" in gain
    assert re.search(r"\(95 % interval, paired, \d+ faces, 2 seeds\)\.$", gain)
    assert "1 seed, so the chance of training is not in the interval" in wording.answer(make_results(0.2, seeds=(1,)))
    results = make_results(0.1)
    wording.primary_contrast(results)["value"] = None  # type: ignore[index]
    assert wording.answer(results).startswith("No answer: balanced accuracy")


def test_the_first_lines_name_who_reviewed_and_that_faces_are_drawn(tmp_path: Path) -> None:
    page = write_report(make_results(0.2, drawn=True), tmp_path / "report.html").read_text()
    lead = re.findall(r"<p class=lead>(.*?)</p>", page)
    assert lead[0].startswith("“Arm cleaned” raises")
    assert lead[1].startswith("Reviewed by simulated:FER+ majority (40 relabelled, 2 dropped).")
    assert "no person" in lead[1]
    assert lead[2].startswith("The faces are drawn by this tool")
    page = write_report(make_results(0.2, reviewed=False), tmp_path / "report.html").read_text()
    assert "Nobody reviewed faces" in page
    assert "drawn by this tool" not in page


def test_the_page_is_whole_self_contained_and_escaped(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (5, 1, 16, 16)).astype(np.uint8)
    sheet = Sheet("Relabelled <b>", "5 of 40", images, [["fear", "was anger"]] * 5)
    path = write_report(
        make_results(0.1), tmp_path / "report.html", synthesis=SYNTHESIS, sheets=[sheet], stage_seconds={"import": 3}
    )
    page = path.read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Differences", "Before and after", "Class by class", "Confusions", "Generated faces", "Faces", "Training",
        "Tests", "Leaks", "Training faces and licences", "What this does not show", "To get the same numbers again",
    ]  # fmt: skip
    assert "<script" not in page and "Relabelled <b>" not in page and "&lt;script&gt;" in page
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)
    assert page.count("<svg") == 4
    for words in (
        "288",
        "no owner licence known",
        "Disgust has 7 test faces here",
        "judge disagrees 290",
        "floor 0.002",
    ):
        assert words in page
    assert "50.0" in page  # 45 of 90


def test_report_json_holds_the_same(tmp_path: Path) -> None:
    results = make_results(0.1)
    source = tmp_path / "results.json"
    source.write_text(json.dumps(results))
    write_report(source, tmp_path / "report.html", synthesis=SYNTHESIS)
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["answer"] == wording.answer(results)
    assert told["scores"] == results["scores"]
    assert told["report"]["synthesis"] == SYNTHESIS
    assert any("simulated reviewer" in limit for limit in told["report"]["limits"])


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FerError, match=r"expected the results\.json of an experiment"):
        write_report({"kind": "audit"}, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_exploratory_contrasts_are_corrected_and_the_primary_is_not() -> None:
    contrasts = make_results(0.06)["contrasts"]
    primary = [one for one in contrasts if one["family"] == "primary"]
    assert len(primary) == 1 and primary[0]["p_holm"] == primary[0]["p_value"]
    exploratory = [one for one in contrasts if one["family"] == "exploratory"]
    assert len(exploratory) == 2 * 4 * 3 - 1
    smallest = min(exploratory, key=lambda one: one["p_value"])
    assert smallest["p_holm"] == pytest.approx(min(1, smallest["p_value"] * len(exploratory)))


def test_wording_of_numbers() -> None:
    assert wording.percent(0.6444) == "64.4"
    assert wording.percent(None) == "–"
    assert wording.points(-0.0321) == "−3.2"
    assert wording.points(None) == "–"
    assert wording.interval({"value": None}, signed=True) == ""
    assert wording.p_value(0.0004) == "< 0.001"
    assert wording.p_value(None) == "–"
    view = {"per_class": {"fear": 1, "anger": 0, "disgust": 50, "neutral": 400}}
    told = wording.small_classes(view)
    assert (
        told[0]
        == "Fear has 1 test face here: a single one is 100.0 points of its recall and 25.0 of balanced accuracy."
    )
    assert len(told) == 2


def test_sheets_show_what_changed(project: Path, write_synthetic) -> None:
    faces, clean = (manifests.read(project / "manifests" / name) for name in ("faces", "clean"))
    sheet = relabelled(faces, clean, 6)
    assert sheet.images.shape == (6, 1, 16, 16)
    assert all(new != old.removeprefix("was ") for new, old in sheet.captions)
    before = faces.frame.set_index("sample_id")["label"]
    after = clean.frame.set_index("sample_id")["label"]
    changed = int((before.loc[after.index] != after).sum())
    assert sheet.note.startswith(f"6 of {changed:,} faces")
    gone = dropped(faces, clean, 99)
    np.testing.assert_array_equal(gone.images, faces.pictures(16, 1)[:3])
    balanced = write_synthetic(faces, "balanced", seen=faces.frame)
    made = generated(balanced, 9)
    assert [caption[0] for caption in made.captions] == sorted((c[0] for c in made.captions), key=BASIC7.index)
    assert {caption[0] for caption in made.captions} == set(BASIC7)
    assert made.captions[0][1] == "mask, low"
    assert made.note.startswith("9 of 14 faces")
    assert len(generated(faces, 9).images) == 0
