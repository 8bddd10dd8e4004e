"""The decision log, its folding, consensus and agreement, and what `apply` makes of them."""

import csv
import json
import sqlite3
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from fer_data import consensus, decision_log, decisions, licenses, manifest, simulated_review, tables
from fer_data.decision_log import Decision, DecisionLog, not_undone, standing, undo_of
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.votes import FERPLUS_COLUMNS

LABELS = ["fear", "fear", "anger", "disgust", "happiness", None]
SPLITS = ["train", "train", "train", "val", "test", "train"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "fer.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_manifest(root, name="faces", *, source="drawn", seeds=range(6), facts=None, **columns):
    """Six faces of noise; the same seed is the same picture."""
    with StoreWriter(
        name, root, licence=licenses.DRAWN.as_dict(), source=source, votes_labels=FERPLUS_COLUMNS
    ) as writer:
        for row, seed in enumerate(seeds):
            pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
            more = facts[row] if facts else {}
            writer.add(Sample(f"{row}", pixels, LABELS[row], LABELS[row], SPLITS[row], f"row {row}", more))
        store = writer.close()
    frame = manifest.new_rows(
        6,
        **{
            "sample_id": [f"{source}/{row}" for row in range(6)],
            "store": f"stores/{store.path.name}",
            "store_row": np.arange(6),
            "label": LABELS,
            "split": SPLITS,
            "group_id": np.arange(6),
            **columns,
        },
    )
    return manifest.write(
        frame,
        root / "manifests" / name,
        label_set="basic7",
        command="test",
        licence=licenses.DRAWN.as_dict(),
        replace=True,
    )


@pytest.fixture
def faces(project):
    return write_manifest(project)


@pytest.fixture
def log(tmp_path):
    return DecisionLog(tmp_path / "decisions.sqlite")


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


def plain(number, action="keep", **more):
    return Decision(**{**dict(
        event_id=f"e{number}", sample_id="s/1", pixel_sha256="p", manifest_sha256="m", action=action,
        reviewer="ada", time=f"2026-01-01T00:00:{number:02}+00:00",
    ), **more})  # fmt: skip


# -- events ----------------------------------------------------------------------------------------------------


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
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(changes, says):
    with pytest.raises(FerError, match=says):
        plain(1, **changes)


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


def replayed(events):
    """What stands, told the slow way: an event counts unless an undo that itself counts takes it back."""

    def counts(event):
        return not any(other.undoes == event.event_id and counts(other) for other in events)

    kept = [event for event in events if event.action != "undo" and counts(event)]
    return {(event.sample_id, event.reviewer): event for event in kept}


@given(histories())
def test_what_stands_is_what_a_slow_replay_says(events):
    assert standing(events) == replayed(events)


@given(histories(), st.sampled_from(["keep", "drop"]))
def test_a_decision_and_its_undo_change_nothing_and_undoing_the_undo_brings_it_back(events, action):
    decision = plain(50, action)
    undo = undo_of(decision, event_id="e51")
    assert not_undone([*events, decision, undo]) == not_undone(events)
    again = [*events, decision, undo, undo_of(undo, event_id="e52")]
    assert standing(again) == standing([*events, decision])


@given(histories())
def test_the_log_returns_what_was_appended_in_order_whatever_is_sent_twice(events):
    log = DecisionLog("sqlite://")
    assert log.append(events) == len(events)
    assert log.append(events[::-1]) == 0
    assert log.events() == events
    assert log.events("ada") == [event for event in events if event.reviewer == "ada"]
    log.close()


# -- the log ---------------------------------------------------------------------------------------------------


def test_decisions_are_there_for_another_process_the_moment_append_returns(tmp_path):
    log = DecisionLog(tmp_path / "log.sqlite")
    log.append([plain(1, note="Müller <b>", shown={"label": "fear"}, elapsed_ms=800)])
    with sqlite3.connect(tmp_path / "log.sqlite") as other:
        assert other.execute("SELECT event_id, note, elapsed_ms FROM decisions").fetchall() == [
            ("e1", "Müller <b>", 800)
        ]
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute("DELETE FROM decisions")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute("UPDATE decisions SET action = 'drop'")
    with log._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_two_logs_on_one_file_are_one_log(tmp_path):
    first, second = DecisionLog(tmp_path / "log.sqlite"), DecisionLog(tmp_path / "log.sqlite")
    first.append([plain(1)])
    second.append([plain(2), plain(3)])
    assert [event.event_id for event in first.events()] == ["e1", "e2", "e3"]


def test_a_retry_with_another_clock_is_the_same_decision_and_another_decision_under_its_id_is_refused(log):
    log.append([plain(1)])
    assert log.append([replace(plain(1), time="2027-01-01T00:00:00+00:00", elapsed_ms=5)]) == 0
    with pytest.raises(FerError, match="another decision has this id"):
        log.append([plain(2), plain(1, "drop")])
    assert len(log.events()) == 1


def test_an_undo_of_nothing_or_of_someone_elses_decision_is_refused(log):
    log.append([plain(1)])
    with pytest.raises(FerError, match="found none"):
        log.append([undo_of(plain(7))])
    with pytest.raises(FerError, match="found another one"):
        log.append([undo_of(plain(1), reviewer="ben")])
    assert len(log.events()) == 1


def test_what_cannot_be_written_or_read_is_told_in_a_sentence(tmp_path, log):
    with pytest.raises(FerError, match="is missing"):
        DecisionLog(tmp_path / "nowhere.sqlite", must_exist=True)
    (tmp_path / "text.sqlite").write_text("this is no database, and long enough to be seen as none at all" * 9)
    with pytest.raises(FerError, match="cannot be opened"):
        DecisionLog(tmp_path / "text.sqlite")
    log.append([plain(1)])
    with sqlite3.connect(tmp_path / "decisions.sqlite") as other:
        other.execute("ALTER TABLE decisions RENAME TO gone")
    with pytest.raises(FerError, match="NOT saved"):
        log.append([plain(2)])
    with pytest.raises(FerError, match="cannot be read"):
        log.events()


def test_a_full_disk_saves_nothing_and_says_so(tmp_path, log):
    log.append([plain(1)])

    @sa.event.listens_for(log._engine, "connect")
    def cap(connection, _):
        connection.execute("PRAGMA max_page_count=1")  # SQLite answers as it does on a full disk

    log.close()
    with pytest.raises(FerError, match=r"NOT saved \(database or disk is full\)"):
        log.append([plain(2, note="x" * 100_000), plain(3)])
    assert [event.event_id for event in log.events()] == ["e1"]


def test_a_log_of_a_newer_version_is_refused(tmp_path):
    DecisionLog(tmp_path / "log.sqlite").close()
    with sqlite3.connect(tmp_path / "log.sqlite") as other:
        other.execute("UPDATE decision_log SET schema_version = 99")
    with pytest.raises(FerError, match="found 99"):
        DecisionLog(tmp_path / "log.sqlite")


def test_the_password_of_a_database_is_not_told(tmp_path):
    with pytest.raises(FerError) as told:
        DecisionLog(f"sqlite://reviewer:secret@/{tmp_path}/nowhere/log.sqlite?mode=ro", must_exist=True)
    assert "secret" not in str(told.value)


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


# -- consensus and agreement -----------------------------------------------------------------------------------


def test_majority_needs_more_than_half():
    fear, anger = consensus.Verdict("label", "fear"), consensus.Verdict("label", "anger")
    assert consensus.majority([fear]) == fear
    assert consensus.majority([fear, anger, fear]) == fear
    assert consensus.majority([fear, anger]) == consensus.UNSURE
    assert consensus.majority([fear, anger, consensus.DROP]) == consensus.UNSURE


def test_cohen_is_scikit_learns():
    rng = np.random.default_rng(0)
    metrics = pytest.importorskip("sklearn.metrics")
    first = rng.integers(0, 4, 200)
    second = np.where(rng.random(200) < 0.6, first, rng.integers(0, 4, 200))
    expected = metrics.cohen_kappa_score(first, second)
    assert consensus.cohen_kappa(first.tolist(), second.tolist()) == pytest.approx(expected)
    assert consensus.cohen_kappa(["a", "a"], ["a", "a"]) is None


def test_fleiss_is_that_of_the_paper():
    # Ten subjects, fourteen raters, five categories: the worked example that goes around with the method, 0.210.
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    ratings = [[kind for kind, count in enumerate(row) for _ in range(count)] for row in counts]
    assert consensus.fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)
    assert consensus.fleiss_kappa([["a", "a"], ["a", "a", "a"]]) is None


def test_agreement_counts_only_faces_that_two_have_seen():
    assert consensus.agreement([{"ada": "fear"}])["samples"] == 0
    two = consensus.agreement([{"ada": "fear", "ben": "fear"}, {"ada": "fear", "ben": "anger"}, {"ada": "fear"}])
    assert (two["samples"], two["reviewers"], two["observed"], two["method"]) == (2, 2, 0.5, "cohen")
    three = consensus.agreement([{"ada": "fear", "ben": "fear"}, {"ada": "fear", "eve": "fear", "ben": "anger"}])
    assert three["method"] == "fleiss" and three["observed"] == pytest.approx(2 / 4)


# -- apply -----------------------------------------------------------------------------------------------------


def test_each_action_does_what_it_says(faces, log):
    log.append(
        [
            decide(faces, 0, "relabel", "surprise"),
            decide(faces, 1, "keep"),
            decide(faces, 2, "unsure", suggestion="disgust"),
            decide(faces, 3, "unsure"),
            decide(faces, 4, "drop"),
        ]
    )
    clean = decisions.apply(faces, log, "manifests/clean")
    rows = clean.frame.set_index("sample_id")
    assert list(rows.index) == [f"drawn/{row}" for row in (0, 1, 2, 3, 5)]
    assert rows.loc["drawn/0", "label"] == "surprise" and rows.loc["drawn/1", "label"] == "fear"
    assert dict(zip(BASIC7, rows.loc["drawn/2", "target"], strict=True)) == {
        **dict.fromkeys(BASIC7, 0), "anger": 0.5, "disgust": 0.5,
    }  # fmt: skip
    assert rows.loc["drawn/2", "label"] == "anger" and rows.loc["drawn/2", "weight"] == 1
    assert rows.loc["drawn/3", "target"] is None and rows.loc["drawn/3", "weight"] == 0.5
    assert rows["label_origin"].tolist() == ["decision:majority"] * 4 + ["source"]
    assert pd.isna(rows.loc["drawn/5", "label"])
    summary = clean.metadata["decisions"]
    assert {name: summary[name] for name in ("kept", "relabelled", "dropped", "unsure")} == {
        "kept": 1, "relabelled": 1, "dropped": 1, "unsure": 2,
    }  # fmt: skip
    assert summary["splits"]["test"]["dropped"] == 1 and summary["splits"]["train"]["relabelled"] == 1
    assert summary["moves"] == {"fear → surprise": 1} and summary["reviewers"] == ["ada"]
    assert [entry["state"] for entry in manifest.lineage(clean)] == ["as it was"] * 3
    assert manifest.validate(clean, full=True) == []
    assert manifest.read(faces.path).frame.equals(faces.frame)


def test_applying_again_changes_nothing_more(faces, log):
    log.append(
        [
            decide(faces, 0, "relabel", "surprise"),
            decide(faces, 1, "keep"),
            decide(faces, 1, "relabel", "sadness", reviewer="ben"),
            decide(faces, 2, "unsure", suggestion="disgust"),
            decide(faces, 3, "unsure"),
            decide(faces, 4, "drop"),
        ]
    )
    once = decisions.apply(faces, log, "manifests/once")
    twice = decisions.apply(once, log, "manifests/twice")
    pd.testing.assert_frame_equal(once.frame, twice.frame)
    assert twice.metadata["decisions"]["elsewhere"] == 1  # the dropped face


def test_reviewers_who_disagree_leave_a_soft_label_and_their_agreement(faces, log):
    log.append(
        [
            decide(faces, 0, "keep"),
            decide(faces, 0, "relabel", "surprise", reviewer="ben"),
            decide(faces, 1, "relabel", "fear"),  # confirming the label by its key is keeping it
            decide(faces, 1, "keep", reviewer="ben"),
            decide(faces, 2, "drop"),
            decide(faces, 2, "drop", reviewer="ben"),
            decide(faces, 2, "keep", reviewer="eve"),
        ]
    )
    clean = decisions.apply(faces, log, "manifests/clean")
    first = clean.frame.iloc[0]
    assert first["label"] == "fear"
    assert first["target"][BASIC7.index("fear")] == first["target"][BASIC7.index("surprise")] == 0.5
    assert clean.frame["sample_id"].tolist() == [f"drawn/{row}" for row in (0, 1, 3, 4, 5)]
    agreed = clean.metadata["decisions"]["agreement"]
    assert (agreed["samples"], agreed["reviewers"], agreed["method"]) == (3, 3, "fleiss")
    assert clean.metadata["decisions"]["unsure"] == 1 and clean.metadata["decisions"]["kept"] == 1


def test_a_tie_with_a_drop_keeps_the_face_at_half_weight(faces, log):
    log.append([decide(faces, 0, "drop"), decide(faces, 0, "relabel", "anger", reviewer="ben")])
    row = decisions.apply(faces, log, "manifests/clean").frame.iloc[0]
    assert (row["label"], row["target"], row["weight"]) == ("anger", None, 0.5)


def test_an_unsure_reviewer_leaves_votes_and_unlabelled_faces_alone(project, log):
    votes = np.asarray([0.7, 0.1, 0.2, 0, 0, 0, 0], dtype=np.float32)
    faces = write_manifest(project, target=[votes, None, None, None, None, None])
    log.append([decide(faces, 0, "unsure", suggestion="sadness"), decide(faces, 5, "unsure", suggestion="sadness")])
    rows = decisions.apply(faces, log, "manifests/clean").frame
    assert rows["target"].iloc[0].tolist() == votes.tolist() and rows["weight"].iloc[0] == 1
    assert pd.isna(rows["label"].iloc[5]) and rows["target"].iloc[5] is None and rows["weight"].iloc[5] == 0.5


def test_synthetic_faces_are_accepted_or_rejected_and_undone_decisions_do_nothing(faces, log):
    gone = decide(faces, 2, "drop")
    log.append([decide(faces, 0, "accept"), decide(faces, 1, "reject"), gone, undo_of(gone)])
    clean = decisions.apply(faces, log, "manifests/clean")
    assert clean.frame["sample_id"].tolist() == [f"drawn/{row}" for row in (0, 2, 3, 4, 5)]
    assert clean.frame["label_origin"].tolist()[:2] == ["decision:majority", "source"]


def test_a_picture_that_changed_is_refused_and_found_under_another_id(project, log):
    faces = write_manifest(project)
    log.append([decide(faces, 0, "relabel", "surprise"), decide(faces, 1, "drop"), decide(faces, 2, "keep")])
    moved = write_manifest(project, "moved", seeds=[9, 0, 0, 8, 1, 7])  # picture 0 now twice, picture 2 gone
    with pytest.raises(FerError, match=r"3 decisions .* other pictures .*--match pixels"):
        decisions.apply(moved, log, "manifests/clean")
    assert not (project / "manifests/clean.parquet").exists()
    clean = decisions.apply(moved, log, "manifests/clean", match="pixels")
    rows = clean.frame.set_index("sample_id")
    assert list(rows.index) == [f"drawn/{row}" for row in (0, 1, 2, 3, 5)]
    assert rows.loc[["drawn/1", "drawn/2"], "label"].tolist() == ["surprise", "surprise"]
    assert rows.loc["drawn/0", "label"] == "fear"
    assert clean.metadata["decisions"]["elsewhere"] == 1


def test_apply_refuses_what_it_does_not_know(faces, log):
    with pytest.raises(FerError, match="match 'name'"):
        decisions.apply(faces, log, "manifests/clean", match="name")
    with pytest.raises(FerError, match="consensus 'loudest'"):
        decisions.apply(faces, log, "manifests/clean", consensus="loudest")
    with pytest.raises(FerError, match="--replace"):
        decisions.apply(faces, log, faces.path)
    log.append([decide(faces, 0, "relabel", "contempt")])
    with pytest.raises(FerError, match="'contempt', expected a label of basic7"):
        decisions.apply(faces, log, "manifests/clean")


# -- the simulated reviewer ------------------------------------------------------------------------------------


def write_audit(faces, path, ids=None):
    ids = ids or faces.frame["sample_id"].tolist()
    columns = {"sample_id": ids, "suggested_label": ["anger"] * 6, "rank": [3, 1, 2, 4, 5, 6]}
    return tables.write_table(path, pa.table(columns), tables.provenance("label_audit", "test"), replace=True)


def votes(**counts):
    return {"votes": [counts.get(name, 0) for name in FERPLUS_COLUMNS], "votes_source": "FER+"}


def test_the_simulated_reviewer_decides_the_worst_by_what_it_knows(project, log):
    ballots = [
        votes(surprise=8),
        votes(fear=9),
        votes(NF=7, anger=2),
        votes(anger=4, fear=4),
        votes(contempt=9),
        votes(sadness=9),
    ]
    faces = write_manifest(project, facts=ballots)
    audit = write_audit(faces, project / "audit.parquet")
    told = simulated_review.simulate_review(faces, audit, log, 2, rule="ferplus_majority")
    assert told == {"looked_at": 2, "relabel": 0, "drop": 1, "keep": 1, "new": 2}
    assert [event.sample_id for event in log.events()] == ["drawn/1", "drawn/2"]  # only the top of the list
    told = simulated_review.simulate_review(faces, audit, log, 6, rule="ferplus_majority")
    assert told == {"looked_at": 6, "relabel": 2, "drop": 2, "keep": 2, "new": 4}  # the first two are not doubled
    by_id = {event.sample_id: (event.action, event.label) for event in log.events()}
    assert by_id == {
        "drawn/0": ("relabel", "surprise"), "drawn/1": ("keep", None), "drawn/2": ("drop", None),
        "drawn/3": ("keep", None), "drawn/4": ("drop", None), "drawn/5": ("relabel", "sadness"),
    }  # fmt: skip
    assert {event.reviewer for event in log.events()} == {"simulated:ferplus_majority"}


def test_the_simulated_reviewer_knows_what_was_planted(project, log):
    truth = ["surprise", "fear", None, "disgust", "happiness", "neutral"]
    planted = ["label_noise", None, "not_a_face", None, "near_duplicate", None]
    facts = [{"true_label": true, "planted": defect} for true, defect in zip(truth, planted, strict=True)]
    faces = write_manifest(project, facts=facts)
    audit = write_audit(faces, project / "audit.parquet")
    told = simulated_review.simulate_review(faces, audit, log, 100, rule="planted_truth")
    assert told == {"looked_at": 6, "relabel": 2, "drop": 1, "keep": 3, "new": 6}
    clean = decisions.apply(faces, log, "manifests/clean")
    assert clean.frame["label"].tolist() == [name for name in truth if name is not None]


def test_the_simulated_reviewer_refuses_what_it_cannot_know(project, log):
    faces = write_manifest(project)
    audit = write_audit(faces, project / "audit.parquet")
    for rule, says in (("oracle", "rule 'oracle'"), ("ferplus_majority", "no FER"), ("planted_truth", "no planted")):
        with pytest.raises(FerError, match=says):
            simulated_review.simulate_review(faces, audit, log, 3, rule=rule)
    with pytest.raises(FerError, match="found -1"):
        simulated_review.simulate_review(faces, audit, log, -1, rule="planted_truth")
    others = write_audit(faces, project / "other.parquet", [f"other/{row}" for row in range(6)])
    with pytest.raises(FerError, match="audit this manifest"):
        simulated_review.simulate_review(faces, others, log, 3, rule="planted_truth")
    assert log.events() == []
