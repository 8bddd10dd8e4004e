"""Rows that meet a condition: a DuckDB expression over the columns of a manifest and the facts behind it.

    label = 'fear' and light = 'low'
    votes[3] >= 5 or occlusion is null

The condition comes from a person or a file and is hostile until it is read: it is parsed first, only expressions of
known kinds and functions pass, and what passes runs where neither files nor the network can be reached.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.files import refuse_existing
from fer_data.manifest import SCHEMA, Manifest, derive, manifest_path
from fer_data.store import FACTS

if TYPE_CHECKING:
    import duckdb

# What a condition is made of; there are no subqueries, windows, stars, lambdas and parameters among it.
_KINDS = frozenset(
    ("BETWEEN", "CASE", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "OPERATOR", "TYPE")
)
# Functions of a row's own values: none reads files, settings or time, and none makes much of little.
_FUNCTIONS = frozenset(
    (
        "+", "-", "*", "/", "//", "%", "||", "~~", "!~~", "~~*", "!~~*", "~~~", "like_escape", "not_like_escape",
        "abs", "ceil", "floor", "greatest", "isfinite", "isnan", "least", "round",
        "contains", "ends_with", "left", "len", "length", "lower", "ltrim", "prefix", "regexp_full_match",
        "regexp_matches", "right", "rtrim", "split_part", "starts_with", "strlen", "substr", "substring", "suffix",
        "trim", "upper",
        "array_extract", "list_avg", "list_contains", "list_extract", "list_max", "list_min", "list_position",
        "list_sum", "list_value", "cardinality", "map_contains", "map_extract", "map_keys", "map_values",
    )
)  # fmt: skip
_LONGEST = 10_000


def filter_manifest(manifest: Manifest, where: str, out: str | Path, *, replace: bool = False) -> Manifest:
    """Write the rows that meet a condition, everything else as it was.

    Raises:
        FerError: the condition is none (see `matching_rows`), no row meets it, or `out` exists.
    """
    out = manifest_path(out).absolute()
    refuse_existing(out, replace=replace)
    rows = matching_rows(manifest, where)
    if not rows.any():
        raise FerError(
            f"{manifest.path}: expected rows with {where}, found none among {len(manifest):,}; words stand in single "
            "quotes and are written as fer describe shows them"
        )
    return derive(
        manifest,
        manifest.table.filter(pa.array(rows)),
        out,
        command="fer filter",
        configuration={"where": where},
        replace=replace,
        filter={"kept": int(rows.sum()), "left_out": int(len(rows) - rows.sum())},
    )


def matching_rows(manifest: Manifest, where: str) -> NDArray[np.bool_]:
    """Rows, bool [N], that meet a condition; where it is null for a row, the row does not.

    Facts are read only where the condition names them.

    Args:
        where: a DuckDB expression over the columns of `rows.SCHEMA` and `store.FACTS`.

    Raises:
        FerError: it is no single expression, names an unknown column or function, holds a subquery, is not true or
            false, or cannot be computed.
    """
    import duckdb

    with duckdb.connect() as connection:
        names = _columns(connection, where)
        facts = [name for name in names if name not in SCHEMA.names]
        rows = manifest.table.select([name for name in names if name in SCHEMA.names] or ["store_row"])
        if facts:
            read = manifest.facts_table(facts)
            for name in facts:
                rows = rows.append_column(name, read[name])
        connection.register("rows", rows)
        for setting in ("enable_external_access = false", "lock_configuration = true"):
            connection.execute(f"SET {setting}").fetchall()
        try:
            hit = connection.sql(f"SELECT ({where}\n) AS hit FROM rows")
            if str(hit.types[0]) != "BOOLEAN":
                raise FerError(f"--where {where}: expected a condition that is true or false, found {hit.types[0]}")
            found: NDArray[np.bool_] = hit.project("coalesce(hit, false) AS hit").fetchnumpy()["hit"]
        except duckdb.Error as error:
            raise FerError(f"--where {where}: {_first_line(error)}") from None
    return np.asarray(found, dtype=np.bool_)


def _columns(connection: "duckdb.DuckDBPyConnection", where: str) -> list[str]:
    """The columns that a condition names, each once; whatever else it holds is allowed."""
    if len(where) > _LONGEST:
        raise FerError(f"--where: expected at most {_LONGEST:,} characters, found {len(where):,}")
    if not where.strip():
        raise FerError("--where: expected a condition, found nothing; write one such as \"label = 'fear'\"")
    expected = _parsed(connection, "true")
    sentence = _parsed(connection, where)
    expressions = sentence.pop("select_list", [])
    expected.pop("select_list")
    if len(expressions) != 1 or sentence != expected:
        raise FerError(f"--where {where}: expected one condition, found a whole query; leave SELECT, FROM and ; out")
    known = {name.lower(): name for name in (*SCHEMA.names, *FACTS.names)}
    named: dict[str, None] = {}
    for part in _parts(expressions[0]):
        kind = part["class"]
        if kind not in _KINDS:
            raise FerError(f"--where {where}: expected a plain condition, found a {kind.lower()}; write it without")
        if kind == "FUNCTION" and part["function_name"].lower() not in _FUNCTIONS:
            near = _nearest(part["function_name"], _FUNCTIONS)
            raise FerError(f"--where {where}: the function {part['function_name']} is not allowed{near}")
        if kind == "COLUMN_REF":
            name = ".".join(part["column_names"])
            if name.lower() not in known:
                near = _nearest(name, known)
                raise FerError(
                    f"--where {where}: there is no column {name}{near}; words stand in single quotes: '{name}'"
                )
            named[known[name.lower()]] = None
    return list(named)


def _parsed(connection: "duckdb.DuckDBPyConnection", where: str) -> dict[str, Any]:
    """What DuckDB's own parser makes of a condition: the node of a SELECT without FROM."""
    found = connection.execute("SELECT json_serialize_sql(?)", [f"SELECT ({where}\n)"]).fetchall()
    answer = json.loads(found[0][0])
    if answer.get("error"):
        raise FerError(f"--where {where}: expected a condition, {_first_line(answer['error_message'])}")
    statements = answer["statements"]
    if len(statements) != 1:
        raise FerError(f"--where {where}: expected one condition, found {len(statements)} statements")
    node: dict[str, Any] = statements[0]["node"]
    return node


def _parts(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every expression within an expression, itself first."""
    if isinstance(node, dict):
        if "class" in node:
            yield node
        for value in node.values():
            yield from _parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _parts(value)


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.5)
    return f"; near it are {', '.join(near)}" if near else ""


def _first_line(error: object) -> str:
    return str(error).strip().splitlines()[0]
