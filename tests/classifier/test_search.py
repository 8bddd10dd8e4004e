import json

import numpy as np
import optuna
import pytest
import yaml

from classifier import search as searching
from classifier.search import SearchConfig, search
from classifier.training import TrainConfig, train_manifest
from fer_data.configuration import resolve
from fer_data.errors import FerError

SPACE = {
    "learning_rate": {"low": 1e-5, "high": 0.02, "log": True},
    "optimizer": {"choices": ["adamw", "muon"]},
    "augmentation.shift": {"low": 0, "high": 0.1},
}


@pytest.fixture
def manifest(striped_manifest):
    return striped_manifest([*range(7)] * 12, ["train"] * 63 + ["val"] * 21)


@pytest.fixture
def small(tiny):
    recipe = tiny.model_copy(update={"steps": 8, "evaluations": 2, "dynamics": 0})
    return SearchConfig(train=recipe, space=SPACE, trials=4)


def told(folder) -> list[tuple]:
    return [(each["values"], each["score"]) for each in json.loads((folder / "trials.json").read_text())]


def test_the_best_trial_becomes_a_recipe_that_train_takes(manifest, small, tmp_path):
    best = search(manifest, small, tmp_path / "search")
    trials = told(tmp_path / "search")
    assert len(trials) == 4
    values, score = max(trials, key=lambda trial: trial[1])
    recipe = resolve(TrainConfig, best)
    assert recipe.learning_rate == values["learning_rate"] and recipe.optimizer == values["optimizer"]
    assert recipe.augmentation.shift == values["augmentation.shift"]
    assert recipe.augmentation.mirror is False  # what is not searched stays as it was
    assert f"{score:.4f}" in best.read_text().splitlines()[0]
    checkpoint = train_manifest(manifest, recipe, tmp_path / "again")
    chosen = json.loads((checkpoint / "classifier.json").read_text())["chosen"]
    assert chosen["val"]["accuracy"] == score


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(manifest, small, tmp_path, monkeypatch):
    search(manifest, small, tmp_path / "whole")
    calls = []

    def killed(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train_manifest(*arguments, **options)

    monkeypatch.setattr(searching, "train_manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        search(manifest, small, tmp_path / "broken")
    search(manifest, small, tmp_path / "broken")
    assert told(tmp_path / "broken") == told(tmp_path / "whole")
    assert len(calls) == 5  # the third came again, nothing else


def test_a_search_that_was_killed_while_it_proposed_goes_on_as_well(manifest, small, tmp_path):
    two, three = (small.model_copy(update={"trials": count}) for count in (2, 3))
    search(manifest, three, tmp_path / "whole")
    search(manifest, two, tmp_path / "broken")
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path / 'broken' / 'search.sqlite'}")
    study.ask().suggest_float("augmentation.shift", 0, 0.1)  # and the other values were never drawn
    search(manifest, three, tmp_path / "broken")
    finished = [trial for trial in told(tmp_path / "broken") if trial[1] is not None]
    assert finished == told(tmp_path / "whole")


def test_more_trials_go_on_and_a_spent_budget_returns_at_once(manifest, small, tmp_path):
    search(manifest, small.model_copy(update={"trials": 2}), tmp_path / "search")
    first = told(tmp_path / "search")
    search(manifest, small.model_copy(update={"trials": 3}), tmp_path / "search")
    assert told(tmp_path / "search")[:2] == first and len(told(tmp_path / "search")) == 3
    spent = small.model_copy(update={"trials": None, "minutes": 1e-6})
    search(manifest, spent, tmp_path / "search")
    assert len(told(tmp_path / "search")) == 3
    search(manifest, spent, tmp_path / "other")
    assert len(told(tmp_path / "other")) == 1  # the first always runs


def test_a_trial_that_diverges_has_failed_and_the_search_goes_on(manifest, small, tmp_path):
    space = {"learning_rate": {"choices": [1e30, 0.01]}}
    config = SearchConfig(train=small.train, space=space, trials=5)
    search(manifest, config, tmp_path / "search")
    scores = {values["learning_rate"]: score for values, score in told(tmp_path / "search")}
    assert scores[1e30] is None and scores[0.01] > 0
    hopeless = SearchConfig(train=small.train, space={"learning_rate": {"choices": [1e30]}}, trials=1)
    with pytest.raises(FerError, match="expected a trial whose loss stays finite, found none"):
        search(manifest, hopeless, tmp_path / "hopeless")


def test_what_cannot_be_searched_is_refused_before_any_training(manifest, striped_manifest, small, tmp_path):
    def config(space):
        return SearchConfig(train=small.train, space=space)

    with pytest.raises(FerError, match="search space: unknown key 'learning_rat'; did you mean 'learning_rate'"):
        search(manifest, config({"learning_rat": {"low": 1, "high": 2}}), tmp_path / "s")
    with pytest.raises(FerError, match="search space: ema"):
        search(manifest, config({"ema": {"low": 0.5, "high": 1.5}}), tmp_path / "s")
    with pytest.raises(FerError, match="search space: optimizer"):
        search(manifest, config({"optimizer": {"choices": ["adamw", "lion"]}}), tmp_path / "s")
    with pytest.raises(FerError, match="expected low < high"):
        resolve(SearchConfig, settings=["space.ema={low: 1, high: 0}"])
    with pytest.raises(FerError, match="expected a budget, found neither trials nor minutes"):
        resolve(SearchConfig, settings=["trials=null"])
    for settings in (["train.lift_rare=true"], ["space.lift_rare={choices: [true, false]}"]):
        with pytest.raises(FerError, match="lift_rare changes a classifier after it was scored"):
            resolve(SearchConfig, settings=settings)
    blind = striped_manifest([*range(7)] * 2, ["train"] * 14, name="blind")
    with pytest.raises(FerError, match="expected validation faces to search with"):
        search(blind, small, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_another_search_in_the_folder_is_refused(manifest, small, tmp_path):
    search(manifest, small.model_copy(update={"trials": 1}), tmp_path / "search")
    with pytest.raises(FerError, match="holds a search of other faces, another recipe or another space"):
        search(manifest, small.model_copy(update={"seed": 1}), tmp_path / "search")


def test_the_preset_is_the_default_search():
    preset = resolve(SearchConfig, "search")
    assert preset.train.epochs == 5 and set(preset.space) == set(SearchConfig().space)
    assert np.isclose(preset.space["learning_rate"].low, SearchConfig().space["learning_rate"].low)
    assert yaml.safe_dump(preset.model_dump(mode="json"))
