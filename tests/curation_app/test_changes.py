"""What decisions would change agrees with what applying them changes, and with the audit's estimate."""

import pyarrow as pa
import pytest
from decisions_made import decide

from curation_app.changes import Consensus, foresee
from curation_app.collection import Collection
from curation_app.history import History
from fer_data import decisions, tables
from fer_data.errors import FerError
from fer_data.expressions import BASIC7


def decide_all(project, log):
    log.append(
        [
            decide(project, 1, "relabel", reviewer="ada", label="surprise"),
            decide(project, 2, "relabel", reviewer="ada", label="surprise"),
            decide(project, 3, "drop", reviewer="ada"),
            decide(project, 4, "keep", reviewer="ada"),
            decide(project, 5, "keep", reviewer="ada"),
            decide(project, 5, "drop", reviewer="ben"),
        ]
    )
    return log.events()


def test_classes_after_are_those_of_the_manifest_that_apply_writes(project, collection, log, tmp_path):
    changes = foresee(collection, decide_all(project, log))
    clean = decisions.apply(project, log, tmp_path / "manifests/clean")
    counts = clean.frame["label"].value_counts()
    assert {entry.label: entry.after for entry in changes.classes} == {name: counts.get(name, 0) for name in BASIC7}
    facts = clean.metadata["decisions"]
    assert changes.outcomes == {name: facts[name] for name in ("relabelled", "dropped", "kept", "unsure")}
    assert changes.moves == {("fear", "surprise"): 2}
    fear = next(entry for entry in changes.classes if entry.label == "fear")
    assert (fear.before, fear.gone, fear.dropped, fear.unsure, fear.after) == (10, 2, 1, 1, 7)


@pytest.mark.parametrize("rule", ["seniority", "crowdlab"])
def test_another_consensus_foresees_what_apply_makes_of_it(project, collection, audit, log, rule):
    decide_all(project, log)
    log.append([decide(project, 1, "relabel", reviewer="ben", label="anger")])
    consensus = Consensus(rule, ("ben",) if rule == "seniority" else (), audit if rule == "crowdlab" else None)
    changes = foresee(collection, log.events(), consensus)
    facts = decisions.apply(project, log, "manifests/clean", **consensus.arguments()).metadata["decisions"]
    assert facts["consensus"] == rule
    assert changes.outcomes == {
        name: facts[name] for name in ("relabelled", "dropped", "kept", "unsure") if facts[name]
    }
    assert {f"{before} → {after}": count for (before, after), count in changes.moves.items()} == facts["moves"]
    assert changes.outcomes != foresee(collection, log.events()).outcomes


def test_decisions_on_a_group_reach_the_rows_that_apply_reaches(project, collection, log):
    outcomes = decisions.preview(project, [decide(project, 1, "drop", scope="group")])
    twins = ["real/1", "made/1"]  # both stores hold the same pictures
    assert [(entry.sample_id, entry.outcome, entry.before) for entry in outcomes] == [
        (twin, "dropped", label) for twin, label in zip(twins, ["fear", "disgust"], strict=True)
    ]


def test_a_picture_that_changed_is_refused_as_apply_refuses_it(project, collection):
    with pytest.raises(FerError, match="were made on other pictures"):
        foresee(collection, [decide(project, 1, "drop", reviewer="ada", pixel_sha256="0" * 64)])


def test_expected_noise_is_the_estimate_less_what_was_found(project, audit, log):
    rate = {"value": 0.5, "low": 0.25, "high": 1.0}
    noise = {
        "labels": list(BASIC7),
        "given": {**dict.fromkeys(BASIC7, 0), "fear": 6},
        "error_rate": rate,
        "error_rates": dict.fromkeys(BASIC7, rate),
    }
    table = tables.read_table(audit)[0]
    facts = tables.provenance("label_audit", "test", summary={"noise": noise})
    tables.write_table(audit, pa.table(table.to_pydict()), facts, replace=True)
    told = {entry.label: entry for entry in foresee(Collection(project, audit), decide_all(project, log)).noise}
    # Six audited faces of fear, three expected wrong; three were found (two became surprise), three are left.
    assert told["fear"].before == (0.5, 0.25, 1.0) and told["fear"].after == (0.0, 0.0, 1.0)
    assert told["surprise"].after[0] == 0  # its two faces are what reviewers say
    assert told["all"].after == (0.0, 0.0, 3 / 5)


def test_without_an_estimate_there_is_no_expected_noise(project, collection, log):
    assert foresee(collection, decide_all(project, log)).noise == []


def test_history_reads_only_what_is_new(project, log):
    history = History()
    assert history.follow(log) == ()
    log.append([decide(project, 1, "keep", reviewer="ada")])
    first = history.follow(log)
    log.append([decide(project, 2, "keep", reviewer="ben")])
    both = history.follow(log)
    assert [event.reviewer for event in both] == ["ada", "ben"] and both[0] is first[0]
    assert history.follow(log) is both
