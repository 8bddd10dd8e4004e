"""Fixtures that every room shares: a project folder, and small manifests of real stores."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postgresql import Server

# Workers side by side take a core each: threads of two workers on the same cores wait for each other at every barrier,
# which makes small networks a hundred times slower. Set before numpy or torch start their threads.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from fer_data import licenses, manifest
from fer_data.manifest import Manifest
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where FER_NO_SKIPS is set, as in `.ci/run`, a test that skips has failed: the machine can run it."""
    report = yield
    excused = "real_data" in item.keywords and "FER_REAL_DATA" not in os.environ
    if report.skipped and "FER_NO_SKIPS" in os.environ and not excused:
        report.outcome, report.longrepr = "failed", f"skipped where nothing may skip: {report.longrepr}"
    return report


@pytest.fixture
def fer(project, monkeypatch, capsys):
    """Runs `fer …` in this process: exit code, standard output, standard error."""

    import fer_cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fer", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            fer_cli.main()
        printed = capsys.readouterr()
        return exit_.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is also the current folder."""
    (tmp_path / "fer.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def real_data() -> Path:
    """The folder that holds real FER-2013 and `materialize.py`."""
    folder = os.environ.get("FER_REAL_DATA")
    if not folder:
        pytest.skip("FER_REAL_DATA names no folder with real FER-2013 in it")
    return Path(folder)


@pytest.fixture(scope="session")
def postgresql() -> Iterator["Server"]:
    """A PostgreSQL server that is thrown away at the end; `postgresql.new_database()` is the URL of an empty one."""
    from postgresql import find_programs, running

    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here; on Debian: apt-get install postgresql")
    with running(programs) as server:
        yield server


@pytest.fixture
def noise_manifest(project: Path) -> Callable[..., Manifest]:
    """Makes manifests of grey noise: `noise_manifest(labels, splits, name=…, facts=[{…}, …])`."""

    def make(labels, splits, *, name="noise", facts=None, size_px=12, seed=0, groups=None, **columns) -> Manifest:
        rng = np.random.default_rng(seed)
        with StoreWriter("noise", project, licence=licenses.DRAWN.as_dict(), source="noise") as writer:
            for index, label in enumerate(labels):
                pixels = rng.integers(0, 256, (size_px, size_px), dtype=np.uint8)
                given = facts[index] if facts else {}
                writer.add(Sample(f"{index:05d}", pixels, label, label, None, f"row {index}", given))
            store = writer.close()
        ids = [f"noise/{index:05d}" for index in range(len(labels))]
        frame = manifest.new_rows(
            len(ids),
            sample_id=ids,
            store=f"stores/{store.path.name}",
            store_row=np.arange(len(ids)),
            label=list(labels),
            split=list(splits),
            group_id=np.arange(len(ids)) if groups is None else np.asarray(groups),
            **columns,
        )
        return manifest.write(
            frame,
            project / "manifests" / name,
            label_set="basic7",
            command="test",
            licence=licenses.DRAWN.as_dict(),
        )

    return make
