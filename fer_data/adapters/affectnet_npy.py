"""AffectNet's npy edition: a picture, and four little arrays beside it, for every face.

The arrays come from elsewhere: read without pickles, and only after their header has said that they are small.
"""

import functools
import io
import math
import tokenize
import warnings
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.lib import format as npy

from fer_data.adapters import affectnet_codes as codes
from fer_data.adapters.shared.downloads import file_name, is_picture, note_passed_over
from fer_data.errors import FerError
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

SETS = MappingProxyType({"train_set": "train", "val_set": "val"})
KINDS = ("exp", "val", "aro", "lnd")
MAX_NUMBERS = 1000  # of one array
MAX_BYTES = 64 << 10
# What numpy raises where a header is not its own, or text has no such characters (SystemError).
_UNREADABLE = (
    ValueError, TypeError, SyntaxError, EOFError, OverflowError, MemoryError, RecursionError, SystemError,
    tokenize.TokenError,
)  # fmt: skip


def sets(source: Source) -> list[str]:
    """The folders `…/train_set/`, `…/val_set/` that have images; empty where there is none.

    Raises:
        FerError: the same set twice.
    """
    found: dict[str, str] = {}
    for name in source.names:
        for folder in SETS:
            base, marker, below = f"/{name}".partition(f"/{folder}/images/")
            if not marker or "/" in below or not is_picture(name):
                continue
            place = f"{base}/{folder}/".lstrip("/")
            if found.setdefault(folder, place) != place:
                raise FerError(f"{source.path}: expected one {folder}, found {found[folder]} and {place}; give one")
    return [found[folder] for folder in SETS if folder in found]


def read(source: Source, found: list[str], rejections: list[Rejection]) -> Reading:
    """Open the edition whose sets are `found`."""
    pictures = [name for place in found for name in source.under(f"{place}images") if is_picture(name)]
    notes = []
    missing = [folder for folder in SETS if not any(place.endswith(f"{folder}/") for place in found)]
    if missing:
        notes.append(f"{' and '.join(missing)} is not there: its faces are not read")
    arrays = {name for place in found for name in source.under(f"{place}annotations")}
    note_passed_over(set(source.names) - set(pictures) - arrays, "files that are neither picture nor annotation", notes)
    return Reading(
        form="npy edition",
        label_set=codes.LABEL_SET,
        total_images=len(pictures),
        samples=_samples(source, pictures, arrays, rejections),
        source=source,
        notes=notes,
    )


def _samples(source: Source, pictures: list[str], arrays: set[str], rejections: list[Rejection]) -> Iterator[Sample]:
    waiting = set(arrays)
    for name in pictures:
        place, _, file = name.rpartition("/images/")
        names = {kind: f"{place}/annotations/{file.rpartition('.')[0]}_{kind}.npy" for kind in KINDS}
        waiting -= set(names.values())
        try:
            label, word, facts = _annotation(source, names, arrays)
        except FerError as error:
            rejections.append(
                Rejection(source.where(name), "its four annotations", str(error), "the picture was set aside")
            )
            continue
        split = SETS[file_name(place)]
        yield Sample(name, None, label, word, split, source.where(name), facts)
    for name in sorted(waiting):
        rejections.append(Rejection(source.where(name), "a picture that it is about", "none", "the file was set aside"))


def _annotation(source: Source, names: dict[str, str], arrays: set[str]) -> tuple[str | None, str, dict[str, Any]]:
    values = {}
    for kind, name in names.items():
        where = source.where(name)
        if name not in arrays:
            raise FerError(f"{where} is missing; download the edition again")
        values[kind] = read_numbers(source.read(name), where)
        if kind != "lnd" and len(values[kind]) != 1:
            raise FerError(f"{where}: expected one number, found {len(values[kind])}")
    label, word = codes.expression(values["exp"][0], source.where(names["exp"]))
    facts: dict[str, Any] = codes.ratings(values["val"][0], values["aro"][0], source.where(names["val"]))
    return label, word, facts | codes.landmarks(values["lnd"], source.where(names["lnd"]))


def read_numbers(data: bytes, where: str) -> list[float]:
    """The numbers of a small npy file, in order; text of numbers counts as numbers.

    Raises:
        FerError: no npy file, one that needs a pickle, one that is large, or other values than numbers.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"{len(data):,} bytes")
        width = 2 if data[6:8] == b"\x01\x00" else 4
        end = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
        shape, columns_first, dtype = _header(data[:end])
        count = math.prod(shape)
        # The header may claim any size; text of numbers has a few characters.
        if dtype.kind not in "iufU" or not 0 <= count <= MAX_NUMBERS or dtype.itemsize > MAX_NUMBERS:
            raise ValueError(f"an array {shape} of {dtype}")
        array = np.frombuffer(data, dtype, count, end).reshape(shape, order="F" if columns_first else "C")
        numbers = [float(value) for value in array.ravel().tolist()]
    except _UNREADABLE as error:
        raise FerError(f"{where}: expected a small npy array of numbers, found {str(error)[:80]}") from None
    if not np.isfinite(numbers).all():
        raise FerError(f"{where}: expected finite numbers, found others")
    return numbers


@functools.lru_cache(maxsize=64)  # nearly all files of the edition have one of five headers
def _header(data: bytes) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    """Shape, whether columns come first, and type of an npy file that begins with `data`."""
    stream = io.BytesIO(data)
    version = npy.read_magic(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about headers that Python 2 wrote
        if version == (1, 0):
            return npy.read_array_header_1_0(stream)
        if version == (2, 0):
            return npy.read_array_header_2_0(stream)
    raise ValueError(f"version {version}")
