import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_data import images, png
from fer_data.errors import FerError


def encoded(array, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def grey():
    return np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_round_trip(grey, kind):
    assert (images.decode(encoded(grey, kind), "a") == grey).all()
    colour = np.stack([grey, grey[::-1], grey], axis=-1)
    assert (images.decode(encoded(colour, kind), "a") == colour).all()


@pytest.mark.parametrize("shape", [(9, 7), (1, 1), (48, 48), (1, 300, 3), (300, 1, 3), (33, 20, 3)])
def test_own_png_round_trips_here_and_in_pillow(shape):
    rng = np.random.default_rng(0)
    for pixels in (rng.integers(0, 256, shape, dtype=np.uint8), np.full(shape, 200, np.uint8)):
        data = images.encode_png(pixels)
        assert data == png.encode(pixels)
        for decoded in (png.decode(data, 10_000), images.decode(data, "a"), np.asarray(Image.open(io.BytesIO(data)))):
            assert decoded.dtype == np.uint8 and decoded.shape == shape and (decoded == pixels).all()
    turned = np.asfortranarray(rng.integers(0, 256, shape, dtype=np.uint8))
    assert (images.decode(images.encode_png(turned[::-1]), "a") == turned[::-1]).all()


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4)), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)]
)
def test_what_is_no_picture_is_not_encoded(pixels):
    with pytest.raises(ValueError, match=r"expected uint8 \[H, W\] or \[H, W, 3\]"):
        images.encode_png(pixels)


def test_the_quick_reader_knows_its_own_files_and_no_others(grey):
    own = png.encode(grey)
    assert png.decode(own, grey.size) is not None and png.decode(own, grey.size - 1) is None
    for other in (
        encoded(grey, "PNG"),
        encoded(grey.astype(np.uint16), "PNG"),
        encoded(grey > 9, "PNG"),
        b"",
        own[:40],
    ):
        assert png.decode(other, 10_000) is None


def chunked(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    "stream",
    [
        zlib.compress(b"\x02ab"),  # a row too few
        zlib.compress(b"\x02ab\x02ab\x02ab"),  # a row too many
        zlib.compress(b"\x02ab\x01ab"),  # another filter
        zlib.compress(b"\x02ab\x02ab") + b"x",  # something behind
        zlib.compress(b"\x02ab\x02ab")[:-1],  # its check sum cut
        b"no stream",
    ],
)
def test_rows_that_are_not_as_announced_are_left_to_the_general_reader(stream):
    header = chunked(b"IHDR", struct.pack(">II5B", 2, 2, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunked(b"IDAT", stream) + chunked(b"IEND", b"")
    assert png.decode(data, 100) is None
    trailing = (
        b"\x89PNG\r\n\x1a\n" + header + chunked(b"IDAT", zlib.compress(b"\x02ab\x02ab") + b"x") + chunked(b"IEND", b"")
    )
    assert png.decode(trailing, 100) is None
    broken = b"\x89PNG\r\n\x1a\n" + header + chunked(b"IDAT", b"no stream") + chunked(b"IEND", b"")
    assert png.decode(broken, 100) is None


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 255), st.integers(0, 3))
def test_a_changed_byte_of_an_own_file_is_never_read_as_another_picture(place, change, kind):
    pixels = np.random.default_rng(kind).integers(0, 256, (6, 5) if kind % 2 else (5, 4, 3), dtype=np.uint8)
    data = bytearray(png.encode(pixels))
    data[place % len(data)] ^= change
    found = png.decode(bytes(data), 10_000)
    assert found is None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_are_a_picture_or_one_sentence(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM"]))
    mutated = bytearray(encoded(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8), kind))
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(mutated) - 1), st.integers(0, 255)), max_size=8)
    ):
        mutated[place] = value
    try:
        pixels = images.decode(bytes(mutated[: data.draw(st.integers(0, len(mutated)))]), "a.png")
    except FerError as error:
        assert str(error).startswith("a.png: expected")
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim in (2, 3)


def test_sixteen_bit_grey_is_scaled_not_clipped(grey):
    assert (images.decode(encoded(grey.astype(np.uint16) * 256, "PNG"), "a") == grey).all()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: b"", "a.png: expected an image"),
        (lambda data: b"GIF89a" + data, "a.png: expected an image"),
        (lambda data: data[: len(data) // 2], "a.png: expected a whole image"),
    ],
)
def test_what_is_no_whole_image_gets_its_sentence(damage, sentence):
    data = images.encode_png(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    with pytest.raises(FerError, match=sentence):
        images.decode(damage(data), "a.png")


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    bomb = encoded(np.zeros((7000, 7000), np.uint8), "PNG")
    with pytest.raises(FerError, match="at most 40000000 pixels, found 7000x7000"):
        images.decode(bomb, "bomb.png")


def test_pixel_hash_tells_shape_and_mode_apart(grey):
    hashes = {
        images.pixel_sha256(grey),
        images.pixel_sha256(grey.reshape(7, 9)),
        images.pixel_sha256(grey[:, :6].reshape(9, 2, 3)),
    }
    assert len(hashes) == 3
    assert images.pixel_sha256(grey) == images.pixel_sha256(np.asfortranarray(grey))


def test_views(grey):
    colour = np.stack([grey] * 3, axis=-1)
    assert images.as_view(grey, 12, 1).shape == (1, 12, 12)
    assert images.as_view(grey, 12, 3).shape == (3, 12, 12)
    assert images.as_view(colour, 4, 1).shape == (1, 4, 4)
    square = grey[:7]
    assert (images.as_view(square, 7, 1)[0] == square).all()
