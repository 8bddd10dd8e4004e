"""Pieces of a page in Markdown."""

from collections.abc import Sequence


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def section(title: str, note: str, content: str) -> str:
    """A heading, a note where there is one, and what stands under it."""
    return "\n".join([f"## {title}\n", *([f"{note}\n"] if note else []), f"{content}\n"])


def bullet_section(title: str, lines: Sequence[str]) -> str:
    """A section that is a list; empty where there are no lines."""
    return section(title, "", "\n".join(f"- {line}" for line in lines)) if lines else ""
