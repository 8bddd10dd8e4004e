"""The PNG files that stores are made of: 8 bits, grey or colour, one IDAT chunk, every row filtered alike.

Faces hardly compress, so that nearly all time of a general encoder is spent looking for what is not there. Small
pictures are therefore kept as they are (one "stored" block, no filter), a third larger than Pillow makes them and
some ten times faster; larger ones as row differences (filter "Up") and run lengths, within five per cent of Pillow's
size in half its time. Files of these two forms are read back by one inflation and at most one running sum. Format:
W3C, "Portable Network Graphics (PNG) Specification (Third Edition)"; RFC 1950 and 1951; decoders of every kind open
them.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NONE, _UP = 0, 2
_STORED_BYTES = 0xFFFF  # what one stored block holds
_STORED = struct.Struct("<2sBHH")  # zlib header, the last block and stored, length and its complement
_GREY, _COLOUR = 0, 2
_HEADER = struct.Struct(">II5B")  # width, height, bit depth, colour type, compression, filter and interlace method
_DATA_AT = len(_SIGNATURE) + 12 + _HEADER.size + 8  # where the IDAT chunk's data begins
_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of uint8 [H, W] (grey) or [H, W, 3], lossless; the same bytes for the same pixels.

    Raises:
        ValueError: the array is of another type or shape, or empty.
    """
    if pixels.dtype != np.uint8 or pixels.size == 0 or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise ValueError(f"expected uint8 [H, W] or [H, W, 3], found {pixels.dtype} {list(pixels.shape)}")
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), dtype=np.uint8)
    if filtered.size <= _STORED_BYTES:
        filtered[:, 0] = _NONE
        filtered[:, 1:] = rows
        raw = filtered.tobytes()
        block = _STORED.pack(b"\x78\x01", 1, len(raw), len(raw) ^ 0xFFFF)
        data = b"".join((block, raw, zlib.adler32(raw).to_bytes(4, "big")))
    else:
        filtered[:, 0] = _UP
        filtered[0, 1:] = rows[0]
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
        data = deflate.compress(filtered.data) + deflate.flush()
    header = _HEADER.pack(width, height, 8, _GREY if pixels.ndim == 2 else _COLOUR, 0, 0, 0)
    return b"".join((_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", data), _END))


def decode(data: bytes, max_pixels: int) -> NDArray[np.uint8] | None:
    """The pixels of a file that `encode` wrote, uint8 [H, W] or [H, W, 3]; None for any other or damaged file."""
    head, body = data[:_DATA_AT], memoryview(data)[_DATA_AT:-16]
    if len(data) < _DATA_AT + 16 or not head.startswith(_SIGNATURE) or data[-12:] != _END:
        return None
    start = len(_SIGNATURE) + 8
    width, height, depth, colour, *methods = _HEADER.unpack_from(head, start)
    channels = {_GREY: 1, _COLOUR: 3}.get(colour)
    if channels is None or depth != 8 or any(methods) or not 0 < width * height <= max_pixels:
        return None
    header = head[start : start + _HEADER.size]
    if head[len(_SIGNATURE) :] != _chunk(b"IHDR", header) + struct.pack(">I4s", len(body), b"IDAT"):
        return None
    if zlib.crc32(body, zlib.crc32(b"IDAT")) != int.from_bytes(data[-16:-12], "big"):
        return None
    size = height * (width * channels + 1)
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(body, size + 1)
    except zlib.error:
        return None
    if len(raw) != size or not inflate.eof or inflate.unused_data:
        return None
    filtered = np.frombuffer(raw, dtype=np.uint8).reshape(height, -1)
    kind = filtered[0, 0]
    if kind not in (_NONE, _UP) or (filtered[:, 0] != kind).any():
        return None
    rows = filtered[:, 1:]
    rows = np.ascontiguousarray(rows) if kind == _NONE else np.add.accumulate(rows, axis=0, dtype=np.uint8)
    return rows if channels == 1 else rows.reshape(height, width, 3)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
