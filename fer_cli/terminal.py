"""What every verb does with the terminal: read a manifest, show progress, print for people or as JSON."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

app = typer.Typer(
    help="A facial-expression dataset goes in, a better one comes out, and the difference is measured.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]},
)


def say(
    as_json: bool,
    summary: Mapping[str, Any],
    lines: Sequence[str] = (),
    outputs: Sequence[Path | str] = (),
    following: Sequence[str] = (),
) -> None:
    """What a verb did: lines for people, or one JSON object; of several processes only the first tells."""
    if os.environ.get("RANK", "0") != "0":
        return
    if as_json:
        typer.echo(json.dumps({**summary, "outputs": [str(path) for path in outputs]}, default=str))
        return
    for line in lines:
        typer.echo(f"  {line}")
    if outputs:
        ahead = f"       next: {' · '.join(following)}" if following else ""
        typer.echo(f"→ {' · '.join(short(path) for path in outputs)}{ahead}")


def show_plan(as_json: bool, configuration: Mapping[str, Any], outputs: Sequence[Path | str]) -> None:
    """The answer to --dry-run."""
    lines = [f"{key}: {json.dumps(value, default=str)}" for key, value in configuration.items()]
    say(
        as_json,
        {"dry_run": True, "configuration": dict(configuration)},
        ["nothing was done; it would use", *lines],
        outputs,
    )


def short(path: Path | str) -> str:
    """A path as it is best typed here; the URL of a database as it is."""
    if "://" in str(path):
        return str(path)
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)


def reporter(as_json: bool) -> Any:
    from fer_data.progress import SILENT, Terminal

    return SILENT if as_json else Terminal()


def read(path: Path) -> Any:
    from fer_data import manifest

    return manifest.read(path)


def keep_configuration(configuration: Any, out: Path) -> None:
    """The resolved configuration beside an output that is not a manifest (those carry it in their footer)."""
    from fer_data.files import write_json

    write_json(out.with_suffix(".config.json"), configuration.model_dump(mode="json"))
