"""Events of the decision log: which are refused, what stands of them, and their files."""

import csv
import json

import pytest
from decisions_made import histories, plain
from hypothesis import given
from hypothesis import strategies as st

from fer_data import decision_log, tables
from fer_data.decision_log import RefusedDecisionError, not_undone, standing, undo_of
from fer_data.errors import FerError


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"action": "guess"}, "expected an action"),
        ({"scope": "dataset"}, "expected a scope"),
        ({"action": "relabel"}, "expected a label"),
        ({"label": "fear"}, "expected a label"),
        ({"action": "undo"}, "expected undoes"),
        ({"undoes": "e0"}, "expected undoes"),
        ({"reviewer": " "}, "a reviewer's name"),
        ({"elapsed_ms": -1}, "ms of looking, found -1"),
        ({"elapsed_ms": 2**31}, "ms of looking"),
        ({"note": "a\0b"}, r"found 'a\\x00b' as its note"),
        ({"reviewer": "ada\ud83d"}, "as its reviewer"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(changes, says):
    with pytest.raises(RefusedDecisionError, match=says):
        plain(1, **changes)


def replayed(events):
    """What stands, told the slow way: an event counts unless an undo that itself counts takes it back."""

    def counts(event):
        return not any(other.undoes == event.event_id and counts(other) for other in events)

    kept = [event for event in events if event.action != "undo" and counts(event)]
    return {(event.sample_id, event.reviewer): event for event in kept}


@given(histories())
def test_what_stands_is_what_a_slow_replay_says_the_oldest_first(events):
    stands = standing(events)
    assert stands == replayed(events)
    assert list(stands.values()) == sorted(stands.values(), key=events.index)


@given(histories(), st.sampled_from(["keep", "drop"]))
def test_a_decision_and_its_undo_change_nothing_and_undoing_the_undo_brings_it_back(events, action):
    decision = plain(50, action)
    undo = undo_of(decision, event_id="e51")
    assert not_undone([*events, decision, undo]) == not_undone(events)
    again = [*events, decision, undo, undo_of(undo, event_id="e52")]
    assert standing(again) == standing([*events, decision])


def test_export_as_csv_and_parquet(tmp_path):
    events = [plain(1, note='"quoted", and\na line', shown={"label": "fear", "blind": False}), plain(2, "drop")]
    rows = list(csv.DictReader(decision_log.export(events, tmp_path / "d.csv").open(newline="")))
    assert [row["action"] for row in rows] == ["keep", "drop"]
    assert rows[0]["note"] == events[0].note and json.loads(rows[0]["shown"]) == events[0].shown
    table, metadata = tables.read_table(decision_log.export(events, tmp_path / "d.parquet"), kind="decisions")
    assert table["event_id"].to_pylist() == ["e1", "e2"]
    assert metadata["log_sha256"] == decision_log.log_sha256(events)
    with pytest.raises(FerError, match=r"expected a name that ends in \.csv"):
        decision_log.export(events, tmp_path / "d.xlsx")
    with pytest.raises(FerError, match="exists"):
        decision_log.export(events, tmp_path / "d.csv")
