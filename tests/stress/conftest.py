"""`make stress` runs this folder; `make test` does not, and takes a small share of it in tests/fer_data/test_fuzz.py.

FER_STRESS_SHARE   share of the full counts, 1 by default
FER_STRESS_OUT     where the figures go; docs/results/stress.jsonl by default when the share is 1, else nowhere
"""

import json
import os
import platform
from pathlib import Path

import pytest

SHARE = float(os.environ.get("FER_STRESS_SHARE", "1"))
ROOT = Path(__file__).resolve().parents[2]
_DEFAULT_OUT = str(ROOT / "docs" / "results" / "stress.jsonl") if SHARE == 1 else ""
_figures: dict[str, dict] = {}


def pytest_ignore_collect(config):
    """Only where the folder was asked for by name."""
    return None if any("stress" in argument for argument in config.args) else True


@pytest.fixture
def share():
    """`share(4000)`: how many of the full count to do."""
    return lambda full: max(1, round(full * SHARE))


@pytest.fixture
def figure(record_property):
    """Keeps a figure for the results: `figure(name, value, unit, target, reached, n, …)`."""

    def keep(name, value, unit, target, reached, n, *, seconds, seeds=(), **more):
        told = {
            "bench": "stress",
            "figure": name,
            "value": value,
            "unit": unit,
            "target": target,
            "reached": reached,
            "peer": None,
            "peer_value": None,
            "ratio": None,
            "n": n,
            "seeds": list(seeds),
            "interval": None,
            "seconds": round(seconds, 2),
            **more,
            "versions": versions(),
            "machine": {"cores": os.cpu_count(), "kind": platform.machine()},
        }
        record_property("stress", told)

    return keep


def versions():
    import numpy
    import PIL
    import pyarrow

    return {
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "pyarrow": pyarrow.__version__,
    }


def pytest_runtest_logreport(report):
    """With several workers this runs where the session was started, for the reports of all."""
    if report.when == "call":
        _figures.update({told["figure"]: told for name, told in report.user_properties if name == "stress"})


def pytest_sessionfinish(session):
    out = os.environ.get("FER_STRESS_OUT", _DEFAULT_OUT)
    if not out or not _figures or hasattr(session.config, "workerinput"):
        return
    path = Path(out)
    before = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    lines = {told["figure"]: told for told in before} | _figures
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(lines[name]) + "\n" for name in sorted(lines)))
