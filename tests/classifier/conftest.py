"""Faces that a small network learns in seconds: stripes whose direction tells the class."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.data import Faces
from classifier.training import TrainConfig
from fer_data import licenses, manifest
from fer_data.expressions import BASIC7
from fer_data.manifest import Manifest
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter


def draw_stripes(classes, seed: int, size_px: int = 16) -> np.ndarray:
    """uint8 [N, 1, S, S]: noisy stripes of a random phase, turned by k sevenths of half a turn for class k."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size_px, :size_px] * (5 * np.pi / size_px)
    pictures = []
    for number in classes:
        angle = np.pi * number / 7
        wave = np.sin(rows * np.sin(angle) + columns * np.cos(angle) + rng.uniform(0, 2 * np.pi))
        picture = 127 + 60 * wave + rng.normal(0, 20, rows.shape)
        pictures.append(picture.clip(0, 255).astype(np.uint8)[None])
    return np.stack(pictures)


@pytest.fixture
def tiny() -> TrainConfig:
    """A few seconds of training; no mirroring, since mirrored stripes change class."""
    return TrainConfig(
        model="thin_resnet10",
        size_px=16,
        steps=40,
        batch_size=32,
        optimizer="adamw",
        learning_rate=0.01,
        evaluations=4,
        augmentation={"mirror": False, "erasing": 0.1, "shift": 0.03, "rotation_degrees": 3.0},
        mirror_average=False,
        ema=0.9,
        threads=1,
        trackers=(),
    )


@pytest.fixture
def striped_faces() -> Callable[..., Faces]:
    """Makes faces of all seven classes: `striped_faces(count, seed)`."""

    def make(count: int, seed: int = 0, size_px: int = 16) -> Faces:
        classes = np.arange(count) % 7
        return Faces(
            torch.from_numpy(draw_stripes(classes, seed, size_px)),
            torch.eye(7)[torch.from_numpy(classes)],
            torch.ones(count),
            [f"stripes/{index}" for index in range(count)],
        )

    return make


@pytest.fixture
def striped_manifest(project: Path) -> Callable[..., Manifest]:
    """Makes a manifest of stripes: `striped_manifest(classes, splits, groups=…, copies={row: row it repeats})`."""

    def make(classes, splits, *, name="stripes", copies=None, groups=None, generation=None, **columns) -> Manifest:
        pictures = draw_stripes(classes, seed=1)
        for row, original in (copies or {}).items():
            pictures[row] = pictures[original]
        licence = licenses.DRAWN.as_dict()
        with StoreWriter(name, project, licence=licence, source="stripes", generation=generation) as writer:
            for row, number in enumerate(classes):
                writer.add(Sample(f"{row:04d}", pictures[row, 0], BASIC7[number], BASIC7[number], None, f"row {row}"))
            store = writer.close()
        count = len(classes)
        values = {"label": [BASIC7[number] for number in classes], **columns}
        frame = manifest.new_rows(
            count,
            sample_id=[f"stripes/{row:04d}" for row in range(count)],
            store=f"stores/{store.path.name}",
            store_row=np.arange(count),
            split=list(splits),
            group_id=np.arange(count) if groups is None else np.asarray(groups),
            **values,
        )
        return manifest.write(frame, project / "manifests" / name, label_set="basic7", command="test", licence=licence)

    return make
