"""An evaluation as one page that opens from disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.evaluation import groups
from experiments.report import charts, marks
from experiments.report.charts import Point
from experiments.sheets import Sheet
from experiments.views import SHORT_NAMES, preference
from fer_data import pages
from fer_data.intervals import wilson
from fer_data.pages import Html, Section

METRICS = {"accuracy": "accuracy", "balanced_accuracy": "mean-class recall", "macro_f1": "macro-F1"}
PROMISES = {
    "cross_entropy": "cross-entropy",
    "brier": "Brier",
    "ece": "ECE",
    "classwise_ece": "ECE by class",
    "aurc": "AURC",
}
_SPLITS = {"test": "test split", "val": "validation split"}


def write_page(found: Mapping[str, Any], out: Path, sheets: Sequence[Sheet] = ()) -> Path:
    """Write what `experiments.evaluation.scoring.score` told, with sheets of faces if there are any."""
    main = main_view(found)
    parts = (
        ("Scores", _scores(found)),
        ("Classes", _classes(main)),
        ("Confidence", _confidence(main) + _promises(found)),
        ("Votes", _votes(found)),
        ("Occlusion and low light", _robustness(found, main)),
        ("Faces that are really covered, dark or turned", _slices(found, main)),
        ("Fairness", groups.section(found["fairness"]) if found["fairness"] else None),
        ("What it looked at", _sheets(sheets)),
        ("How it was made", _origin(found)),
    )
    sections = [Section(title, content) for title, content in parts if content]
    title = f"{found['manifest']['name']}, {_SPLITS[found['split']]}"
    return pages.write_page(out, pages.page(title, sections, lead(found)))


def main_view(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The view that details are told of: without twins if there are such faces, against the reference if there is."""
    best: Mapping[str, Any] = max(found["views"], key=lambda view: preference(view["split"], view["labels"]))
    return best


def shown_parts(found: Mapping[str, Any]) -> list[str]:
    """The parts of the split that are told apart: without any twin the official split is no other than that without."""
    parts = list(dict.fromkeys(view["split"] for view in found["views"]))
    return parts if found["faces_with_twins"] else parts[-1:]


def lead(found: Mapping[str, Any]) -> str:
    """The evaluation in one sentence, and what a reader must know with it."""
    view = main_view(found)
    metrics = view["metrics"]
    low, high = wilson(metrics["accuracy"] * metrics["count"], metrics["count"])
    lines = [
        f"{_percent(metrics['accuracy'])} % [{_percent(low)}, {_percent(high)}] of {metrics['count']:,} faces of the "
        f"{view['split_name']} are read as labelled ({view['labels_name']}); mean-class recall "
        f"{_percent(metrics['balanced_accuracy'])} %.",
        "An expression shown is not an emotion felt. Figures in brackets are 95 % intervals over faces; that another "
        "training with another seed would differ is not in them.",
    ]
    if unseen := never_learnt(found):
        lines.append(unseen)
    trained = found["classifier"].get("trained_on", {})
    if trained.get("manifest_sha256") not in (None, found["manifest"]["sha256"]):
        lines.append(
            f"The classifier learnt from another manifest ({trained.get('manifest')}): whether it saw some of these "
            "faces cannot be told from this one."
        )
    return "\n".join(lines)


def never_learnt(found: Mapping[str, Any]) -> str:
    """That faces of a class are judged which the classifier never learnt, in one sentence; else empty."""
    faces = [view["metrics"]["per_class"] for view in found["views"]]
    unseen = found["classifier"].get("unseen", [])
    names = [name for name in unseen if any(of_view[name]["count"] for of_view in faces)]
    if not names:
        return ""
    return (
        f"The classifier had no training face of {' and '.join(names)}; its answers to such faces count in balanced "
        "accuracy and macro-F1 all the same."
    )


def _scores(found: Mapping[str, Any]) -> Html:
    rows = [
        [
            _name(view),
            f"{view['metrics']['count']:,}",
            f"{view['metrics']['left_out']:,}",
            *(_percent(view["metrics"][metric]) for metric in METRICS),
        ]
        for view in found["views"]
        if view["split"] in shown_parts(found)
    ]
    caption = (
        f"In per cent. {found['faces']:,} faces, {found['faces_with_twins']:,} of them one with faces of earlier "
        f"splits, {found['faces_with_copies']:,} by the very picture. Left out: no clear truth among the labels."
    )
    return pages.figure(pages.table(["", "faces", "left out", *METRICS.values()], rows), caption)


def _classes(view: Mapping[str, Any]) -> Html:
    metrics = view["metrics"]
    names = list(metrics["per_class"])
    rows = []
    for label, entry in metrics["per_class"].items():
        recall = entry["recall"]
        span = "–"
        if recall is not None:
            low, high = wilson(recall * entry["count"], entry["count"])
            span = f"[{_percent(low)}, {_percent(high)}]"
        figures = [_percent(entry[name]) for name in ("precision", "f1", "average_precision")]
        rows.append([label, f"{entry['count']:,}", _percent(recall), span, *figures])
    headers = ["", "faces", "recall", "95 %", "precision", "F1", "average precision"]
    counts = np.array(metrics["confusion"], dtype=float)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    matrix = pages.matrix(names, names, shares, rows_are=view["labels_name"], columns_are="read as")
    caption = f"In per cent, {view['split_name']}, {view['labels_name']}; recall with Wilson's interval."
    return Html(pages.figure(pages.table(headers, rows), caption) + matrix)


def _confidence(view: Mapping[str, Any]) -> Html:
    style = {"": charts.series_style(0)}
    bins = [
        Point(100 * row["confidence"], 100 * row["accuracy"], 100 * row["low"], 100 * row["high"])
        for row in view["reliability"]
    ]
    curve = [Point(100 * coverage, 100 * (1 - risk)) for coverage, risk in view["risk_coverage"]]
    diagram = charts.lines(
        {"": bins}, style, title="Reliability", below="accuracy, %", x="probability of the answer, %",
        domain=(0, 100), diagonal=True,
    )  # fmt: skip
    selective = charts.lines(
        {"": curve}, style, title="Answering only when sure", below="accuracy, %", x="faces answered, %", marks=False
    )
    chosen = view["metrics"]["selective_accuracy"]
    told = "; ".join(f"{100 * float(share):.0f} %: {_percent(value)} %" for share, value in chosen.items())
    caption = (
        "First: on the grey line probabilities hold what they promise. Second: accuracy of the most confident faces, "
        f"by how many are answered ({told})."
    )
    return pages.figure(marks.panels([diagram, selective]), caption)


def _promises(found: Mapping[str, Any]) -> Html:
    rows = [
        [_name(view)] + [f"{view['metrics'][metric]:.3f}" for metric in PROMISES]
        for view in found["views"]
        if view["split"] in shown_parts(found)
    ]
    caption = (
        "Low is good. Cross-entropy in nats; ECE: expected calibration error, of the answer and of every label's "
        "probability; AURC: mean error rate over all shares of faces that may be answered, the most confident first."
    )
    return pages.figure(pages.table(["", *PROMISES.values()], rows), caption)


def _votes(found: Mapping[str, Any]) -> Html | None:
    if not found["votes"]:
        return None
    rows = [
        [SHORT_NAMES[split], f"{entry['count']:,}", f"{entry['left_out']:,}"]
        + [f"{entry[name]:.3f}" for name in ("cross_entropy", "entropy", "kl")]
        for split, entry in found["votes"].items()
        if entry["count"] and split in shown_parts(found)
    ]
    headers = ["", "faces", "left out", "cross-entropy", "of the votes themselves", "divergence (KL)"]
    caption = (
        "How far the probabilities are from the distribution of the votes, in nats. Left out: no votes, no clear "
        "distribution, or most voters saw an expression outside the labels."
    )
    return pages.figure(pages.table(headers, rows), caption)


def _robustness(found: Mapping[str, Any], view: Mapping[str, Any]) -> Html | None:
    if not found["robustness"]:
        return None
    told = found["robustness"]["views"][view["key"]]
    styles = {name: charts.series_style(number) for number, name in enumerate(METRICS.values())}
    drawn = [
        _by_severity(_condition_name(condition), told["clean"], severities, styles)
        for condition, severities in told["conditions"].items()
    ]
    caption = (
        f"In per cent. The same faces covered or darkened, the same for every classifier; severity 0: as they are. "
        f"{view['split_name'].capitalize()}, {view['labels_name']}."
    )
    return Html(pages.figure(marks.key(styles) + marks.panels(drawn), caption) + _condition_means(told))


def _by_severity(
    title: str, clean: Mapping[str, Any], severities: Sequence[Mapping[str, Any]], styles: Mapping[str, marks.Style]
) -> Html:
    series = {
        name: [Point(0, 100 * clean[metric]), *(Point(row["severity"], 100 * row[metric]) for row in severities)]
        for metric, name in METRICS.items()
    }
    return charts.lines(series, styles, title=title, x="severity", domain=(0, 100), whole_x=True)


def _condition_means(told: Mapping[str, Any]) -> Html:
    """Means over the severities, and where there is a baseline the errors relative to its errors."""
    errors = told["errors"]["balanced_accuracy"] if "errors" in told else None
    rows = []
    for condition, severities in told["conditions"].items():
        row = [_condition_name(condition)]
        row += [_percent(np.mean([one[metric] for one in severities])) for metric in METRICS]
        if errors:
            entry = errors["per_condition"][condition]
            row += [_ratio(entry["ce"]), _ratio(entry["relative_ce"])]
        rows.append(row)
    if not errors:
        return pages.figure(pages.table(["", *METRICS.values()], rows), "In per cent, the mean over the severities.")
    rows.append(["all", "", "", "", _ratio(errors["mce"]), _ratio(errors["relative_mce"])])
    caption = (
        "In per cent, the mean over the severities. What is missing of mean-class recall, against what the baseline "
        "misses: summed over the severities (CE; all: mCE), and only what is lost to faces as they are (relative CE), "
        "after Hendrycks & Dietterich, ICLR 2019; below 1 is better than the baseline."
    )
    return pages.figure(pages.table(["", *METRICS.values(), "CE", "relative CE"], rows), caption)


def _slices(found: Mapping[str, Any], view: Mapping[str, Any]) -> Html | None:
    rows = []
    for name, by_view in found["slices"].items():
        if view["key"] in by_view:
            metrics = by_view[view["key"]]
            rows.append([name, f"{metrics['count']:,}", *(_percent(metrics[metric]) for metric in METRICS)])
    if not rows:
        return None
    metrics = view["metrics"]
    rows.insert(0, ["all", f"{metrics['count']:,}", *(_percent(metrics[metric]) for metric in METRICS)])
    caption = (
        f"In per cent, as the dataset or a published list names them; {view['split_name']}, {view['labels_name']}."
    )
    return pages.figure(pages.table(["", "faces", *(METRICS[metric] for metric in METRICS)], rows), caption)


def _sheets(sheets: Sequence[Sheet]) -> Html | None:
    if not sheets:
        return None
    lead_in = (
        "Each face beside itself under its heat map (Grad-CAM): the more colour, the more a place spoke for the label "
        "that is named under it. It shows where, not why. Faces are drawn at random."
    )
    parts = [pages.paragraph(lead_in, "note")]
    for sheet in sheets:
        parts += [pages.heading(f"{sheet.title} ({sheet.note})")]
        parts += [pages.face_sheet(sheet.images, sheet.columns, sheet.captions, 72)]
    return Html("".join(parts))


def _origin(found: Mapping[str, Any]) -> Html:
    made = found["classifier"]
    trained = made.get("trained_on", {})
    rows: list[tuple[object, object]] = [
        ("manifest", found["manifest"]["name"]),
        ("its SHA-256", pages.code(found["manifest"]["sha256"])),
        ("labels", ", ".join(found["manifest"]["labels"])),
        ("trained on", f"{trained.get('manifest', 'unknown')}, {trained.get('train_faces', '?')} faces"),
        ("weights chosen by", made.get("chosen_by", "unknown")),
        ("optimiser steps", made.get("steps", "unknown")),
        ("code", found["code_version"]),
    ]
    settings = [(key, str(value)) for key, value in made.get("configuration", {}).items()]
    return Html(pages.pairs(rows) + marks.details("Configuration", pages.pairs(settings)))


def _name(view: Mapping[str, Any]) -> Html:
    return marks.two_lines(SHORT_NAMES[view["split"]], view["labels_name"])


def _condition_name(condition: str) -> str:
    return "low light" if condition == "low" else condition.replace("_", " over ")


def _percent(share: Any) -> str:
    return "–" if share is None else f"{100 * float(share):.1f}"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
