"""A small project of made-up 16 px faces, one tiny training of each kind, and a judge that knows the pattern."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fer_data import manifest as manifests
from fer_data.balance import Cell, Plan
from fer_data.configuration import build
from fer_data.expressions import BASIC7
from fer_data.licenses import DRAWN
from fer_data.project import relative
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from generators.models import GENERATORS
from generators.training import train_generator

SIZE = 16
TINY = {
    "dcgan": {"widths": [16, 16], "noise_width": 8},
    "diffusion": {"widths": [16, 16], "warmup_steps": 2, "sampling": {"steps": 3}},
}
COMMON = {
    "size_px": SIZE,
    "steps": 6,
    "batch_size": 8,
    "keep_every": 2,
    "sheet_every": 100,
    "derived_faces": 12,
    "minimum_per_class": 3,
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made_up_face(label: str, random: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """Noise whose brightest row tells the label: row 2 for anger, 4 for disgust, …"""
    face = random.integers(60, 140, size=(size, size), dtype=np.uint8)
    place = 2 * BASIC7.index(label) + 1
    face[place : place + 2] = random.integers(220, 256, size=(2, size), dtype=np.uint8)
    return face


class PatternJudge:
    """Sees the brightest of the seven pairs of rows, in pictures of any size."""

    labels = BASIC7

    def _bands(self, images: np.ndarray) -> np.ndarray:
        rows = images.astype(np.float32).mean(axis=(1, 3))
        step = images.shape[2] / SIZE
        edges = [(round((2 * k + 1) * step), round((2 * k + 3) * step)) for k in range(7)]
        return np.stack([rows[:, low:high].mean(axis=1) for low, high in edges], axis=1)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        scores = np.exp((self._bands(images) - 255) / 20)
        return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)

    def features(self, images: np.ndarray) -> np.ndarray:
        small = images.astype(np.float32).mean(axis=1)[:, ::3, ::3].reshape(len(images), -1)
        return np.concatenate([self._bands(images), small - small.mean(axis=1, keepdims=True)], axis=1)


def write_manifest(root: Path, name: str, faces: list[dict], size: int = SIZE, **columns) -> manifests.Manifest:
    """A manifest of made-up faces; each dict may give label, split, image, group and facts."""
    random = np.random.default_rng(len(faces))
    with StoreWriter(name, root, licence=DRAWN.as_dict(), source="made-up") as writer:
        for index, face in enumerate(faces):
            image = face.get("image")
            if image is None:
                image = made_up_face(face["label"] or "neutral", random, size)
            facts = face.get("facts", {"occlusion": "none", "light": "normal"})
            writer.add(Sample(f"{index:04d}", image, face["label"], face["label"], face["split"], name, facts))
        store = writer.close()
    rows = manifests.new_rows(
        len(faces),
        sample_id=[f"{name}/{index:04d}" for index in range(len(faces))],
        store=relative(store.path, root),
        store_row=np.arange(len(faces)),
        label=[face["label"] for face in faces],
        split=[face["split"] for face in faces],
        group_id=np.asarray([face.get("group", index) for index, face in enumerate(faces)]),
        **columns,
    )
    return manifests.write(
        rows, root / "manifests" / name, label_set="basic7", command="test", licence=DRAWN.as_dict(), replace=True
    )


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "fer.toml").write_text("")
    return folder


@pytest.fixture(scope="session")
def faces() -> list[dict]:
    """Six training, two validation and two test faces of each label."""
    return [
        {"label": label, "split": split} for label in BASIC7 for split in ("train",) * 6 + ("val",) * 2 + ("test",) * 2
    ]


@pytest.fixture(scope="session")
def training(root, faces) -> manifests.Manifest:
    return write_manifest(root, "faces", faces)


@pytest.fixture(scope="session")
def make_manifest(root):
    return lambda name, faces, **columns: write_manifest(root, name, faces, **columns)


@pytest.fixture(scope="session")
def make_config():
    def make(kind: str, **settings):
        return build(GENERATORS[kind].config, {**COMMON, **TINY[kind], **settings}, "test")

    return make


@pytest.fixture(scope="session", params=list(TINY))
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def checkpoint(kind, training, root, make_config) -> Path:
    return train_generator(kind, training, make_config(kind), root / "runs" / kind)


@pytest.fixture(scope="session")
def judge() -> PatternJudge:
    return PatternJudge()


@pytest.fixture
def plan() -> Plan:
    cells = (
        Cell("disgust", "mask", "low", 0, 3, 3),
        Cell("anger", "none", "normal", 6, 6, 0),
        Cell("fear", None, None, 0, 4, 4),
    )
    return Plan("basic7", cells)
