"""What a user installs: the wheel holds every room, the presets and the pages' side files, and works by itself."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("fer_cli", "fer_data", "classifier", "generators", "curation_app", "experiments", "configs")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the unpacked wheel, far from the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy: a build leaves files beside what it builds
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def run(installed, *arguments):
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); sys.argv[0] = 'fer'; import fer_cli; fer_cli.main()"
    command = [sys.executable, "-P", "-c", code, *arguments]
    return subprocess.run(command, cwd=installed.parent, capture_output=True, text=True)


def test_every_file_of_the_rooms_is_in_the_wheel(installed):
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert (installed / file.relative_to(ROOT)).is_file(), file


def test_presets_are_found_in_an_installed_wheel(installed):
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); from fer_data.configuration import find_preset; "
        "print(find_preset('experiments/demo'))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=installed.parent, capture_output=True, text=True)
    assert Path(done.stdout.strip()) == installed / "configs" / "experiments" / "demo.yaml", done.stderr


def test_the_command_works_outside_the_clone(installed):
    assert "procedural" in run(installed, "datasets").stdout
    done = run(installed, "import", "procedural", "--count", "40", "--seed", "1", "--out", "manifests/drawn")
    assert done.returncode == 0, done.stderr
    assert run(installed, "validate", "manifests/drawn", "--full").returncode == 0
    failed = run(installed, "validate", "manifests/none")
    assert failed.returncode == 1 and "is missing" in failed.stderr and "Traceback" not in failed.stderr
    assert run(installed, "no-such-verb").returncode == 2
