"""What is read from results.json: the parts that every section asks for."""

import pytest

from experiments.report.appendix import trained_where
from experiments.report.contents import Results


def test_exploratory_contrasts_are_corrected_and_the_primary_is_not(make_results) -> None:
    contrasts = make_results(0.06)["contrasts"]
    primary = [one for one in contrasts if one["family"] == "primary"]
    assert len(primary) == 1 and primary[0]["p_holm"] == primary[0]["p_value"]
    exploratory = [one for one in contrasts if one["family"] == "exploratory"]
    assert len(exploratory) == 2 * 4 * 3 - 1
    smallest = min(exploratory, key=lambda one: one["p_value"])
    assert smallest["p_holm"] == pytest.approx(min(1, smallest["p_value"] * len(exploratory)))
    apart = [one for one in contrasts if one["family"] == "exploratory, without copies"]
    assert {one["view"] for one in apart} == {"no_copies/given", "no_copies/reference"} and len(apart) == 2 * 2 * 3
    assert not [one for one in contrasts if one["family"] == "per class" and one["view"].startswith("no_copies")]


def test_views_begin_with_that_of_the_answer_and_end_with_the_official_split(full_results) -> None:
    results = Results.model_validate(full_results)
    assert [view.key for view in results.sorted_views] == [
        "leak_free/reference", "leak_free/given", "no_copies/given", "no_copies/reference", "official/given",
        "official/reference",
    ]  # fmt: skip
    assert [view.key for view in results.views_without_twins] == ["leak_free/reference", "leak_free/given"]
    assert results.main_arms == ["baseline", "sampled", "cleaned"]
    assert results.control_arm == "sampled" and results.folds is None


def test_views_of_the_same_faces_are_one(full_results) -> None:
    faces = {view["key"]: view["faces"] for view in full_results["views"]}
    same = [{**view, "faces": faces[f"leak_free/{view['labels']}"], "left_out": 0} for view in full_results["views"]]
    results = Results.model_validate(full_results | {"views": same})
    assert [view.key for view in results.sorted_views] == ["leak_free/reference", "leak_free/given"]


def test_a_contrast_is_found_or_none(full_results) -> None:
    results = Results.model_validate(full_results)
    view, metric = results.primary.view, results.primary.metric
    assert results.contrast(view, metric, "cleaned") is results.primary
    assert results.contrast(view, metric, "baseline") is None
    assert results.control_contrast("cleaned") in (results.control.contrasts if results.control else [])
    assert results.control_contrast("baseline") is None


def test_unknown_keys_are_kept(make_results) -> None:
    results = Results.model_validate(make_results() | {"something_new": [1]})
    assert results.model_dump()["something_new"] == [1]


def test_runs_are_counted_where_they_were_trained_and_copies_apart(full_results) -> None:
    runs = Results.model_validate(full_results).runs
    assert trained_where(runs) == [
        f"{len(runs)} runs trained on a machine that was not noted, {100 * len(runs) / 60:.0f} min"
    ]
    big = {"machine": {"cores": 16, "kind": "x86_64", "gpu": "H100"}, "versions": {"torch": "2.11"}}
    told = [run.model_copy(update=big) for run in runs[:3]]
    told += [runs[3].model_copy(update={"lifted_from": "baseline"}), runs[4].model_copy(update={"same_as": "baseline"})]
    assert trained_where([*told, runs[5]]) == [
        "3 runs trained on 16 cores, x86_64, H100, torch 2.11, 5 min",
        "1 run trained on a machine that was not noted, 2 min",
        "2 runs not trained: another's classifier, lifted or as it is",
    ]
