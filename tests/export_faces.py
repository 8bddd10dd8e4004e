"""Small manifests with everything that an export must carry: for the tests of `fer_data.export`."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fer_data import licenses, manifest
from fer_data.manifest import Manifest
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.votes import FERPLUS_COLUMNS


def noise(seed: int, *, colour: bool = False, size_px: int = 12) -> np.ndarray:
    """A picture of noise, uint8 [size_px, size_px] or [size_px, size_px, 3]."""
    shape = (size_px, size_px, 3) if colour else (size_px, size_px)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str, mode: str | None = None, **options: Any) -> bytes:
    """The bytes of an image file, for instance a JPEG with EXIF or a PNG of another mode."""
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def write_faces(
    project: Path,
    samples: Sequence[Sample],
    *,
    name: str = "faces",
    source: str = "faces",
    licence: Mapping[str, Any] = licenses.DRAWN.as_dict(),
    footer: Mapping[str, Any] | None = None,
    generation: Mapping[str, Any] | None = None,
    votes: Sequence[str] = (),
    label_set: str = "basic7",
    parents: Mapping[str, str] | None = None,
    files: Any = None,
    view: Any = None,
    **columns: Any,
) -> Manifest:
    """A manifest over a store of these samples; further keywords are columns of the manifest."""
    with StoreWriter(
        name, project, licence=licence, source=source, generation=generation, votes_labels=votes, files=files, view=view
    ) as writer:
        for sample in samples:
            writer.add(sample)
        store = writer.close()
    given = {
        "sample_id": [f"{source}/{sample.key}" for sample in samples],
        "store": f"stores/{store.path.name}",
        "store_row": np.arange(len(samples)),
        "label": np.array([sample.label for sample in samples], dtype=object),
        "split": np.array([sample.split for sample in samples], dtype=object),
        "group_id": np.arange(len(samples)),
    }
    return manifest.write(
        manifest.new_rows(len(samples), **{**given, **columns}),
        project / "manifests" / name,
        label_set=label_set,
        command="fer import faces",
        licence=licence if footer is None else footer,
        parents=parents,
        replace=True,
    )


def all_sorts(project: Path) -> Manifest:
    """24 faces: grey and colour, PNG and JPEG, three splits and none, labels and none, votes, soft labels, facts."""
    samples = []
    labels = ("anger", "happiness", "fear")
    for index in range(24):
        picture = noise(index, colour=index % 2 == 1)
        image = encoded(picture, "JPEG", quality=90) if index % 3 == 0 else picture
        split = ("train", "train", "val", "test")[index % 4] if index < 22 else None
        label = None if index == 5 else labels[index // 4 % 3]
        facts = {"votes": [index % 7, *[1] * 9]} if index % 5 else {}
        facts |= {"occlusion": "mask", "light": "low", "slices": ["dark", "covered"]} if index % 2 else {}
        key = "Aéß/..weird name.JPG" if index == 7 else f"{index:04d}"
        samples.append(Sample(key, image, label, f"source {label}", split, f"row {index}", facts))
    target = [[0.5, 0, 0.5, 0, 0, 0, 0] if index == 8 else None for index in range(24)]
    return write_faces(
        project,
        samples,
        votes=FERPLUS_COLUMNS,
        target=target,
        fold=[index % 3 if index % 2 else None for index in range(24)],
        weight=np.linspace(0.5, 2, 24).astype(np.float32),
        repeat=np.array([0, 3, *[1] * 22], dtype=np.int32),
    )
