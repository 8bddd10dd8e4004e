"""What `apply` makes of decisions, and the reviewer that is a program."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from decisions_made import decide

from fer_data import decisions, licenses, manifest, simulated_review, tables
from fer_data.decision_log import DecisionLog, undo_of
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


def by_three(faces, row, ada, ben, eve):
    """What three reviewers say of a row; a label, or an action that takes none."""
    actions = ("keep", "drop", "unsure")
    return [
        decide(faces, row, said, reviewer=name)
        if said in actions
        else decide(faces, row, "relabel", said, reviewer=name)
        for name, said in (("ada", ada), ("ben", ben), ("eve", eve))
        if said is not None
    ]


def test_by_seniority_the_most_seniors_word_stands(faces, log):
    log.append(
        [
            *by_three(faces, 0, "surprise", "surprise", "keep"),
            *by_three(faces, 1, "drop", "surprise", None),
            *by_three(faces, 2, "fear", "fear", "unsure"),
            *by_three(faces, 3, "drop", None, None),
            *by_three(faces, 4, "keep", "sadness", "drop"),
        ]
    )
    clean = decisions.apply(faces, log, "manifests/clean", consensus="seniority", seniority=["eve", "ben"])
    rows = clean.frame.set_index("sample_id")
    assert list(rows.index) == ["drawn/0", "drawn/1", "drawn/2", "drawn/5"]
    assert rows["label"].tolist()[:3] == ["fear", "surprise", "anger"]
    assert rows.loc["drawn/2", "target"] is None and rows.loc["drawn/2", "weight"] == 0.5  # eve's doubt, nobody's fear
    assert rows["label_origin"].tolist() == ["decision:seniority"] * 3 + ["source"]
    assert clean.metadata["decisions"]["seniority"] == ["eve", "ben"]
    assert clean.metadata["configuration"]["seniority"] == ["eve", "ben"]


def test_an_order_of_seniority_that_cannot_be_meant_is_refused(faces, log):
    log.append(by_three(faces, 0, "keep", "drop", None))
    with pytest.raises(FerError, match=r"expected an order of reviewers, found none; add --seniority"):
        decisions.apply(faces, log, "manifests/clean", consensus="seniority")
    with pytest.raises(FerError, match=r"who decided \(ada, ben\), found 'anna'"):
        decisions.apply(faces, log, "manifests/clean", consensus="seniority", seniority=["ada", "anna"])
    with pytest.raises(FerError, match="of consensus 'seniority', found 'majority'"):
        decisions.apply(faces, log, "manifests/clean", seniority=["ada"])


def write_opinions(path, faces, certain, rows=range(6)):
    """A model that gives each row's label `certain[row]` nine tenths of the probability."""
    ids = faces.frame["sample_id"].tolist()
    columns = {"sample_id": [ids[row] for row in rows]}
    for label in BASIC7:
        columns[f"p_{label}"] = [0.9 if certain[row] == label else 0.1 / 6 for row in rows]
    return tables.write_table(path, pa.table(columns), tables.provenance("predictions", "test"), replace=True)


def test_by_crowdlab_a_model_weighs_in_where_reviewers_differ(project, log):
    pytest.importorskip("cleanlab")
    faces = write_manifest(project)
    log.append(
        [
            *by_three(faces, 0, "surprise", "keep", None),
            *by_three(faces, 1, "surprise", "keep", None),
            *by_three(faces, 2, "fear", None, None),  # the model has no say against one who is alone
            *by_three(faces, 3, "drop", "drop", "keep"),
            *by_three(faces, 4, "keep", "sadness", None),
        ]
    )
    model = ["surprise", "fear", "sadness", "sadness", None, None]
    table = write_opinions(project / "opinions.parquet", faces, model, rows=range(4))
    clean = decisions.apply(faces, log, "manifests/clean", consensus="crowdlab", audit=table)
    rows = clean.frame.set_index("sample_id")
    assert list(rows.index) == ["drawn/0", "drawn/1", "drawn/2", "drawn/4", "drawn/5"]
    assert rows["label"].tolist()[:3] == ["surprise", "fear", "fear"]
    assert rows.loc["drawn/4", "target"] is not None  # no opinion on it: a tie, as by majority
    assert clean.metadata["decisions"]["without_opinion"] == 1 and clean.metadata["decisions"]["unsure"] == 1
    assert any(name.endswith("opinions.parquet") for name in clean.metadata["parents"])
    assert rows["label_origin"].tolist()[0] == "decision:crowdlab"


def test_crowdlab_without_probabilities_is_refused(faces, log, project):
    log.append(by_three(faces, 0, "keep", "drop", None))
    with pytest.raises(FerError, match="expected a model's probabilities, found none"):
        decisions.apply(faces, log, "manifests/clean", consensus="crowdlab")
    with pytest.raises(FerError, match="p_anger is missing; give an audit"):
        table = write_audit(faces, project / "audit.parquet")
        decisions.apply(faces, log, "manifests/clean", consensus="crowdlab", audit=table)
    assert not (project / "manifests/clean.parquet").exists()


def test_a_decision_on_a_group_is_about_every_row_with_the_picture(project, log):
    faces = write_manifest(project, seeds=[0, 0, 1, 0, 1, 2])
    log.append(
        [
            decide(faces, 0, "relabel", "surprise", scope="group"),
            decide(faces, 1, "keep"),  # her own word on this very row
            decide(faces, 2, "drop"),
        ]
    )
    rows = decisions.apply(faces, log, "manifests/clean").frame.set_index("sample_id")
    assert list(rows.index) == [f"drawn/{row}" for row in (0, 1, 3, 4, 5)]
    assert rows["label"].tolist()[:4] == ["surprise", "fear", "surprise", "happiness"]


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
    assert told == {"looked_at": 2, "relabel": 0, "drop": 1, "keep": 1, "unsure": 0, "new": 2}
    assert [event.sample_id for event in log.events()] == ["drawn/1", "drawn/2"]  # only the top of the list
    told = simulated_review.simulate_review(faces, audit, log, 6, rule="ferplus_majority")
    assert told == {
        "looked_at": 6,
        "relabel": 2,
        "drop": 2,
        "keep": 2,
        "unsure": 0,
        "new": 4,
    }  # the first two are not doubled
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
    assert told == {"looked_at": 6, "relabel": 2, "drop": 1, "keep": 3, "unsure": 0, "new": 6}
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
