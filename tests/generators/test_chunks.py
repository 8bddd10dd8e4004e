import errno
from pathlib import Path

import numpy as np
import pytest

from fer_data.errors import FerError
from generators.drawing.chunks import chunks_of


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(256, size=(7, 1, 8, 8), dtype=np.uint8)


def test_chunks_cover_all_rows_and_keep_their_pictures(tmp_path, pictures):
    chunks = list(chunks_of(tmp_path / "kept", 7, 3, (1, 8, 8)))
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    for chunk in chunks:
        assert chunk.read() is None
        chunk.write(pictures[chunk.rows])
    assert np.array_equal(np.concatenate([chunk.whole() for chunk in chunks]), pictures)
    assert len(list((tmp_path / "kept").iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"",
        lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
        lambda data: bytes([data[0] ^ 1]) + data[1:],
    ],
)
def test_a_damaged_chunk_is_recognised(tmp_path, pictures, damage):
    (chunk,) = chunks_of(tmp_path, 7, 8, (1, 8, 8))
    chunk.write(pictures)
    chunk.path.write_bytes(damage(chunk.path.read_bytes()))
    assert chunk.read() is None
    with pytest.raises(FerError, match="is gone or damaged now; run the same command again"):
        chunk.whole()


def test_pictures_of_another_size_are_not_taken_for_these(tmp_path, pictures):
    (chunk,) = chunks_of(tmp_path, 7, 8, (1, 8, 8))
    chunk.write(pictures)
    (larger,) = chunks_of(tmp_path, 7, 8, (3, 8, 8))
    assert larger.read() is None


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, pictures, monkeypatch):
    def full(path, data):
        with path.open("wb") as file:
            file.write(data[:50])
        raise OSError(errno.ENOSPC, "No space left on device")

    (chunk,) = chunks_of(tmp_path / "kept", 7, 8, (1, 8, 8))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FerError, match="was not written: the disk is full; make room and run the command again"):
        chunk.write(pictures)
    assert not list((tmp_path / "kept").iterdir())
