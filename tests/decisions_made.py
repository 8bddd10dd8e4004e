"""Decisions for tests: plain ones, histories of them, and such as the curator makes of a manifest's faces."""

import sqlalchemy as sa
from hypothesis import strategies as st

from fer_data import decision_log
from fer_data.decision_log import Decision, undo_of


def plain(number, action="keep", **more):
    """Decision number so-and-so, of Ada, on one sample."""
    return Decision(**{**dict(
        event_id=f"e{number}", sample_id="s/1", pixel_sha256="p", manifest_sha256="m", action=action,
        reviewer="ada", time=f"2026-01-01T00:00:{number:02}+00:00",
    ), **more})  # fmt: skip


def decide(faces, row, action, label=None, *, reviewer="ada", suggestion=None, **more):
    """A decision on a row of a manifest, as the curator would make it."""
    given_label = faces.frame["label"].astype(object).iloc[row]
    return Decision(
        **{
            "event_id": decision_log.new_event_id(),
            "sample_id": faces.frame["sample_id"].iloc[row],
            "pixel_sha256": faces.facts(["pixel_sha256"])["pixel_sha256"].iloc[row],
            "manifest_sha256": faces.sha256,
            "action": action,
            "reviewer": reviewer,
            "time": decision_log.utc_now(),
            "label": label,
            "shown": {
                "label": None if given_label != given_label else given_label,
                "suggestion": suggestion,
                "blind": False,
            },
            **more,
        }
    )


@st.composite
def histories(draw):
    """Events of two reviewers on three samples, with undos of decisions and of undos."""
    events = []
    for number in range(draw(st.integers(0, 14))):
        reviewer = draw(st.sampled_from(["ada", "ben"]))
        mine = [event for event in events if event.reviewer == reviewer]
        if mine and draw(st.booleans()):
            events.append(undo_of(draw(st.sampled_from(mine)), event_id=f"e{number}"))
        else:
            action = draw(st.sampled_from(["keep", "drop", "unsure"]))
            sample_id = draw(st.sampled_from(["s/1", "s/2", "s/3"]))
            events.append(plain(number, action, sample_id=sample_id, reviewer=reviewer))
    return events


def raw(log):
    """A connection to a log's database that knows nothing of logs; what it does is committed at once."""
    return sa.create_engine(log._engine.url).connect().execution_options(isolation_level="AUTOCOMMIT")
