"""A manifest goes in, a folder comes out that other tools read, with its licence and where it comes from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_data.errors import FerError
from fer_data.export import documents
from fer_data.export.card import card
from fer_data.export.contract import ExportConfig
from fer_data.export.croissant_card import describe
from fer_data.export.documents import Account
from fer_data.export.permissions import permission, refuse_forbidden
from fer_data.export.registry import find_format
from fer_data.export.rows import select_rows
from fer_data.files import atomic_folder, read_json, write_json
from fer_data.manifest import Manifest, require_valid
from fer_data.progress import SILENT, Reporter

CARD, CROISSANT = "README.md", "croissant.json"


@dataclass(frozen=True)
class ExportResult:
    """What an export wrote.

    Attributes:
        folder: where it lies.
        counts: faces per split and label; those without a label under "unlabelled".
        left_out: why faces are not there, or not beside the others → how many.
        licence: what may be done with it, with the keys of `fer_data.licenses.Licence`.
        local_use: whether a source forbids passing it on, and it was made for this machine only.
        loading: lines of Python that open it.
        notes: what the user should know, one sentence each.
        total_bytes: of all its files.
    """

    folder: Path
    counts: dict[str, dict[str, int]]
    left_out: dict[str, int]
    licence: dict[str, Any]
    local_use: bool
    loading: str
    total_bytes: int
    notes: list[str] = field(default_factory=list)


def export(
    manifest: Manifest,
    to: str,
    out_folder: str | Path,
    config: ExportConfig,
    *,
    local_use: bool = False,
    replace: bool = False,
    reporter: Reporter = SILENT,
) -> ExportResult:
    """Write a manifest's faces in another tool's format. The folder appears complete or not at all.

    Args:
        to: a name of `fer_data.export.registry.EXPORTS`.
        out_folder: the folder to make.
        config: an instance of the format's `Options`.
        local_use: export although a source forbids passing the pictures on; every document in the folder then says
            that it may not leave this machine.
        replace: replace a folder that an export wrote. Any other folder is left alone.

    Raises:
        FerError: a source forbids redistribution and `local_use` is false, `out_folder` exists, the manifest is not
            valid or has no faces to export, a picture changed since its import, or the disk is full.
    """
    chosen = find_format(to)
    out = Path(out_folder).absolute()
    _refuse_folder(out, replace=replace)
    found = permission(manifest)
    refuse_forbidden(manifest, found, local_use=local_use)
    require_valid(manifest)
    rows = select_rows(manifest, config.facts, config.repeats, config.shuffle_seed)
    local_use = bool(found.forbids)  # where every source allows it, the export need not stay here
    with atomic_folder(out, replace=out.exists()) as folder:
        with reporter.stage(f"exporting as {chosen.TITLE}", len(rows)) as stage:
            layout = chosen.write(rows, folder, config, stage)
        account = Account(rows, chosen, config, found, local_use, layout)
        facts = documents.provenance(account)
        (folder / CARD).write_text(card(account), encoding="utf-8")
        (folder / documents.LICENCE).write_text(documents.licence_text(account), encoding="utf-8")
        write_json(folder / documents.PROVENANCE, facts)
        write_json(folder / CROISSANT, describe(account))
    return ExportResult(
        folder=out,
        counts=facts["counts"],
        left_out=facts["left_out"],
        licence=facts["licence"],
        local_use=local_use,
        loading=layout.loading.replace("FOLDER", str(out)),
        total_bytes=sum(file.stat().st_size for file in out.rglob("*") if file.is_file()),
        notes=facts["notes"],
    )


def _refuse_folder(out: Path, *, replace: bool) -> None:
    """Refuse what exists, and never replace a folder that no export wrote."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not replace:
        raise FerError(f"{out} exists; choose another --out or add --replace")
    mark = out / documents.PROVENANCE
    facts = read_json(mark) if mark.is_file() else None
    if not isinstance(facts, dict) or facts.get("kind") != documents.KIND:
        raise FerError(f"{out}: expected a folder that an export wrote, found another; choose another --out")
