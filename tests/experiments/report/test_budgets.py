"""Which arms are points of a curve follows from how their faces were made."""

from experiments.report import curves
from experiments.report.budgets import Place, ratios, reviews
from experiments.report.contents import Results


def with_arms(full_results: dict, made: dict[str, dict], **changes: dict) -> Results:
    """The results with arms of these names, whose faces were made like this."""
    like = full_results["arms"][2]
    arms = [
        {**like, "name": name, "title": name, "make": make, "changes": changes.get(name, {})}
        for name, make in made.items()
    ]
    return Results.model_validate(full_results | {"arms": [*full_results["arms"][:3], *arms]})


def test_reviews_begin_at_the_baseline_and_the_ceiling_stands_apart(full_results) -> None:
    found = reviews(Results.model_validate(full_results))
    assert found.series == {
        "most suspect first": [Place(0, "baseline"), Place(50, "reviewed-50"), Place(100, "reviewed-100")],
        "chosen at random": [Place(0, "baseline"), Place(50, "chance-50"), Place(100, "chance-100")],
    }
    assert found.ceiling == "all"


def test_what_was_reviewed_and_changed_besides_is_no_point(full_results) -> None:
    made = {
        "vote": {"review": {"faces": 9, "answers": "one_vote", "targets": "votes"}},
        "more": {"review": {"faces": 9}, "occlude": {}},
        "trained": {"review": {"faces": 9}},
    }
    found = reviews(with_arms(full_results, made, trained={"balanced_sampling": True}))
    assert list(found.series) == ["most suspect first, answered by one vote of ten, as soft labels"]
    assert found.ceiling is None


def test_ratios_begin_at_the_same_arm_without_generated_faces(full_results) -> None:
    def add(ratio: float, **more) -> dict:
        return {"review": {"faces": 4}, "add": [{"source": "diffusion", "ratio": ratio, **more}]}

    made = {
        "reviewed": {"review": {"faces": 4}}, "four": add(4, weight=0.3), "one": add(1, weight=0.3),
        "again": add(1, weight=0.3), "other": add(1, weight=1), "dark": add(1, weight=0.3, conditions="changed"),
        "two": {"add": [{"source": "a", "ratio": 1}, {"source": "b", "ratio": 2}]},
    }  # fmt: skip
    assert ratios(with_arms(full_results, made)) == {
        "diffusion, weight 0.3 after “reviewed”": [Place(0, "reviewed"), Place(1, "one"), Place(4, "four")]
    }


def test_the_gain_of_a_thousand_faces_is_the_difference_shared_out(full_results) -> None:
    results = Results.model_validate(full_results)
    gains = {arm: gain for _, _, arm, gain in curves.review_rows(results)}
    contrast = results.contrast(results.primary.view, "accuracy", "reviewed-100")
    assert contrast is not None and contrast.value is not None
    assert gains["reviewed-100"] == 10 * contrast.value
    assert curves.review_rows(results)[-1][:3] == ("all of them", "100", "all")
