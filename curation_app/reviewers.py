"""The page that shows who decided how much and how fast, and how far reviewers agree; and the export of decisions."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st

from curation_app import reviewing
from curation_app.access import Person
from curation_app.figures import show_figures
from curation_app.history import read_history
from curation_app.opened import open_collection, open_log
from curation_app.queues import build_queue
from curation_app.settings import Settings
from fer_data.agreement import Pace, Pair, agreement, paces, pairs, verdicts
from fer_data.decision_log import Decision, standing


@dataclass(frozen=True)
class Team:
    """What a log tells of reviewers.

    Attributes:
        paces: one for each reviewer.
        pairs: every two who share a face.
        together: as `fer_data.agreement.agreement`.
    """

    paces: Sequence[Pace]
    pairs: Sequence[Pair]
    together: dict[str, Any]


def look_at(events: Sequence[Decision]) -> Team:
    """What events, in the log's order, tell of those who made them."""
    ratings = list(verdicts(standing(events)).values())
    return Team(paces(events), pairs(ratings), agreement(ratings))


def show(settings: Settings, someone: Person) -> None:
    """Draw the page.

    Raises:
        FerError: the manifest or the log cannot be opened.
    """
    lead = someone.role == "lead"
    events = read_history(settings, None if lead else someone.name)
    st.header("Reviewers")
    if not events:
        st.info("Nothing is decided yet.")
        return
    name = "team" if lead else f"team of {someone.name}"
    collection, log = open_collection(settings), open_log(settings)
    version = (log.name, len(events))
    team: Team = collection.keep(name, version, lambda: look_at(events))
    _show_paces(team)
    if lead:
        _show_agreement(team, len(build_queue(collection, log, "disagreements")))
    else:
        st.caption("A lead sees the others too, and how far you agree.")
    _offer_export(events, "decisions" if lead else "my-decisions")


def _show_paces(team: Team) -> None:
    st.caption("Decisions that stand; the pace counts the time of looking, without pauses of more than a minute.")
    rows = [
        {
            "reviewer": pace.reviewer,
            "decisions": pace.decisions,
            "faces": pace.faces,
            "a minute": None if pace.per_minute is None else round(pace.per_minute),
            "seconds, median": None if pace.median_seconds is None else round(pace.median_seconds, 1),
            "kept": pace.actions.get("keep", 0) + pace.actions.get("accept", 0),
            "relabelled": pace.actions.get("relabel", 0),
            "dropped": pace.actions.get("drop", 0) + pace.actions.get("reject", 0),
            "unsure": pace.actions.get("unsure", 0),
            "taken back": pace.undone,
            "last": pace.last[:16].replace("T", " "),
        }
        for pace in team.paces
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, row_height=32, placeholder="–")


def _show_agreement(team: Team, divided: int) -> None:
    st.subheader("Agreement")
    together = team.together
    if not together["samples"]:
        st.caption("No face was decided by two reviewers yet; the random sample is the same for everybody.")
        return
    kappa = "Cohen's κ" if together["method"] == "cohen" else "Fleiss' κ"
    figures = {
        "Faces with two or more": f"{together['samples']:,}",
        "The same word": f"{100 * together['observed']:.0f} %",
        kappa: _figure(together["kappa"]),
        "Krippendorff's α": _figure(together["alpha"]),
    }
    show_figures(figures)
    rows = [
        {
            "reviewers": " and ".join(pair.reviewers),
            "faces of both": pair.samples,
            "the same word": f"{100 * pair.observed:.0f} %",
            "Cohen's κ": _figure(pair.kappa),
        }
        for pair in team.pairs
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, row_height=32)
    st.caption("1 is perfect agreement, 0 is what chance gives.")
    if divided:
        faces = "face on which" if divided == 1 else "faces on which"
        st.page_link(
            st.session_state[reviewing.PAGE],
            label=f"Review the {divided:,} {faces} reviewers differ",
            query_params={"queue": "disagreements"},
        )


def _offer_export(events: Sequence[Decision], name: str) -> None:
    st.subheader("Export")
    st.caption(f"{len(events):,} events as they were appended, undos too; without pictures.")
    with st.container(horizontal=True):
        st.download_button("csv", lambda: as_csv(events), f"{name}.csv", "text/csv", on_click="ignore")
        parquet = "application/vnd.apache.parquet"
        st.download_button("Parquet", lambda: as_parquet(events), f"{name}.parquet", parquet, on_click="ignore")


def as_csv(events: Sequence[Decision]) -> bytes:
    """The events as UTF-8 csv with a header; `shown` is JSON text."""
    made = io.StringIO(newline="")
    writer = csv.DictWriter(made, list(Decision.__dataclass_fields__))
    writer.writeheader()
    writer.writerows(_rows(events))
    return made.getvalue().encode()


def as_parquet(events: Sequence[Decision]) -> bytes:
    """The events as a Parquet table; `shown` is JSON text."""
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_rows(events)), made, compression="zstd")
    return made.getvalue()


def _rows(events: Sequence[Decision]) -> list[dict[str, Any]]:
    return [{**asdict(event), "shown": json.dumps(dict(event.shown), sort_keys=True)} for event in events]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
