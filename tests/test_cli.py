"""The `fer` command as a user meets it: what it prints, what it refuses, how it exits."""

import json

import numpy as np
import pytest
from PIL import Image

import fer_cli

VERBS = [command.name or command.callback.__name__ for command in fer_cli.app.registered_commands]


@pytest.fixture
def drawn(fer):
    """A small manifest of drawn faces with planted defects, imported by the command."""
    code, _, error = fer("import", "procedural", "--count", 300, "--seed", 1, "--out", "manifests/drawn")
    assert code == 0, error
    return "manifests/drawn"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(fer, verb):
    code, out, _ = fer(verb, "--help")
    assert code == 0 and "Usage" in out


def test_import_says_what_came_and_what_to_do_next(fer, project):
    code, out, _ = fer("import", "procedural", "--count", 300, "--seed", 1, "--out", "manifests/drawn")
    assert code == 0
    assert "train " in out and "disgust" in out and "! licence" in out
    assert "→ manifests/drawn.parquet" in out and "next: fer describe manifests/drawn" in out
    code, _, error = fer("import", "procedural", "--count", 300, "--out", "manifests/drawn")
    assert code == 1 and error.count("\n") == 1 and "exists; choose another --out or add --replace" in error


def test_json_is_one_object(fer, drawn):
    code, out, _ = fer("validate", drawn, "--json")
    assert code == 0 and json.loads(out)["faults"] == []
    code, out, _ = fer("log", drawn, "--json")
    assert json.loads(out)["lineage"][0]["command"] == "fer import procedural"


def test_a_manifest_can_be_looked_at(fer, drawn, project):
    assert fer("validate", drawn, "--full")[1].strip().endswith("no fault found")
    code, out, _ = fer("describe", drawn)
    assert code == 0 and (project / "manifests/drawn.html").is_file()
    code, out, _ = fer("duplicates", drawn)
    assert code == 0 and "identical" in out
    code, out, _ = fer("log", drawn)
    assert "as it was" in out


def test_an_altered_store_is_a_fault_and_exit_1(fer, drawn, project):
    next((project / "stores").rglob("*.arrow")).write_bytes(b"")
    code, out, error = fer("validate", drawn, "--full")
    assert code == 1 and "expected SHA-256" in out and error == ""


def test_dry_run_does_nothing(fer, drawn, project):
    before = sorted(project.rglob("*"))
    for command in (
        ["import", "procedural", "--dry-run", "--out", "manifests/other"],
        ["predict", drawn, "--dry-run"],
        ["audit", drawn, "--dry-run"],
        ["train", drawn, "--dry-run"],
        ["train-generator", "dcgan", drawn, "--dry-run"],
    ):
        code, out, error = fer(*command)
        assert code == 0 and "nothing was done" in out, error
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["describe", "manifests/none"], "is missing"),
        (["import", "fer2031", "x.csv"], "has no adapter; did you mean 'fer2013'? expected one of fer2013, "),
        (["import", "procedural", "--set", "cuont=3"], "unknown key 'cuont'; did you mean 'count'"),
        (["datasets", "raf"], "has no adapter"),
        (["experiment", "no-such-preset"], "no such file or preset; presets are"),
    ],
)
def test_refusals_are_one_sentence(fer, command, sentence):
    code, _, error = fer(*command)
    assert code == 1 and sentence in error and error.count("\n") == 1 and "Traceback" not in error


@pytest.fixture
def pictures(tmp_path_factory):
    """Class folders of 60 small pictures, ten of each of six expressions, as somebody might have them."""
    folder = tmp_path_factory.mktemp("mine") / "holiday"
    rng = np.random.default_rng(0)
    for index, name in enumerate(["Angry", "fear", "happy", "sad", "surprise", "neutral"]):
        for number in range(10):
            grey = np.clip(40 * index + rng.normal(20, 15, (24, 24)), 0, 255).astype(np.uint8)
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(grey).save(folder / name / f"{number}.png")
    return folder


SMALL = (
    "train.steps=20",
    "train.size_px=24",
    "train.threads=1",
    "train.allow_empty_classes=true",
    "repeats=1",
    "folds=2",
)


def test_a_folder_of_pictures_is_enough_for_an_audit(fer, pictures, project):
    settings = [part for setting in SMALL for part in ("--predict", setting)]
    code, out, error = fer("audit", pictures, *settings)
    assert code == 0, error
    assert "60 faces imported" in out and "estimated wrong labels" in out
    assert "next: fer curate manifests/holiday --audit audit/holiday.parquet" in out
    page = (project / "audit/holiday.html").read_text()
    assert "60 labels were compared" in page and "<script" not in page
    code, _, error = fer("audit", pictures)
    assert code == 1 and "exists; choose another --out or add --replace" in error
    code, out, error = fer("audit", pictures, "--replace", "--json")
    assert code == 0 and json.loads(out)["given"]["fear"] == 10, error

    code, out, error = fer("apply", "manifests/holiday", "--policy", "thorough", "--out", "manifests/thorough")
    assert code == 0 and "relabelled" in out and "next: fer balance manifests/thorough" in out, error
    code, _, error = fer("apply", "manifests/holiday", "--policy", "bold", "--out", "manifests/bold")
    assert code == 1 and "policy 'bold', found careful, balanced, thorough" in error
    code, _, error = fer("audit", "nowhere")
    assert code == 1 and "nowhere.parquet is missing" in error
    code, _, error = fer("audit", "manifests/holiday", "--use-votes", "--out", "audit/votes.parquet")
    assert code == 1 and "expected votes, found none" in error


def test_the_audits_benchmark_is_an_experiment(fer, drawn):
    settings = ["--set", "manifest=manifests/drawn", "--dry-run"]
    code, out, error = fer("experiment", "experiments/audit_fer2013", *settings)
    assert code == 0 and "audit_fer2013/report.md" in out, error


def test_wrong_usage_is_exit_2(fer):
    assert fer("no-such-verb")[0] == 2
    assert fer("import", "procedural", "--count", "many")[0] == 2
    code, _, error = fer("audit", "manifests/x", "--predictions", "p.parquet", "--predict", "repeats=1")
    assert code == 2 and "expected --predictions or how to make them" in error


def test_datasets_tell_licence_and_defects(fer):
    code, out, _ = fer("datasets")
    assert code == 0 and "fer2013" in out and "procedural" in out
    code, out, _ = fer("datasets", "fer2013")
    assert "licence" in out and "known defects" in out and "35887" in out.replace(",", "")


def test_a_manifest_can_be_cut_joined_evened_out_and_exported(fer, drawn, project):
    code, out, _ = fer("duplicates", drawn, "--set", "threshold=0.97")
    assert code == 0 and "same photograph" in out and "fer split manifests/drawn --links" in out
    code, out, _ = fer("duplicates", drawn, "--exact", "--out", "audit/exact.parquet")
    assert code == 0 and "identical" in out
    links = "audit/drawn.duplicates.parquet"
    code, out, error = fer(
        "split", drawn, "--links", links, "--set", "redraw=[train,val,test]", "--out", "manifests/split"
    )
    assert code == 0 and "train" in out, error
    assert fer("split", drawn, "--folds", 4, "--out", "manifests/folds")[0] == 0
    code, out, error = fer("filter", drawn, "--where", "label = 'fear'", "--out", "manifests/fear")
    assert code == 0 and "fear" in out and "disgust" not in out, error
    code, out, error = fer("filter", drawn, "--where", "label <> 'fear'", "--out", "manifests/rest")
    code, out, error = fer("merge", "manifests/rest", "manifests/fear", "--out", "manifests/again")
    assert code == 0 and "disgust" in out, error
    code, out, error = fer("diff", drawn, "manifests/rest")
    assert code == 0 and "only in a" in out and (project / "manifests/drawn-rest.html").is_file(), error
    code, out, error = fer("rebalance", drawn, "--method", "repeat", "--out", "manifests/even")
    assert code == 0 and "→" in out, error
    code, out, error = fer("quality", drawn)
    assert code == 0 and "dark:" in out, error
    code, out, error = fer("export", drawn, "exports/hf", "--to", "hf")
    assert code == 0 and "load_dataset" in out and (project / "exports/hf/croissant.json").is_file(), error


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["filter", "manifests/drawn", "--where", "lable = 'fear'", "--out", "m"], "near it are label"),
        (["export", "manifests/drawn", "x", "--to", "coco"], "export format 'coco' is unknown"),
        (["split", "manifests/drawn", "--set", "strategy=random", "--out", "m"], "strategy"),
        (["import", "procedural", "--size", "48"], "belong to a crop"),
        (["duplicates", "manifests/drawn", "manifests/drawn", "--exact"], "--exact takes one manifest"),
    ],
)
def test_what_the_verbs_on_manifests_refuse(fer, drawn, command, sentence):
    code, _, error = fer(*command)
    assert code == 1 and sentence in error and error.count("\n") == 1, error
