"""Numbers in words: the same figure is told the same way wherever it stands."""

from collections.abc import Mapping, Sequence
from typing import Any

METRIC_NAMES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "macro_f1": "macro-F1"}
FEW_FACES = 100  # below, one face is more than a point of recall


def percent(share: float | None, decimals: int = 1) -> str:
    """0.644 → "64.4"; what could not be computed is a dash."""
    return "–" if share is None else f"{100 * share:.{decimals}f}"


def points(difference: float | None) -> str:
    """0.042 → "+4.2", with a true minus sign."""
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def interval(entry: Mapping[str, Any], *, signed: bool) -> str:
    """ "[1.1, 7.3]", signed for differences."""
    if entry["value"] is None:
        return ""
    show = points if signed else percent
    return f"[{show(entry['low'])}, {show(entry['high'])}]"


def capital(name: str) -> str:
    """The name at the beginning of a line: "macro-F1" → "Macro-F1"."""
    return name[:1].upper() + name[1:]


def p_value(value: float | None) -> str:
    """Three decimals, or that it is below them."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def shows(contrast: Mapping[str, Any]) -> str:
    """ "gain", "loss", "nothing" (the interval holds zero) or "unknown" (it could not be computed)."""
    if contrast["value"] is None:
        return "unknown"
    if contrast["low"] > 0:
        return "gain"
    return "loss" if contrast["high"] < 0 else "nothing"


def answer(results: Mapping[str, Any]) -> str:
    """The primary contrast in one sentence, as it came."""
    contrast = primary_contrast(results)
    titles = arm_titles(results)
    after, before = titles[contrast["arm"]], titles[results["question"]["baseline"]]
    metric = METRIC_NAMES[contrast["metric"]]
    where = f"on the {_where(results, contrast['view'])}"
    if shows(contrast) == "unknown":
        return f"No answer: {metric} {where} cannot be computed, because a class has no test faces."
    span, design = interval(contrast, signed=True), _design(results)
    if shows(contrast) == "nothing":
        return (
            f"No difference shown: “{after}” changes {metric} by {points(contrast['value'])} points {span} "
            f"against “{before}” {where} ({design})."
        )
    verb = "raises" if shows(contrast) == "gain" else "lowers"
    size = f"{percent(abs(contrast['value']))} points"
    ends = sorted(abs(contrast[end]) for end in ("low", "high"))
    return (
        f"“{after}” {verb} {metric} by {size} [{percent(ends[0])}, {percent(ends[1])}] against “{before}” {where} "
        f"({design})."
    )


def reviewers(results: Mapping[str, Any]) -> str:
    """Who decided on labels, in one or two sentences."""
    reviews = {str(review.get("log_sha256", review)): review for arm in results["arms"] for review in arm["reviews"]}
    if not reviews:
        return "Nobody reviewed faces for any of these arms."
    sentences = []
    for review in reviews.values():
        names = review.get("reviewers", [])
        who = ", ".join(names) or "unnamed reviewers"
        counts = ", ".join(
            f"{review[outcome]:,} {outcome}"
            for outcome in ("relabelled", "dropped", "unsure", "kept")
            if outcome in review
        )
        sentence = f"Reviewed by {who}" + (f" ({counts})." if counts else ".")
        if any(name.startswith("simulated:") for name in names):
            sentence += " A simulated reviewer is a program that knows the reference labels, no person."
        sentences.append(sentence)
    return " ".join(sentences)


def drawn(results: Mapping[str, Any]) -> str:
    """That the faces are no faces of people, where that is so; else empty."""
    if not results["drawn"]:
        return ""
    return "The faces are drawn by this tool: a simulation with known truth, no evidence about photographs of people."


def small_classes(view: Mapping[str, Any]) -> list[str]:
    """One sentence for each class with so few test faces that its recall can carry no claim."""
    return [
        f"{capital(label)} has {count:,} test {'face' if count == 1 else 'faces'} here: a single one is "
        f"{100 / count:.1f} points of its recall and {100 / count / len(view['per_class']):.1f} of balanced accuracy."
        for label, count in view["per_class"].items()
        if 0 < count < FEW_FACES
    ]


def primary_contrast(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one contrast that was chosen beforehand."""
    return next(contrast for contrast in results["contrasts"] if contrast["family"] == "primary")


def arm_titles(results: Mapping[str, Any]) -> dict[str, str]:
    """Arm → title."""
    return {arm["name"]: arm["title"] for arm in results["arms"]}


def view_of(results: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A view by its key."""
    return next(view for view in results["views"] if view["key"] == key)


def limits(results: Mapping[str, Any], *, synthetic: bool) -> list[str]:
    """What the experiment does not show, one sentence or two each."""
    seeds: Sequence[int] = results["question"]["seeds"]
    train = results["arms"][0]["train"]
    found = [
        "Other data: all test faces come from one data set, with its people, cameras and habits of labelling.",
        f"Other classifiers or budgets: every run is a {train['model']} with {train['steps']:,} steps; what helps it "
        "may not help a larger network or a longer training.",
        f"Chance other than that of test faces and {len(seeds)} training {'seed' if len(seeds) == 1 else 'seeds'}: a "
        "review and a generator were made once each, and what another reviewer or another seed of a generator would "
        "have given is in no interval.",
        "Near duplicates: twins are identical to the pixel; a resized copy counts as another picture.",
        "Fairness: no metric here is split by age, gender or race.",
        "What anybody felt: labels name the expression shown.",
    ]
    if any(review for arm in results["arms"] for review in _simulated(arm)):
        found.insert(
            0,
            "What a person's review gives: the simulated reviewer answers from the same source as the reference "
            "labels, so a gain on reference labels shows that labels moved towards that source, not that a person "
            "would have moved them there.",
        )
    if synthetic:
        found.append(
            "That generated faces add new people or new expressions: their generators learned from the same "
            "training faces."
        )
    if results["drawn"]:
        found.insert(
            0, "Anything about photographs: the faces are drawn, and their classes confuse as they were drawn to."
        )
    return found


def _simulated(arm: Mapping[str, Any]) -> list[str]:
    return [name for review in arm["reviews"] for name in review.get("reviewers", []) if name.startswith("simulated:")]


def _where(results: Mapping[str, Any], key: str) -> str:
    view = view_of(results, key)
    return f"{view['split_name']}, judged by {view['labels_name']}"


def _design(results: Mapping[str, Any]) -> str:
    seeds = len(results["question"]["seeds"])
    faces = view_of(results, primary_contrast(results)["view"])["faces"]
    runs = f"{seeds} seeds" if seeds > 1 else "1 seed, so the chance of training is not in the interval"
    return f"95 % interval, paired, {faces:,} faces, {runs}"
