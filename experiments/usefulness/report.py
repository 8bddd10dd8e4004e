"""The answers as a page of tables: figures, never a picture."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

Entry = Mapping[str, Any]

_TITLES = MappingProxyType(
    {
        "real": "real faces only",
        "real_changed": "+ real faces, occluded and relit",
        "learned": "+ generated, conditions learned",
        "afterwards": "+ generated, conditions put on afterwards",
        "synthetic": "synthetic faces only",
    }
)
_RARE_FIRST = ("disgust", "fear")


def answer(results: Entry) -> str:
    """What came out, in one or two sentences."""
    told = []
    if score := results["accuracy_score"]:
        arms = [score["scores"][arm]["balanced_accuracy"] for arm in ("synthetic", "real")]
        told.append(
            f"Trained on synthetic faces only a classifier reaches a balanced accuracy of {_range(arms[0])} on real "
            f"faces, trained on as many real ones {_range(arms[1])}."
        )
    if compared := results["conditions"]:
        outcome = (
            f"Conditions that are {_manner(compared['default'])} help more"
            if compared["decided"]
            else "Whether conditions are learned or put on afterwards makes no clear difference"
        )
        difference = _range(compared["difference"], signed=True)
        told.append(f"{outcome}: learned less afterwards is {difference} in balanced accuracy over all conditions.")
    return " ".join(told)


def markdown(results: Entry) -> str:
    """The whole page, from results.json."""
    parts = ["# Do generated faces help a classifier?", "", answer(results), ""]
    parts.append("Intervals are of 95 %, from resampled groups of faces, crossed with the seeds. Balanced accuracy")
    parts.append("is the mean recall of the classes. Written by `fer experiment`, not by hand.")
    if results["accuracy_score"]:
        parts += ["", *_accuracy_score(results["accuracy_score"], results["labels"])]
    if results["conditions"]:
        parts += ["", *_conditions(results["conditions"])]
    return "\n".join(parts) + "\n"


def _accuracy_score(score: Entry, labels: Sequence[str]) -> list[str]:
    faces = ", ".join(f"{label} {count:,}" for label, count in score["training_faces"].items())
    recalls = [f"recall:{label}" for label in sorted(labels, key=lambda label: label not in _RARE_FIRST)]
    rows = [
        (
            metric.replace("recall:", "recall of ").replace("_", " "),
            *(_range(score["scores"][arm][metric]) for arm in ("synthetic", "real")),
            _range(_difference(score, "synthetic", "real", metric), signed=True),
        )
        for metric in ("balanced_accuracy", "accuracy", "macro_f1", *recalls)
    ]
    head = ("", _TITLES["synthetic"], "as many real faces", "difference")
    return [
        "## Classification accuracy score",
        "",
        f"Training faces of either arm: {faces}. {_judges(score)}",
        "",
        *_table(head, rows),
    ]


def _conditions(compared: Entry) -> list[str]:
    arms = compared["arms"]
    tables = {**compared["views"], **compared["pooled"]}
    rows = [
        (
            f"**{name}**" if name in compared["pooled"] else name.replace("_", " "),
            *(_range(table["scores"][arm]["balanced_accuracy"]) for arm in arms),
            _range(_difference(table, "learned", "afterwards", "balanced_accuracy"), signed=True),
        )
        for name, table in tables.items()
    ]
    added = sum(cell["count"] for cell in compared["cells"])
    head = ("balanced accuracy on", *(_TITLES[arm] for arm in arms), "learned less afterwards")
    return [
        "## Conditions learned, or put on afterwards",
        "",
        f"Each arm but the first adds {added:,} faces in the same {len(compared['cells'])} cells. {_judges(compared)}",
        "",
        *_table(head, rows),
        "",
        f"Default from this: **{compared['default']}**"
        + ("" if compared["decided"] else " (undecided: may be chance)"),
    ]


def _judges(part: Entry) -> str:
    judged = part["judged"]
    return (
        f"Judged by {judged['faces']:,} real {judged['split']} faces ({judged['labels']} labels), "
        f"{len(part['seeds'])} seeds."
    )


def _difference(table: Entry, after: str, before: str, metric: str) -> Entry:
    found: Entry = next(
        entry
        for entry in table["differences"]
        if (entry["after"], entry["before"], entry["metric"]) == (after, before, metric)
    )
    return found


def _range(entry: Entry, *, signed: bool = False) -> str:
    if entry["value"] is None:
        return "–"
    sign = "+" if signed else ""
    return f"{entry['value']:{sign}.3f} [{entry['low']:{sign}.3f}, {entry['high']:{sign}.3f}]"


def _manner(arm: str) -> str:
    return {"learned": "learned by the generator", "afterwards": "put on afterwards"}[arm]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
