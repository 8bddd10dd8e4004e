"""Drawn faces become a store per checkpoint and one manifest, with everything that says where they come from."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import licenses, links
from fer_data import manifest as manifests
from fer_data.manifest import Manifest
from fer_data.plans import Cell
from fer_data.project import project_root, relative
from fer_data.samples import Sample
from fer_data.store import Store
from fer_data.store_writer import StoreWriter
from generators.drawing.shares import Share


def write_synthetic(
    shares: Sequence[Share],
    pictures: Sequence[Iterable[NDArray[np.uint8]]],
    out: Path,
    configuration: Mapping[str, Any],
    training: Manifest | None,
    *,
    replace: bool,
) -> Manifest:
    """Write the faces of a plan.

    Args:
        shares: at least one; none is empty.
        pictures: of each share, parts uint8 [n, C, S, S] in the order of its faces.
        configuration: how the plan was fulfilled, for the footer.
        training: the manifest whose faces were started from; None started from noise.

    Returns:
        The manifest, its rows in the plan's order.

    Raises:
        FerError: `out` exists and `replace` is false, or the disk is full.
    """
    root = project_root(out.parent)
    sources = [share.checkpoint.description for share in shares]
    licence = licenses.combine(
        [source["licence"] for source in sources] + ([training.metadata["licence"]] if training is not None else [])
    )
    rows = []
    for share, parts in zip(shares, pictures, strict=True):
        store = _write_store(share, parts, root, licence, training)
        rows.append(_rows(share, relative(store.path, root), training))
    together = pd.concat(rows, ignore_index=True)
    places = np.concatenate([share.order.places for share in shares])
    parents = {source["manifest"]: source["manifest_sha256"] for source in sources}
    if training is not None:
        parents[relative(training.path, training.root)] = training.sha256
    return manifests.write(
        together.iloc[np.argsort(places)].reset_index(drop=True),
        out,
        label_set=sources[0]["label_set"],
        command="fer generate",
        licence=licence,
        parents=parents,
        configuration=configuration,
        replace=replace,
        generations=[dict(share.generation) for share in shares],
    )


def _write_store(
    share: Share,
    parts: Iterable[NDArray[np.uint8]],
    root: Path,
    licence: Mapping[str, Any],
    training: Manifest | None,
) -> Store:
    ids = training.frame["sample_id"].to_numpy() if training is not None else None
    writer = StoreWriter(share.source, root, licence=licence, source=share.source, generation=share.generation)
    with writer:
        index = 0
        for part in parts:
            for picture in part:
                parent = str(ids[share.parents[index]]) if ids is not None and share.parents is not None else None
                writer.add(_sample(share, index, picture, parent))
                index += 1
        return writer.close()


def _sample(share: Share, index: int, picture: NDArray[np.uint8], parent: str | None) -> Sample:
    cell: Cell = share.order.cells[index]
    facts = {
        "occlusion": cell.occlusion,
        "light": cell.light,
        "condition_source": "applied" if share.generation["conditions"] == "afterwards" else "generated",
        "generation_id": share.generation["id"],
        "seed": int(share.order.seeds[index]),
    }
    if parent is not None:
        facts["parents"] = [parent]
    return Sample(
        key=f"{index:06d}",
        image=np.ascontiguousarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)),
        label=cell.label,
        source_label=cell.label,
        split="train",
        where=f"synthetic face {index}",
        facts=facts,
    )


def _rows(share: Share, store: str, training: Manifest | None) -> pd.DataFrame:
    """The manifest's rows of a share: each face its own group, or in the group of the face that it was made from."""
    count = len(share.order)
    ids = [f"{share.source}/{index:06d}" for index in range(count)]
    if training is not None and share.parents is not None:
        groups = training.frame["group_id"].to_numpy()[share.parents]
    else:
        groups = links.group_ids(ids, np.empty((0, 2), dtype=np.int64))
    return manifests.new_rows(
        count,
        sample_id=ids,
        store=store,
        store_row=np.arange(count),
        label=[cell.label for cell in share.order.cells],
        label_origin="generated",
        split="train",
        group_id=groups,
        origin="synthetic",
    )
