"""Fixtures of the dataset layer: small manifests in which the test says which pictures are the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fer_data import licenses, manifest
from fer_data.manifest import Manifest
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter


@pytest.fixture
def picture_manifest(project: Path) -> Callable[..., Manifest]:
    """Makes manifests: `picture_manifest([0, 0, 1], labels, splits)` has two rows with the same picture.

    `facts` are further facts per row, `ids` the keys within the source; other keywords are manifest columns.
    """

    def make(
        pictures,
        labels,
        splits,
        *,
        ids=None,
        facts=None,
        source="set",
        colour=False,
        generation=None,
        votes=(),
        **columns,
    ) -> Manifest:
        ids = ids or [f"{row:04d}" for row in range(len(pictures))]
        shape = (8, 8, 3) if colour else (8, 8)
        with StoreWriter(
            source,
            project,
            licence=licenses.DRAWN.as_dict(),
            source=source,
            generation=generation,
            votes_labels=votes,
        ) as writer:
            for row, (picture, key, label) in enumerate(zip(pictures, ids, labels, strict=True)):
                pixels = np.random.default_rng(picture).integers(0, 256, shape, dtype=np.uint8)
                writer.add(Sample(key, pixels, label, label, None, f"row {row}", facts[row] if facts else {}))
            store = writer.close()
        frame = manifest.new_rows(
            len(ids),
            sample_id=[f"{source}/{key}" for key in ids],
            store=f"stores/{store.path.name}",
            store_row=np.arange(len(ids)),
            label=np.array(labels, dtype=object),
            split=np.array(splits, dtype=object),
            **{"group_id": np.arange(len(ids)), **columns},
        )
        return manifest.write(
            frame,
            project / "manifests" / source,
            label_set="basic7",
            command="test",
            licence=licenses.DRAWN.as_dict(),
            replace=True,
        )

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Path | str]:
    """Makes places for decision logs: `new_place()` is a file or a database that holds nothing yet."""
    if request.param == "sqlite":
        made = iter(range(1_000))
        return lambda: tmp_path / f"log-{next(made)}.sqlite"
    return request.getfixturevalue("postgresql").new_database


@pytest.fixture
def place(new_place: Callable[[], Path | str]) -> Path | str:
    """A place for one decision log."""
    return new_place()
