"""How an audit's estimates moved: each audit carries on what the ones before it estimated.

An entry is what one audit said of the whole:

    created, manifest, manifest_sha256     when, and of which labels
    faces, reviewed                        how many were judged, how many of them a person had decided
    error_rate, low, high                  estimated share of wrong labels with its 95 % interval, null if unknown
    error_rates                            {label: {value, low, high}}, or null for a label that no face has
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_data import tables
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.project import relative

Entry = dict[str, Any]

_GENERATIONS = 50  # of ancestors whose audits are looked for


def entry_of(
    manifest: Manifest,
    created: str,
    *,
    faces: int,
    reviewed: int,
    error_rate: Mapping[str, float],
    error_rates: Mapping[str, Mapping[str, float] | None],
) -> Entry:
    """The entry of an audit that is about to be written.

    Args:
        created: UTC, ISO 8601.
        faces: how many labels were judged, `reviewed` of them by a person.
        error_rate: estimated share of wrong labels, 0..1: value, low, high, as `NoiseEstimate.as_dict` tells it.
        error_rates: label → the same, or None.
    """
    return {
        "created": created,
        "manifest": relative(manifest.path, manifest.root),
        "manifest_sha256": manifest.sha256,
        "faces": faces,
        "reviewed": reviewed,
        "error_rate": error_rate["value"],
        "low": error_rate["low"],
        "high": error_rate["high"],
        "error_rates": {label: None if rate is None else dict(rate) for label, rate in error_rates.items()},
    }


def carry_on(previous: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> list[Entry]:
    """The history of an audit, oldest entry first: what the previous audit's metadata holds, then `entry`.

    An audit of the same manifest with as many reviewed faces replaces the entry before it: nothing has moved but the
    way of estimating.

    Args:
        previous: metadata of the audit before, of any version; None where there is none.
    """
    entries = [] if previous is None else _entries(previous)
    if entries and all(entries[-1].get(key) == entry[key] for key in ("manifest_sha256", "reviewed")):
        entries = entries[:-1]
    return [*entries, dict(entry)]


def find_previous(manifest: Manifest, out: Path) -> Path | None:
    """The audit table that an audit of `manifest`, to be written as `out`, follows; None where there is none.

    That is the one which lies at `out`, if it judged this manifest or an ancestor of it; else the latest one beside
    `out` that did, nearest ancestor first. Nothing is hashed: what is gone or altered ends the search on its path.
    """
    ancestors = _ancestors(manifest)
    known = {digest for digest, _ in ancestors}
    names = dict.fromkeys(Path(name).stem for _, name in ancestors)
    for path in (out, *(out.with_name(f"{name}{out.suffix}") for name in names)):
        metadata = _audit_metadata(path)
        if metadata is not None and known & set(metadata.get("parents", {}).values()):
            return path
    return None


def _audit_metadata(path: Path) -> dict[str, Any] | None:
    try:
        return tables.read_metadata(path, kind="label_audit")
    except FerError:
        return None  # no audit: then it has no history to carry on


def _ancestors(manifest: Manifest) -> list[tuple[str, str]]:
    """SHA-256 and path of this manifest and those it was made from, nearest first."""
    found = [(manifest.sha256, relative(manifest.path, manifest.root))]
    generation: list[Mapping[str, str]] = [manifest.metadata.get("parents", {})]
    for _ in range(_GENERATIONS):
        parents = [(digest, name) for names in generation for name, digest in names.items()]
        fresh = [parent for parent in dict.fromkeys(parents) if parent not in found and parent[1].endswith(".parquet")]
        if not fresh:
            break
        found += fresh
        generation = [_parents(manifest.root / name) for _, name in fresh]
    return found


def _parents(path: Path) -> Mapping[str, str]:
    try:
        parents: Mapping[str, str] = tables.read_metadata(path, kind="manifest").get("parents", {})
    except FerError:
        return {}
    return parents


def _entries(metadata: Mapping[str, Any]) -> list[Entry]:
    """The history that an audit holds; of one made before there was a history, its own estimate as the only entry."""
    summary = metadata.get("summary", {})
    if summary.get("history"):
        return [dict(entry) for entry in summary["history"]]
    if summary.get("error_rate") is None:
        return []
    manifest, digest = next(iter(metadata.get("parents", {}).items()), ("", ""))
    rates = summary.get("error_rates", {})
    return [
        {
            "created": metadata.get("created", ""),
            "manifest": manifest,
            "manifest_sha256": digest,
            "faces": sum(summary.get("given", {}).values()),
            "reviewed": 0,
            "error_rate": summary["error_rate"],
            "low": None,
            "high": None,
            "error_rates": {
                label: None if rate is None else {"value": rate, "low": None, "high": None}
                for label, rate in rates.items()
            },
        }
    ]
