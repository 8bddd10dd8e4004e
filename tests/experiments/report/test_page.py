"""The page is whole, opens without a network, and says what it leaves out."""

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from experiments.report import answer, write_report
from experiments.report.contents import REPORT_VERSION
from experiments.report.schema import SCHEMA, schema
from experiments.sheets import Sheet
from fer_data.errors import FerError

PLAIN = [
    "Differences", "Class by class", "Confusions", "Confidence", "Generated faces", "Faces", "Training", "All scores",
    "Tests", "Leaks", "Training faces", "Licences", "What this does not show", "Not in this report",
    "To get the same numbers again",
]  # fmt: skip
FULL = [
    "Differences", "Against the strongest control", "Class by class", "Cross-validated", "What a review buys",
    "Occlusion and low light", "Faces that are really covered, dark or turned",
    "Confusions", "Confidence", "Fairness", "Generated faces", "Faces",
    "Where the classifiers looked", "Training", "All scores", "Tests", "What was chosen, and when", "Leaks",
    "Training faces", "Licences", "What this does not show", "Not in this report", "To get the same numbers again",
]  # fmt: skip


def faces(title: str) -> Sheet:
    images = np.random.default_rng(0).integers(0, 255, (5, 1, 16, 16)).astype(np.uint8)
    return Sheet(title, "5 of 40", images, [["fear", "was anger"]] * 5)


@pytest.fixture(scope="module")
def full_page(tmp_path_factory, full_results, folded_results, synthesis) -> Path:
    """A report with every section but one."""
    return write_report(
        full_results,
        tmp_path_factory.mktemp("full") / "report.html",
        synthesis=synthesis,
        sheets=[faces("Relabelled")],
        heat_maps={"cleaned": [faces("fear, read right")]},
        stage_seconds={"import": 3.0},
        cross_validated=folded_results,
    )


def test_a_plain_experiment_has_the_sections_that_it_can_have(tmp_path: Path, make_results, synthesis) -> None:
    path = write_report(
        make_results(0.1), tmp_path / "report.html", synthesis=synthesis, sheets=[faces("Relabelled <b>")]
    )
    page = path.read_text()
    assert re.findall(r"<h2>(.*?)</h2>", page) == PLAIN
    assert "<script" not in page and "Relabelled <b>" not in page and "&lt;script&gt;" in page
    for words in ("288", "no owner licence known", "judge disagrees 290", "0.002", "50.0", "87.5"):
        assert words in page
    left_out = json.loads(path.with_suffix(".json").read_text())["report"]["left_out"]
    assert list(left_out) == [
        "Against the strongest control", "Cross-validated", "What a review buys", "How many generated faces",
        "Occlusion and low light", "Faces that are really covered, dark or turned", "Fairness",
        "Where the classifiers looked", "What was chosen, and when",
    ]  # fmt: skip
    for title, reason in left_out.items():
        assert f"<strong>{title}</strong>: " in page and reason.endswith(".")


def test_a_full_experiment_has_all_of_them(full_page: Path) -> None:
    page = full_page.read_text()
    assert re.findall(r"<h2>(.*?)</h2>", page) == FULL
    assert list(json.loads(full_page.with_suffix(".json").read_text())["report"]["left_out"]) == [
        "How many generated faces"
    ]
    assert "chosen beforehand" in page and "the strongest control" in page
    assert "most suspect first" in page and "chosen at random" in page and "all faces reviewed" in page
    assert "Hand over mouth" in page and "Low light" in page
    assert re.search("(?<!very )old below young|young below (?!very )old", page) and "too few to compare" in page
    assert "written down on 2026-11-22 at 15:30 UTC before any test face was judged" in page
    assert "judged once each in 3 folds" in page


def test_generated_faces_stand_beside_real_ones_and_name_their_arms(tmp_path: Path, make_results, synthesis) -> None:
    path = write_report(make_results(0.1), tmp_path / "report.html", synthesis=synthesis)
    written = path.with_suffix(".md").read_text()
    row = "| (1) DCGAN <faces> | 900 | 890 | 600 | 50.0 [39.9, 60.1] | 87.5 [78.5, 93.1] | 0.080 ± 0.010 | 0.002 |"
    assert row in written
    assert "| (2) Diffusion | 9 | 9 | 9 | – | – | – | – |" in written
    for told in (written, re.sub("&(lt|gt);", lambda sign: {"lt": "<", "gt": ">"}[sign[1]], path.read_text())):
        for words in (
            "(1) DCGAN <faces>. 24 px. Dropped: judge disagrees 290. Trained on by “Arm cleaned”, “Arm baseline”.",
            "(2) Diffusion. 24 px. Not measured: its judges are not on this machine.",
            "“Arm sampled” has others.",
        ):
            assert words in told


def test_points_of_a_curve_are_counted(tmp_path: Path, full_results, synthesis) -> None:
    first = synthesis["sources"][0]
    told = {"note": "", "sources": [{**first, "arms": ["cleaned", "reviewed-50", "all"]}]}
    written = write_report(full_results, tmp_path / "report.html", synthesis=told).with_suffix(".md").read_text()
    assert "- DCGAN <faces>. 24 px. " in written and "Trained on by “Arm cleaned”, 2 arms of the curves.\n" in written


def test_why_nothing_is_told_of_generated_faces(tmp_path: Path, make_results) -> None:
    def reason(told) -> str:
        path = write_report(make_results(0.1), tmp_path / "report.html", synthesis=told)
        assert "## Generated faces" not in path.with_suffix(".md").read_text()
        return json.loads(path.with_suffix(".json").read_text())["report"]["left_out"]["Generated faces"]

    assert reason(None) == "no arm trains on generated faces."
    assert reason({"note": "", "sources": [], "left_out": ["They are gone."]}) == "They are gone."


def test_folds_are_listed(tmp_path: Path, folded_results) -> None:
    page = write_report(folded_results, tmp_path / "report.html").read_text()
    assert page.count("1,234") == 3 and "Of the first fold." in page and "<strong>Cross-validated" not in page


def test_the_page_needs_nothing_but_itself(full_page: Path) -> None:
    page = full_page.read_text()
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)
    assert not re.findall(r"url\((?!#|data:|&#x27;data:|'data:)", page)
    # Every chart says what it shows to those who do not see it.
    assert page.count('<div class="chart"') == len(
        re.findall(r'<div class="chart" role="group" aria-label="[^"]{20,}', page)
    )


def test_the_first_lines_name_who_reviewed_and_that_faces_are_drawn(tmp_path: Path, make_results) -> None:
    def lead(**changes) -> list[str]:
        page = write_report(make_results(0.2, **changes), tmp_path / "report.html").read_text()
        return re.findall(r"<p class=lead>(.*?)</p>", page)

    told = lead(drawn=True)
    assert told[0].startswith("“Arm cleaned” raises")
    assert told[1].startswith("Beside it, exploratory, in points: accuracy +")
    assert told[2].startswith("Reviewed by simulated:FER+ majority (40 relabelled, 2 dropped).")
    assert "no person" in told[2]
    assert told[3].startswith("The faces are drawn by this tool")
    told = lead(reviewed=False)
    assert told[2].startswith("Nobody reviewed faces") and len(told) == 3


def test_report_json_holds_the_same_and_keeps_to_its_schema(
    full_page: Path, full_results, make_results, synthesis, tmp_path
) -> None:
    told = json.loads(full_page.with_suffix(".json").read_text())
    assert told["answer"] == answer(full_results)
    assert told["scores"] == full_results["scores"]
    assert told["report"]["synthesis"] == synthesis
    assert told["report_version"] == REPORT_VERSION
    assert any("simulated reviewer" in limit for limit in told["report"]["limits"])
    committed = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(committed)
    jsonschema.validate(told, committed)
    plain = write_report(make_results(), tmp_path / "report.html").with_suffix(".json")
    jsonschema.validate(json.loads(plain.read_text()), committed)
    del told["scores"]
    with pytest.raises(jsonschema.ValidationError, match="'scores' is a required property"):
        jsonschema.validate(told, committed)


def test_the_schema_beside_the_code_is_that_of_the_types() -> None:
    assert json.loads(SCHEMA.read_text()) == schema(), "run python -m experiments.report.schema"


def test_results_are_read_from_their_path(tmp_path: Path, make_results) -> None:
    source = tmp_path / "results.json"
    source.write_text(json.dumps(make_results()))
    assert write_report(source, tmp_path / "report.html").read_text().count("<h1>") == 1


def test_what_is_no_result_is_refused(tmp_path: Path, make_results) -> None:
    out = tmp_path / "report.html"
    with pytest.raises(FerError, match=r"expected the results\.json of an experiment"):
        write_report({"kind": "audit"}, out)
    broken = make_results()
    del broken["arms"][1]["training_faces"]["rows"]
    with pytest.raises(
        FerError, match=r"results\.json, arms\.1\.training_faces\.rows: Field required; run the experim"
    ):
        write_report(broken, out)
    assert not out.exists()
