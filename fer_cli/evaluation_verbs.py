"""The verb that judges one classifier."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_cli.options import JsonOption, ManifestArgument, ReplaceOption
from fer_cli.terminal import app, read, reporter, say


@app.command(no_args_is_help=True)
def evaluate(
    manifest: ManifestArgument,
    checkpoint: Annotated[Path, typer.Option(help="what `fer train` wrote")],
    split: Annotated[str, typer.Option(help="test or val")] = "test",
    links: Annotated[list[Path] | None, typer.Option(help="near duplicates that count as twins; repeatable")] = None,
    robustness: Annotated[bool, typer.Option("--robustness", help="the same faces covered and in low light")] = False,
    baseline: Annotated[Path | None, typer.Option(help="another checkpoint, to set its errors there against")] = None,
    fairness: Annotated[bool, typer.Option("--fairness", help="every metric by age, gender, race and source")] = False,
    sheets: Annotated[
        bool, typer.Option("--sheets", help="show faces, and what the classifier looked at, on the page")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="write OUT.json and the page OUT.html")] = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score a classifier on the test split, with and without twins, on given and reference labels and on votes."""
    from classifier.prediction import load_classifier
    from experiments.evaluation.faces import heat_map_sheets
    from experiments.evaluation.page import write_page
    from experiments.evaluation.scoring import Judged, robustness_set, score
    from fer_data.errors import FerError
    from fer_data.files import refuse_existing, write_json

    if sheets and out is None:
        raise FerError("--sheets: expected --out, the name of the page that shows them")
    if baseline is not None and not robustness:
        raise FerError("--baseline: expected --robustness, where its errors are set against")
    if out is not None:
        refuse_existing(_beside(out, ".json"), replace=replace)
    progress = reporter(as_json)
    judged = Judged(read(manifest), load_classifier(checkpoint), split, links or ())
    cache = judged.manifest.root / ".cache" / "robustness"
    found = score(
        judged,
        covered=robustness_set(judged, cache, progress) if robustness else None,
        baseline=load_classifier(baseline) if baseline else None,
        groups=fairness,
        reporter=progress,
    )
    outputs = []
    if out is not None:
        write_json(_beside(out, ".json"), found)
        page = write_page(found, _beside(out, ".html"), heat_map_sheets(judged) if sheets else ())
        outputs = [page, _beside(out, ".json")]
    say(as_json, found, _lines(found), outputs)


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(f"{out.name}{ending}")


def _lines(found: Mapping[str, Any]) -> list[str]:
    from experiments.evaluation.page import never_learnt, shown_parts
    from experiments.views import SHORT_NAMES

    parts = shown_parts(found)
    lines = [unseen] if (unseen := never_learnt(found)) else []
    for view in found["views"]:
        if view["split"] not in parts:
            continue
        metrics = view["metrics"]
        lines.append(
            f"{view['split_name']}, {view['labels_name']}: accuracy {metrics['accuracy']:.3f} · balanced accuracy "
            f"{metrics['balanced_accuracy']:.3f} · macro-F1 {metrics['macro_f1']:.3f} · ECE {metrics['ece']:.3f} · "
            f"{metrics['count']:,} faces"
        )
    for split, entry in (found["votes"] or {}).items():
        if entry["count"] and split in parts:
            lines.append(
                f"distribution of the votes, {SHORT_NAMES[split]}: cross-entropy {entry['cross_entropy']:.3f} · "
                f"KL {entry['kl']:.3f} · {entry['count']:,} faces"
            )
    if found["robustness"]:
        view = list(found["robustness"]["views"].values())[-1]
        for condition, rows in view["conditions"].items():
            shown = " ".join(f"{row['balanced_accuracy']:.3f}" for row in rows)
            lines.append(f"{condition}: balanced accuracy by severity {shown}")
    if isinstance(found["fairness"], str):
        lines.append(found["fairness"])
    return lines
