"""The verbs of the decision log as a user meets them."""

import csv
import json
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from decisions_made import decide

from fer_data import tables
from fer_data.decision_log import DecisionLog, undo_of

LABELS = ["fear", "fear", "anger", "sadness"]


@pytest.fixture
def faces(noise_manifest):
    return noise_manifest(LABELS, ["train"] * 4)


@pytest.fixture
def decided(faces, project):
    """What two reviewers decided of four faces, in the log of the project."""
    gone = decide(faces, 3, "drop", elapsed_ms=900)
    events = [
        decide(faces, 0, "keep", elapsed_ms=1_000),
        decide(faces, 0, "keep", reviewer="bo"),
        decide(faces, 1, "relabel", "surprise", elapsed_ms=2_000),
        decide(faces, 1, "keep", reviewer="bo"),
        gone,
        undo_of(gone),
    ]
    with closing(DecisionLog(project / "decisions.sqlite")) as log:
        log.append(events)
    return events


def events_of(place):
    with closing(DecisionLog(place, must_exist=True)) as log:
        return log.events()


@pytest.mark.parametrize("verb", ["backup", "export", "copy", "reviewers"])
def test_every_verb_of_the_log_explains_itself(fer, verb):
    code, out, _ = fer("decisions", verb, "--help")
    assert code == 0 and f"fer decisions {verb}" in out and "--db" in out


def test_a_backup_comes_back_by_a_copy(fer, decided, project):
    code, out, _ = fer("decisions", "backup", "kept/today.sqlite")
    assert code == 0 and "6 events" in out and "→ kept/today.sqlite" in out
    assert events_of("kept/today.sqlite") == decided
    code, out, error = fer("decisions", "backup", "kept/today.sqlite")
    assert code == 1 and "--replace" in error
    assert json.loads(fer("decisions", "backup", "kept/today.sqlite", "--replace", "--json")[1])["events"] == 6

    (project / "decisions.sqlite").unlink()
    for new in (6, 0):  # what is there already is not doubled
        code, out, _ = fer("decisions", "copy", "decisions.sqlite", "--db", "kept/today.sqlite")
        assert code == 0 and f"6 events, {new} new" in out
    assert events_of("decisions.sqlite") == decided


def test_a_team_moves_to_postgresql_and_back(fer, faces, decided, postgresql, project):
    url = postgresql.new_database()
    code, out, error = fer("decisions", "copy", url)
    assert code == 0 and "6 events, 6 new" in out and "→ postgresql+psycopg://fer@/" in out, error
    code, out, error = fer("apply", "manifests/noise", "--db", url, "--out", "manifests/clean")
    assert code == 0 and "1 unsure · 1 kept · by ada, bo" in out, error
    assert fer("decisions", "backup", "team.sqlite", "--db", url)[0] == 0
    assert events_of("team.sqlite") == decided


def test_export_writes_a_row_for_every_event(fer, decided):
    assert fer("decisions", "export", "all.csv")[0] == 0
    with Path("all.csv").open(newline="") as handle:
        assert [row["event_id"] for row in csv.DictReader(handle)] == [event.event_id for event in decided]
    assert "6 events" in fer("decisions", "export", "all.parquet")[1]
    assert pq.read_table("all.parquet")["reviewer"].to_pylist()[:2] == ["ada", "bo"]
    code, _, error = fer("decisions", "export", "all.xlsx")
    assert code == 1 and "ends in .csv or .parquet" in error


def test_reviewers_tells_pace_and_agreement(fer, decided):
    code, out, _ = fer("decisions", "reviewers")
    assert code == 0
    assert "ada: 2 decisions, 1 taken back, 40 a minute" in out and "bo: 2 decisions, 0 taken back\n" in out
    assert "ada and bo: the same on 50 % of 2 faces, Cohen's κ 0.00" in out
    assert "Krippendorff's α 0.00 · 1 faces with different words" in out and "Fleiss" not in out
    facts = json.loads(fer("decisions", "reviewers", "--json")[1])
    assert facts["disagreements"] == 1 and facts["pairs"][0]["samples"] == 2
    assert facts["reviewers"][0]["median_seconds"] == 1.5


def test_without_a_log_each_verb_says_so_and_begins_none(fer, project):
    for arguments in (["backup", "b.sqlite"], ["export", "e.csv"], ["copy", "c.sqlite"], ["reviewers"]):
        code, _, error = fer("decisions", *arguments)
        assert code == 1 and "decisions.sqlite is missing" in error and error.count("\n") == 1
    assert [path.name for path in project.iterdir()] == ["fer.toml"]


def test_apply_settles_by_the_rule_that_was_asked_for(fer, faces, decided, project):
    code, out, _ = fer("apply", "manifests/noise", "--out", "manifests/a", "--consensus", "seniority",
                       "--seniority", "ada, bo")  # fmt: skip
    assert code == 0 and "1 relabelled · 0 dropped · 0 unsure · 1 kept" in out
    code, out, _ = fer("apply", "manifests/noise", "--out", "manifests/b", "--consensus", "seniority",
                       "--seniority", "bo")  # fmt: skip
    assert code == 0 and "0 relabelled · 0 dropped · 0 unsure · 2 kept" in out
    code, _, error = fer("apply", "manifests/noise", "--out", "manifests/c", "--consensus", "seniority")
    assert code == 1 and "add --seniority anna,bo" in error
    code, _, error = fer("apply", "manifests/noise", "--out", "manifests/c", "--consensus", "crowdlab")
    assert code == 1 and "audit/noise.parquet is missing" in error


def test_apply_by_crowdlab_says_which_faces_no_model_knows(fer, faces, decided, project):
    pytest.importorskip("cleanlab")
    probabilities = {f"p_{label}": [0.9 if label == "surprise" else 0.1 / 6] for label in faces.labels}
    table = pa.table({"sample_id": [faces.frame["sample_id"].iloc[1]], **probabilities})
    tables.write_table(project / "audit/noise.parquet", table, tables.provenance("label_audit", "test"))
    code, out, error = fer("apply", "manifests/noise", "--out", "manifests/a", "--consensus", "crowdlab")
    assert code == 0, error
    assert "1 relabelled · 0 dropped · 0 unsure · 1 kept" in out
    assert "1 faces are not in audit/noise.parquet: settled by majority" in out
