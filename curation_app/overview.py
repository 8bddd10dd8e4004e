"""The page that shows what is in a dataset: classes, splits, sources, conditions, and a map of the faces."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from curation_app import reviewing
from curation_app.access import Person
from curation_app.collection import Collection
from curation_app.feature_map import FeatureMap, make_map, show_map
from curation_app.figures import show_figures
from curation_app.opened import open_collection
from curation_app.settings import Settings
from fer_data.tabular.columns import value_codes

EVERY = "every label"
CONDITIONS = ("occlusion", "light", "pose")


def show(settings: Settings, someone: Person) -> None:
    """Draw the page.

    Raises:
        FerError: the manifest or a table cannot be opened.
    """
    collection = open_collection(settings)
    st.header("Overview")
    for note in collection.notes:
        st.text(note)
    _show_classes(collection)
    _show_map(collection)
    _show_origins(collection)


def count_by(collection: Collection, row: str, column: str) -> pd.DataFrame:
    """How many faces have each pair of words; columns of `Collection.codes`, unknown ones last."""
    (rows, row_words), (columns, column_words) = collection.codes(row), collection.codes(column)
    shape = len(row_words) + 1, len(column_words) + 1  # code -1 counts in the last
    pairs = (rows.astype(np.int64) % shape[0]) * shape[1] + columns.astype(np.int64) % shape[1]
    counts = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    table = pd.DataFrame(counts, [*row_words, "unknown"], [*column_words, "unknown"])
    return table.loc[table.sum(axis=1) > 0, table.sum(axis=0) > 0]


def count_conditions(collection: Collection) -> pd.DataFrame:
    """How many faces have each condition: columns condition, value, faces; of conditions that are known at all."""
    facts = collection.manifest.facts_table(list(CONDITIONS))
    rows: list[dict[str, Any]] = []
    for name in CONDITIONS:
        codes, words = value_codes(facts[name])
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        rows += [
            {"condition": name, "value": str(word), "faces": int(count)}
            for word, count in zip(words, counts, strict=True)
        ]
        if words:
            rows.append({"condition": name, "value": "unknown", "faces": int((codes < 0).sum())})
    return pd.DataFrame(rows, columns=["condition", "value", "faces"])


def worth(counts: NDArray[np.int64]) -> float:
    """How many equally frequent classes have the same entropy as these counts: K where they are balanced."""
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _show_classes(collection: Collection) -> None:
    table = count_by(collection, "label", "split")
    counts = table.sum(axis=1)
    labelled = counts.drop("unknown", errors="ignore")
    figures = {
        "Faces": f"{len(collection):,}",
        "Labelled": f"{int(labelled.sum()):,}",
        "Largest : smallest class": f"{labelled.max() / labelled.min():.1f} : 1" if len(labelled) else "–",
        "Worth equal classes": f"{worth(labelled.to_numpy()):.1f} of {len(labelled)}" if len(labelled) else "–",
    }
    show_figures(figures)
    table.insert(0, "faces", counts)
    table.insert(1, "share", counts / max(counts.sum(), 1))
    share = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=float(table["share"].max()))
    st.dataframe(table, row_height=32, column_config={"share": share})


def _show_origins(collection: Collection) -> None:
    st.subheader("Sources and conditions")
    st.dataframe(count_by(collection, "source", "origin"), row_height=32)
    conditions = collection.keep("conditions", None, lambda: count_conditions(collection))
    if len(conditions):
        st.dataframe(conditions, hide_index=True, row_height=32)
    else:
        st.caption("Occlusion, light and pose of these faces are unknown.")


def _show_map(collection: Collection) -> None:
    st.subheader("Map of the faces")
    made: FeatureMap | None = collection.keep("map", None, lambda: make_map(collection))
    if made is None:
        st.caption("Neither features nor an audit of these faces were found; make them with: fer predict, fer audit")
        return
    codes, words = collection.codes("label")
    st.caption(
        f"Made of the {made.source}: faces that the classifier takes for alike lie close together. "
        "Draw around some to review them." + _left_out(collection, made)
    )
    chosen = st.selectbox("Show", [EVERY, *words])
    only = None if chosen == EVERY else chosen
    rows = show_map(made, codes, words, only)
    if rows is None:
        return
    if not len(rows):
        st.text("No face lies inside; draw around some.")
        return
    counts = np.bincount(codes[rows] + 1, minlength=len(words) + 1)
    told = [f"{word} {count:,}" for word, count in zip(["no label", *words], counts, strict=True) if count]
    st.text(f"{len(rows):,} selected: " + " · ".join(told))
    if st.button(f"Review these {len(rows):,} faces", type="primary"):
        st.session_state[reviewing.CHOSEN] = f"From the map ({only or 'every label'})", _worst_first(collection, rows)
        st.switch_page(st.session_state[reviewing.PAGE])


def _left_out(collection: Collection, made: FeatureMap) -> str:
    """Which faces the map does not show, in a sentence; empty where it shows all."""
    sampled = f" A random {len(made.rows):,} of {made.total:,} are shown." if len(made.rows) < made.total else ""
    unknown = len(collection) - made.total
    return sampled + (f" Of {unknown:,} others nothing is known." if unknown else "")


def _worst_first(collection: Collection, rows: NDArray[np.int64]) -> tuple[str, ...]:
    """Ids of some rows, those whose label fits worst first."""
    if collection.opinions is not None:
        rows = rows[np.argsort(collection.opinions.scores[rows], kind="stable")]  # unknown ones last
    return tuple(collection.manifest.table["sample_id"].take(rows).to_pylist())
