"""What the sources of the rows that are exported allow, and the refusal where they do not allow passing them on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_data.adapters.registry import ADAPTERS
from fer_data.errors import FerError
from fer_data.licenses import PERMISSIONS, UNKNOWN, combine
from fer_data.manifest import Manifest, lineage
from fer_data.store import Store
from fer_data.tabular.columns import value_codes, word_codes


@dataclass(frozen=True)
class Permission:
    """What may be done with some rows.

    Attributes:
        licence: the AND over their sources, with the keys of `fer_data.licenses.Licence`.
        forbids: why the rows may not be passed on, one clause per source that forbids it; empty where all allow it.
    """

    licence: Mapping[str, Any]
    forbids: tuple[str, ...]


def permission(manifest: Manifest) -> Permission:
    """The licence that counts for a manifest's rows.

    It is the AND over the stores that rows point to, over the manifest's own footer, and for generated faces over
    the training data of their generator: the licence that their store inherited, and that of the training manifest
    where it is still among the ancestors. Generated faces that name no training data may not be passed on.
    """
    licences, forbids = [], []
    codes, names = value_codes(manifest.table["store"])
    synthetic = np.bincount(codes[word_codes(manifest.table["origin"], ["synthetic"]) == 0], minlength=len(names))
    for name, count in zip(names, synthetic.tolist(), strict=True):
        store = manifest.stores[name]
        if count:
            found, clause = _of_generated(manifest, name, store, count)
        else:
            found, clause = [_whole(store.info["licence"])], f"{_title(store)}'s pictures may not be redistributed"
        licences += found
        if not all(licence["redistribute"] for licence in found):
            forbids.append(f"{clause} ({combine(found)['summary']})")
    footer = _whole(manifest.metadata["licence"])
    if not footer["redistribute"] and not forbids:
        forbids.append(f"the manifest's licence does not allow redistribution ({footer['summary']})")
    return Permission(combine([*licences, footer]), tuple(dict.fromkeys(forbids)))


def refuse_forbidden(manifest: Manifest, found: Permission, *, local_use: bool) -> None:
    """Raise FerError where a source forbids passing the rows on and the user did not ask for local use."""
    if found.forbids and not local_use:
        raise FerError(
            f"{manifest.path.name}: {'; '.join(found.forbids)}; for use on this machine only, add --local-use"
        )


def _of_generated(manifest: Manifest, name: str, store: Store, count: int) -> tuple[list[dict[str, Any]], str]:
    """Licences of generated faces, and the clause that says what forbids passing them on."""
    trained_on = (store.info["generation"] or {}).get("manifest_sha256")
    if not trained_on:
        clause = f"the {count:,} generated faces of {name} name no training data whose licence they could inherit"
        return [UNKNOWN.as_dict()], clause
    clause = f"the {count:,} generated faces of {name} inherit the licence of their generator's training data"
    return [_whole(store.info["licence"]), *_of_ancestors(manifest, trained_on)], clause


def _of_ancestors(manifest: Manifest, sha256: str) -> list[dict[str, Any]]:
    """The licence of the ancestor with this hash, where it is still there and unaltered."""
    entries = lineage(manifest)
    paths = {path for entry in entries for path, digest in entry.get("parents", {}).items() if digest == sha256}
    return [
        _whole(entry.get("licence", {}))
        for entry in entries
        if entry["path"] in paths and entry["state"] == "as it was"
    ]


def _whole(licence: Mapping[str, Any]) -> dict[str, Any]:
    """The licence if it says something on every permission, else one that allows nothing."""
    return dict(licence) if {"name", "summary", *PERMISSIONS} <= licence.keys() else UNKNOWN.as_dict()


def _title(store: Store) -> str:
    source = str(store.info["source"])
    return ADAPTERS[source].TITLE if source in ADAPTERS else source
