"""`fer judges` as a user meets it."""

import json

import pytest

TINY = [
    f"{role}.{setting}"
    for role in ("guide", "screening", "measuring", "conditions.train")
    for setting in ("steps=2", "size_px=24", "batch_size=16", "threads=1", "evaluations=1")
]
SETTINGS = [word for setting in ("fewest=1", "conditions.copies=1", *TINY) for word in ("--set", setting)]


@pytest.fixture
def drawn(fer):
    code, _, error = fer("import", "procedural", "--count", 300, "--seed", 1, "--out", "manifests/drawn")
    assert code == 0, error
    return "manifests/drawn"


def test_judges_are_trained_and_told_by_class(fer, drawn, project):
    code, out, error = fer("judges", drawn, *SETTINGS)
    assert code == 0, error
    assert "thin_resnet10" in out and "thin_vgg" in out and "real validation faces" in out
    assert any(line.split()[0] == "disgust" and line.count("%") == 3 for line in out.splitlines() if line.split())
    assert "→ runs/judges-drawn" in out and "--judges runs/judges-drawn --training manifests/drawn" in out
    code, out, error = fer("judges", drawn, *SETTINGS, "--json")
    told = json.loads(out)
    assert told["shared_groups"] == 0 and told["outputs"] == [str(project / "runs/judges-drawn")]
    code, _, error = fer("judges", drawn, *SETTINGS, "--set", "seed=3")
    assert code == 1 and error.count("\n") == 1 and "choose another --out or add --replace" in error


def test_a_few_hundred_faces_are_refused_in_one_sentence_that_names_the_preset_for_them(fer, drawn):
    code, _, error = fer("judges", drawn, "--dry-run")
    assert code == 1 and error.count("\n") == 1
    assert "expected at least 20 training faces of" in error and "--config judges-tiny" in error
    code, out, error = fer("import", "procedural", "--count", 800, "--seed", 1, "--out", "manifests/eight-hundred")
    code, out, error = fer("judges", "manifests/eight-hundred", "--config", "judges-tiny", "--dry-run")
    assert code == 0 and "nothing was done" in out, error
    few = ["--config", "judges-tiny", "--set", "fewest=2", "--dry-run"]
    code, _, error = fer("judges", "manifests/eight-hundred", *few)
    assert code == 1 and "at least 2 training faces of disgust for the guide judge, found 1" in error


def test_a_dry_run_checks_and_does_nothing(fer, drawn, project):
    before = sorted(project.rglob("*"))
    code, out, error = fer("judges", drawn, *SETTINGS, "--dry-run")
    assert code == 0 and "nothing was done" in out, error
    code, _, error = fer("judges", drawn, "--set", "fewest=500", "--dry-run")
    assert code == 1 and "expected at least 500 training faces of" in error and error.count("\n") == 1
    assert sorted(project.rglob("*")) == before
