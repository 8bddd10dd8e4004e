"""The before/after report: one page that opens from disk, the same as JSON, and as Markdown for a repository.

The page tells what `results.json` holds and adds nothing to it but what the caller knows besides: how the generated
faces fared, sheets of faces, times per stage. What an experiment does not have is left out, and the page says so.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from experiments.report import (
    appendix,
    calibration,
    choice,
    classes,
    cross_validation,
    curves,
    differences,
    face_sheets,
    fairness,
    generated,
    robustness,
    slices,
    training,
    wording,
)
from experiments.report.contents import REPORT_VERSION, Results, read_results
from experiments.report.limits import limits
from experiments.report.markdown import markdown
from experiments.report.marks import Missing, left_out
from experiments.sheets import Sheet
from fer_data import pages
from fer_data.files import atomic_file, write_json
from fer_data.pages import Section


def write_report(
    results: Mapping[str, Any] | Path,
    out_html: Path,
    *,
    synthesis: Mapping[str, Any] | None = None,
    sheets: Sequence[Sheet] = (),
    heat_maps: Mapping[str, Sequence[Sheet]] = MappingProxyType({}),
    stage_seconds: Mapping[str, float] | None = None,
    cross_validated: Mapping[str, Any] | Path | None = None,
) -> Path:
    """Write `out_html` and, beside it, the same as `.json` and `.md` (without pictures); older ones are replaced.

    Args:
        results: what `experiments.before_after.run_experiment` wrote, or its path.
        synthesis: how the generated faces fared::

            {"note": "one sentence about the presets",
             "sources": [{"name": "dcgan", "title": "DCGAN faces", "preset": "24 px, 3 minutes",
                          "asked": 900, "made": 900, "kept": 640, "dropped": {"judge disagrees": 260},
                          "real_labels": "FER+ majority",
                          "agreement": {"fear": {"agreed": 61, "of": 90, "real": {"agreed": 70, "of": 90}}, …},
                          "kid": {"value": 0.08, "standard_error": 0.01, "floor": 0.002},
                          "arms": ["diffusion"], "unmeasured": "why there is no agreement"}],
             "left_out": ["why some faces are not told of"]}

            `agreement` is counted before screening; `real`, `kid`, `arms`, `unmeasured` and `left_out` may be left out.
        sheets: faces to show, in this order.
        heat_maps: arm → faces under the heat maps of its classifier.
        stage_seconds: stage → seconds, of the whole job.
        cross_validated: results of the same question over all splits, or their path.

    Raises:
        FerError: `results` is no result of an experiment.
    """
    raw, told = read_results(results, str(out_html))
    lead = [
        wording.answer(told),
        wording.beside_the_answer(told),
        wording.against_the_control(told),
        wording.reviewers(told),
        wording.drawn(told),
    ]
    folded = read_results(cross_validated, str(out_html))[1] if cross_validated is not None else None
    found = _sections(told, folded, synthesis, sheets, heat_maps, stage_seconds)
    missing = [part for part in found if isinstance(part, Missing)]
    sections = [part for part in found if isinstance(part, Section)]
    if missing:
        sections.insert(len(sections) - 1, left_out(missing))
    page = pages.page(told.title, sections, lead="\n".join(line for line in lead if line))
    report = {
        **raw,
        "report_version": REPORT_VERSION,
        "answer": lead[0],
        "report": {
            "lead": [line for line in lead if line],
            "cross_validated": cross_validation.described(folded) if folded is not None else None,
            "synthesis": synthesis,
            "sheets": [{"title": sheet.title, "note": sheet.note} for sheet in sheets],
            "stage_seconds": dict(stage_seconds) if stage_seconds else None,
            "limits": limits(told, synthetic=bool(synthesis)),
            "left_out": {part.title: part.reason for part in missing},
        },
    }
    pages.write_page(out_html, page)
    write_json(out_html.with_suffix(".json"), report)
    with atomic_file(out_html.with_suffix(".md")) as partial:
        partial.write_text(markdown(report), encoding="utf-8")
    return out_html


def _sections(
    results: Results,
    folded: Results | None,
    synthesis: Mapping[str, Any] | None,
    sheets: Sequence[Sheet],
    heat_maps: Mapping[str, Sequence[Sheet]],
    stage_seconds: Mapping[str, float] | None,
) -> list[Section | Missing]:
    """All parts in the order in which they are read."""
    return [
        differences.differences(results),
        differences.against_control(results),
        classes.classes(results),
        *([] if results.folds else [cross_validation.cross_validation(folded)]),
        curves.review_curve(results),
        curves.ratio_curve(results),
        robustness.robustness(results),
        slices.slices(results),
        classes.confusions(results),
        calibration.calibration(results),
        fairness.fairness(results),
        generated.generated_faces(synthesis, results),
        face_sheets.faces(results, sheets),
        face_sheets.heat_maps(results, heat_maps),
        training.training(results),
        differences.scores(results),
        differences.tests(results),
        choice.choice(results),
        appendix.leaks(results),
        appendix.training_faces(results),
        appendix.licences(results),
        appendix.not_shown(results, synthetic=bool(synthesis)),
        appendix.reproduce(results, stage_seconds),
    ]
