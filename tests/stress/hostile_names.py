"""Names and cells that nobody would choose, as Hypothesis makes them, and what must hold for each."""

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
from hypothesis import strategies as st

from fer_data.adapters import folders, table
from fer_data.downloads.opening import open_source
from fer_data.errors import FerError

_PARTS = st.sampled_from(["..", ".", "", "happy", "train", "a", "C:", "\\", "con", "__MACOSX", ".git", "x.png", "~"])
_ODD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
NAMES = st.lists(
    st.lists(_PARTS | _ODD, min_size=1, max_size=4).map("/".join).filter(lambda name: len(name.encode()) < 90),
    min_size=1,
    max_size=6,
)
_CELL = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["happy", "1e999", "nan", "-1", "=1+1", '"', "'", "../a.png", "a.png", "0 1 2 3", "\ufeff", "٣"]
)
ROWS = st.lists(st.lists(_CELL, min_size=0, max_size=6), min_size=0, max_size=6)


def check_archive(names: list[str], kind: str) -> None:
    """Every member is either readable under a name that stays inside, or told as set aside, and none is lost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        written = _write_zip(path, names) if kind == "zip" else _write_tar(path, names)
        rejections: list = []
        source = open_source(path, rejections)
        for name in source.names:
            parts = PurePosixPath(name).parts
            assert parts and ".." not in parts and not name.startswith("/") and name.isprintable(), name
            assert source.read(name) in written
        hidden = sum(_is_hidden_or_folder(name) for name in names)
        assert len(source.names) + len(rejections) >= len(names) - hidden, (names, source.names, rejections)
        assert all(rejection.sentence().isprintable() for rejection in rejections), rejections


def check_table(rows: list[list[str]], raw: bool) -> None:
    """A csv of any cells, quoted or not, is refused or gives samples that are what they must be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        (Path(folder) / "a.png").write_bytes(b"picture")
        lines = [["path", "label", "split", "subject", "l", "t", "r", "b"], *rows]
        text = "\n".join(
            ",".join(row if raw else ['"' + cell.replace('"', '""') + '"' for cell in row]) for row in lines
        )
        path.write_text(text, encoding="utf-8", newline="")
        options = table.Options(path="path", label="label", split="split", subject="subject", box=("l", "t", "r", "b"))
        rejections: list = []
        try:
            samples = list(table.read(path, options, rejections).samples)
        except FerError as error:
            assert str(error).strip()
            return
        assert len({sample.key for sample in samples}) == len(samples)
        assert {sample.file or sample.key for sample in samples} <= {"a.png", "t.csv"}
        assert all(np.isfinite(sample.facts.get("face_box", [0])).all() for sample in samples)


def check_folders(names: list[str]) -> None:
    """Class folders of any name: refused with a list, or every picture has its folder's label."""
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(names):
            place = Path(folder) / name.replace("/", "_").strip(".") / f"{number}.png"
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(b"picture")
        try:
            samples = list(folders.read(Path(folder), folders.Options(), []).samples)
        except FerError as error:
            assert str(error).strip()
            return
        assert all(sample.source_label == sample.key.split("/")[-2] for sample in samples)


def _write_zip(path: Path, names: list[str]) -> set[bytes]:
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as out:
        warnings.simplefilter("ignore")  # a name twice is the point
        for number, name in enumerate(names):
            out.writestr(zipfile.ZipInfo(name), f"file {number}".encode())
    return {f"file {number}".encode() for number in range(len(names))}


def _write_tar(path: Path, names: list[str]) -> set[bytes]:
    with tarfile.open(path, "w") as out:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = len(f"file {number}")
            out.addfile(info, io.BytesIO(f"file {number}".encode()))
    return {f"file {number}".encode() for number in range(len(names))}


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _is_hidden_or_folder(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name.endswith("/") or any(part == "__MACOSX" or (part[0] == "." and part not in "..") for part in parts)
