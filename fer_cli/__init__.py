"""The `fer` command: parses, resolves a configuration, calls one function. Rooms are imported by the verb that
needs them, so that `fer --help` answers at once and works without torch."""

import sys

import typer

from fer_cli import (
    audit_verbs,
    data_verbs,
    decision_verbs,
    evaluation_verbs,
    experiment_verbs,
    generation_verbs,
    judge_verbs,
    manifest_verbs,
    review_verbs,
    training_verbs,
    tuning_verbs,
)
from fer_cli.terminal import app
from fer_data.errors import FerError

__all__ = [
    "app",
    "audit_verbs",
    "data_verbs",
    "decision_verbs",
    "evaluation_verbs",
    "experiment_verbs",
    "generation_verbs",
    "judge_verbs",
    "main",
    "manifest_verbs",
    "review_verbs",
    "training_verbs",
    "tuning_verbs",
]


def main() -> None:
    """Entry point: exit 0 done, 1 refused or failed with one sentence, 2 wrong usage."""
    try:
        app()
    except FerError as error:
        typer.echo(f"fer: {error}", err=True)
        sys.exit(1)
