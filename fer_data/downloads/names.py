"""Names inside downloads, which whoever packed them chose: which of them may be read, and how the others are told."""

from collections.abc import Container
from pathlib import PurePosixPath

SET_ASIDE = "it was set aside"  # what became of a file, as its rejection says


def member_fault(name: str, known: Container[str], special: str | None) -> tuple[str, str] | None:
    """What is wrong with a member of an archive (expected, found), or None.

    Args:
        known: names of the members before it.
        special: what it is where it is no plain file ("a link"), else None.
    """
    if special:
        return "a file", special
    if name in known:
        return "every name once", "this name again"
    return name_fault(name)


def name_fault(name: str) -> tuple[str, str] | None:
    """What is wrong with a path inside a download (expected, found), or None."""
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or ".." in parts or name[1:2] == ":":
        return "a path inside the download", "one that leads out of it"
    if "" in parts or "." in parts:  # another spelling of a path that may be there too
        return "a plain path", "one with empty parts"
    if not name.isprintable():
        return "a file name of printable text", "another"
    return None


def printable(name: str) -> str:
    """A name as messages may show it: quoted with escapes where it would not print as it is."""
    return name if name.isprintable() else repr(name)


def is_hidden(name: str) -> bool:
    """Whether a member is an operating system's own (`__MACOSX/`, `.DS_Store`)."""
    parts = PurePosixPath(name).parts
    return any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in parts)
