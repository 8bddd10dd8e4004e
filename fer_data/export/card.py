"""`README.md`: the card that a person reads, and the YAML header that the Hugging Face hub reads."""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from fer_data.export.documents import INTENDED_USE, LICENCE, LIMITS, LOCAL_USE, PERSONAL_DATA, Account
from fer_data.licenses import PERMISSIONS, SPDX

# Ends of the hub's size categories, https://github.com/huggingface/hub-docs/blob/main/datasetcard.md.
_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"),
)  # fmt: skip


def card(account: Account) -> str:
    """The whole of `README.md`."""
    header = yaml.safe_dump(_header(account), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        f"# {account.title}",
        *([f"> **{LOCAL_USE}**\n>\n" + _lines(f"> - {reason}" for reason in account.permission.forbids)]
          if account.local_use else []),
        _introduction(account),
        f"## Open it\n\n```python\n{account.layout.loading.replace('FOLDER', 'path/to/this/folder')}\n```",
        "## Faces\n\n" + _counts(account),
        "## Columns\n\n" + _columns(account),
        "## Licence\n\n" + _licence(account),
        "## Uses and limits\n\n" + _uses(account),
        *(["## To be cited\n\n" + _lines(f"- {citation}" for citation in account.citations)]
          if account.citations else []),
        "## Where it comes from\n\n" + _lineage(account),
    ]  # fmt: skip
    return f"---\n{header}---\n\n" + "\n\n".join(sections) + "\n"


def _header(account: Account) -> dict[str, Any]:
    licence = account.permission.licence
    if licence["name"] in SPDX:
        terms = {"license": licence["name"].lower()}
    else:
        terms = {"license": "other", "license_name": licence["name"], "license_link": LICENCE}
    limit = next((name for end, name in _SIZES if len(account.rows) < end), "100M<n<1B")
    tags = ["facial-expression-recognition", *(["not-for-redistribution"] if account.local_use else [])]
    return {
        **terms,
        "pretty_name": account.title,
        "task_categories": ["image-classification"],
        "tags": tags,
        "size_categories": [limit],
        **account.layout.card,
    }


def _introduction(account: Account) -> str:
    manifest = account.rows.manifest
    sources = ", ".join(source.TITLE for source in account.sources) or "data sets that the user imported"
    made = sum(1 for origin in account.rows.table["origin"].to_pylist() if origin == "synthetic")
    text = (
        f"{len(account.rows):,} faces with the expression shown, from {sources}; {account.format.TITLE}, "
        f"exported from the manifest `{manifest.name}` by fer-data-studio."
    )
    text += f"\n\n{made:,} of them are synthetic: a generator drew them." if made else ""
    return text + f"\n\nLabels, in the order that numbers them: {', '.join(manifest.labels)}."


def _counts(account: Account) -> str:
    counts = account.counts()
    labels = [*account.rows.manifest.labels, "unlabelled"]
    shown = [label for label in labels if any(label in per_label for per_label in counts.values())]
    rows = [
        [split, *(f"{per_label.get(label, 0):,}" for label in shown), f"{sum(per_label.values()):,}"]
        for split, per_label in counts.items()
    ]
    return _table(["split", *shown, "all"], rows) + _lines(f"\n- {note}" for note in account.layout.notes)


def _columns(account: Account) -> str:
    return _lines(f"- `{field['name']}`: {field['description']}" for field in account.layout.fields)


def _licence(account: Account) -> str:
    licence = account.permission.licence
    rows = [[flag.replace("_", " "), "yes" if licence[flag] else "no"] for flag in PERMISSIONS]
    return (
        f"{licence['name']}: {licence['summary']}. See `{LICENCE}`.\n\n"
        + _table(["may one …", ""], rows)
        + "\n\nFacts for the user, not legal advice. What is made from several sources may do only what all allow."
    )


def _uses(account: Account) -> str:
    defects = _lines(f"- {defect}" for defect in account.known_defects)
    return _lines([f"{INTENDED_USE} {PERSONAL_DATA}", "", *(f"- {limit}" for limit in LIMITS)]) + (
        f"\n\nKnown defects of the sources:\n\n{defects}" if defects else ""
    )


def _lineage(account: Account) -> str:
    rows = [
        [f"`{entry['path']}`", f"`{entry.get('command', '')}`", str(entry.get("created", "")), entry["state"]]
        for entry in account.ancestors
    ]
    return f"SHA-256 of the manifest: `{account.rows.manifest.sha256}`. More stands in `provenance.json`.\n\n" + _table(
        ["file", "made by", "when", "state"], rows
    )


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return _lines(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))
