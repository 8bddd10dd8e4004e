"""Lines of a benchmark that a later call does not have to find out again."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fer_data.files import atomic_file, sha256_json


class KeptLines:
    """The lines of a file, one for each name; a line counts while its configuration is the same.

    Args:
        out: JSON lines, written anew whenever one is added; None keeps them in memory.
    """

    def __init__(self, out: Path | None) -> None:
        self._out = out
        found = out.read_text().splitlines() if out is not None and out.is_file() else []
        self._lines: dict[str, dict[str, Any]] = {line["figure"]: line for line in map(json.loads, found)}

    def has(self, name: str, configuration: Mapping[str, Any]) -> bool:
        """Whether this figure was found out with this configuration."""
        return self._lines.get(name, {}).get("configuration_sha256") == sha256_json(configuration)

    def add(self, line: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
        """Print a line and keep it with its configuration, in place of an earlier one of its name."""
        versions = {**line["versions"], **{name: version(name) for name in ("torch", "scikit-learn")}}
        told = {"configuration": configuration, "configuration_sha256": sha256_json(configuration)}
        self._lines[line["figure"]] = {**line, **told, "versions": versions}
        print(json.dumps(self._lines[line["figure"]]), flush=True)
        if self._out is not None:
            with atomic_file(self._out) as partial:
                partial.write_text("".join(json.dumps(one) + "\n" for one in self._lines.values()))
