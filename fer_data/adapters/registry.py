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

    @property
    def NAME(self) -> str: ...  # noqa: N802

    @property
    def TITLE(self) -> str: ...  # noqa: N802

    @property
    def LICENCE(self) -> Licence: ...  # noqa: N802

    @property
    def CITATION(self) -> str | None: ...  # noqa: N802

    @property
    def HOMEPAGE(self) -> str | None: ...  # noqa: N802

    @property
    def EXPECTED(self) -> Mapping[str, int] | None:  # noqa: N802
        """Published counts: "total" and per split."""

    @property
    def KNOWN_DEFECTS(self) -> tuple[str, ...]: ...  # noqa: N802

    @property
    def Options(self) -> type[Configuration]: ...  # noqa: N802

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
