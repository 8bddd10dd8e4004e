"""Options that several verbs share, each written once."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from fer_data.errors import FerError


def _without_password(context: typer.Context, parameter: typer.CallbackParam, value: str | None) -> str | None:
    """A database URL whose password everybody on this machine could read in the list of processes is refused."""
    parts = urlsplit(value) if value and "://" in value else None
    source = context.get_parameter_source(str(parameter.name))
    shown = source is not None and source.name == "COMMANDLINE"
    if parts and shown and (parts.password or "password=" in parts.query):
        raise FerError(
            "--db: the password would stand in the list of processes for everybody on this machine; put the whole URL "
            "into the environment variable FER_DB, or leave the password to ~/.pgpass"
        )
    return value


ManifestArgument = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="manifests/<name>, with or without .parquet")
]
ConfigOption = Annotated[str | None, typer.Option("--config", metavar="FILE", help="YAML file or preset name")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="one setting; repeatable")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="overwrite what is at --out")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="check and show what would be done, do nothing")]
DecisionsOption = Annotated[
    str | None,
    typer.Option(
        "--decisions",
        "--db",
        metavar="FILE|URL",
        envvar="FER_DB",
        callback=_without_password,
        help="decision log: a file, or a database like postgresql+psycopg://user@host/name; default decisions.sqlite "
        "of the project",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print a machine-readable summary")]
