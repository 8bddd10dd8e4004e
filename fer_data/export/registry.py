"""The formats, one literal dict. Each is a module of this folder with what `contract.Format` says."""

from collections.abc import Mapping
from types import MappingProxyType

from fer_data.errors import FerError
from fer_data.export import class_folders, huggingface, path_tables, webdataset
from fer_data.export.contract import Format

EXPORTS: Mapping[str, Format] = MappingProxyType(
    {
        "hf": huggingface,
        "folders": class_folders,
        "webdataset": webdataset,
        "csv": path_tables,
    }
)


def find_format(name: str) -> Format:
    """The format of that name, or FerError with the names that exist."""
    if name not in EXPORTS:
        raise FerError(
            f"export format {name!r} is unknown; expected one of {', '.join(EXPORTS)} "
            "(croissant.json is written beside each)"
        )
    return EXPORTS[name]
