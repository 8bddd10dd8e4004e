"""`fer find-rate`, `fer search` and the recipe they lead to, as a user meets them."""

import json

import pytest

SMALL = ("model=thin_resnet10", "size_px=16", "batch_size=32", "threads=1", "evaluations=1", "steps=6")


@pytest.fixture
def drawn(fer):
    code, _, error = fer("import", "procedural", "--count", 120, "--seed", 1, "--out", "manifests/drawn")
    assert code == 0, error
    return "manifests/drawn"


def settings(*prefixes: str) -> list[str]:
    return [word for prefix in prefixes or ("",) for each in SMALL for word in ("--set", prefix + each)]


def test_a_rate_is_found_and_the_next_command_uses_it(fer, drawn, project):
    code, out, error = fer("find-rate", drawn, "--steps", 80, *settings())
    assert code == 0, error
    assert "the loss is lowest" in out and "→ runs/rates-drawn.csv" in out
    assert (project / "runs/rates-drawn.csv").read_text().startswith("learning_rate,loss,smoothed\n")
    assert json.loads((project / "runs/rates-drawn.config.json").read_text())["model"] == "thin_resnet10"
    following = out.split("next: ")[1].split()
    assert following[:3] == ["fer", "train", drawn] and following[4].startswith("learning_rate=")
    code, out, error = fer("find-rate", drawn, "--steps", 80, *settings(), "--json")
    assert f"learning_rate={json.loads(out)['learning_rate']:g}" == following[4]
    code, out, error = fer(*following[1:], *settings())
    assert code == 0, error


def test_a_search_writes_a_recipe_that_train_takes(fer, drawn, project):
    arguments = ("search", drawn, "--trials", 2, *settings("train."))
    code, out, error = fer(*arguments)
    assert code == 0, error
    assert "The best of 2 trials by accuracy on validation faces" in out
    assert {"best.yaml", "search.json", "search.sqlite", "trials.json"} <= {
        file.name for file in (project / "runs/search-drawn").iterdir()
    }
    code, out, error = fer("search", drawn, "--trials", 3, *settings("train."), "--json")
    assert code == 0 and json.loads(out)["best"].endswith("best.yaml")
    code, _, error = fer("search", drawn, "--trials", 3, *settings("train."), "--leaks", "drop_from_train")
    assert code == 1 and error.count("\n") == 1 and "choose another --out" in error
    code, out, error = fer("train", drawn, "--config", "runs/search-drawn/best.yaml")
    assert code == 0, error


def test_dry_runs_do_nothing(fer, drawn, project):
    for verb, key in (("find-rate", "learning_rate: 0.01"), ("search", "trials: 20")):
        code, out, _ = fer(verb, drawn, "--dry-run")
        assert code == 0 and key in out
    assert not (project / "runs").exists()
    code, _, error = fer("search", drawn, "--set", "space.ema={low: 1}", "--dry-run")
    assert code == 1 and error.count("\n") == 1 and "space" in error
