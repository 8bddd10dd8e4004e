"""The lines of speedrun.py and of classic_baselines.py as tables in Markdown.

python benchmarks/accuracy_tables.py docs/results/speedrun.jsonl docs/results/classic_baselines.jsonl
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]
Column = tuple[str, Callable[[Line], str]]

NAMES = {
    "svm_hog": "SVM (RBF) on HOG",
    "svm_lbp": "SVM (RBF) on LBP",
    "knn_hog": "k-NN on HOG",
    "knn_lbp": "k-NN on LBP",
    "forest_hog": "random forest on HOG",
    "forest_lbp": "random forest on LBP",
    "tree_pixels": "decision tree on pixels",
    "mlp": "MLP",
    "lstm_rows": "LSTM over image rows",
    "cnn3": "three-layer CNN",
    "vgg": "VGG-style",
    "separable": "depthwise-separable (mini-Xception)",
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
}
COPIES = "without copies"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="JSON lines of the two benchmarks")
    for file in parser.parse_args().files:
        lines = sorted(map(json.loads, file.read_text().splitlines()), key=lambda line: line["minutes"])
        for columns in TABLES[lines[0]["bench"]]:
            print(table(shown(columns, lines), lines), end="\n\n")


def shown(columns: Sequence[Column], lines: Sequence[Line]) -> list[Column]:
    """The columns without that of the test split without copies, where no line tells it apart from its neighbours."""
    return [column for column in columns if column[0] != COPIES or any(column[1](line) != "–" for line in lines)]


def table(columns: Sequence[Column], lines: Sequence[Line]) -> str:
    """Lines as a Markdown table, the first column to the left, the others to the right."""
    rows = [[head for head, _ in columns], ["---", *["---:"] * (len(columns) - 1)]]
    rows += [[cell(line) for _, cell in columns] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _percent(view: str, metric: str) -> Callable[[Line], str]:
    def cell(line: Line) -> str:
        found = line["test"].get(view)
        return "–" if found is None else f"{100 * found[metric]:.1f}"

    return cell


def _recall(label: str) -> Callable[[Line], str]:
    def cell(line: Line) -> str:
        found = line["test"]["official/given"]["recall"].get(label)
        return "–" if found is None else f"{100 * found:.0f}"

    return cell


def _target(line: Line) -> str:
    return "" if line["target"] is None else f"{line['target']} {'reached' if line['reached'] else 'missed'}"


def _size(line: Line) -> str:
    return f"{line['size']:,} {line['size_unit']}"


def _literature(line: Line) -> str:
    found = [one["accuracy"] for one in line["literature"]]
    return ", ".join(f"{low:g}" if low == high else f"{low:g}–{high:g}" for low, high in found) or "–"


def _epochs(line: Line) -> str:
    return "–" if line["epochs"] is None else f"{line['epochs']:.1f}"


_SCORES: tuple[Column, ...] = (
    ("official", _percent("official/given", "accuracy")),
    (COPIES, _percent("no_copies/given", "accuracy")),
    ("without twins", _percent("leak_free/given", "accuracy")),
    ("FER+ majority, without twins", _percent("leak_free/reference", "accuracy")),
    ("macro-F1", _percent("official/given", "macro_f1")),
)
_LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")

_SPEEDRUN: tuple[Column, ...] = (
    ("minutes, seed", lambda line: line["figure"]),
    *_SCORES,
    ("target (official)", _target),
    ("model", lambda line: line["model"]),
    ("precision", lambda line: "float32" if line["mixed_precision"] == "no" else line["mixed_precision"]),
    ("parameters", lambda line: f"{line['parameters']:,}"),
    ("epochs", _epochs),
    ("seconds", lambda line: f"{line['seconds']:.0f}"),
)
_BASELINES: tuple[Column, ...] = (
    ("classifier", lambda line: NAMES[line["row"]]),
    *_SCORES,
    ("literature", _literature),
    ("size", _size),
    ("faces trained on", lambda line: f"{line['train_faces']:,}"),
    ("epochs", _epochs),
    ("seconds in all", lambda line: f"{line['seconds']:.0f}"),
    ("µs a face", lambda line: f"{line['microseconds_per_face']:,.0f}"),
)
_RECALL: tuple[Column, ...] = (
    ("recall, official, %", lambda line: NAMES[line["row"]]),
    *((label, _recall(label)) for label in _LABELS),
)
TABLES: dict[str, tuple[tuple[Column, ...], ...]] = {
    "speedrun": (_SPEEDRUN,),
    "classic_baselines": (_BASELINES, _RECALL),
}


if __name__ == "__main__":
    main()
