"""What the experiment does not show, computed from it where that can be."""

from experiments.report import wording
from experiments.report.contents import Results


def limits(results: Results, *, synthetic: bool) -> list[str]:
    """One sentence or two for each limit, the gravest first.

    Args:
        synthetic: the page tells of generated faces.
    """
    found = []
    if results.drawn:
        found.append(
            "Anything about photographs: the faces are drawn, and their classes confuse as they were drawn to."
        )
    if _simulated(results):
        found.append(
            "What a person's review gives: the simulated reviewer answers from the same source as the reference "
            "labels, so a gain on reference labels shows that labels moved towards that source, not that a person "
            "would have moved them there."
        )
    found += [f"Small classes. {sentence}" for sentence in wording.small_classes(results)]
    found += [_scope(results), _chance(results)]
    found.append("Other data: all test faces come from one data set, with its people, cameras and habits of labelling.")
    if not results.leaks.link_tables:
        found.append("Near duplicates: twins are identical pictures; a resized copy counts as another picture.")
    if not isinstance(results.fairness, dict):
        found.append("Fairness: no metric here is split by age, gender or race.")
    found.append("What anybody felt: labels name the expression shown.")
    if synthetic or any(arm.training_faces.origins.get("synthetic") for arm in results.arms):
        found.append(
            "That generated faces add new people or new expressions: their generators learned from the same "
            "training faces."
        )
    return found


def _scope(results: Results) -> str:
    train = results.arms[0].train
    return (
        f"Other classifiers or budgets: every run is a {train['model']} with {train['steps']:,} steps; what helps it "
        "may not help a larger network or a longer training."
    )


def _chance(results: Results) -> str:
    seeds = wording.counted(len(results.question.seeds), "training seed")
    each = "once each"
    if results.folds:
        seeds += f" (one division into {len(results.folds)} folds, whose training faces overlap)"
        each = "once in each fold"
    return (
        f"Chance other than that of test faces and {seeds}: a review and a generator were made {each}, and what "
        "another reviewer or another seed of a generator would have given is in no interval."
    )


def _simulated(results: Results) -> bool:
    return any(
        name.startswith("simulated:")
        for arm in results.arms
        for review in arm.reviews
        for name in review.get("reviewers", [])
    )
