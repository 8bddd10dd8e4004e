"""What the programs that measure the curator are asked on their command lines."""

import argparse
from pathlib import Path


def curator_parser(told: str | None, quick: str) -> argparse.ArgumentParser:
    """The options that all of them have.

    Args:
        told: the program's docstring.
        quick: what `--quick` makes of it.
    """
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="the real set; with --quick drawn faces if left out")
    parser.add_argument("--audit", type=Path, help="default audit/<name>.parquet of its project")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments; ends the program where there is nothing to measure on."""
    arguments = parser.parse_args()
    if arguments.manifest is None and not arguments.quick:
        parser.error("--manifest: expected the manifest to measure on, or --quick")
    return arguments
