"""The README's commands run as written: on drawn faces always, on real ones where there are some."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"<!-- runs: (\w+) -->\n```console\n(.*?)```", re.DOTALL)


def commands(kind: str) -> list[list[str]]:
    """The `$ fer …` lines of the README's blocks of a kind, as arguments."""
    lines = []
    for found, block in BLOCK.findall((ROOT / "README.md").read_text()):
        if found == kind:
            joined = block.replace("\\\n", " ")
            lines += [shlex.split(line[2:]) for line in joined.splitlines() if line.startswith("$ fer ")]
    return lines


def run_all(lines: list[list[str]], folder: Path) -> None:
    for line in lines:
        code = "import sys; sys.argv[0] = 'fer'; import fer_cli; fer_cli.main()"
        done = subprocess.run([sys.executable, "-c", code, *line[1:]], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{shlex.join(line)}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_walk_on_drawn_faces_runs_as_written(project):
    lines = commands("drawn")
    assert len(lines) >= 8
    run_all(lines, project)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.timeout(600)
def test_the_worked_example_on_real_faces_runs_as_written(project, real_data):
    lines = commands("real")
    assert len(lines) >= 3
    command = [sys.executable, str(real_data / "materialize.py"), "csv", str(project / "download"), "--limit", "100"]
    subprocess.run(command, check=True, capture_output=True)
    run_all(lines, project)


def test_the_two_commands_are_named():
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text and "make test" in text
