"""`fer generate` and `fer screen` as a user meets them."""

import json
import shutil
import sys

import pytest

import fer_cli
from classifier.training import TrainConfig, train_manifest
from fer_data import manifest as manifests
from fer_data.adapters.registry import find_adapter
from fer_data.configuration import build
from fer_data.importing import PicturesConfig, import_dataset
from fer_data.plans import Cell, Plan, write_plan
from generators.dcgan import DcganConfig
from generators.training import train_generator


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs `fer …` in this process: exit code, standard output, standard error."""

    def fer(*arguments):
        monkeypatch.setattr(sys, "argv", ["fer", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            fer_cli.main()
        printed = capsys.readouterr()
        return exit_.value.code or 0, printed.out, printed.err

    return fer


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A project with drawn faces, a tiny generator that never saw hair, and judges that are one classifier."""
    root = tmp_path_factory.mktemp("project")
    (root / "fer.toml").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        adapter = find_adapter("procedural")
        options = build(adapter.Options, {"count": 420, "seed": 1, "occlusions": {"mask": 0.2}}, "test")
        faces = import_dataset(adapter, None, root / "manifests/faces", options, PicturesConfig()).manifest
        tiny = {"size_px": 16, "widths": [16, 16], "noise_width": 8, "steps": 2, "batch_size": 8, "derived_faces": 0}
        train_generator("dcgan", faces, build(DcganConfig, {**tiny, "minimum_per_class": 1}, "test"), root / "runs/gan")
        config = build(TrainConfig, {"model": "thin_resnet10", "size_px": 16, "epochs": 1, "threads": 1}, "test")
        train_manifest(faces, config, root / "judges/screening", leaks="score_apart")
    for role in ("guide", "measuring"):
        shutil.copytree(root / "judges/screening", root / f"judges/{role}")
    (root / "judges/judges.json").write_text(json.dumps({"labels": list(faces.labels), "conditions": None}))
    write_plan(Plan(faces.label_set, (Cell("fear", None, None, 0, 3, 3),)), root / "plan.yaml")
    return root


@pytest.fixture
def place(ready, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(ready, folder)
    monkeypatch.chdir(folder)
    return folder


CHECKPOINT = "runs/gan/checkpoint"


def test_drawing_says_what_came_and_what_to_do_next(run, place):
    code, out, error = run("generate", "plan.yaml", "--checkpoint", CHECKPOINT, "--out", "manifests/made")
    assert code == 0, error
    assert "fear 3" in out and "→ manifests/made.parquet" in out and "next: fer screen manifests/made" in out
    code, _, error = run("generate", "plan.yaml", "--checkpoint", CHECKPOINT, "--out", "manifests/made")
    assert code == 1 and "add --replace" in error and error.count("\n") == 1
    command = [
        "screen", "manifests/made", "--judge", "judges/screening", "--training", "manifests/faces",
        "--out", "manifests/screened", "--json",
    ]  # fmt: skip
    before = sorted(place.rglob("*"))
    code, out, error = run(*command, "--set", "minimum_p=0.2", "--dry-run")
    told = json.loads(out)
    assert code == 0 and told["dry_run"] and told["configuration"]["minimum_p"] == 0.2, error
    assert told["outputs"] == ["manifests/screened.parquet", "manifests/screened.screening.parquet"]
    code, _, error = run("screen", "manifests/faces", *command[2:], "--dry-run")
    assert code == 1 and "expected synthetic faces" in error and error.count("\n") == 1
    assert sorted(place.rglob("*")) == before
    code, out, error = run(*command)
    assert code == 0, error
    told = json.loads(out)
    assert told["made"] == 3 and told["kept"] + sum(told["dropped"].values()) == 3


def test_with_judges_the_plan_is_filled_and_the_yield_of_every_cell_is_told(run, place):
    command = ["generate", "plan.yaml", "--checkpoint", CHECKPOINT, "--checkpoint", CHECKPOINT, "--judges", "judges"]
    code, _, error = run(*command)
    assert code == 2 and "--training" in error
    command += ["--training", "manifests/faces", "--set", "budget_faces=2", "--set", "generate.processes=1"]
    code, out, _ = run(*command, "--dry-run")
    assert code == 0 and "budget_faces: 2" in out and "minimum_p" in out
    assert "→ manifests/synthetic.parquet · manifests/synthetic-drawn.parquet" in out
    code, out, error = run(*command, "--out", "manifests/rare")
    assert code == 0, error
    assert "yield" in out and "asked 3 · drawn 6 · kept" in out and "dropped:" in out
    assert "fer fidelity manifests/rare-drawn.parquet --kept manifests/rare --training manifests/faces" in out
    assert "fer merge manifests/faces manifests/rare --plan plan.yaml" in out
    code, out, error = run(*command, "--out", "manifests/rare", "--report", "--replace")
    assert code == 0, error
    assert "fer fidelity" not in out and "fer merge manifests/faces manifests/rare --plan plan.yaml" in out
    assert (place / "manifests/rare.html").is_file() and (place / "manifests/rare-drawn.fidelity.json").is_file()


def test_the_page_needs_no_judges(run, place):
    command = ["generate", "plan.yaml", "--checkpoint", CHECKPOINT, "--out", "manifests/made", "--report", "--json"]
    code, out, error = run(*command, "--training", "manifests/faces")
    assert code == 0, error
    assert json.loads(out)["outputs"][-1].endswith("manifests/made.html")


def test_faces_to_start_from_need_a_generator_that_can(run, place):
    command = ["generate", "plan.yaml", "--checkpoint", CHECKPOINT, "--from-faces", "--training", "manifests/faces"]
    code, _, error = run(*command)
    assert code == 1 and "can start from faces" in error and error.count("\n") == 1


def test_diffusion_starts_from_faces_where_judges_screen_unless_told_otherwise(run, place):
    description = json.loads((place / CHECKPOINT / "generator.json").read_text())
    (place / "runs/other").mkdir()
    (place / "runs/other/generator.json").write_text(json.dumps({**description, "kind": "diffusion"}))

    def source(*arguments, checkpoints=("runs/other",)):
        named = [word for path in checkpoints for word in ("--checkpoint", path)]
        more = ["--training", "manifests/faces", "--dry-run", "--json"]
        code, out, error = run("generate", "plan.yaml", *named, *more, *arguments)
        assert code == 0, error
        configuration = json.loads(out)["configuration"]
        return configuration.get("generate", configuration)["source"]

    judged = ("--judges", "judges")
    assert source(*judged) == "faces"
    assert source(*judged, "--from-noise") == source(*judged, "--set", "generate.source=noise") == "noise"
    assert source(*judged, checkpoints=("runs/other", CHECKPOINT)) == "noise"
    assert source() == "noise"
    assert source("--from-faces") == "faces"
    (place / "settings.yaml").write_text("budget_faces: 3")
    assert source(*judged, "--config", "settings.yaml") == "noise"


def one_sentence(run, *arguments):
    code, _, error = run("generate", *arguments, "--out", "manifests/refused")
    assert code == 1 and error.count("\n") == 1 and error.startswith("fer: "), error
    return error


def test_every_bad_checkpoint_is_one_sentence(run, place):
    weights = next((place / CHECKPOINT).glob("*.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "train again" in one_sentence(run, "plan.yaml", "--checkpoint", CHECKPOINT)
    weights.unlink()
    assert "train again" in one_sentence(run, "plan.yaml", "--checkpoint", CHECKPOINT)
    weights.write_bytes(whole)
    told = place / CHECKPOINT / "generator.json"
    description = json.loads(told.read_text())
    told.write_text("{")
    assert "expected JSON" in one_sentence(run, "plan.yaml", "--checkpoint", CHECKPOINT)
    told.unlink()
    assert "generator.json is missing" in one_sentence(run, "plan.yaml", "--checkpoint", CHECKPOINT)
    told.write_text(json.dumps({**description, "label_set": "basic8"}))
    assert "expected a generator of the plan's label set" in one_sentence(run, "plan.yaml", "--checkpoint", CHECKPOINT)
    told.write_text(json.dumps({**description, "kind": "magic"}))
    assert "generator 'magic' is unknown" in one_sentence(run, "plan.yaml", "--checkpoint", CHECKPOINT)


def test_a_condition_that_no_training_face_showed_is_named(run, place):
    label_set = manifests.read("manifests/faces").label_set
    write_plan(Plan(label_set, (Cell("fear", "hair", None, 0, 1, 1),)), place / "odd.yaml")
    error = one_sentence(run, "odd.yaml", "--checkpoint", CHECKPOINT)
    assert "occlusion 'hair' is not known to the generator" in error and CHECKPOINT in error


def test_unknown_settings_and_missing_plans_are_named(run, place):
    assert "did you mean 'seed'?" in one_sentence(run, "plan.yaml", "--checkpoint", CHECKPOINT, "--set", "sead=1")
    assert "make one with fer balance" in one_sentence(run, "gone.yaml", "--checkpoint", CHECKPOINT)
