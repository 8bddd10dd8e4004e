import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from fer_data import decision_log, label_audit, tables
from fer_data.decision_log import Decision, DecisionLog
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.label_audit import AuditConfig

K = len(BASIC7)
COUNT = 420


def planted(count: int, rate: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True labels, given labels of which `rate` moved to the next class, and probabilities that lean to the truth."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % K
    given = np.where(rng.random(count) < rate, (truth + 1) % K, truth)
    logits = rng.normal(0, 1, (count, K)) + 3.5 * np.eye(K)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, given, probabilities


def predictions(path: Path, sample_ids, probabilities, names=BASIC7, kind="predictions", **columns) -> Path:
    table = {"sample_id": list(sample_ids), **columns}
    table |= {f"p_{name}": probabilities[:, index].astype(np.float32) for index, name in enumerate(names)}
    return tables.write_table(path, pa.table(table), tables.provenance(kind, "test"), replace=True)


@pytest.fixture
def noisy(picture_manifest, project):
    """A manifest with 20 % planted noise in train, a clean test split, and predictions for train."""
    truth, given, probabilities = planted(COUNT, 0.2)
    labels = [BASIC7[index] for index in given] + ["fear", "anger"]
    made = picture_manifest(range(COUNT + 2), labels, ["train"] * COUNT + ["test"] * 2)
    path = predictions(project / "predictions.parquet", made.frame["sample_id"][:COUNT], probabilities)
    return made, path, truth, given, probabilities


def test_planted_errors_rank_first(noisy, project):
    made, path, truth, given, _ = noisy
    out = label_audit.audit(made, path, AuditConfig(), project / "audit" / "a.parquet")
    table, metadata = tables.read_table(out, kind="label_audit")
    frame = table.to_pandas()
    assert frame["rank"].tolist() == list(range(1, COUNT + 1))
    assert frame["label_score"].is_monotonic_increasing
    wrong = pd.Series(truth != given, index=made.frame["sample_id"][:COUNT])[frame["sample_id"]].to_numpy()
    assert roc_auc_score(wrong, -frame["label_score"]) > 0.95
    assert wrong[: wrong.sum()].mean() > 0.8
    marked = frame["is_label_issue"].to_numpy()
    assert wrong[marked].mean() > 0.8
    assert marked[wrong].mean() > 0.7
    expected = made.frame.set_index("sample_id")["label"][frame["sample_id"]]
    assert frame["given_label"].tolist() == expected.tolist()
    assert metadata["parents"]["manifests/set.parquet"] == made.sha256
    assert metadata["configuration"]["score"] == "combined"


@pytest.mark.parametrize("score", ["self_confidence", "normalized_margin"])
def test_a_single_score_may_rank(noisy, project, score):
    made, path, _, given, probabilities = noisy
    table = tables.read_table(label_audit.audit(made, path, AuditConfig(score=score), project / "a.parquet"))[0]
    frame = table.to_pandas().set_index("sample_id").loc[made.frame["sample_id"][:COUNT]]
    own = np.take_along_axis(probabilities, given[:, None], axis=1)[:, 0]
    others = probabilities.copy()
    others[np.arange(COUNT), given] = -1
    expected = {"self_confidence": own, "normalized_margin": (own - others.max(axis=1) + 1) / 2}
    assert np.allclose(frame["label_score"], expected[score], atol=1e-6)
    assert np.allclose(frame["self_confidence_score"], own, atol=1e-6)
    order = frame.sort_values("rank")
    assert order["label_score"].is_monotonic_increasing
    for _, members in order.groupby("given_label"):
        assert members["class_rank"].tolist() == list(range(1, len(members) + 1))
    assert sorted(frame["review_rank"]) == list(range(1, COUNT + 1))


def test_planted_errors_are_suggested_back_and_explained(noisy, project):
    made, path, truth, given, _ = noisy
    table = tables.read_table(label_audit.audit(made, path, AuditConfig(), project / "a.parquet"))[0]
    frame = table.to_pandas().set_index("sample_id").loc[made.frame["sample_id"][:COUNT]]
    wrong = truth != given
    suggested = frame["suggested_label"].to_numpy() == np.asarray(BASIC7)[truth]
    changed = frame["suggested_label"].to_numpy() != np.asarray(BASIC7)[given]
    assert suggested[wrong].mean() > 0.5 and suggested[changed & wrong].mean() > 0.9
    assert (frame["kind"][wrong] == "fine").mean() < 0.4 < 0.9 < (frame["kind"][~wrong] == "fine").mean()
    assert frame["label_score"][wrong].mean() < 0.5 < 0.9 < frame["label_score"][~wrong].mean()


def test_a_label_that_is_never_given_has_no_error_rate(picture_manifest, project):
    truth, given, probabilities = planted(COUNT, 0.2)
    kept = (given != 1) & (truth != 1)
    made = picture_manifest(range(kept.sum()), [BASIC7[index] for index in given[kept]], ["train"] * kept.sum())
    path = predictions(project / "p.parquet", made.frame["sample_id"], probabilities[kept])
    summary = label_audit.read_summary(label_audit.audit(made, path, AuditConfig(), project / "a.parquet"))
    assert summary.given["disgust"] == 0
    assert "disgust" not in summary.error_rates and summary.noise["error_rates"]["disgust"] is None
    assert 0.05 < summary.noise["error_rate"]["value"] < 0.4
    assert summary.confusions("disgust") == []


def test_the_summary_tells_rates_and_confusions(noisy, project):
    made, path, _, given, _ = noisy
    summary = label_audit.read_summary(label_audit.audit(made, path, AuditConfig(), project / "a.parquet"))
    assert summary.as_dict()["given"] == dict(zip(BASIC7, np.bincount(given).tolist(), strict=True))
    assert summary.noise["error_rate"]["value"] == pytest.approx(0.2, abs=0.06)
    # The noise moved every label to the next one: what "fear" says is often really disgust.
    assert summary.confusions("fear")[0][0] == "disgust"
    first, second, third, *guarded = summary.lines()
    assert first.startswith("estimated wrong labels ")
    assert re.search(r"\w+ is most often \w+", second)
    assert third.endswith(f"of {COUNT:,} labels marked as suspect")
    assert all("too few faces" in line for line in guarded) and bool(guarded) == bool(summary.guarded)


def test_a_row_without_label_is_left_out_and_counted(picture_manifest, project):
    _, given, probabilities = planted(COUNT, 0.2)
    labels = [None, *(BASIC7[index] for index in given[1:])]
    made = picture_manifest(range(COUNT), labels, [None] * COUNT)
    path = predictions(project / "p.parquet", made.frame["sample_id"], probabilities)
    table, metadata = tables.read_table(label_audit.audit(made, path, AuditConfig(), project / "a.parquet"))
    assert len(table) == COUNT - 1
    assert metadata["left_out_unlabelled"] == 1


def test_the_same_predictions_give_the_same_table(noisy, project):
    made, path, *_ = noisy
    first, second = (
        tables.read_table(label_audit.audit(made, path, AuditConfig(), project / name))[0] for name in ("1", "2")
    )
    assert first.equals(second)


def test_rows_may_come_in_any_order(noisy, project):
    made, path, _, _, probabilities = noisy
    order = np.random.default_rng(3).permutation(COUNT)
    ids = made.frame["sample_id"].to_numpy()[:COUNT][order]
    moved = predictions(project / "moved.parquet", ids, probabilities[order])
    one, other = (
        tables.read_table(label_audit.audit(made, source, AuditConfig(), project / name))[0].to_pandas()
        for source, name in ((path, "1"), (moved, "2"))
    )
    pd.testing.assert_frame_equal(
        one.set_index("sample_id").sort_index(), other.set_index("sample_id").sort_index(), check_exact=True
    )


BAD = {
    "NaN": (np.nan, "expected a number in every row"),
    "negative": (-0.2, "expected 0 or more"),
    "sum": (0.9999, "sum to 1"),
}


@pytest.mark.parametrize(("value", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_no_distribution_is_refused(noisy, project, value, message):
    made, _, _, _, probabilities = noisy
    broken = probabilities.copy()
    broken[5, 2] = value
    path = predictions(project / "bad.parquet", made.frame["sample_id"][:COUNT], broken)
    with pytest.raises(FerError, match=rf"{message}.*1 rows.*set/0005"):
        label_audit.audit(made, path, AuditConfig(), project / "a.parquet")
    assert not (project / "a.parquet").exists()


def test_columns_for_other_labels_are_refused(noisy, project):
    made, _, _, _, probabilities = noisy
    path = predictions(
        project / "bad.parquet", made.frame["sample_id"][:COUNT], probabilities, (*BASIC7[:-1], "contempt")
    )
    with pytest.raises(FerError, match=r"expected the columns sample_id, p_anger.*p_contempt"):
        label_audit.audit(made, path, AuditConfig(), project / "a.parquet")


def test_missing_extra_and_repeated_rows_are_refused(noisy, project):
    made, _, _, _, probabilities = noisy
    ids = made.frame["sample_id"].tolist()[:COUNT]
    cases = {
        "2 missing .first: set/0000": (ids[2:], probabilities[2:]),
        "1 rows that it does not have .first: other/1": ([*ids[1:], "other/1"], probabilities),
        "set/0001 more than once": (["set/0001", *ids[1:]], probabilities),
    }
    for message, (sample_ids, values) in cases.items():
        path = predictions(project / "bad.parquet", sample_ids, values)
        with pytest.raises(FerError, match=message):
            label_audit.audit(made, path, AuditConfig(), project / "a.parquet")


def test_predictions_of_faces_seen_in_training_are_refused(noisy, project):
    made, _, _, given, _ = noisy
    sure = 0.99 * np.eye(K)[given] + 0.01 / K
    path = predictions(project / "seen.parquet", made.frame["sample_id"][:COUNT], sure)
    with pytest.raises(FerError, match=r"100\.0 % agree.*max_agreement"):
        label_audit.audit(made, path, AuditConfig(), project / "a.parquet")
    label_audit.audit(made, path, AuditConfig(max_agreement=1), project / "a.parquet")


def test_one_label_only_is_refused(picture_manifest, project):
    made = picture_manifest(range(3), ["fear"] * 3, ["train"] * 3)
    path = predictions(project / "p.parquet", made.frame["sample_id"], np.full((3, K), 1 / K))
    with pytest.raises(FerError, match="two labels or more, found 1"):
        label_audit.audit(made, path, AuditConfig(), project / "a.parquet")


def test_another_table_and_an_existing_output_are_refused(noisy, project):
    made, path, _, _, probabilities = noisy
    other = predictions(project / "o.parquet", made.frame["sample_id"][:COUNT], probabilities, kind="features")
    with pytest.raises(FerError, match="expected a table of kind 'predictions'"):
        label_audit.audit(made, other, AuditConfig(), project / "a.parquet")
    out = label_audit.audit(made, path, AuditConfig(), project / "a.parquet")
    with pytest.raises(FerError, match="exists"):
        label_audit.audit(made, path, AuditConfig(), out)
    label_audit.audit(made, path, AuditConfig(score="self_confidence"), out, replace=True)
    assert tables.read_metadata(out)["configuration"]["score"] == "self_confidence"


@pytest.mark.parametrize("setting", [{"max_agreement": 0}, {"score": "entropy"}, {"guard": {"cut": "none"}}])
def test_configurations_out_of_range_are_refused(setting):
    with pytest.raises(ValidationError):
        AuditConfig(**setting)


def test_votes_speak_only_when_asked(noisy, project):
    made, path, *_ = noisy
    with pytest.raises(FerError, match="expected votes, found none"):
        label_audit.audit(made, path, AuditConfig(use_votes=True), project / "a.parquet")
    table, _ = tables.read_table(label_audit.audit(made, path, AuditConfig(), project / "a.parquet"))
    assert not {"consensus_score", "crowdlab_score"} & set(table.column_names)


def test_what_people_decided_is_known_in_the_next_audit(noisy, project):
    made, path, truth, given, _ = noisy
    out = label_audit.audit(made, path, AuditConfig(), project / "audit" / "a.parquet")
    worst = tables.read_table(out)[0].to_pandas().head(60)
    given_labels = made.frame["label"]
    positions = [int(sample_id.partition("/")[2]) for sample_id in worst["sample_id"]]
    pixels = made.facts(["pixel_sha256"])["pixel_sha256"]
    with closing(DecisionLog(project / "decisions.sqlite")) as log:
        log.append(
            Decision(
                event_id=decision_log.new_event_id(),
                sample_id=made.frame["sample_id"][position],
                pixel_sha256=pixels[position],
                manifest_sha256=made.sha256,
                action="relabel",
                reviewer="ada",
                time=decision_log.utc_now(),
                label=BASIC7[truth[position]],
                shown={"label": given_labels[position], "suggestion": None, "blind": False},
            )
            for position in positions
        )
    label_audit.audit(made, path, AuditConfig(), out, replace=True)
    table, metadata = tables.read_table(out)
    frame = table.to_pandas().set_index("sample_id")
    decided = frame.loc[worst["sample_id"]]
    assert decided["is_reviewed"].all() and not decided["is_label_issue"].any()
    assert set(decided["rank"]) == set(range(COUNT - 59, COUNT + 1))
    summary = label_audit.read_summary(out)
    assert summary.reviewed == 60 and len(summary.history) == 2
    assert [entry["reviewed"] for entry in summary.history] == [0, 60]
    assert any("decided by people" in line for line in summary.lines())
    assert metadata["summary"]["noise"]["error_rate"]["value"] == pytest.approx((truth != given).mean(), abs=0.08)
