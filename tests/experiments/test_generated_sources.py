"""What a report tells of the generated faces that an experiment drew, from what their manifests say of themselves."""

import json
import shutil
from pathlib import Path

import pytest

from experiments import synthesis
from experiments.before_after import open_parts
from experiments.generated_sources import collect_synthesis, find_sources
from experiments.judges import load_judges
from experiments.settings import ExperimentConfig
from fer_data import manifest as manifests
from fer_data import tables
from generators.screening import table_path

TINY = {"size_px": 16, "steps": 2, "batch_size": 16, "evaluations": 1, "threads": 1, "trackers": []}
SOURCE = {
    "kind": "dcgan",
    "generator": {"size_px": 16, "steps": 2, "batch_size": 8, "derived_faces": 8, "minimum_per_class": 2,
                  "widths": [16, 16], "noise_width": 8},
    "judges": {"fewest": 1, "guide": {**TINY, "model": "thin_vgg"}, "measuring": {**TINY, "steps": 30},
               "conditions": None, "screening": {**TINY, "model": "thin_resnet10", "steps": 60}},
    "classes": ["disgust", "fear"],
    "ratio": 0.4,
    "fill": {"round_faces": 24, "budget_faces": 4, "generate": {"processes": 1},
             "screen": {"minimum_p": 0.0, "too_near": 0.0, "broken": 0.0}},
}  # fmt: skip
ADD = {"source": "dcgan", "ratio": 0.1, "weight": 0.3, "short": "take"}


def config(**changes) -> ExperimentConfig:
    values = {
        "name": "x",
        "evaluate_on": "manifests/faces",
        "arms": [
            {"name": "baseline"},
            {"name": "more", "title": "More", "make": {"add": [ADD]}},
            {"name": "less", "make": {"add": [{**ADD, "ratio": 0.05}]}},
        ],
        "sources": {"dcgan": SOURCE},
        "baseline": "baseline",
        "primary": "more",
        "seeds": [1],
        "train": {"model": "thin_resnet10", "size_px": 16, "steps": 4, "batch_size": 32},
        "leaks": "drop_from_train",
    }
    return ExperimentConfig(**{**values, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, module_project: Path, drawn_as_squares: None) -> Path:
    """A project whose arms have their generated faces."""
    root = tmp_path_factory.mktemp("finished") / "project"
    shutil.copytree(module_project, root)
    open_parts(config(), root, root / "runs/x")
    return root


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to take things away from."""
    root = tmp_path / "project"
    shutil.copytree(finished, root)
    return root


def collect(root: Path, **changes):
    return collect_synthesis(open_parts(config(**changes), root, root / "runs/x"))


def test_a_source_is_told_once_with_all_its_arms(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "FEWEST", 5)
    told = collect(finished)
    assert told["note"] == "" and told["left_out"] == []
    (source,) = told["sources"]
    assert source["arms"] == ["more", "less"]
    assert source["title"] == "dcgan: disgust, fear"
    assert source["preset"] == "16 px, trained for 2 steps on faces"
    kept = manifests.read(finished / f"manifests/x/steps/{source['name']}")
    drawn = manifests.read(kept.path.with_name(f"{source['name']}-drawn.parquet"))
    verdicts = tables.read_table(table_path(kept.path))[0].to_pandas()
    real = manifests.read(finished / "manifests/faces").frame
    have = real["label"][real["split"] == "train"].value_counts()
    assert source["asked"] == sum(round(0.4 * have[label]) for label in ("disgust", "fear"))
    assert (source["made"], source["kept"]) == (len(verdicts), int(verdicts["keep"].sum()))
    assert source["dropped"] == verdicts["reason"].value_counts().to_dict()
    assert 0 < source["kept"] == len(kept)
    judge = load_judges(finished / kept.metadata["judges"]).measuring
    seen = judge.probabilities(drawn.pictures(16, 1)).argmax(axis=1)
    for label, counts in source["agreement"].items():
        own = (drawn.frame["label"] == label).to_numpy()
        right = int((seen[own] == drawn.labels.index(label)).sum())
        assert {key: counts[key] for key in ("agreed", "of")} == {"agreed": right, "of": int(own.sum())}
        assert 8 <= counts["real"]["of"] <= 10  # ten test faces a class, those that are also in train left out
    assert set(source["agreement"]) == {"disgust", "fear"} and source["real_labels"] == "planted truth"
    assert set(source["kid"]) == {"value", "standard_error", "floor"}
    assert collect(finished) == told  # the same again, to the last digit


def test_what_is_not_on_this_machine_is_said_in_a_sentence(place: Path) -> None:
    (kept,) = (source.kept for source in find_sources(manifests.read(place / "manifests/x/more")))
    shutil.rmtree(place / kept.metadata["judges"])
    (source,) = collect(place)["sources"]
    assert source["unmeasured"] == "its judges are not on this machine"
    assert source["agreement"] == {} and source["kid"] is None and source["kept"] == len(kept)
    (checkpoint,) = place.glob("runs/x/sources/dcgan-*/checkpoint/generator.json")
    checkpoint.unlink()
    (source,) = collect(place)["sources"]
    assert source["preset"] == "trained on faces; its checkpoint is not on this machine"
    kept.path.with_name(f"{kept.name}-drawn.parquet").unlink()
    (without,) = collect(place)["sources"]
    assert without == source
    table_path(kept.path).unlink()
    assert collect(place)["left_out"] == [
        "“More” has generated faces whose drawing is not on this machine.",
        "“less” has generated faces whose drawing is not on this machine.",
    ]


def test_faces_that_screening_kept_are_measured_where_no_others_are_left(place: Path) -> None:
    (source,) = find_sources(manifests.read(place / "manifests/x/more"))
    (whole,) = collect(place)["sources"]
    source.made.path.unlink()
    (told,) = collect(place)["sources"]
    assert told["kept_only"] and "kept_only" not in whole
    assert {key: told[key] for key in ("asked", "made", "kept", "dropped", "arms")} == {
        key: whole[key] for key in ("asked", "made", "kept", "dropped", "arms")
    }
    assert told["made"] == len(source.made) > len(source.kept)
    labels = source.kept.frame["label"].value_counts()
    assert {label: counts["of"] for label, counts in told["agreement"].items()} == labels.to_dict()


def test_faces_that_were_not_screened_are_all_kept(place: Path) -> None:
    (source,) = find_sources(manifests.read(place / "manifests/x/more"))
    arms = [
        {"name": "baseline"},
        {"name": "more", "make": {"add": [{"synthetic": f"manifests/x/steps/{source.made.name}", "ratio": 0.1,
                                           "weight": 1, "short": "take"}]}},
    ]  # fmt: skip
    (told,) = collect(place, name="raw", arms=arms, sources={})["sources"]
    assert told["name"] == source.made.name and told["dropped"] == {}
    assert told["made"] == told["kept"] == len(source.made)
    assert told["unmeasured"] == "its manifest names no judges"


def test_an_experiment_without_generated_faces_has_nothing_to_tell(place: Path) -> None:
    arms = [{"name": "baseline"}, {"name": "cleaned", "manifest": "manifests/clean"}]
    assert collect(place, name="plain", arms=arms, primary="cleaned", sources={}) is None


def test_a_generator_whose_faces_are_gone_is_named(place: Path) -> None:
    reviewed = [{"name": "baseline"}, {"name": "more", "make": {"review": {"order": "random"}, "add": [ADD]}}]
    parts = open_parts(config(arms=reviewed), place, place / "runs/x")
    (source,) = find_sources(parts[0].design.arms["more"])
    (told,) = collect_synthesis(parts)["sources"]
    assert told["preset"].startswith("16 px, trained for 2 steps on review-all-random")
    (labels,) = (place / "manifests/x/steps").glob("review-all-*[0-9a-f].parquet")
    labels.unlink()
    assert collect_synthesis(parts) == {
        "note": "",
        "sources": [],
        "left_out": [f"The faces that the generator of {source.kept.name} learnt from are not on this machine."],
    }


def test_the_command_writes_them_into_the_report(place: Path, fer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    Path("x.json").write_text(json.dumps(config(bootstrap=100, sheets=0).model_dump(mode="json")))
    code, _, error = fer("experiment", "x.json", "--out", "runs/x")
    assert code == 0, error
    told = json.loads(Path("runs/x/report.json").read_text())["report"]["synthesis"]
    assert told == json.loads(json.dumps(collect(place)))
    assert "<h2>Generated faces</h2>" in Path("runs/x/report.html").read_text()
    assert "Trained on by “More”, “less”." in Path("runs/x/report.md").read_text()
