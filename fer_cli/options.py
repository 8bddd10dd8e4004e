"""Options that several verbs share, each written once."""

from pathlib import Path
from typing import Annotated

import typer

ManifestArgument = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="manifests/<name>, with or without .parquet")
]
ConfigOption = Annotated[str | None, typer.Option("--config", metavar="FILE", help="YAML file or preset name")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="one setting; repeatable")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="overwrite what is at --out")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="check and show what would be done, do nothing")]
DecisionsOption = Annotated[
    str | None, typer.Option(help="decision log: a file or a database URL; default decisions.sqlite of the project")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print a machine-readable summary")]
