"""Folders, zips and tars read alike, and hostile ones harm nothing."""

import io
import os
import stat
import tarfile
import zipfile

import pytest

from fer_data.downloads import folders, tars, zips
from fer_data.downloads.opening import is_archive, open_source, single_file
from fer_data.errors import FerError

FILES = {"a/b/1.png": b"one", "a/c.csv": b'x,y\n\n1,"2\n3"\n', "top.txt": "\ufefftext".encode()}


def write_folder(path):
    for name, data in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path, files=FILES, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


WAYS = {
    "folder": lambda path: write_folder(path / "folder"),
    "zip": lambda path: write_zip(path / "x.zip"),
    "tar": lambda path: write_tar(path / "x.tar"),
    "tar.gz": lambda path: write_tar(path / "x.tar.gz", mode="w:gz"),
    "tar.bz2": lambda path: write_tar(path / "x.tar.bz2", mode="w:bz2"),
    "tar.xz": lambda path: write_tar(path / "x.tar.xz", mode="w:xz"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_kind_gives_the_same_files(tmp_path, way):
    path = WAYS[way](tmp_path)
    rejections = []
    source = open_source(path, rejections)
    assert rejections == []
    assert source.names == sorted(FILES)
    assert {name: source.read(name) for name in source.names} == FILES
    assert source.text("top.txt") == "text"
    assert source.table("a/c.csv") == [["x", "y"], ["1", "2\n3"]]
    assert source.under("a") == ["a/b/1.png", "a/c.csv"] and source.under("") == source.names
    assert source.bases("b/1.png") == ["a/"] and source.bases("top.txt") == [""] and source.bases("one") == []
    assert source.shown() == "a, top.txt"
    assert source.kind == {"folder": "in_place", "zip": "archive", "tar": "archive"}.get(way, "stream")
    assert is_archive(path) == (way != "folder")
    for name, data in FILES.items():
        with source.stream(name) as handle:
            assert handle.read() == data
    assert list(source.lines("a/c.csv", 100)) == FILES["a/c.csv"].splitlines(keepends=True)
    for refused in (source.read, source.stream):
        with pytest.raises(FerError, match=r"none\.png"):
            refused("none.png")
    with pytest.raises(FerError, match=r"c\.csv line 3: expected a line of less than 5 bytes"):
        list(source.lines("a/c.csv", 5))


def test_what_the_system_left_in_an_archive_is_no_file(tmp_path):
    files = FILES | dict.fromkeys(["__MACOSX/1.png", ".DS_Store", "a/.git/config"], b"")
    for path in (write_zip(tmp_path / "x.zip", files), write_tar(tmp_path / "x.tar", files)):
        rejections = []
        source = open_source(path, rejections)
        assert source.names == sorted(FILES) and rejections == [], path


def test_a_single_file_is_a_source_of_itself(tmp_path):
    folder = write_folder(tmp_path / "folder")
    source = single_file(folder / "top.txt")
    assert source.names == ["top.txt"] and source.text("top.txt") == "text"
    assert source.where("top.txt") == str(folder / "top.txt")
    for path in (folder, tmp_path / "none"):
        with pytest.raises(FerError, match=f"{path.name} is missing; expected a file"):
            single_file(path)


HOSTILE = {
    "../up.png": "a path inside the download",
    "a/../../up.png": "a path inside the download",
    "/etc/passwd": "a path inside the download",
    "C:/x.png": "a path inside the download",
    "a\\b.png": "a path inside the download",
    "a/\u202egnp.png": "a file name of printable text",
    "line\nbreak.png": "a file name of printable text",
    "a//1.png": "a plain path",
}


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_names_that_lead_out_are_set_aside(tmp_path, write):
    rejections = []
    source = open_source(write(tmp_path / "x", {**FILES, **dict.fromkeys(HOSTILE, b"evil")}), rejections)
    assert source.names == sorted(FILES)
    assert sorted(rejection.expected for rejection in rejections) == sorted(HOSTILE.values())
    assert all(rejection.where.isprintable() for rejection in rejections)
    for name in HOSTILE:
        with pytest.raises(FerError):
            source.read(name)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("1.png", b"first")
        archive.writestr("1.png", b"second")
    rejections = []
    source = open_source(tmp_path / "x.zip", rejections)
    assert source.read("1.png") == b"first"
    assert [(one.where, one.found) for one in rejections] == [("x.zip/1.png", "this name again")]


def test_links_and_devices_are_set_aside(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind in [("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("device", tarfile.CHRTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    rejections = []
    assert open_source(tmp_path / "x.tar", rejections).names == []
    assert [rejection.found for rejection in rejections] == ["a link or a device"] * 3
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    rejections.clear()
    assert open_source(tmp_path / "x.zip", rejections).names == []
    assert rejections[0].found == "a link"


def test_a_folder_follows_only_links_that_stay_inside(tmp_path):
    folder = write_folder(tmp_path / "folder")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    (folder / "same.txt").symlink_to(folder / "top.txt")
    os.mkfifo(folder / "pipe")
    (folder / ".hidden").write_text("")
    rejections = []
    source = open_source(folder, rejections)
    assert source.names == sorted([*FILES, "same.txt"])
    assert {one.where: one.found for one in rejections} == {
        "out.txt": "a link that leads out of it",
        "loop": "a link to a folder",
        "gone.txt": "a broken link or a device",
        "pipe": "a broken link or a device",
    }


def test_what_is_no_download_is_one_sentence(tmp_path):
    with pytest.raises(FerError, match=r"none is missing; expected a folder or one of \.zip"):
        open_source(tmp_path / "none", [])
    (tmp_path / "x.txt").write_text("text")
    with pytest.raises(FerError, match="found another file"):
        open_source(tmp_path / "x.txt", [])
    damaged = write_tar(tmp_path / "x.tar.gz", mode="w:gz")
    damaged.write_bytes(damaged.read_bytes()[:-30])
    with pytest.raises(FerError, match=r"x\.tar\.gz: expected a"):
        open_source(damaged, [])


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_damaged_stream_is_one_sentence(tmp_path, kind):
    path = write_tar(tmp_path / f"x.tar.{kind}", {"1.png": os.urandom(5000)}, f"w:{kind}")
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 400):
        data[place] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(FerError, match="expected a"):
        open_source(path, []).read("1.png")


def test_damage_inside_an_archive_is_told_when_it_is_read(tmp_path):
    path = write_zip(tmp_path / "x.zip", {"1.png": bytes(range(256)) * 40})
    data = bytearray(path.read_bytes())
    data[60] ^= 255
    path.write_bytes(data)
    with pytest.raises(FerError, match=r"x\.zip/1\.png cannot be read .*download the archive again"):
        open_source(path, []).read("1.png")
    tar = write_tar(tmp_path / "x.tar", {"1.png": bytes(5000)})
    source = open_source(tar, [])
    os.truncate(tar, 2000)
    with pytest.raises(FerError, match="expected 5,000 bytes, found"):
        source.read("1.png")
    with pytest.raises(FerError, match=r"x\.tar/1\.png cannot be read to its end \(.* bytes are missing\)"):
        list(source.lines("1.png", 10_000))


def test_a_damaged_header_is_told_when_its_file_is_opened(tmp_path):
    path = write_zip(tmp_path / "x.zip", {"1.png": b"one"})
    data = bytearray(path.read_bytes())
    data[:4] = b"????"
    path.write_bytes(data)
    with pytest.raises(FerError, match=r"x\.zip/1\.png cannot be read .*download the archive again"):
        open_source(path, []).stream("1.png")


def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    folder = write_folder(tmp_path / "folder")
    inner = os.open(folder, os.O_RDONLY)
    for _ in range(20):  # deeper than any path may be long; permissions would not stop a test that runs as root
        os.mkdir("d" * 250, dir_fd=inner)
        outer, inner = inner, os.open("d" * 250, os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)
    rejections = []
    assert open_source(folder, rejections).names == sorted(FILES)
    assert [(one.expected, one.found) for one in rejections] == [("a readable folder", "File name too long")]


def test_bombs_are_refused(tmp_path, monkeypatch):
    for module in (folders, tars, zips):
        monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)
    big = {"big.png": bytes(2000)}
    for path in (write_zip(tmp_path / "x.zip", big), write_tar(tmp_path / "x.tar", big)):
        with pytest.raises(FerError, match="expected at most 1,000 bytes"):
            open_source(path, []).read("big.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "big.png").write_bytes(bytes(2000))
    with pytest.raises(FerError, match="expected at most 1,000 bytes"):
        open_source(tmp_path / "folder", []).read("big.png")
    for module in (tars, zips):
        monkeypatch.setattr(module, "SPARE_BYTES", 0)
        monkeypatch.setattr(module, "MAX_EXPANSION", 2)
    for refused in (open_source(tmp_path / "x.zip", []).read, open_source(tmp_path / "x.zip", []).stream):
        with pytest.raises(FerError, match=r"expected at most .*2 times its packed size, found 2,000 packed into"):
            refused("big.png")
    with pytest.raises(FerError, match="expands at most 2 times"):
        open_source(write_tar(tmp_path / "x.tgz", {"zeros": bytes(100_000)}, "w:gz"), [])


def test_text_in_another_encoding_is_told(tmp_path):
    source = open_source(
        write_zip(tmp_path / "x.zip", {"a.csv": "é".encode("latin-1"), "b.csv": b'"' + b"x" * 200_000}), []
    )
    with pytest.raises(FerError, match=r"x\.zip/a\.csv: expected text in UTF-8, found the byte 0xe9 at 0"):
        source.text("a.csv")
    with pytest.raises(FerError, match="expected a csv file, found something else"):
        source.table("b.csv")
