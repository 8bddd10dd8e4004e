"""Damage to bytes, as disks, downloads and enemies do it."""

import numpy as np

# numbers that lengths and sizes are compared with
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def mutate(data: bytes, rng: np.random.Generator, most: int = 8) -> bytes:
    """A copy with one to `most` faults of any kind."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, most + 1))):
        damaged = _KINDS[int(rng.integers(len(_KINDS)))](damaged, rng)
    return bytes(damaged)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Anywhere; half of the time within the first or last 128 bytes, where headers and directories are."""
    size = len(data)
    if not size:
        return 0
    near = int(rng.integers(min(size, 128)))
    return [int(rng.integers(size)), int(rng.integers(size)), near, size - 1 - near][int(rng.integers(4))]


def _flip_bit(data: bytearray, rng: np.random.Generator) -> bytearray:
    if data:
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _set_byte(data: bytearray, rng: np.random.Generator) -> bytearray:
    if data:
        data[_place(data, rng)] = int(rng.integers(256))
    return data


def _edge_number(data: bytearray, rng: np.random.Generator) -> bytearray:
    width = (1, 2, 4, 8)[int(rng.integers(4))]
    value = _EDGES[int(rng.integers(len(_EDGES)))] & ((1 << 8 * width) - 1)
    at = _place(data, rng)
    data[at : at + width] = value.to_bytes(width, "big" if rng.integers(2) else "little")
    return data


def _digits(data: bytearray, rng: np.random.Generator) -> bytearray:
    at = _place(data, rng)
    data[at : at + 1] = (b"-1", b"99999999999999999999", b"nan", b"'", b'"', b"\n", b",", b"../", b"\xff\xfe")[
        int(rng.integers(9))
    ]
    return data


def _cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 65))]
    return data


def _repeat(data: bytearray, rng: np.random.Generator) -> bytearray:
    at = _place(data, rng)
    piece = data[at : at + int(rng.integers(1, 257))]
    to = _place(data, rng)
    data[to:to] = piece
    return data


def _move(data: bytearray, rng: np.random.Generator) -> bytearray:
    at, to = _place(data, rng), _place(data, rng)
    piece = data[at : at + int(rng.integers(1, 65))]
    data[to : to + len(piece)] = piece
    return data


def _noise(data: bytearray, rng: np.random.Generator) -> bytearray:
    at = _place(data, rng)
    data[at : at + int(rng.integers(0, 33))] = rng.bytes(int(rng.integers(1, 33)))
    return data


def _truncate(data: bytearray, rng: np.random.Generator) -> bytearray:
    del data[_place(data, rng) :]
    return data


_KINDS = (_flip_bit, _set_byte, _edge_number, _digits, _cut, _repeat, _move, _noise, _truncate)
