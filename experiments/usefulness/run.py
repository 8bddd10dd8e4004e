"""Answer what a configuration asks and write it down: `results.json`, and `results.md` for people."""

from pathlib import Path
from typing import Any

from experiments.provenance import versions
from experiments.usefulness.accuracy_score import classification_accuracy_score
from experiments.usefulness.condition_arms import compare_conditions
from experiments.usefulness.design import UsefulnessConfig, prepare
from experiments.usefulness.report import markdown
from fer_data.files import atomic_file, write_json
from fer_data.progress import SILENT, Reporter


def run_usefulness(config: UsefulnessConfig, project_root: Path, out: Path, reporter: Reporter = SILENT) -> Path:
    """Train and judge every arm that has no record yet, and write what came out.

    Args:
        project_root: what the paths in `config` are relative to.
        out: folder of the experiment: `accuracy_score/` and `conditions/` (records, runs), `results.json` and
            `results.md`.

    Returns:
        `<out>/results.json`.

    Raises:
        FerError: what `design.prepare` refuses, or a kept record that this configuration did not make.
    """
    opened = prepare(config, project_root)
    results: dict[str, Any] = {
        "kind": "usefulness",
        "name": config.name,
        "configuration": config.model_dump(mode="json"),
        "versions": versions(),
        "labels": list(opened["real"].labels),
        "accuracy_score": None,
        "conditions": None,
    }
    if "synthetic" in opened:
        results["accuracy_score"] = classification_accuracy_score(
            opened["synthetic"], opened["real"], config, out / "accuracy_score", reporter
        )
    if "learned" in opened:
        results["conditions"] = compare_conditions(
            opened["learned"], opened["afterwards"], opened["real"], config, out / "conditions", reporter
        )
    path = out / "results.json"
    write_json(path, results)
    with atomic_file(path.with_suffix(".md")) as partial:
        partial.write_text(markdown(results))
    return path
