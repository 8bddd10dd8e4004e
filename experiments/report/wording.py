"""Numbers in words: the same figure is told the same way wherever it stands."""

import math
from collections.abc import Mapping
from typing import Any

from experiments.report.contents import Results
from experiments.report.parts import Contrast, Estimate, View
from experiments.views import SHORT_NAMES

METRIC_NAMES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "macro_f1": "macro-F1"}
FEW_FACES = 100  # below, one face is more than a point of recall


def percent(share: float | None, decimals: int = 1) -> str:
    """0.644 → "64.4"; what could not be computed is a dash."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{decimals}f}"


def points(difference: float | None) -> str:
    """0.042 → "+4.2", with a true minus sign; what rounds to nothing has none."""
    if difference is None:
        return "–"
    told = f"{100 * difference:+.1f}".replace("-", "−")
    return "0.0" if told in ("+0.0", "−0.0") else told


def interval(entry: Estimate, *, signed: bool) -> str:
    """ "[1.1, 7.3]", signed for differences."""
    if entry.value is None:
        return ""
    show = points if signed else percent
    return f"[{show(entry.low)}, {show(entry.high)}]"


def change(entry: Estimate) -> str:
    """A difference with its interval: "+4.2 [1.1, 7.3]", signed throughout."""
    return f"{points(entry.value)} {interval(entry, signed=True)}".strip()


def level(entry: Estimate) -> str:
    """A level with its interval, in per cent: "64.4 [62.8, 66.0]"."""
    return f"{percent(entry.value)} {interval(entry, signed=False)}".strip()


def capital(name: str) -> str:
    """The name at the beginning of a line: "macro-F1" → "Macro-F1"."""
    return name[:1].upper() + name[1:]


def p_value(value: float | None) -> str:
    """Three decimals, or that it is below them."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def smallest(contrast: Contrast) -> str:
    """The smallest true difference that would have been found, in points; a dash where no resample differs."""
    return percent(contrast.smallest_effect) if contrast.smallest_effect else "–"


def machine(told: Mapping[str, Any]) -> str:
    """What kind of machine: "16 cores, x86_64, NVIDIA H100"."""
    return ", ".join([f"{told['cores']} cores", told["kind"], *([told["gpu"]] if "gpu" in told else [])])


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def shows(contrast: Estimate) -> str:
    """ "gain", "loss", "nothing" (the interval, as printed, touches zero) or "unknown" (it could not be computed)."""
    if contrast.value is None or contrast.low is None or contrast.high is None:
        return "unknown"
    if points(contrast.low).startswith("+"):
        return "gain"
    return "loss" if points(contrast.high).startswith("−") else "nothing"


def answer(results: Mapping[str, Any] | Results) -> str:
    """The primary contrast in one sentence, as it came."""
    told = results if isinstance(results, Results) else Results.model_validate(results)
    contrast = told.primary
    after, before = told.titles[contrast.arm], told.titles[told.question.baseline]
    metric = METRIC_NAMES[contrast.metric]
    where = f"on the {_where(told, told.view(contrast.view))}"
    shown = shows(contrast)
    if contrast.value is None or shown == "unknown":
        return f"No answer: {metric} {where} cannot be computed, because a class has no test faces."
    if shown == "nothing":
        return (
            f"No difference shown: “{after}” changes {metric} by {points(contrast.value)} points "
            f"{interval(contrast, signed=True)} against “{before}” {where} ({_design(told)})."
        )
    ends = sorted(abs(end) for end in (contrast.low, contrast.high) if end is not None)
    return (
        f"“{after}” {'raises' if shown == 'gain' else 'lowers'} {metric} by {percent(abs(contrast.value))} points "
        f"[{percent(ends[0])}, {percent(ends[1])}] against “{before}” {where} ({_design(told)})."
    )


def beside_the_answer(results: Results) -> str:
    """What else moved in the primary view, exploratory: the other metrics, and the classes that were to gain."""
    contrast = results.primary
    names = {name: words for name, words in METRIC_NAMES.items() if name != contrast.metric}
    names |= {f"recall:{label}": f"recall of {label}" for label in _classes_in_need(results)}
    told = []
    for metric, words in names.items():
        found = results.contrast(contrast.view, metric, contrast.arm)
        if found is not None and found.value is not None:
            faces = results.view(contrast.view).per_class.get(metric.removeprefix("recall:"))
            told.append(f"{words} {change(found)}" + (f" ({counted(faces, 'test face')})" if faces else ""))
    return f"Beside it, exploratory, in points: {'; '.join(told)}." if told else ""


def against_the_control(results: Results) -> str:
    """Whether the primary arm does more than the strongest arm that needs neither review nor synthesis."""
    if results.control is None:
        return ""
    control, contrast = results.control.arm, results.primary
    alone = results.contrast(contrast.view, contrast.metric, control)
    between = results.control_contrast(contrast.arm)
    if alone is None or between is None:
        return ""
    suffices = ", so as far as this experiment can tell the control suffices" if shows(alone) == "gain" else ""
    verdict = {
        "gain": "“{after}” does more than that",
        "nothing": f"No difference between the two is shown{suffices}",
        "loss": "“{after}” does less than that",
        "unknown": "The two cannot be compared",
    }[shows(between)]
    return (
        f"The strongest control, “{results.titles[control]}”, needs neither review nor synthesis and changes "
        f"{METRIC_NAMES[contrast.metric]} by {change(alone)} points. "
        f"{verdict.format(after=results.titles[contrast.arm])}: {change(between)}."
    )


def reviewers(results: Results) -> str:
    """Who decided on labels, the primary arm's first, in a few sentences."""
    reviews = [(arm.name == results.question.primary, review) for arm in results.arms for review in arm.reviews]
    if not reviews:
        return "Nobody reviewed faces for any of these arms."
    told = dict.fromkeys(_reviewed(review) for is_primary, review in reviews if is_primary)
    others = dict.fromkeys(_reviewed(review) for _, review in reviews if _reviewed(review) not in told)
    sentences = list(told or others)
    if results.folds:
        sentences.append(f"Counted in the first of {len(results.folds)} folds.")
    if told and others:
        sentences.append(f"{capital(counted(len(others), 'other review'))} for other arms.")
    if any(name.startswith("simulated:") for _, review in reviews for name in review.get("reviewers", [])):
        sentences.append("A simulated reviewer is a program that knows the reference labels, no person.")
    return " ".join(sentences)


def drawn(results: Results) -> str:
    """That the faces are no faces of people, where that is so; else empty."""
    if not results.drawn:
        return ""
    return "The faces are drawn by this tool: a simulation with known truth, no evidence about photographs of people."


def small_classes(results: Results, count: int = 3) -> list[str]:
    """What the classes with the fewest test faces in the primary view can show and what not, a sentence or two each."""
    view, primary = results.view(results.primary.view), results.primary.arm
    few = sorted((faces, label) for label, faces in view.per_class.items() if 0 < faces < FEW_FACES)
    found = []
    for faces, label in few[:count]:
        contrast = results.contrast(view.key, f"recall:{label}", primary)
        recall = results.scores[view.key][primary].recall[label]
        sentence = (
            f"{capital(label)} has {counted(faces, 'test face')}: one is {100 / faces:.1f} points of its recall "
            f"and {100 / faces / len(view.per_class):.1f} of balanced accuracy."
        )
        if contrast is not None and contrast.smallest_effect:
            sentence += (
                f" A true change of its recall by less than {smallest(contrast)} points would be missed more often "
                "than one time in five."
            )
        if recall.high is not None:
            span = f"{percent(recall.low)} to {percent(recall.high)} %"
            sentence += f" Its recall in “{results.titles[primary]}” is known no better than {span}."
        found.append(sentence)
    return found


def view_name(view: View) -> str:
    """A view in a few words: "without twins, FER+ majority"."""
    return f"{SHORT_NAMES[view.split]}, {view.labels_name}"


def view_title(results: Results, view: View) -> str:
    """A view in full: "test split without twins in train or val, FER+ majority"."""
    return f"{results.faces_of(view)}, {view.labels_name}"


def metric_name(metric: str) -> str:
    """ "balanced_accuracy" → "balanced accuracy", "recall:fear" → "recall of fear"."""
    return METRIC_NAMES.get(metric, metric.replace(":", " of "))


def first_fold(results: Results) -> str:
    """What is said beside facts of a cross-validation that its first fold tells; else empty."""
    return "Of the first fold." if results.folds else ""


def counted(count: int, name: str) -> str:
    """ "1 seed", "2 seeds"."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _classes_in_need(results: Results) -> list[str]:
    """The classes that an arm adds generated faces to; where none does, the two with the fewest training faces."""
    added = [entry for arm in results.arms for entry in (arm.make or {}).get("add", [])]
    named = {label for entry in added for label in entry.get("classes") or []}
    if named:
        return [label for label in results.labels if label in named]
    baseline = next(arm for arm in results.arms if arm.name == results.question.baseline)
    faces = baseline.training_faces.per_class
    return sorted(results.labels, key=lambda label: (faces.get(label, 0), results.labels.index(label)))[:2]


def _reviewed(review: Mapping[str, Any]) -> str:
    who = ", ".join(review.get("reviewers", [])) or "unnamed reviewers"
    outcomes = ("relabelled", "dropped", "unsure", "kept")
    counts = ", ".join(f"{review[outcome]:,} {outcome}" for outcome in outcomes if outcome in review)
    return f"Reviewed by {who}" + (f" ({counts})." if counts else ".")


def _where(results: Results, view: View) -> str:
    """Which faces, and whose labels."""
    return f"{results.faces_of(view)}, judged by {view.labels_name}"


def _design(results: Results) -> str:
    seeds = len(results.question.seeds)
    faces = results.view(results.primary.view).faces
    runs = f"{seeds} seeds" if seeds > 1 else "1 seed, so the chance of training is not in the interval"
    each = f" judged once each in {len(results.folds)} folds" if results.folds else ""
    return f"95 % interval, paired, {faces:,} faces{each}, {runs}"
