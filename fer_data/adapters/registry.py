"""The adapters, one literal dict. An adapter reads what users download and guesses nothing.

Each adapter is a module of this folder with the constants below and one function
`read(root, options, rejections) -> fer_data.samples.Reading`; `tests/fer_data/test_adapters.py` holds for all.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from fer_data.adapters import fer2013, procedural
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection


class Adapter(Protocol):
    """What a module in this folder offers."""

    NAME: str
    TITLE: str
    LICENCE: Licence
    CITATION: str | None
    HOMEPAGE: str | None
    EXPECTED: Mapping[str, int] | None  # published counts, "total" and per split
    KNOWN_DEFECTS: tuple[str, ...]
    Options: type[Configuration]

    def read(self, root: Path | None, options: Any, rejections: list[Rejection]) -> Reading: ...


ADAPTERS: Mapping[str, Adapter] = MappingProxyType(
    {
        "fer2013": fer2013,
        "procedural": procedural,
    }
)


def find_adapter(name: str) -> Adapter:
    """The adapter of a dataset, or FerError with the names that exist."""
    if name not in ADAPTERS:
        raise FerError(f"dataset {name!r} has no adapter; expected one of {', '.join(ADAPTERS)}")
    return ADAPTERS[name]
