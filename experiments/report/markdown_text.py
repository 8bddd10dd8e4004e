"""Pieces of a page in Markdown."""

from collections.abc import Sequence


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def section(title: str, note: str, content: str) -> str:
    return "\n".join([f"## {title}\n", *([f"{note}\n"] if note else []), f"{content}\n"])


def bullets(title: str, lines: Sequence[str]) -> str:
    return section(title, "", "\n".join(f"- {line}" for line in lines)) if lines else ""
