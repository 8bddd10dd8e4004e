"""Every figure of the audit's benchmark against scikit-learn, cleanlab or a closed form, the whole on small sets."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as reference

from experiments import statistics
from experiments.audit_benchmark import audited, design, figures, growth, methods, paired, planted, ranking, report, run
from experiments.audit_benchmark.comparison import compare
from experiments.audit_benchmark.truth import Truth, read_truth
from fer_data import images, tables
from fer_data import manifest as manifests
from fer_data.auditing import policies
from fer_data.auditing.evidence import Evidence, Repeat, repeats_folder
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.licenses import DRAWN
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.votes import FERPLUS_COLUMNS, reference_labels

SOME = design.JudgeConfig(split="all", bootstrap=100, seeds=2)


def ranked(seed: int, faces: int = 400, distinct: int | None = None):
    generator = np.random.default_rng(seed)
    score = generator.random(faces)
    if distinct:
        score = np.floor(score * distinct) / distinct
    wrong = generator.random(faces) < 0.6 * (1 - score)
    weights = generator.poisson(1.0, (faces, 5)).astype(np.float64)
    return score, wrong, weights


@pytest.mark.parametrize("distinct", [None, 12, 1])
def test_areas_are_those_of_scikit_learn_with_weights_and_ties(distinct):
    score, wrong, weights = ranked(1, distinct=distinct)
    curve = ranking.steps(score, wrong, weights)
    for column in range(weights.shape[1]):
        about = {"sample_weight": weights[:, column]}
        assert ranking.average_precision(curve)[column] == pytest.approx(
            reference.average_precision_score(wrong, -score, **about), abs=1e-12
        )
        assert ranking.roc_area(curve)[column] == pytest.approx(
            reference.roc_auc_score(wrong, -score, **about), abs=1e-12
        )


def test_the_first_k_are_counted_as_a_person_would():
    score, wrong, _ = ranked(2)
    curve = ranking.steps(score, wrong, np.ones((len(score), 1)))
    order = wrong[np.argsort(score)]
    precision = ranking.precision_at(curve, np.array([1, 10, 100, 401]))[:, 0]
    assert precision[:3] == pytest.approx([order[:1].mean(), order[:10].mean(), order[:100].mean()])
    assert np.isnan(precision[3])
    assert ranking.precision_at_errors(curve)[0] == pytest.approx(order[: wrong.sum()].mean())
    assert ranking.found(curve, np.array([[7.0], [1000.0]]))[:, 0] == pytest.approx([order[:7].sum(), wrong.sum()])


def test_a_list_that_ends_among_equal_scores_takes_its_share_of_them():
    curve = ranking.steps(np.array([0.0, 0.5, 0.5, 0.5, 1.0]), np.array([1, 1, 0, 1, 0], bool), np.ones((5, 1)))
    assert ranking.precision_at(curve, np.array([2]))[0, 0] == pytest.approx((1 + 2 / 3) / 2)


def test_without_errors_there_is_nothing_to_rank():
    curve = ranking.steps(np.array([0.1, 0.2]), np.zeros(2, bool), np.ones((2, 3)))
    for figure in (ranking.average_precision, ranking.roc_area, ranking.precision_at_errors):
        assert np.isnan(figure(curve)).all()


def truth_of(given: list[int], seen: list[str | None]) -> Truth:
    return Truth(BASIC7, np.array(given), np.array(seen, dtype=object), np.ones(len(given), dtype=bool))


def test_what_voters_say_of_each_kind_of_face():
    truth = truth_of([0, 0, 0, 0, 0, 6], ["anger", "contempt", None, "unknown", "NF", "fear"])
    assert truth.clear.tolist() == [True, True, False, False, False, True]
    assert truth.wrong.tolist() == [False, True, False, False, False, True]
    assert (truth.ambiguous[2], truth.unknown[3], truth.not_a_face[4]) == (True, True, True)
    assert truth.index.tolist() == [0, -1, -1, -1, -1, BASIC7.index("fear")]
    counts = truth.counts()
    assert (counts["clear"], counts["wrong"], counts["ambiguous"]) == (3, 2, 1)
    assert counts["per_class"]["anger"] == {"clear": 2, "wrong": 1}
    assert truth.restricted(np.arange(6) == 5).counts()["judged"] == 1


@pytest.fixture
def voted(tmp_path):
    """Four faces labelled neutral; voters saw happiness, contempt, nothing clear, and anger."""
    votes = np.zeros((4, 10), dtype=int)
    votes[0, 1], votes[1, 7], votes[3, 4] = 10, 9, 10
    votes[2, :2] = 5
    (tmp_path / "fer.toml").touch()
    root = tmp_path / "voted"
    root.mkdir()
    (root / "fer.toml").touch()
    with StoreWriter("s", root, licence=DRAWN.as_dict(), source="s", votes_labels=FERPLUS_COLUMNS) as writer:
        for row in range(4):
            picture = images.encode_png(np.full((4, 4), row, dtype=np.uint8))
            facts = {"votes": votes[row].tolist()}
            writer.add(Sample(str(row), picture, "neutral", "neutral", None, f"row {row}", facts))
        store = writer.close()
    rows = manifests.new_rows(
        4,
        sample_id=[f"s/{row}" for row in range(4)],
        store=f"stores/{store.path.name}",
        store_row=np.arange(4),
        label="neutral",
        split=["test", "test", "train", "train"],
        group_id=np.arange(4),
    )
    return manifests.write(rows, root / "m", label_set="basic8", command="test", licence=DRAWN.as_dict())


def test_votes_are_read_in_the_order_of_the_audit(voted):
    ids = voted.frame["sample_id"].to_numpy(dtype=object)[::-1]
    given = np.full(len(ids), voted.labels.index("anger"), dtype=np.int64)
    truth = read_truth(voted, ids, given, "all")
    assert truth.seen.tolist() == ["anger", None, "contempt", "happiness"]
    assert truth.wrong.tolist() == [False, False, True, True]
    assert read_truth(voted, ids, given, "test").judged.tolist() == [False, False, True, True]
    with pytest.raises(FerError, match="votes for every audited face, found 1 without"):
        read_truth(voted, np.array(["other/1"], dtype=object), given[:1], "all")
    with pytest.raises(FerError, match="with a clear majority, found none"):
        read_truth(voted, ids, given, "val")


def test_faces_without_votes_judge_nothing(project):
    faces = manifests.read(project / "manifests/faces")
    with pytest.raises(FerError, match="expected FER\\+ votes"):
        read_truth(faces, faces.frame["sample_id"].to_numpy(dtype=object), np.zeros(len(faces), np.int64), "all")


def evidence_of(faces: int, seed: int, repeats: int = 2, classes: int = 7) -> tuple[Evidence, Truth]:
    """Faces of which a quarter are labelled wrong, judged by classifiers that are often right."""
    generator = np.random.default_rng(seed)
    true = np.arange(faces) % classes
    given = np.where(
        generator.random(faces) < 0.25, (true + 1 + generator.integers(0, classes - 1, faces)) % classes, true
    )
    made = []
    for number in range(repeats):
        logits = 2.0 * np.eye(classes)[true] + generator.normal(size=(faces, classes))
        told = given.copy()
        planted = generator.permutation(faces)[: faces // 10]
        told[planted] = (given[planted] + 1) % classes
        probabilities = _softmax(logits).astype(np.float32)
        seen = _softmax(logits + np.eye(classes)[told]).astype(np.float32)
        features = (np.eye(classes)[true] + 0.4 * generator.normal(size=(faces, classes))).astype(np.float32)
        margins = (np.where(told == true, 1.0, -1.0)[:, None] + generator.normal(size=(faces, 4))).astype(np.float32)
        fold = generator.integers(0, 2, faces).astype(np.int16)
        made.append(Repeat(fold, probabilities, told, features, seen, margins))
        assert number < repeats
    probabilities = np.mean([repeat.probabilities for repeat in made], axis=0).astype(np.float64)
    ids = np.array([f"faces/{index}" for index in range(faces)], dtype=object)
    groups = np.arange(faces) // 2
    names = BASIC7[:classes]
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    evidence = Evidence(names, ids, given, probabilities, groups, tuple(made))
    seen_by_voters = np.asarray(names, dtype=object)[true]
    seen_by_voters[::20] = None
    return evidence, Truth(names, given, seen_by_voters, np.ones(faces, dtype=bool))


def _softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def known():
    return evidence_of(420, 3)


@pytest.fixture(scope="module")
def compared(known):
    evidence, truth = known
    source = growth.Source("predictions", evidence, (60.0, 90.0), "vector")
    plain = growth.Source("plain recipe", methods.of_repeats(evidence, [0], "none"), (50.0,), "none")
    return compare(source, plain, truth, SOME.model_copy(update={"budgets_minutes": (0.1, 2.0, 10.0)}))


def test_levels_and_paired_differences_are_those_of_the_faces(known):
    evidence, truth = known
    draws = paired.draw(evidence.groups, 2, 200, 0)
    good = np.where(truth.wrong, 0.1, 0.9) + 0.3 * np.random.default_rng(0).random(len(truth))
    chance = np.random.default_rng(1).random(len(truth))
    judged = paired.judge([{"good": good, "chance": chance}, {"good": good, "chance": 1 - chance}], truth, draws)
    rows = truth.clear
    expected = reference.average_precision_score(truth.wrong[rows], -good[rows])
    assert judged.level("good", "auprc")["value"] == pytest.approx(expected)
    assert judged.level("chance", "auroc")["value"] == pytest.approx(0.5)  # of both seeds: one is the other reversed
    difference = judged.difference("good", "chance", "auroc")
    assert difference["value"] == pytest.approx(expected_area(truth, good) - 0.5)
    assert 0 < difference["low"] < difference["value"] < difference["high"]
    assert len(difference["seeds"]) == 2 and judged.best(["chance", "good"]) == "good"
    assert judged.difference("good", "good", "auprc")["high"] == 0
    own = truth.of_class(2)
    per_class = reference.roc_auc_score(truth.wrong[own], -good[own])
    assert judged.level("good", f"auroc_{BASIC7[2]}")["value"] == pytest.approx(per_class)


def expected_area(truth: Truth, score: np.ndarray) -> float:
    return float(reference.roc_auc_score(truth.wrong[truth.clear], -score[truth.clear]))


def test_the_interval_of_a_share_is_that_of_resampled_groups(known):
    evidence, truth = known
    draws = paired.draw(evidence.groups, 1, 2000, 0)
    found = audited.share(truth.wrong, truth.clear, truth, draws)
    share = truth.wrong.sum() / truth.clear.sum()
    assert found["value"] == pytest.approx(share) and found["faces"] == truth.clear.sum()
    spread = np.sqrt(share * (1 - share) / truth.clear.sum())  # wrong labels are drawn independently of the groups
    assert found["standard_error"] == pytest.approx(spread, rel=0.25)
    assert found["low"] == pytest.approx(share - 1.96 * spread, abs=0.6 * spread)
    nothing = audited.share(truth.wrong, np.zeros(len(truth), bool), truth, draws)
    assert nothing["value"] is None and nothing["faces"] == 0


def test_a_reviewer_meets_all_faces_not_only_the_clear_ones():
    seen = ["anger", None, "fear", "unknown", "fear"] * 200
    truth = truth_of([0] * 1000, seen)
    score = np.tile([0.9, 0.0, 0.1, 0.2, 0.8], 200)
    found = paired.figures(score, truth, np.ones((1000, 1)))
    assert found["wrong_in_500"][0] == 200  # the first 500 are 200 ambiguous, 200 wrong, and unknown ones
    assert found["wrong_or_ambiguous_in_500"][0] == 400
    assert found["recall_in_500"][0] == pytest.approx(0.5)
    assert "wrong_in_2000" not in found


def test_cleanlab_is_called_as_it_is(known):
    from cleanlab.rank import get_label_quality_scores

    evidence, _ = known
    scores = methods.cleanlab_scores(evidence.labels, evidence.probabilities)
    assert set(scores) == set(methods.CLEANLAB)
    adjusted = get_label_quality_scores(evidence.labels, evidence.probabilities, adjust_pred_probs=True)
    assert np.array_equal(scores["cleanlab self-confidence, adjusted"], adjusted)
    without = evidence.labels.copy()
    without[without == 6] = 0
    assert not any("adjusted" in name for name in methods.cleanlab_scores(without, evidence.probabilities))


def test_parts_are_taken_away_one_at_a_time(known):
    evidence, _ = known
    rest = methods.without_parts(evidence)
    assert [repeat.features for repeat in rest["neighbours"].repeats] == [None, None]
    assert all(
        repeat.seen is None and repeat.margins is not None for repeat in rest["in-training probabilities"].repeats
    )
    assert rest["everything but probabilities"].repeats == ()
    assert methods.without_parts(rest["everything but probabilities"]) == {}


def test_single_scores_are_known_for_every_face(known):
    scores = methods.single_scores(methods.of_repeats(known[0], [0], "none"))
    assert {"neighbours", "seen_margin", "self_confidence"} <= set(scores)
    assert all(np.isfinite(score).all() for score in scores.values())


def test_a_few_repeats_have_their_own_calibrated_mean(known):
    evidence, _ = known
    assert methods.of_repeats(evidence, range(2), "vector") is evidence
    first = methods.of_repeats(evidence, [0], "none")
    assert first.probabilities == pytest.approx(evidence.repeats[0].probabilities, abs=1e-6)
    assert len(first.repeats) == 1 and not np.allclose(first.probabilities, evidence.probabilities)


def test_repeats_that_are_looked_at():
    assert growth.repeat_counts([60.0] * 20, (20.0,)) == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 20]
    assert growth.repeat_counts([60.0] * 20, (9.5, 0.5))[-1] == 20 and 9 in growth.repeat_counts([60.0] * 20, (9.5,))
    assert growth.repeat_counts([60.0], ()) == [1]


def test_the_whole_comparison_is_finite_and_json(compared):
    json.dumps(compared, allow_nan=False)
    assert compared["seeds"]["count"] == 2
    assert {entry["method"] for entry in compared["ablation"]} >= {"combined", "without neighbours", "only seen_margin"}
    assert [(point["source"], point["repeats"]) for point in compared["growth"]] == [
        ("predictions", 1), ("predictions", 2), ("plain recipe", 1),
    ]  # fmt: skip
    auprc = compared["whole"]["methods"]["combined"]["auprc"]
    assert auprc["low"] <= auprc["value"] <= auprc["high"]


def test_equal_wall_clock_gives_each_method_what_it_has_time_for(compared):
    first, second = compared["equal_seconds"]  # in 0.1 minutes no repeat ends
    assert (first["minutes"], first["repeats"]) == (2.0, 1)
    assert (second["minutes"], second["repeats"]) == (10.0, 2)
    assert first["cleanlab_seconds"] <= 120 and second["seconds"] >= 150


def test_the_audit_of_nothing_but_probabilities_is_compared_too(known):
    from dataclasses import replace

    evidence, truth = known
    source = growth.Source("predictions", replace(evidence, repeats=()), (), "none")
    found = compare(source, None, truth, SOME)
    assert found["seeds"]["count"] == 1 and "growth" not in found
    assert len(figures.promised({"comparison": found})) > 5


@pytest.mark.parametrize(("faces", "classes"), [(40, 2), (60, 7)])
def test_small_sets_are_judged_without_a_number_that_is_none(faces, classes):
    evidence, truth = evidence_of(faces, 5, repeats=1, classes=classes)
    found = compare(growth.Source("predictions", evidence, (1.0,), "none"), None, truth, SOME)
    json.dumps(found, allow_nan=False)
    assert found["faces"]["judged"] == faces


def test_marks_policies_and_noise_are_counted():
    names = ["anger", "anger", "fear", "contempt", None, "unknown"]
    truth = truth_of([0, 2, 2, 0, 0, 0], names)
    draws = paired.draw(np.arange(6), 1, 100, 0)
    marks = audited.judge_marks(np.array([0, 1, 1, 1, 1, 1], bool), truth, draws)
    assert (marks["marked"], marks["marked_ambiguous"], marks["marked_unknown_or_not_a_face"]) == (5, 1, 1)
    assert marks["precision"]["value"] == pytest.approx(2 / 3) and marks["recall"]["value"] == 1
    assert marks["per_class"]["anger"]["precision"]["value"] == 1
    policy = audited.judge_policy(np.array([0, 0, 2, 1, 1, audited.DROPPED]), truth, draws)
    assert (policy["relabelled"], policy["dropped"]) == (3, 1)
    assert policy["right_of_relabelled"]["value"] == pytest.approx(1 / 2)  # anger is right, contempt is no disgust
    assert policy["right_of_relabelled_if_unclear_is_wrong"]["value"] == pytest.approx(1 / 3)
    assert policy["error_rate_before"]["value"] == pytest.approx(1 / 2)
    assert policy["error_rate_after"]["value"] == pytest.approx(1 / 4)


def test_a_noise_matrix_is_held_to_the_voters_cell_by_cell():
    truth = truth_of([0] * 8 + [2] * 2, ["anger"] * 6 + ["fear"] * 2 + ["fear", "neutral"])
    joint, conditional = audited.true_noise(truth)
    assert joint.sum() == pytest.approx(1) and conditional[0, [0, 2]] == pytest.approx([0.75, 0.25])
    assert np.isnan(conditional[1]).all()
    told = {"value": joint + 0.01, "low": joint - 1, "high": joint + 1}
    rows = {"value": conditional, "low": conditional, "high": np.where(np.eye(7) > 0, conditional - 1, conditional)}
    found = audited.judge_noise({"joint": told, "conditional": rows}, truth)
    assert found["joint"]["mean_absolute_error"] == pytest.approx(0.01) and found["joint"]["coverage"] == 1
    assert found["conditional"]["cells"] == 14 and found["conditional"]["coverage"] == pytest.approx(12 / 14)
    json.dumps(found, allow_nan=False)


def test_an_order_and_the_worst_are_of_the_judged_faces_only():
    truth = truth_of([0] * 600, ["fear", "anger"] * 300).restricted(np.arange(600) < 500)
    assert audited.judge_order(np.arange(600), truth)["wrong_in_500"] == 250
    ids = np.array([str(index) for index in range(600)], dtype=object)
    assert audited.worst_faces(-np.arange(600.0), ids, truth, 2) == ["499", "498"]


def full_report(compared, truth) -> dict:
    draws = paired.draw(np.arange(len(truth)), 1, 100, 0)
    marks = audited.judge_marks(truth.wrong, truth, draws)
    right = np.where(truth.wrong & (truth.index >= 0), truth.index, truth.given)
    joint, conditional = audited.true_noise(truth)
    exact = {name: {part: value for part in ("value", "low", "high")} for name, value in
             (("joint", joint), ("conditional", conditional))}  # fmt: skip
    judged = {
        "marks": marks,
        "cleanlab_marks": marks,
        "policies": {"careful": audited.judge_policy(right, truth, draws)},
        "noise": audited.judge_noise(exact, truth),
        "orders": {"worst first": audited.judge_order(np.where(truth.wrong, 0, 1), truth)},
        "kinds": {"wrong": {"right": 1, "wrong": 20}},
        "worst": ["faces/1", "faces/2"],
        "seconds": 3.0,
    }
    return {"comparison": compared, "audit": judged}


def test_what_was_promised_is_told_with_what_was_reached(known, compared):
    whole = full_report(compared, known[1])
    entries = {entry["figure"]: entry for entry in figures.promised(whole)}
    assert entries["precision of the cut without a person"]["reached"] is True
    assert entries["new labels of the policy 'careful' that are right"]["value"] == 1
    assert entries["mean absolute error of the joint noise matrix"]["reached"] is True
    assert entries["audit after the predictions"]["target"] == "<= 10 s"
    over = entries["AUPRC over cleanlab's best single score, same probabilities, one repeat"]
    assert len(over["seeds"]) == 2 and over["peer"].startswith("cleanlab")
    assert "AUPRC at 180 minutes of training" not in entries and "AUPRC at 10 minutes of training" in entries


def test_a_figure_is_reached_only_where_its_interval_says_so_too(compared):
    changed = json.loads(json.dumps(compared))
    best = changed["seeds"]["best_cleanlab"]
    entry = changed["seeds"]["differences"][best]["auprc"]
    entry.update(value=0.05, low=-0.01, high=0.1)
    assert figures.promised({"comparison": changed})[0]["reached"] is False
    entry.update(low=0.01)
    assert figures.promised({"comparison": changed})[0]["reached"] is True
    entry.update(value=None)
    assert figures.promised({"comparison": changed})[0]["reached"] is None


def test_the_page_has_every_table_and_the_rare_classes_first(known, compared):
    whole = full_report(compared, known[1])
    page = report.markdown(whole | {"figures": figures.promised(whole)})
    for title in ("What was promised", "Paired differences", "Per given label", "What each part contributes",
                  "More compute", "At equal wall-clock", "Policies", "Noise matrix", "The 2 worst labels"):  # fmt: skip
        assert f"\n## {title}" in page or f"## {title}" in page
    rows = page[page.index("## Per given label") :].splitlines()
    assert rows[6].startswith("| disgust") and rows[7].startswith("| fear")
    assert "`faces/1`, `faces/2`" in page and "nan" not in page and "None" not in page


def test_the_preset_resolves_and_an_audit_that_reads_votes_is_refused(tmp_path):
    config = resolve(design.AuditBenchmarkConfig, "experiments/audit_fer2013")
    assert design.predict_config(config.predict, "predict").minutes == 180
    with pytest.raises(FerError, match="audit: expected use_votes: false"):
        design.prepare(config.model_copy(update={"audit": {"use_votes": True}}), tmp_path)
    with pytest.raises(FerError, match="baseline_predict: unknown key 'fold'"):
        design.prepare(config.model_copy(update={"baseline_predict": {"fold": 3}}), tmp_path)


def test_predictions_of_another_manifest_and_other_labels_are_refused(project, voted):
    faces = manifests.read(project / "manifests/faces")
    path = project / "p.parquet"
    tables.write_table(path, pa.table({"sample_id": ["a"]}), {"kind": "predictions", "manifest_sha256": "0"})
    config = design.AuditBenchmarkConfig(manifest="manifests/faces", predictions="p.parquet")
    with pytest.raises(FerError, match="found those of another state"):
        design.prepare(config, project)
    other = config.model_copy(update={"truth": str(voted.path)})
    with pytest.raises(FerError, match="expected the label set basic7"):
        design.prepare(other, project)
    free = config.model_copy(update={"predictions": "missing.parquet"})
    assert design.prepare(free, project)[0].sha256 == faces.sha256


def test_what_repeats_cost_stands_in_their_metadata(tmp_path):
    path = tmp_path / "p.parquet"
    table = pa.table({"sample_id": ["a"]})
    tables.write_table(path, table, {"kind": "predictions", "configuration": {"calibration": "vector"}})
    assert design.repeat_seconds(path) == () and design.calibration_of(path) == "vector"
    for number in range(11):
        tables.write_table(repeats_folder(path) / f"{number}.parquet", table, {"kind": "repeat", "seconds": number})
    assert design.repeat_seconds(path) == tuple(float(number) for number in range(11))
    tables.write_table(repeats_folder(path) / "0.parquet", table, {"kind": "repeat"}, replace=True)
    with pytest.raises(FerError, match="expected `seconds`"):
        design.repeat_seconds(path)
    tables.write_table(
        path, table, {"kind": "predictions", "configuration": {"calibration": "temperature"}}, replace=True
    )
    assert design.calibration_of(path) == "temperature"


@pytest.mark.parametrize("share", [0.05, 0.4])
@pytest.mark.parametrize("kind", ["symmetric", "confusion", "look_alike"])
def test_planted_labels_are_as_many_and_as_wrong_as_asked_for(kind, share):
    evidence, _ = evidence_of(1400, 7, repeats=1)
    clean = evidence.relabelled(np.arange(1400) % 7)
    odds = planted.noise_odds(kind, clean)
    labels = planted.plant_by_odds(clean.labels, odds, share, 0)
    changed = labels != clean.labels
    assert changed.sum() == round(share * 1400)
    assert (odds[changed, labels[changed]] > 0).all()
    again = planted.plant_by_odds(clean.labels, odds, share, 0)
    assert np.array_equal(labels, again)


def test_symmetric_noise_prefers_no_label_and_confusion_has_fer2013s():
    evidence, _ = evidence_of(1400, 7, repeats=1)
    clean = evidence.relabelled(np.arange(1400) % 7)
    labels = planted.plant_by_odds(clean.labels, planted.noise_odds("symmetric", clean), 0.5, 1)
    wrong = np.bincount(((labels - clean.labels) % 7)[labels != clean.labels], minlength=7)[1:]
    assert wrong.sum() == 700 and (np.abs(wrong - 700 / 6) < 4 * np.sqrt(700 / 6)).all()
    odds = planted.noise_odds("confusion", clean)
    happy, neutral, fear = (BASIC7.index(name) for name in ("happiness", "neutral", "fear"))
    assert odds[neutral, fear] > odds[neutral, happy] > 0  # fear is given to many a neutral face
    assert odds[happy].sum() < odds[neutral].sum()


def test_look_alikes_get_the_label_around_them():
    evidence, _ = evidence_of(140, 9, repeats=1)
    true = np.arange(140) % 7
    features = np.eye(7, dtype=np.float32)[true] + 0.5 * np.eye(7, dtype=np.float32)[(true + 1) % 7]
    features[0] = np.eye(7, dtype=np.float32)[3]
    fold = np.zeros(140, dtype=np.int16)
    repeat = Repeat(fold, evidence.repeats[0].probabilities, true.astype(np.int64), features)
    clean = Evidence(
        BASIC7, evidence.sample_ids, true.astype(np.int64), evidence.probabilities, np.arange(140), (repeat,)
    )
    odds = planted.noise_odds("look_alike", clean)
    assert (odds > 0).sum(axis=1).max() == 1
    assert odds[0].argmax() == 3 and odds[0].sum() > odds[1:].sum(axis=1).max()
    with pytest.raises(FerError, match="look_alike: expected features"):
        planted.noise_odds("look_alike", methods.without_parts(clean)["neighbours"])


def test_a_figure_of_any_kind_has_an_interval_over_resamples_and_seeds():
    generator = np.random.default_rng(0)
    observed, resampled = np.array([0.5, 0.7]), generator.normal(0.6, 0.1, (4000, 2))
    weights = statistics.draw_seed_weights(2, 4000, generator)
    level = statistics.level_of(observed, resampled, weights)
    assert level.value == pytest.approx(0.6) and level.standard_error == pytest.approx(0.1, rel=0.1)
    assert statistics.difference_of(observed, resampled, weights).p_value < 0.01


def write_predictions(manifest, evidence: Evidence, path, calibration: str = "none", **metadata) -> None:
    """What `fer predict` would have written of this evidence, for the rows of a manifest that have its ids."""
    names = evidence.names
    given = np.asarray(names, dtype=object)[evidence.labels]
    columns = {
        "sample_id": pa.array(evidence.sample_ids, pa.string()),
        "fold": evidence.repeats[0].fold,
        "given_label": pa.array(given, pa.string()),
        **{f"p_{name}": evidence.probabilities[:, index].astype(np.float32) for index, name in enumerate(names)},
    }
    facts = {"kind": "predictions", "manifest_sha256": manifest.sha256, "configuration": {"calibration": calibration}}
    tables.write_table(path, pa.table(columns), {**facts, **metadata}, replace=True)
    for number, repeat in enumerate(evidence.repeats):
        part = {
            "sample_id": columns["sample_id"],
            "fold": repeat.fold,
            "trained_label": pa.array(np.asarray(names, dtype=object)[repeat.trained_label], pa.string()),
            **{f"p_{name}": repeat.probabilities[:, index] for index, name in enumerate(names)},
            **{f"seen_{name}": repeat.seen[:, index] for index, name in enumerate(names)},
            "margins": pa.FixedSizeListArray.from_arrays(pa.array(repeat.margins.ravel()), repeat.margins.shape[1]),
            "features": pa.FixedSizeListArray.from_arrays(pa.array(repeat.features.ravel()), repeat.features.shape[1]),
        }
        file = repeats_folder(path) / f"{number}.parquet"
        tables.write_table(file, pa.table(part), {"kind": "repeat", "seconds": 30.0 + number}, replace=True)


def audit_table(evidence: Evidence, path, reviewed: int = 0, **configuration):
    """An audit table as the benchmark reads it."""
    names = np.asarray(evidence.names, dtype=object)
    rows, most = np.arange(len(evidence)), evidence.probabilities.argmax(axis=1)
    score = evidence.probabilities[rows, evidence.labels]
    rank = np.argsort(np.argsort(score)) + 1
    columns = {
        "sample_id": pa.array(evidence.sample_ids, pa.string()),
        "given_label": pa.array(names[evidence.labels], pa.string()),
        "suggested_label": pa.array(names[most], pa.string()),
        "suggestion_score": evidence.probabilities.max(axis=1),
        "label_score": score,
        "is_label_issue": score < 0.2,
        "rank": rank,
        "review_rank": rank[::-1],
        "kind": pa.array(np.where(score < 0.2, "wrong", "fine"), pa.string()),
    }
    rules = {name: policy.model_dump() for name, policy in policies.POLICIES.items()}
    tried = {"guarded": ["disgust"], "rules": rules}
    summary = {"reviewed": reviewed}
    facts = {"kind": "label_audit", "configuration": configuration, "policies": tried, "summary": summary}
    return tables.write_table(path, pa.table(columns).take(np.argsort(rank)), facts, replace=True)


@pytest.fixture(scope="module")
def voted_project(tmp_path_factory):
    """A project of 280 faces with votes and wrong labels, and what classifiers would make of them."""
    root = tmp_path_factory.mktemp("voted")
    (root / "fer.toml").touch()
    evidence, truth = evidence_of(280, 11)
    manifest = write_voted(root, evidence, truth)
    return manifest, dataclasses.replace(evidence, groups=manifest.frame["group_id"].to_numpy())


def write_voted(root, evidence, truth):
    with StoreWriter("s", root, licence=DRAWN.as_dict(), source="s", votes_labels=FERPLUS_COLUMNS) as writer:
        for row, seen in enumerate(truth.seen):
            votes = [5, 5] + [0] * 8 if seen is None else [10 * (name == seen) for name in FERPLUS_COLUMNS]
            label = BASIC7[evidence.labels[row]]
            picture = np.full((4, 4), row % 256, dtype=np.uint8)
            writer.add(Sample(str(row), picture, label, label, "train", f"row {row}", {"votes": votes}))
        store = writer.close()
    rows = manifests.new_rows(
        len(evidence),
        sample_id=evidence.sample_ids.tolist(),
        store=f"stores/{store.path.name}",
        store_row=np.arange(len(evidence)),
        label=[BASIC7[code] for code in evidence.labels],
        split="train",
        group_id=evidence.groups,
    )
    licence = DRAWN.as_dict()
    return manifests.write(rows, root / "manifests/voted", label_set="basic7", command="test", licence=licence)


def test_the_benchmark_runs_from_a_manifest_to_its_report(voted_project, monkeypatch):
    manifest, evidence = voted_project
    asked = []

    def predict(given, config, path, run_dir, reporter):
        asked.append((path.stem, config.train.model))
        write_predictions(given, evidence, path)
        return path

    monkeypatch.setattr(run, "predict_out_of_fold", predict)
    config = design.AuditBenchmarkConfig(
        manifest="manifests/voted", predictions="p/ours.parquet", baseline="p/plain.parquet", bootstrap=100, worst=3,
        baseline_predict={"train": {"model": "thin_resnet18"}}, predict={"train": {"model": "thin_resnet10"}},
    )  # fmt: skip
    out = manifest.root / "runs/audit"
    path = run.run_audit_benchmark(config, manifest.root, out)
    assert asked == [("ours", "thin_resnet10"), ("plain", "thin_resnet18")]
    found = json.loads(path.read_text())
    assert len(found["audit"]["worst"]) == 3 and found["audit"]["seconds"] >= 0
    assert found["comparison"]["predict_seconds"] == 61
    assert found["comparison"]["baseline"]["best"] in methods.CLEANLAB
    assert {entry["figure"] for entry in found["figures"]} >= {"AUROC, all repeats", "audit after the predictions"}
    assert found["audit"]["orders"].keys() == {"worst first", "review the next k"}
    page = (out / "report.md").read_text()
    assert "## The 3 worst labels" in page and "plain recipe" in page
    assert "promises kept" in report.answer(found) and "nan" not in report.answer(found)
    run.run_audit_benchmark(config, manifest.root, out)
    assert len(asked) == 2  # what is predicted is not predicted again


def test_policies_are_judged_by_the_rules_of_the_audit(voted_project, tmp_path):
    _, evidence = voted_project
    table, metadata = tables.read_table(audit_table(evidence, tmp_path / "a.parquet"))
    frame = table.to_pandas().set_index("sample_id").loc[evidence.sample_ids]
    labels = run.policy_labels(frame, evidence, metadata)
    assert set(labels) == set(policies.POLICIES)
    changed = labels["thorough"] != evidence.labels
    assert 0 < changed.sum() < 140 and (labels["careful"] != evidence.labels).sum() <= changed.sum()
    rare = BASIC7.index("disgust")
    assert not changed[evidence.labels == rare].any() and not (labels["thorough"][changed] == rare).any()


def test_audits_that_cannot_be_judged_are_refused(voted_project, tmp_path):
    manifest, evidence = voted_project
    truth = read_truth(manifest, evidence.sample_ids, evidence.labels, "train")
    path = audit_table(evidence, tmp_path / "a.parquet", use_votes=True)
    with pytest.raises(FerError, match="cannot be judged by them"):
        run.judge_audit(path, evidence, truth, SOME)
    with pytest.raises(FerError, match="takes 7 faces as decided"):
        run.judge_audit(audit_table(evidence, tmp_path / "a.parquet", reviewed=7), evidence, truth, SOME)
    half = np.arange(len(evidence)) < 140
    path = audit_table(evidence.take(half), tmp_path / "b.parquet")
    with pytest.raises(FerError, match="expected the faces of the predictions"):
        run.judge_audit(path, evidence, truth, SOME)
    train = np.arange(len(evidence)) < 200
    rows = manifest.frame.assign(split=np.where(train, "train", "val"))
    parted = manifests.write(
        rows, manifest.root / "manifests/parted", label_set="basic7", command="test", licence=DRAWN.as_dict()
    )
    write_predictions(parted, evidence, tmp_path / "p.parquet")
    write_predictions(parted, evidence.take(train), tmp_path / "q.parquet")
    with pytest.raises(FerError, match=r"q.parquet: expected the faces of .*p.parquet; predict the same splits"):
        run.judge_predictions(parted, parted, tmp_path / "p.parquet", SOME, baseline=tmp_path / "q.parquet")


def test_planted_cells_are_trained_and_judged(voted_project, monkeypatch, tmp_path):
    manifest, evidence = voted_project
    asked = []

    def predict(given, config, path, run_dir, reporter):
        asked.append(given.name)
        rows = given.frame["sample_id"].map({name: row for row, name in enumerate(evidence.sample_ids)}).to_numpy()
        told = np.array([BASIC7.index(label) for label in given.frame["label"]])
        write_predictions(given, evidence.take(rows).relabelled(told), path)
        run_dir.mkdir()

    monkeypatch.setattr(planted, "predict_out_of_fold", predict)
    config = planted.PlantedConfig(faces=150, shares=(0.2,), bootstrap=100)
    faces = planted.clean_faces(manifest, config, manifest.root / "runs/planted/confirmed")
    truth, _ = reference_labels(faces)
    assert len(faces) == 150 and (truth == faces.frame["label"].to_numpy()).all()
    cells = list(planted.judge_planted(faces, config, tmp_path / "work"))
    assert [cell["kind"] for cell in cells] == ["symmetric", "confusion", "look_alike"]
    assert [cell["errors"] for cell in cells] == [30, 30, 30]
    assert all(cell["figures"]["auroc"]["value"]["value"] > 0.6 for cell in cells)
    assert asked == ["confirmed", "confirmed-symmetric-20", "confirmed-confusion-20", "confirmed-look_alike-20"]
    assert len(list(planted.judge_planted(faces, config, tmp_path / "work"))) == 3 and len(asked) == 4
    assert len(list(tmp_path.rglob("predictions.parquet"))) == 4 and not list(tmp_path.rglob("run"))
    with pytest.raises(FerError, match="expected 281 training faces"):
        planted.clean_faces(manifest, config.model_copy(update={"faces": 281}), manifest.root / "runs/planted/more")


def test_drawn_faces_have_right_labels_and_are_all_trained_on(tmp_path):
    (tmp_path / "fer.toml").touch()
    faces = planted.draw_faces(planted.PlantedConfig(faces=70), tmp_path)
    truth, _ = reference_labels(faces)
    assert (truth == faces.frame["label"].to_numpy()).all() and set(faces.frame["split"]) == {"train"}
    assert faces.frame["label"].value_counts().min() >= 5
    assert planted.draw_faces(planted.PlantedConfig(faces=70), tmp_path).sha256 == faces.sha256  # not drawn again
