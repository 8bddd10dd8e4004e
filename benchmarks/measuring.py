"""What the benchmarks of stores share: fresh processes, and figures as JSON lines."""

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fer_data.parallel import cores


def fresh(script: str | Path, *arguments: object, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object that a program prints last, run in a process of its own; `env` is added to its environment."""
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def peak_gb() -> float:
    """Resident memory of this process at its highest, Python and libraries included.

    `getrusage` would count what the process that started this one held at that moment.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) * 1024 / 1e9, 3)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 3)


def figure(
    bench: str,
    name: str,
    values: Sequence[float],
    unit: str,
    *,
    n: int,
    target: str | None = None,
    reached: bool | None = None,
    peer: str | None = None,
    peer_values: Sequence[float] = (),
    ratio: float | None = None,
    digits: int = 3,
    **more: Any,
) -> dict[str, Any]:
    """One figure: the median of its runs, with the lowest and the highest."""
    return {
        "bench": bench,
        "figure": name,
        "value": round(float(np.median(values)), digits),
        "unit": unit,
        "target": target,
        "reached": reached,
        "peer": peer,
        "peer_value": round(float(np.median(peer_values)), digits) if len(peer_values) else None,
        "ratio": None if ratio is None else round(ratio, 2),
        "n": n,
        "seeds": [],
        "interval": [round(min(values), digits), round(max(values), digits)],
        **more,
        "versions": {name: version(name) for name in ("numpy", "pillow", "pyarrow")}
        | {"python": platform.python_version()},
        "machine": {"cores": cores(), "kind": platform.machine()},
    }


def tell(lines: list[str], line: dict[str, Any]) -> None:
    """Print a figure as it comes, and keep it."""
    lines.append(json.dumps(line, default=lambda value: value.item()))  # numbers of numpy
    print(lines[-1], flush=True)


def keep(lines: list[str], out: Path | None) -> None:
    """Write all figures to the file that the user named, if any."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("\n".join(lines) + "\n")
