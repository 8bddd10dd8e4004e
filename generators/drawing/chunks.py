"""Pictures that are kept while a plan is drawn: one file per chunk of rows, whole or not there."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.files import atomic_file

_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Chunk:
    """Some rows of an order and the file that keeps their pictures: their SHA-256, then their bytes.

    Attributes:
        shape: of the pictures, [rows, C, S, S].
    """

    path: Path
    rows: slice
    shape: tuple[int, int, int, int]

    def __len__(self) -> int:
        return self.shape[0]

    def write(self, pictures: NDArray[np.uint8]) -> None:
        """Keep pictures uint8 of `shape`, in one rename."""
        body = np.ascontiguousarray(pictures).tobytes()
        with atomic_file(self.path) as partial:
            partial.write_bytes(hashlib.sha256(body).digest() + body)

    def read(self) -> NDArray[np.uint8] | None:
        """The pictures; None where there are none yet, or a damaged file has to be drawn again."""
        if not self.path.is_file():
            return None
        data = self.path.read_bytes()
        digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if len(body) != math.prod(self.shape) or hashlib.sha256(body).digest() != digest:
            return None
        return np.frombuffer(body, dtype=np.uint8).reshape(self.shape)

    def whole(self) -> NDArray[np.uint8]:
        """The pictures.

        Raises:
            FerError: they are gone or damaged.
        """
        pictures = self.read()
        if pictures is None:
            raise FerError(f"{self.path} was whole and is gone or damaged now; run the same command again to go on")
        return pictures


def chunks_of(folder: Path, total: int, size: int, picture_shape: tuple[int, int, int]) -> Iterator[Chunk]:
    """The chunks of `total` rows, `size` rows each but the last."""
    for start in range(0, total, size):
        stop = min(start + size, total)
        yield Chunk(folder / f"{start:08d}-{stop:08d}", slice(start, stop), (stop - start, *picture_shape))
