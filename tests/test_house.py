"""The house stands as designed: who imports whom, what is tracked, what `fer --help` costs."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forbidden_files import forbidden

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("fer_data", "learning", "classifier", "generators", "curation_app", "experiments")
ALLOWED = {
    "fer_data": {"fer_data"},
    "learning": {"learning"},
    "classifier": {"classifier", "learning", "fer_data"},
    "generators": {"generators", "learning", "fer_data"},
    "curation_app": {"curation_app", "fer_data"},
    "experiments": set(ROOMS),
}
HEAVY = {
    "torch",
    "torchvision",
    "diffusers",
    "streamlit",
    "cleanlab",
    "sklearn",
    "altair",
    "albumentations",
    "cv2",
}


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_the_design_allows(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        assert imports(file) & set(ROOMS) <= ALLOWED[room], file


def test_the_dataset_layer_and_the_app_know_no_torch():
    for room in ("fer_data", "curation_app"):
        for file in (ROOT / room).rglob("*.py"):
            assert not imports(file) & {"torch", "torchvision", "diffusers"}, file


def test_the_dataset_layer_imports_nothing_heavy_at_its_top():
    for file in [*(ROOT / "fer_data").rglob("*.py"), *(ROOT / "fer_cli").rglob("*.py")]:
        assert not imports(file, top_level_only=True) & HEAVY, file


def test_the_core_imports_without_the_extras():
    code = f"import sys; sys.modules.update(dict.fromkeys({sorted(HEAVY)!r}))\n" + "\n".join(
        f"import {'.'.join(file.relative_to(ROOT).with_suffix('').parts)}"
        for file in sorted((ROOT / "fer_data").rglob("*.py"))
        if file.name != "__init__.py"
    )
    done = subprocess.run([sys.executable, "-c", code + "\nimport fer_cli"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_answers_in_under_half_a_second():
    def once() -> float:
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "fer_cli", "--help"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and "import" in done.stdout
        return time.perf_counter() - start

    assert min(once() for _ in range(5)) < 0.5


def test_no_face_table_or_weights_in_git():
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    assert forbidden(done.stdout.splitlines()) == []


def test_the_hook_refuses_faces_tables_and_weights():
    names = [
        "a.png",
        "x/face.JPG",
        "m.parquet",
        "w.safetensors",
        "decisions.sqlite",
        "README.md",
        "docs/drawn/sheet.png",
    ]
    assert forbidden(names) == ["a.png", "x/face.JPG", "m.parquet", "w.safetensors", "decisions.sqlite"]
