"""What every export says of itself: where its rows come from, who is to be cited, what may be done with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fer_data.adapters.registry import ADAPTERS, Adapter
from fer_data.export.contract import ExportConfig, Format, Layout
from fer_data.export.permissions import Permission
from fer_data.export.rows import Rows
from fer_data.licenses import PERMISSIONS
from fer_data.manifest import lineage
from fer_data.tables import code_version
from fer_data.votes import FERPLUS_COLUMNS

PROVENANCE = "provenance.json"
LICENCE = "LICENCE.txt"
KIND = "export"

LOCAL_USE = "FOR USE ON THE MACHINE WHERE IT WAS MADE ONLY: do not upload, publish or pass on."
INTENDED_USE = "Research on the classification of the facial expression shown in a picture."
LIMITS = (
    "A label says which expression is shown as people named it, and nothing of what the person felt.",
    "Not for inferring people's emotions at work or in education: Regulation (EU) 2024/1689, Article 5(1)(f), forbids "
    "such uses but for medical or safety reasons.",
)
PERSONAL_DATA = "Pictures of faces are personal data."

_FERPLUS_CITATION = (
    "Barsoum et al., Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution, "
    "ICMI 2016, arXiv:1608.01041"
)
_IMPORT = "fer import "


@dataclass(frozen=True)
class Account:
    """The facts that the card, the licence file, `provenance.json` and `croissant.json` are written from."""

    rows: Rows
    format: Format
    options: ExportConfig
    permission: Permission
    local_use: bool
    layout: Layout

    @property
    def title(self) -> str:
        return self.options.title or self.rows.manifest.name

    @cached_property
    def ancestors(self) -> list[dict[str, Any]]:
        """The manifest's lineage, without the folders of this machine."""
        return [_without_folders(entry) for entry in lineage(self.rows.manifest)]

    @cached_property
    def sources(self) -> list[Adapter]:
        """The data sets that rows, and the training rows of generators, come from, as far as they are known."""
        names = [store.info["source"] for store in self.rows.manifest.stores.values()]
        commands = [str(entry.get("command", "")) for entry in self.ancestors]
        names += [command.removeprefix(_IMPORT) for command in commands if command.startswith(_IMPORT)]
        return [ADAPTERS[name] for name in dict.fromkeys(names) if name in ADAPTERS]

    @property
    def citations(self) -> list[str]:
        cited = [source.CITATION for source in self.sources if source.CITATION]
        return [*cited, *([_FERPLUS_CITATION] if self.rows.manifest.votes_labels() == FERPLUS_COLUMNS else [])]

    @property
    def known_defects(self) -> list[str]:
        return [defect for source in self.sources for defect in source.KNOWN_DEFECTS]

    def counts(self) -> dict[str, dict[str, int]]:
        """Faces per split and label that were written; those without a label under "unlabelled"."""
        counted = self.rows.table.group_by(["split", "label"]).aggregate([([], "count_all")]).to_pylist()
        found = {(row["split"], row["label"] or "unlabelled"): row["count_all"] for row in counted}
        labels = [*self.rows.manifest.labels, "unlabelled"]
        return {
            split: {label: found[split, label] for label in labels if (split, label) in found}
            for split in self.rows.splits
        }


def provenance(account: Account) -> dict[str, Any]:
    """What `provenance.json` holds. No time of the export: the same manifest makes the same files."""
    manifest = account.rows.manifest
    places = account.rows.place["store"].value_counts().to_pylist()
    rows_of = {entry["values"]: entry["counts"] for entry in places}
    return {
        "kind": KIND,
        "format": account.format.NAME,
        "code_version": code_version(),
        "local_use": account.local_use,
        "licence": dict(account.permission.licence),
        "forbids": list(account.permission.forbids),
        "manifest": {
            "name": manifest.name,
            "sha256": manifest.sha256,
            "label_set": manifest.label_set,
            "labels": list(manifest.labels),
            "votes_labels": list(manifest.votes_labels()),
        },
        "configuration": account.options.model_dump(mode="json"),
        "counts": account.counts(),
        "left_out": {**_left_out_rows(account), **account.layout.left_out},
        "notes": list(account.layout.notes),
        "stores": [
            {
                "store": name,
                "rows": rows_of.get(name, 0),
                **{key: store.info[key] for key in ("source", "kind", "content_sha256", "licence")},
                "view": store.view.model_dump(mode="json") if store.view else None,
                "generation": (store.info["generation"] or {}).get("id"),
            }
            for name, store in manifest.stores.items()
        ],
        "lineage": account.ancestors,
        "citations": account.citations,
    }


def licence_text(account: Account) -> str:
    """What `LICENCE.txt` holds."""
    licence = account.permission.licence
    lines = [f"{account.title}: {licence['name']}", ""]
    if account.local_use:
        lines = [LOCAL_USE, *(f"  {reason}" for reason in account.permission.forbids), "", *lines]
    for part in licence.get("parts", [licence]):
        lines.append(f"{part['name']}: {part['summary']}" + (f" ({part['url']})" if part.get("url") else ""))
    lines += ["", "What all of them together allow (facts, not legal advice; unknown counts as no):"]
    lines += [f"  {flag.replace('_', ' '):15} {'yes' if licence[flag] else 'no'}" for flag in PERMISSIONS]
    lines += ["", "To be cited:", *(f"  {citation}" for citation in account.citations)] if account.citations else []
    return "\n".join(lines) + "\n"


def _left_out_rows(account: Account) -> dict[str, int]:
    return {"rows whose repeat is 0": account.rows.left_out} if account.rows.left_out else {}


def _without_folders(value: Any) -> Any:
    """Absolute paths reduced to their names: an export tells nothing of the machine that it was made on."""
    if isinstance(value, Mapping):
        return {_without_folders(key): _without_folders(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_folders(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value
