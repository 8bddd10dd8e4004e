"""Arms that an experiment makes itself: reviewed, cleaned, with generated or covered faces, kept by identity."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from classifier.data import target_rows
from experiments.arms import AddConfig, Arm, ChooseConfig, MakeConfig, OccludeConfig, ReviewConfig
from experiments.identity import rows_sha256
from experiments.making.added import add_faces, chosen_rows
from experiments.making.covered import add_covered
from experiments.making.labels import clean, estimate_confusions, review
from experiments.making.workshop import Workshop
from fer_data import manifest as manifests
from fer_data import tables
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.licenses import DRAWN
from fer_data.links import group_ids
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.votes import FERPLUS_COLUMNS, distribution


def write_audit(faces: manifests.Manifest, path: Path, seed: int = 0) -> Path:
    """An audit that ranks all faces by chance."""
    order = np.random.default_rng(seed).permutation(len(faces)) + 1
    ids = faces.frame["sample_id"].tolist()
    columns = {"sample_id": ids, "suggested_label": ["anger"] * len(ids), "rank": order}
    return tables.write_table(path, pa.table(columns), tables.provenance("label_audit", "test"), replace=True)


@pytest.fixture
def faces(project: Path) -> manifests.Manifest:
    return manifests.read(project / "manifests/faces")


@pytest.fixture
def audit(faces: manifests.Manifest) -> Path:
    return write_audit(faces, faces.root / "audit.parquet")


CLEAR = {"fear": 6, "sadness": 3, "NF": 1}


@pytest.fixture
def voted(tmp_path: Path) -> manifests.Manifest:
    """420 faces labelled anger in train: of ten votes for each, six say fear, three sadness, one that it is no face."""
    return write_voted(tmp_path, lambda row: CLEAR)


def write_voted(tmp_path: Path, votes: Callable[[int], dict[str, int]]) -> manifests.Manifest:
    with StoreWriter("v", tmp_path, licence=DRAWN.as_dict(), source="v", votes_labels=FERPLUS_COLUMNS) as writer:
        for row in range(420):
            image = np.random.default_rng(row).integers(0, 255, (16, 16)).astype(np.uint8)
            ballot = [votes(row).get(name, 0) for name in FERPLUS_COLUMNS]
            facts = {"votes": ballot, "votes_source": "FER+"}
            writer.add(Sample(f"{row}", image, "anger", "anger", "train", f"{row}", facts))
        store = writer.close()
    ids = [f"v/{row}" for row in range(420)]
    frame = manifests.new_rows(
        420, sample_id=ids, store=f"stores/{store.path.name}", store_row=np.arange(420), label="anger",
        split=["train"] * 400 + ["test"] * 20, group_id=group_ids(ids, np.empty((0, 2), dtype=np.int64)),
    )  # fmt: skip
    (tmp_path / "fer.toml").touch()
    return manifests.write(
        frame, tmp_path / "manifests/voted", label_set="basic7", command="test", licence=DRAWN.as_dict()
    )


def labels_by_id(manifest: manifests.Manifest) -> "pd.Series[str]":
    return manifest.frame.set_index("sample_id")["label"]


def test_a_review_goes_by_suspicion_and_leaves_held_out_faces(faces, audit, tmp_path) -> None:
    out = tmp_path / "manifests/reviewed.parquet"
    reviewed = review(faces, audit, ReviewConfig(faces=40), out)
    ranks = tables.read_table(audit)[0].to_pandas().set_index("sample_id")["rank"]
    frame = faces.frame.set_index("sample_id")
    train = frame.index[frame["split"] == "train"]
    looked_at = ranks[train].sort_values().index[:40]
    expected = frame["label"].copy()
    truth = pd.Series(faces.facts(["true_label"])["true_label"].to_numpy(), index=frame.index)
    expected[looked_at] = truth[looked_at]
    pd.testing.assert_series_equal(labels_by_id(reviewed), expected, check_dtype=False)
    assert (expected != frame["label"]).sum() > 3
    assert reviewed.metadata["decisions"]["reviewers"] == ["simulated:planted_truth"]


def test_a_review_by_chance_grows_without_looking_at_the_audit(faces, audit, tmp_path) -> None:
    def decided(seed: int, count: int | None, table: Path | None = audit) -> set[str]:
        config = ReviewConfig(faces=count, order="random", seed=seed)
        made = review(faces, table, config, tmp_path / f"manifests/{seed}-{count}-{table is None}.parquet").frame
        return set(made["sample_id"][made["label_origin"].str.startswith("decision:")])

    few, more = decided(0, 30), decided(0, 60)
    assert len(few) == 30 and few < more
    assert decided(1, 30) != few
    assert decided(0, 30, None) == few
    everyone = decided(0, None)
    assert everyone == set(faces.frame["sample_id"][faces.frame["split"] == "train"])


def test_one_voter_answers_as_often_as_voters_did(voted) -> None:
    made = review(voted, None, ReviewConfig(order="random", answers="one_vote"), voted.path.with_name("one.parquet"))
    again = review(voted, None, ReviewConfig(order="random", answers="one_vote"), voted.path.with_name("two.parquet"))
    pd.testing.assert_series_equal(labels_by_id(made), labels_by_id(again))
    train = made.frame[made.frame["split"] == "train"]
    counts = train["label"].value_counts()
    assert abs(counts["fear"] - 240) < 4 * np.sqrt(400 * 0.6 * 0.4)
    assert abs(counts["sadness"] - 120) < 4 * np.sqrt(400 * 0.3 * 0.7)
    assert abs(400 - len(train) - 40) < 4 * np.sqrt(400 * 0.1 * 0.9)  # no face: dropped
    assert set(made.frame.loc[made.frame["split"] == "test", "label"]) == {"anger"}
    other = ReviewConfig(order="random", answers="one_vote", seed=1)
    assert not labels_by_id(review(voted, None, other, voted.path.with_name("three.parquet"))).equals(
        labels_by_id(made)
    )


def test_vote_targets_are_the_distribution_over_the_label_set(voted) -> None:
    config = ReviewConfig(faces=100, order="random", targets="votes")
    made = review(voted, None, config, voted.path.with_name("soft.parquet"))
    looked_at = (made.frame["label_origin"] == "decision:majority").to_numpy()
    assert looked_at.sum() == 100
    counts = np.stack([np.array([{"fear": 6, "sadness": 3, "NF": 1}.get(name, 0) for name in FERPLUS_COLUMNS])])
    expected = distribution(counts)[0][[FERPLUS_COLUMNS.index(name) for name in BASIC7]]
    np.testing.assert_allclose(target_rows(made, looked_at), np.tile(expected, (100, 1)), rtol=1e-6)
    assert set(made.frame.loc[looked_at, "label"]) == {"fear"}
    untouched = target_rows(made, ~looked_at)
    assert (untouched[:, BASIC7.index("anger")] == 1).all()


def test_faces_that_nobody_looked_at_are_evidence(voted) -> None:
    """Every training face is called anger and shows fear: of 100 that were looked at, all say so."""
    config = ReviewConfig(faces=100, order="random", others="evidence")
    made = review(voted, None, config, voted.path.with_name("evidence.parquet"))
    looked_at = (made.frame["label_origin"] == "decision:majority").to_numpy()
    others = (made.frame["split"] == "train").to_numpy() & ~looked_at
    assert looked_at.sum() == 100 and others.any()
    assert made.frame["target"][looked_at].isna().all() and made.frame["target"][~others].isna().all()
    assert set(made.frame.loc[others, "label"]) == {"anger"}
    # Nothing is known of the other classes, so that they are taken to be called anger as often as any face is.
    np.testing.assert_allclose(target_rows(made, others), np.full((others.sum(), 7), 1 / 7), rtol=1e-6)


def test_a_face_without_a_clear_expression_stays_evidence(tmp_path) -> None:
    """Every other face divides its voters: the reviewer keeps its label, which tells nothing of what it shows."""
    voted = write_voted(tmp_path, lambda row: CLEAR if row % 2 else {"anger": 5, "fear": 5})
    config = ReviewConfig(order="random", others="evidence")
    made = review(voted, None, config, voted.path.with_name("evidence.parquet"))
    unclear = made.frame["sample_id"].str.removeprefix("v/").astype(int) % 2 == 0
    train = made.frame["split"] == "train"
    assert made.frame["target"][train & ~unclear].isna().all()
    assert made.frame["target"][train & unclear].notna().all()
    assert made.metadata["configuration"]["reviewed"] == 200
    anger, fear = made.labels.index("anger"), made.labels.index("fear")
    assert made.metadata["configuration"]["confusions"][fear][anger] == 1


def test_confusions_are_shares_of_the_true_label() -> None:
    random = np.random.default_rng(0)
    planted = np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.0, 0.5, 0.5]])
    true = random.integers(3, size=30_000)
    given = np.array([random.choice(3, p=planted[label]) for label in true])
    frequencies = np.bincount(given, minlength=4)
    found = estimate_confusions(true, given, frequencies)
    np.testing.assert_allclose(found[:3, :3], planted, atol=0.02)
    np.testing.assert_allclose(found[3], frequencies / 30_000)


def test_the_worst_faces_are_no_evidence_of_others() -> None:
    with pytest.raises(ValueError, match="others: evidence wants order: random"):
        ReviewConfig(faces=10, others="evidence")


def test_reviews_that_lack_what_they_need_are_refused(faces, audit, tmp_path) -> None:
    with pytest.raises(FerError, match="expected the experiment to name an audit"):
        review(faces, None, ReviewConfig(faces=5), tmp_path / "x.parquet")
    with pytest.raises(FerError, match="expected the experiment to name an audit"):
        clean(faces, None, "careful", tmp_path / "x.parquet")
    with pytest.raises(FerError, match="expected FER\\+ votes for targets: votes"):
        review(faces, audit, ReviewConfig(faces=5, targets="votes"), faces.path.with_name("x.parquet"))
    with pytest.raises(FerError, match="have no FER\\+ votes"):
        review(faces, audit, ReviewConfig(faces=5, answers="one_vote"), faces.path.with_name("x.parquet"))


def test_a_policy_cleans_the_training_split_alone(faces, tmp_path) -> None:
    """An audit of all splits that is sure of "anger" everywhere."""
    count = len(faces)
    rules = {"relabel_score": 0.5, "relabel_suggestion": 0.5, "drop_score": 0, "drop_suggestion": 0, "soften_score": 0}
    columns = {
        "sample_id": faces.frame["sample_id"].tolist(),
        "given_label": faces.frame["label"].tolist(),
        "suggested_label": ["anger"] * count,
        "label_score": np.full(count, 0.1),
        "suggestion_score": np.full(count, 0.9),
        "kind": ["wrong"] * count,
        **{f"p_{name}": np.full(count, 1 / 7) for name in BASIC7},
    }
    metadata = tables.provenance(
        "label_audit", "test", parents={"manifests/faces.parquet": faces.sha256},
        policies={"guarded": [], "rules": {"balanced": rules}, "expected": {}},
    )  # fmt: skip
    table = tables.write_table(tmp_path / "all.parquet", pa.table(columns), metadata)
    made = clean(faces, table, "balanced", faces.path.with_name("cleaned.parquet"))
    frame = made.frame.set_index("sample_id").loc[faces.frame["sample_id"]]
    train = (faces.frame["split"] == "train").to_numpy()
    assert set(frame["label"][train]) == {"anger"}
    assert frame["label"][~train].tolist() == faces.frame["label"][~train].tolist()


def test_configurations_that_mean_nothing_are_refused() -> None:
    cases = [
        lambda: AddConfig(),
        lambda: AddConfig(synthetic="a", source="b"),
        lambda: MakeConfig(review=ReviewConfig(), clean="careful"),
        lambda: MakeConfig(
            review=ReviewConfig(order="random", others="evidence"), add=[AddConfig(source="dcgan", ratio=1, weight=1)]
        ),
        lambda: OccludeConfig(occlusions=(), lights=()),
        lambda: OccludeConfig(lights=("lamp",)),
        lambda: ChooseConfig(mixing=[{"ratio": 1, "weight": 1}]),
    ]
    for case in cases:
        with pytest.raises(ValidationError):
            case()


def synthetic_of(faces: manifests.Manifest, write_synthetic: Callable[..., manifests.Manifest]) -> manifests.Manifest:
    """Fourteen generated faces, two of every class, as a manifest of their own."""
    both = write_synthetic(faces, "both", seen=faces.frame[faces.frame["split"] == "train"].iloc[10:13])
    frame = both.frame[both.frame["origin"] == "synthetic"].reset_index(drop=True)
    return manifests.write(
        frame, faces.path.with_name("synthetic"), label_set="basic7", command="test", licence=DRAWN.as_dict()
    )


def add_config(**changes) -> AddConfig:
    values = {"synthetic": "manifests/synthetic", "ratio": 0.05, "weight": 0.3, "same_training": False}
    return AddConfig(**{**values, **changes})


def test_added_faces_are_as_many_as_the_class_asks_for(faces, write_synthetic) -> None:
    synthetic = synthetic_of(faces, write_synthetic)
    have = faces.frame.loc[faces.frame["split"] == "train", "label"].value_counts()
    made = add_faces(faces, synthetic, add_config(classes=["fear", "disgust"]), faces.path.with_name("more.parquet"))
    added = made.frame[made.frame["origin"] == "synthetic"]
    assert added["label"].value_counts().to_dict() == {name: round(0.05 * have[name]) for name in ("fear", "disgust")}
    np.testing.assert_allclose(added["weight"], 0.3, rtol=1e-6)
    assert len(made) == len(faces) + len(added)
    few = chosen_rows(faces, synthetic, add_config(ratio=0.03, classes=["fear"]))
    more = chosen_rows(faces, synthetic, add_config(ratio=0.06, classes=["fear"]))
    assert few.sum() == 1 and more.sum() == 2 and (few <= more).all()
    everything = chosen_rows(faces, synthetic, add_config(ratio=0.03))
    assert set(synthetic.frame["label"][everything]) == set(BASIC7)


def test_added_faces_that_are_not_there_are_refused(faces, write_synthetic) -> None:
    synthetic = synthetic_of(faces, write_synthetic)
    with pytest.raises(FerError, match=r"expected \d+ faces of fear .* found 2; draw more"):
        chosen_rows(faces, synthetic, add_config(ratio=1, classes=["fear"]))
    assert chosen_rows(faces, synthetic, add_config(ratio=1, classes=["fear"], short="take")).sum() == 2
    masked = chosen_rows(faces, synthetic, add_config(conditions="changed"))  # all of them are
    np.testing.assert_array_equal(masked, chosen_rows(faces, synthetic, add_config()))
    with pytest.raises(FerError, match="expected generated faces to add, found none"):
        chosen_rows(faces, synthetic, add_config(conditions="plain"))
    with pytest.raises(FerError, match="expected classes of basic7"):
        chosen_rows(faces, synthetic, add_config(classes=["joy"]))
    with pytest.raises(FerError, match="learnt from the training faces and labels of manifests/faces.parquet"):
        add_faces(faces, synthetic, add_config(same_training=True), faces.path.with_name("more.parquet"))
    other = manifests.write(
        synthetic.frame, faces.path.with_name("eight"), label_set="basic8", command="test", licence=DRAWN.as_dict()
    )
    with pytest.raises(FerError, match="expected the label set basic7"):
        chosen_rows(faces, other, add_config())


def test_covered_faces_are_copies_with_their_conditions(faces) -> None:
    made = add_covered(faces, OccludeConfig(share=0.25, weight=0.5), faces.path.with_name("covered.parquet"))
    copies = made.frame["origin"] == "derived"
    train = int((faces.frame["split"] == "train").sum())
    assert copies.sum() == round(0.25 * train)
    facts = made.facts(["occlusion", "light", "parents", "condition_source"], copies.to_numpy())
    assert (facts["condition_source"] == "applied").all()
    ways = {
        (occlusion != "none", light != "normal")
        for occlusion, light in zip(facts["occlusion"], facts["light"], strict=True)
    }
    assert ways == {(True, False), (False, True), (True, True)}
    assert set(facts["light"]) == {"low", "normal"}
    parents = faces.frame.set_index("sample_id").loc[[names[0] for names in facts["parents"]]]
    kept = made.frame[copies].reset_index(drop=True)
    for column in ("label", "group_id", "split"):
        assert kept[column].tolist() == parents[column].tolist()
    assert (kept["weight"] == 0.5).all()
    pictures = made.pictures(16, 1, copies.to_numpy())
    rows = faces.frame["sample_id"].isin(parents.index).to_numpy()
    assert (pictures != faces.pictures(16, 1, rows)).any(axis=(1, 2, 3)).all()
    again = add_covered(faces, OccludeConfig(share=0.25, weight=0.5), faces.path.with_name("again.parquet"))
    assert rows_sha256(again) == rows_sha256(made)


def workshop(root: Path, audit: Path | None = None, **changes) -> Workshop:
    return Workshop(**{"name": "x", "root": root, "audit": audit, "sources": {}, **changes})


def arm(name: str = "a", **make) -> Arm:
    return Arm(name=name, make=MakeConfig(**make))


def test_steps_are_made_once_and_shared_by_arms(faces, audit, write_synthetic) -> None:
    synthetic_of(faces, write_synthetic)
    shop = workshop(faces.root, audit)
    plain = shop.make(arm("audited", review={"faces": 30}), faces)
    steps = sorted(shop.folder.glob("steps/*.parquet"))
    more = shop.make(arm("more", review={"faces": 30}, add=[add_config()]), faces)
    assert len(list(shop.folder.glob("steps/review-*[0-9a-f].parquet"))) == 1
    assert steps == sorted(set(shop.folder.glob("steps/*.parquet")) - set(shop.folder.glob("steps/add-*")))
    assert 7 <= len(more) - len(plain) <= 14
    assert more.frame["sample_id"][: len(plain)].tolist() == plain.frame["sample_id"].tolist()
    written = shop.folder / "more.parquet"
    before = written.stat().st_mtime_ns
    assert rows_sha256(shop.make(arm("more", review={"faces": 30}, add=[add_config()]), faces)) == rows_sha256(more)
    assert written.stat().st_mtime_ns == before
    changed = shop.make(arm("more", review={"faces": 130}, add=[add_config()]), faces)
    assert rows_sha256(changed) != rows_sha256(more)
    assert shop.make(Arm(name="as_it_is"), faces) is faces
    assert more.metadata["configuration"]["add"][0]["weight"] == 0.3


def test_manifests_that_somebody_else_changed_are_not_taken(faces, audit) -> None:
    shop = workshop(faces.root, audit)
    made = shop.make(arm(review={"faces": 30}), faces)
    shutil.copy(faces.path, shop.folder / "b.parquet")
    with pytest.raises(FerError, match="expected a manifest that this experiment made for arm b"):
        shop.make(arm("b", review={"faces": 30}), faces)
    manifests.write(
        made.frame.iloc[1:], made.path, label_set="basic7", command="test", licence=DRAWN.as_dict(), replace=True,
        made=made.metadata["made"],
    )  # fmt: skip
    with pytest.raises(FerError, match="the manifest of arm a changed since it was made"):
        shop.make(arm(review={"faces": 30}), faces)


def test_what_arms_ask_for_has_to_be_there(faces) -> None:
    with pytest.raises(FerError, match="arm a: .*nowhere.parquet is missing; audit the faces first"):
        workshop(faces.root, faces.root / "nowhere.parquet").make(arm(review={"faces": 3}), faces)
    with pytest.raises(FerError, match="arm a: add: expected one of the experiment's sources"):
        workshop(faces.root).make(arm(add=[{"source": "gan", "ratio": 1, "weight": 1}]), faces)
    missing = arm(add=[{"synthetic": "manifests/nowhere", "ratio": 1, "weight": 1}])
    with pytest.raises(FerError, match=r"arm a: .*nowhere\.parquet is missing"):
        workshop(faces.root).make(missing, faces)
    assert workshop(faces.root, draws=False).make(missing, faces) is None
    assert workshop(faces.root).labels_of(missing, faces) is faces
