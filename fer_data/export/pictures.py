"""One face as the bytes of a file that every reader opens alike."""

import hashlib
import io
from typing import NamedTuple

from PIL import Image

from fer_data import images
from fer_data.errors import FerError
from fer_data.store import Store

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PLAIN_PNG = (b"\x08\x00", b"\x08\x02")  # bit depth and colour type of the header: 8-bit grey or RGB
_ORIENTATION = 0x0112


class Picture(NamedTuple):
    """The bytes of a PNG or JPEG file, and its ending without the dot."""

    data: bytes
    suffix: str


def read_picture(store: Store, row: int, file_sha256: str | None) -> Picture:
    """One picture of a store: its own bytes where they are a plain PNG or JPEG and nothing is cut, else a PNG.

    Plain is what every reader shows as this tool does: 8-bit grey or colour, without transparency, and without an
    EXIF orientation, which some readers obey and others do not.

    Args:
        file_sha256: what the bytes hashed to at the import; None where that is not known.

    Raises:
        FerError: the file is gone, changed since the import, or does not decode.
    """
    data = store.encoded(row)
    if file_sha256 is not None and hashlib.sha256(data).hexdigest() != file_sha256:
        raise FerError(
            f"{store.path.name} row {row}: expected the picture that was imported (SHA-256 {file_sha256[:12]}…), "
            "found other bytes; restore the file or import again"
        )
    if store.view is None:
        if data.startswith(_PNG) and data[24:26] in _PLAIN_PNG and b"eXIf" not in data and b"tRNS" not in data:
            return Picture(data, "png")
        if data.startswith(_JPEG) and _is_plain_jpeg(data):
            return Picture(data, "jpg")
    return Picture(images.encode_png(store.image(row)), "png")


def _is_plain_jpeg(data: bytes) -> bool:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return image.mode in ("L", "RGB") and image.getexif().get(_ORIENTATION, 1) == 1
