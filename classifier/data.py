"""Labelled faces as tensors that fit in memory: loaded once, drawn by index, converted batch by batch."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fer_data.manifest import Manifest
from fer_data.tabular.columns import word_codes
from fer_data.tabular.rows import target_matrix

# Grey levels of faces lie around the middle and spread by about a quarter of the range.
_CENTRE, _SPREAD = 127.5, 63.75
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow makes grey


@dataclass(frozen=True)
class Faces:
    """Labelled faces.

    Attributes:
        images: uint8 [N, C, S, S].
        targets: float32 [N, K], rows sum to 1, columns in the order of the run's labels.
        weights: float32 [N], factor of each face's loss.
        sample_ids: N ids; a face that a manifest repeats stands here as often.
    """

    images: Tensor
    targets: Tensor
    weights: Tensor
    sample_ids: list[str]

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The index of each face's likeliest label, int64 [N]."""
        return self.targets.argmax(dim=1).numpy()

    def select(self, rows: NDArray[np.bool_]) -> "Faces":
        """The faces where `rows` (bool [N]) is true, in the same order."""
        index = torch.from_numpy(np.flatnonzero(rows))
        ids = [self.sample_ids[row] for row in index.tolist()]
        return Faces(self.images[index], self.targets[index], self.weights[index], ids)

    def relabelled(self, classes: Mapping[str, int]) -> "Faces":
        """The same faces, some under another label: sample_id → index of the class."""
        if not classes:
            return self
        rows = [row for row, sample_id in enumerate(self.sample_ids) if sample_id in classes]
        targets = self.targets.clone()
        told = torch.tensor([classes[self.sample_ids[row]] for row in rows])
        targets[rows] = F.one_hot(told, targets.shape[1]).to(targets.dtype)
        return Faces(self.images, targets, self.weights, self.sample_ids)

    def sha256(self) -> str:
        """Identity of all that training can see: pictures, targets, weights, ids, and their order."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), tuple(self.targets.shape))).encode())
        for tensor in (self.images, self.targets, self.weights):
            digest.update(tensor.contiguous().numpy().data)
        digest.update("\0".join(self.sample_ids).encode())
        return digest.hexdigest()


def load_faces(manifest: Manifest, rows_mask: NDArray[np.bool_], size_px: int, channels: int) -> Faces:
    """The labelled faces among some rows of a manifest.

    Rows with neither label nor target are left out; a row with `repeat` n comes n times.

    Args:
        rows_mask: bool, one per row of the manifest.
        size_px: side of the pictures.
        channels: 1 (grey) or 3.
    """
    table = manifest.table
    labelled = pc.or_(pc.is_valid(table["label"]), pc.is_valid(table["target"]))
    known = rows_mask & labelled.to_numpy() & (table["repeat"].to_numpy() > 0)
    part = table.filter(pa.array(known))
    images = torch.from_numpy(manifest.pictures(size_px, channels, known))
    targets = torch.from_numpy(target_rows(manifest, known))
    weights = torch.from_numpy(part["weight"].to_numpy().astype(np.float32))
    ids = part["sample_id"].to_pylist()
    repeat = part["repeat"].to_numpy()
    if (repeat == 1).all():  # nothing is copied: the pictures may be a file mapped into memory
        return Faces(images, targets, weights, ids)
    copies = np.repeat(np.arange(len(part)), repeat)
    index = torch.from_numpy(copies)
    return Faces(images[index], targets[index], weights[index], [ids[row] for row in copies])


def target_rows(manifest: Manifest, rows: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Targets of labelled rows, float32 [N, K]: the soft target where there is one, else one-hot."""
    part = manifest.table.select(["label", "target"]).filter(pa.array(rows))
    classes = word_codes(part["label"], manifest.labels)
    targets = np.zeros((len(part), len(manifest.labels)), dtype=np.float32)
    hard = np.flatnonzero(classes >= 0)
    targets[hard, classes[hard]] = 1
    soft, given = target_matrix(part["target"], len(manifest.labels))
    targets[soft] = given
    return targets


def to_view(images: Tensor, size_px: int, channels: int) -> Tensor:
    """Pictures of any size as a model sees them, [N, channels, size_px, size_px].

    Bytes stay bytes, rounded. Grey levels 0..255 as floats stay floats, and what is done to them can be differentiated.
    """
    if images.shape[1] == 3 and channels == 1:
        luma = torch.tensor(_LUMA, device=images.device).view(1, 3, 1, 1)
        images = _like(images, (images * luma).sum(dim=1, keepdim=True))
    elif images.shape[1] == 1 and channels == 3:
        images = images.expand(-1, 3, -1, -1)
    if images.shape[2:] != (size_px, size_px):
        resized = F.interpolate(images.float(), (size_px, size_px), mode="bicubic", antialias=True)
        images = _like(images, resized.clamp(0, 255))
    return images


def _like(images: Tensor, changed: Tensor) -> Tensor:
    """Changed pictures, rounded where the pictures they come from are bytes."""
    return changed if images.is_floating_point() else changed.round().to(images.dtype)


def to_input(images: Tensor) -> Tensor:
    """What networks take: grey levels 0..255 of any type to float32, centred, channels last."""
    return ((images.float() - _CENTRE) / _SPREAD).contiguous(memory_format=torch.channels_last)


def step_seed(seed: int, scope: str, step: int) -> int:
    """The seed of one scope at one step.

    Every step draws from generators of its own, so a resumed run has no random state to restore.
    """
    sequence = np.random.SeedSequence((seed, step, *scope.encode()))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


class ShuffledOrder:
    """Batches of rows, each row once per pass; a batch may span two passes.

    Args:
        count: number of rows.
        batch_size: rows per batch.
        seed: of the order.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self._count, self._batch_size, self._seed = count, batch_size, seed
        self._passes: dict[int, NDArray[np.int64]] = {}

    def __call__(self, step: int) -> Tensor:
        """Rows of batch number `step`, int64 [batch_size]."""
        positions = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        numbers = positions // self._count
        self._passes = {int(number): self._order(int(number)) for number in np.unique(numbers)}
        rows = [self._passes[int(number)][positions[numbers == number] % self._count] for number in self._passes]
        return torch.from_numpy(np.concatenate(rows))

    def _order(self, number: int) -> NDArray[np.int64]:
        if number in self._passes:
            return self._passes[number]
        return np.random.default_rng(step_seed(self._seed, "order", number)).permutation(self._count)


class BalancedOrder:
    """Batches in which every class is drawn equally often, with replacement.

    Args:
        classes: int64 [N]; a class without rows is never drawn.
        batch_size: rows per batch.
        seed: of the draws.
    """

    def __init__(self, classes: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self._rows = np.argsort(classes, kind="stable")
        _, self._starts, self._counts = np.unique(classes[self._rows], return_index=True, return_counts=True)
        self._batch_size, self._seed = batch_size, seed

    def __call__(self, step: int) -> Tensor:
        """Rows of batch number `step`, int64 [batch_size]."""
        order = np.random.default_rng(step_seed(self._seed, "balanced order", step))
        classes = order.integers(len(self._counts), size=self._batch_size)
        return torch.from_numpy(self._rows[self._starts[classes] + order.integers(self._counts[classes])])
