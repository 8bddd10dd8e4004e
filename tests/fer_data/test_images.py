import io

import numpy as np
import pytest
from PIL import Image

from fer_data import images
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


def test_own_png_round_trips(grey):
    assert (images.decode(images.encode_png(grey), "a") == grey).all()


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
