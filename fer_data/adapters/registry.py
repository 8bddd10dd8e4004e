"""The adapters, one literal dict. An adapter reads what users download and guesses nothing.

Each adapter is a module of this folder with the constants below and one function
`read(root, options, rejections) -> fer_data.samples.Reading`; `tests/fer_data/test_adapters.py` holds for all.
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from fer_data.adapters import (
    afew,
    affectnet,
    bu3dfe,
    caer_s,
    ckplus,
    expw,
    fer2013,
    ferg,
    ferplus,
    folders,
    huggingface,
    jaffe,
    kdef,
    mmi,
    multi_pie,
    nhfi,
    oulu_casia,
    procedural,
    rafdb,
    sfew,
    table,
)
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
    def ACCESS(self) -> str | None:  # noqa: N802
        """Where and how to ask for the data; None where it is made by this tool or by the user."""

    @property
    def UNVERIFIED(self) -> tuple[str, ...]:  # noqa: N802
        """What the adapter knows from memory only, not from the dataset's files, pages or papers."""

    @property
    def KNOWN_DEFECTS(self) -> tuple[str, ...]: ...  # noqa: N802

    @property
    def Options(self) -> type[Configuration]: ...  # noqa: N802

    def read(self, root: Path | None, options: Any, rejections: list[Rejection]) -> Reading: ...


ADAPTERS: Mapping[str, Adapter] = MappingProxyType(
    {
        "fer2013": fer2013,
        "ferplus": ferplus,
        "ferg": ferg,
        "folders": folders,
        "huggingface": huggingface,
        "nhfi": nhfi,
        "table": table,
        "ckplus": ckplus,
        "jaffe": jaffe,
        "kdef": kdef,
        "rafdb": rafdb,
        "affectnet": affectnet,
        "afew": afew,
        "bu3dfe": bu3dfe,
        "caer_s": caer_s,
        "expw": expw,
        "mmi": mmi,
        "multi_pie": multi_pie,
        "oulu_casia": oulu_casia,
        "sfew": sfew,
        "procedural": procedural,
    }
)


def find_adapter(name: str) -> Adapter:
    """The adapter of a dataset, or FerError with the names that exist."""
    if name not in ADAPTERS:
        near = difflib.get_close_matches(name, ADAPTERS, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise FerError(f"dataset {name!r} has no adapter; {meant}expected one of {', '.join(ADAPTERS)}")
    return ADAPTERS[name]


def describe_adapter(adapter: Adapter) -> dict[str, Any]:
    """What `fer datasets` says of a dataset, as JSON can hold it; what is not known is empty."""
    options = {
        name: json.loads(json.dumps(field.get_default(call_default_factory=True), default=str))
        for name, field in adapter.Options.model_fields.items()
    }
    return {
        "title": adapter.TITLE,
        "licence": f"{adapter.LICENCE.name}; {adapter.LICENCE.summary}",
        "citation": adapter.CITATION or "",
        "homepage": adapter.HOMEPAGE or "",
        "access": adapter.ACCESS or "",
        "published counts": dict(adapter.EXPECTED or {}),
        "known defects": list(adapter.KNOWN_DEFECTS),
        "unverified": list(adapter.UNVERIFIED),
        "options": options,
    }
