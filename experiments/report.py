"""The before/after report: one page that opens from disk, and the same as JSON.

The page tells what `results.json` holds and adds nothing to it but what the caller knows besides: how the generated
faces fared, sheets of faces, times per stage.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import charts, wording
from experiments.appendix import leaks_section, limits_section, reproduce_section, sources_section
from experiments.sheets import Sheet
from experiments.wording import METRIC_NAMES, interval, percent, points
from fer_data import pages
from fer_data.errors import FerError
from fer_data.files import read_json, write_json
from fer_data.intervals import wilson
from fer_data.pages import Html, Section


def write_report(
    results: Mapping[str, Any] | Path,
    out_html: Path,
    *,
    synthesis: Mapping[str, Any] | None = None,
    sheets: Sequence[Sheet] = (),
    stage_seconds: Mapping[str, float] | None = None,
) -> Path:
    """Write `out_html` and, beside it, the same as `.json` (without pictures); older ones are replaced.

    Args:
        results: what `experiments.before_after.run_experiment` wrote, or its path.
        synthesis: how the generated faces fared::

            {"note": "one sentence about the presets",
             "sources": [{"name": "dcgan", "title": "DCGAN faces", "preset": "24 px, 3 minutes",
                          "asked": 900, "made": 900, "kept": 640, "dropped": {"judge disagrees": 260},
                          "agreement": {"fear": {"agreed": 61, "of": 90}, …},
                          "kid": {"value": 0.08, "standard_error": 0.01, "floor": 0.002}}]}

            `agreement` is counted before screening; `kid` may be left out.
        sheets: faces to show, in this order.
        stage_seconds: stage → seconds, of the whole job.

    Raises:
        FerError: `results` is no result of an experiment.
    """
    if isinstance(results, Path):
        results = read_json(results)
    if not isinstance(results, Mapping) or results.get("kind") != "experiment":
        raise FerError(f"{out_html}: expected the results.json of an experiment, found something else; run it again")
    lead = [wording.answer(results), wording.reviewers(results), wording.drawn(results)]
    sections = [
        _differences_section(results),
        _scores_section(results),
        _recalls_section(results),
        _confusion_section(results),
        *([_synthesis_section(synthesis, results["labels"])] if synthesis else []),
        *([_sheets_section(sheets)] if sheets else []),
        _training_section(results),
        _tests_section(results),
        leaks_section(results),
        sources_section(results),
        limits_section(results, synthetic=bool(synthesis)),
        reproduce_section(results, stage_seconds),
    ]
    page = pages.page(results["title"], sections, lead="\n".join(line for line in lead if line))
    pages.write_page(out_html, page)
    extra = {
        "synthesis": synthesis,
        "sheets": [{"title": sheet.title, "note": sheet.note} for sheet in sheets],
        "stage_seconds": dict(stage_seconds) if stage_seconds else None,
        "limits": wording.limits(results, synthetic=bool(synthesis)),
    }
    write_json(out_html.with_suffix(".json"), {"answer": lead[0], **results, "report": extra})
    return out_html


def _differences_section(results: Mapping[str, Any]) -> Section:
    contrast = wording.primary_contrast(results)
    titles = wording.arm_titles(results)
    before, after = results["question"]["baseline"], contrast["arm"]
    scores, view = results["scores"][contrast["view"]], wording.view_of(results, contrast["view"])
    figures = {}
    for name, words in METRIC_NAMES.items():
        was, became = (percent(scores[arm]["metrics"][name]["value"]) for arm in (before, after))
        figures[wording.capital(words)] = f"{was} → {became} %"
    text = (
        f"“{titles[before]}” → “{titles[after]}” on {view['faces']:,} faces: {view['split_name']}, "
        f"{view['labels_name']}. With these faces and seeds a true difference in "
        f"{METRIC_NAMES[contrast['metric']]} of {percent(contrast['smallest_effect'])} points would have been found "
        "four times out of five; smaller ones more rarely."
    )
    caption = (
        f"Differences to “{titles[before]}” in points, with 95 % intervals over test faces and seeds, on the test "
        "split without twins. Blue: the one contrast chosen beforehand. Grey: exploratory."
    )
    chart = pages.figure(pages.chart(charts.forest(results, "leak_free")), caption)
    return Section("Differences", pages.key_figures(figures) + pages.paragraph(text) + chart)


def _scores_section(results: Mapping[str, Any]) -> Section:
    titles = wording.arm_titles(results)
    before = results["question"]["baseline"]
    parts = [
        pages.paragraph(
            "Per cent, the mean over seeds, with 95 % intervals over test faces and seeds. Intervals of two arms may "
            "overlap although their difference is clear: the arms answer the same faces, and the differences use that.",
            "note",
        )
    ]
    for view in _views(results):
        parts.append(pages.heading(_title(view)))
        parts.append(pages.paragraph(_faces_note(view), "note"))
        rows = [
            [_strong(titles[arm], arm == before), *(_level(scores["metrics"][name]) for name in METRIC_NAMES)]
            for arm, scores in results["scores"][view["key"]].items()
        ]
        parts.append(pages.table(["", *(wording.capital(METRIC_NAMES[name]) for name in METRIC_NAMES)], rows))
    return Section("Before and after", "".join(parts))


def _recalls_section(results: Mapping[str, Any]) -> Section:
    titles = wording.arm_titles(results)
    before, after = results["question"]["baseline"], results["question"]["primary"]
    shown = wording.primary_contrast(results)["view"]
    caption = f"Every arm against “{titles[before]}”: change of each class's recall ({_view_name(results, shown)})."
    parts = [
        pages.figure(pages.chart(charts.recall_changes(results, shown)), caption),
        pages.paragraph(
            "Recall in per cent, the mean over seeds, with Wilson's 95 % interval for the test faces; differences in "
            "points, with paired intervals over faces and seeds. Not corrected for looking at several classes.",
            "note",
        ),
    ]
    for view in _views(results):
        scores = results["scores"][view["key"]]
        changes = {
            contrast["metric"].removeprefix("recall:"): contrast
            for contrast in results["contrasts"]
            if (contrast["view"], contrast["arm"]) == (view["key"], after)
        }
        rows = [
            [
                label, f"{view['per_class'][label]:,}", _level(scores[before]["recall"][label]),
                _level(scores[after]["recall"][label]), _change(changes[label]),
            ]
            for label in results["labels"]
        ]  # fmt: skip
        parts.append(pages.heading(_title(view)))
        parts.append(pages.table(["", "faces", titles[before], titles[after], "difference"], rows))
        parts += [pages.paragraph(sentence, "note") for sentence in wording.small_classes(view)]
    return Section("Class by class", "".join(parts))


def _confusion_section(results: Mapping[str, Any]) -> Section:
    titles = wording.arm_titles(results)
    view = wording.primary_contrast(results)["view"]
    panels = []
    for arm in (results["question"]["baseline"], results["question"]["primary"]):
        counts = np.asarray(results["scores"][view][arm]["confusion"], dtype=float)
        faces = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, faces, out=np.full(counts.shape, np.nan), where=faces > 0)
        labels = results["labels"]
        matrix = pages.matrix(labels, labels, shares, rows_are="true label", columns_are="predicted label")
        panels.append(f"<div>{pages.heading(titles[arm])}{matrix}</div>")
    note = pages.paragraph(
        f"Share of each true class, the mean over seeds; {_view_name(results, view)}. Other views are in report.json.",
        "note",
    )
    return Section("Confusions", note + "".join(panels))


def _synthesis_section(synthesis: Mapping[str, Any], labels: Sequence[str]) -> Section:
    chance = 1 / len(labels)
    headers = ["", "asked", "made", "kept", "dropped", "judge agrees, %", "KID"]
    rows = []
    for source in synthesis["sources"]:
        agreed = sum(counts["agreed"] for counts in source["agreement"].values())
        total = sum(counts["of"] for counts in source["agreement"].values())
        low, high = wilson(agreed, total)
        share = {"value": agreed / total if total else None, "low": low, "high": high}
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in source["dropped"].items()) or "none"
        counts = [f"{source[key]:,}" for key in ("asked", "made", "kept")]
        name = _two_lines(source["title"], source["preset"])
        agreement = _two_lines(percent(share["value"]), interval(share, signed=False))
        rows.append([name, *counts, dropped, agreement, _kid(source.get("kid"))])
    chart = pages.figure(
        pages.chart(charts.judge_agreement(synthesis["sources"], labels, chance)),
        f"How often the judge, which knows only real faces, names the label that was asked for, before screening, with "
        f"Wilson's 95 % intervals. Dashed: chance, {percent(chance)} %.",
    )
    note = pages.paragraph(synthesis["note"]) if synthesis.get("note") else ""
    return Section("Generated faces", note + pages.table(headers, rows, "wrrrwrr") + chart)


def _sheets_section(sheets: Sequence[Sheet]) -> Section:
    parts = []
    for sheet in sheets:
        parts.append(pages.heading(sheet.title))
        parts.append(pages.paragraph(sheet.note, "note"))
        parts.append(pages.face_sheet(sheet.images, sheet.columns, sheet.captions))
    return Section("Faces", "".join(parts))


def _training_section(results: Mapping[str, Any]) -> Section:
    steps, judged = results["arms"][0]["train"]["steps"], results["evaluate_on"]["validation_faces"]
    caption = (
        f"A line per run; every arm has the same {steps:,} optimiser steps. The weights of the best evaluation on the "
        f"same {judged:,} validation faces are kept; no test face has a part in that."
    )
    return Section("Training", pages.figure(pages.chart(charts.training_curves(results)), caption))


def _tests_section(results: Mapping[str, Any]) -> Section:
    primary, *others = _views(results)
    note = pages.paragraph(
        f"{results['question']['resamples']:,} resamples of faces (by group) and of seeds at once, the same for both "
        "arms. p: two-sided, from the resamples. Holm: corrected for all exploratory rows of this section together. "
        "Last column: the smallest true difference, in points, that this design finds with 80 % power.",
        "note",
    )
    titles = wording.arm_titles(results)
    pairs = [
        [titles[test["arm"]], test["seed"], test["lost"], test["won"], wording.p_value(test["p_value"])]
        for test in results["mcnemar"]
        if test["view"] == primary["key"]
    ]
    headers = ["", "seed", "only the baseline right", "only this arm right", "p"]
    parts = [pages.heading(_title(primary)), _tests_table(results, primary["key"])]
    parts += [pages.heading("McNemar's exact test on the same faces, seed by seed"), pages.table(headers, pairs)]
    parts += [
        f"<details><summary>{pages.text(_title(view))}</summary>{_tests_table(results, view['key'])}</details>"
        for view in others
    ]
    return Section("Tests", note + "".join(parts))


def _tests_table(results: Mapping[str, Any], view: str) -> Html:
    titles = wording.arm_titles(results)
    rows = [
        [
            _strong(titles[contrast["arm"]], contrast["family"] == "primary"),
            METRIC_NAMES[contrast["metric"]],
            _change(contrast),
            wording.p_value(contrast["p_value"]),
            "primary" if contrast["family"] == "primary" else wording.p_value(contrast["p_holm"]),
            percent(contrast["smallest_effect"]),
        ]
        for contrast in results["contrasts"]
        if contrast["view"] == view and contrast["metric"] in METRIC_NAMES
    ]
    return pages.table(["", "metric", "difference", "p", "p (Holm)", "smallest effect"], rows, "llrrrr")


def _views(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All views, that of the primary contrast first, the official test split last."""
    primary = wording.primary_contrast(results)["view"]
    return sorted(results["views"], key=lambda view: (view["key"] != primary, view["split"] == "official"))


def _title(view: Mapping[str, Any]) -> str:
    return f"{wording.capital(view['split_name'])}, {view['labels_name']}"


def _faces_note(view: Mapping[str, Any]) -> str:
    left = f"; {view['left_out']:,} without a clear truth among the labels left out" if view["left_out"] else ""
    return f"{view['faces']:,} faces{left}."


def _view_name(results: Mapping[str, Any], key: str) -> str:
    view = wording.view_of(results, key)
    return f"{'without twins' if view['split'] == 'leak_free' else 'official'}, {view['labels_name']}"


def _level(entry: Mapping[str, Any]) -> Html:
    return _with_interval(percent(entry["value"]), interval(entry, signed=False))


def _change(entry: Mapping[str, Any]) -> Html:
    return _with_interval(points(entry["value"]), interval(entry, signed=True))


def _with_interval(value: str, span: str) -> Html:
    return Html(f"{pages.text(value)} {_soft(span)}")


def _two_lines(value: str, below: str) -> Html:
    return Html(f"{pages.text(value)}<br>{_soft(below)}")


def _soft(value: str) -> Html:
    return Html(f'<span style="color:var(--soft)">{pages.text(value)}</span>')


def _strong(value: str, strong: bool) -> Html:
    return Html(f"<strong>{pages.text(value)}</strong>") if strong else pages.text(value)


def _kid(kid: Mapping[str, float] | None) -> Html:
    if kid is None:
        return Html("–")
    return _two_lines(f"{kid['value']:.3f} ± {kid['standard_error']:.3f}", f"floor {kid['floor']:.3f}")
