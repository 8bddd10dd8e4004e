import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fer_data import manifest, tables
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.links import crossing_groups
from fer_data.splits import SplitConfig, describe_split, split, stratified_subset

EVERYTHING = ("none", "train", "val", "test")


def drawn(picture_manifest, count=210, *, splits=None, pictures=None, labels=None, **more):
    labels = labels or [BASIC7[row % 7] for row in range(count)]
    return picture_manifest(
        list(range(count)) if pictures is None else pictures, labels, splits or [None] * count, **more
    )


def link_table(project, pairs, kind="near"):
    table = pa.table({"a": [a for a, _ in pairs], "b": [b for _, b in pairs], "kind": [kind] * len(pairs)})
    return tables.write_table(project / "links.parquet", table, tables.provenance("links", "test"), replace=True)


def test_rows_without_a_split_get_one_in_the_shares_of_every_label(picture_manifest):
    made = split(drawn(picture_manifest), SplitConfig(), "manifests/split")
    cells = made.frame.groupby(["label", "split"]).size()
    assert (cells.xs("train", level="split") == 24).all()
    assert (cells.xs("val", level="split") == 3).all()
    assert made.metadata["counts"]["splits"]["test"] == dict.fromkeys(BASIC7, 3)
    assert made.metadata["split"]["straddling_groups"] == 0
    assert made.metadata["configuration"]["shares"] == {"train": 0.8, "val": 0.1, "test": 0.1}
    assert list(made.metadata["parents"]) == ["manifests/set.parquet"]
    lines = describe_split(made.metadata)
    assert lines[0] == "train 168 (80.0 %) · val 21 (10.0 %) · test 21 (10.0 %)"
    assert lines[1] == "anger        24 (80.0 %) · 3 (10.0 %) · 3 (10.0 %)"
    assert len(lines) == 8


def test_the_order_of_rows_does_not_matter_and_the_seed_does(picture_manifest):
    source = drawn(picture_manifest)
    shuffled = manifest.write(
        source.frame.sample(frac=1, random_state=1), "shuffled", label_set="basic7", command="test", licence={}
    )
    first = split(source, SplitConfig(seed=3), "one").frame.set_index("sample_id")["split"]
    again = split(shuffled, SplitConfig(seed=3), "two").frame.set_index("sample_id")["split"]
    other = split(source, SplitConfig(seed=4), "three").frame.set_index("sample_id")["split"]
    assert again[first.index].tolist() == first.tolist()
    assert other[first.index].tolist() != first.tolist()


def test_an_official_split_stays_and_validation_is_carved_out_of_train(picture_manifest):
    source = drawn(picture_manifest, splits=["train"] * 140 + ["test"] * 70)
    with pytest.raises(FerError, match="expected rows none to give a split, found none"):
        split(source, SplitConfig(), "manifests/none")
    config = SplitConfig(redraw=("train",), shares={"train": 0.9, "val": 0.1})
    made = split(source, config, "manifests/carved")
    assert made.frame["split"].tolist()[140:] == ["test"] * 70
    assert (made.frame["split"] == "val").sum() == 14


def test_attributes_are_spread_evenly_too(picture_manifest):
    facts = [{"gender": "female" if row % 3 else "male"} for row in range(200)]
    source = drawn(picture_manifest, 200, labels=["fear"] * 200, facts=facts)
    made = split(source, SplitConfig(stratify=("label", "gender")), "manifests/split")
    cells = pd.crosstab(made.facts(["gender"])["gender"], made.frame["split"])
    assert np.abs(cells.to_numpy() / cells.sum(axis=1).to_numpy()[:, None] - [0.1, 0.8, 0.1]).max() < 0.02
    with pytest.raises(FerError, match="no attribute 'gendre'; near it are gender"):
        split(source, SplitConfig(stratify=("gendre",)), "manifests/none")
    with pytest.raises(FerError, match="votes: expected an attribute with one value"):
        split(source, SplitConfig(stratify=("votes",)), "manifests/none")


def test_groups_and_linked_rows_stay_together(picture_manifest, project):
    source = drawn(picture_manifest, group_id=np.arange(210) // 3)
    links = link_table(project, [(f"set/{row:04d}", f"set/{row + 3:04d}") for row in range(0, 180, 6)])
    made = split(source, SplitConfig(), "manifests/split", link_tables=[links])
    assert not crossing_groups(made).any()
    pairs = made.frame["split"].to_numpy().reshape(-1, 3)
    assert (pairs[:60:2, 0] == pairs[1:60:2, 0]).all()
    assert made.frame["group_id"].nunique() == 40
    assert list(made.metadata["parents"]) == ["manifests/set.parquet", "links.parquet"]
    apart = split(source, SplitConfig(link_kinds=("same_person",)), "manifests/apart", link_tables=[links])
    assert apart.frame["group_id"].nunique() == 70
    (project / "other.parquet").write_bytes(source.path.read_bytes())
    with pytest.raises(FerError, match="expected a table of links with columns a, b, found no a"):
        split(source, SplitConfig(), "manifests/none", link_tables=[project / "other.parquet"])


def test_what_must_stay_together_is_chosen(picture_manifest):
    pictures = [0, 0, *range(1, 59)]
    facts = [{"subject_id": f"S{row // 6}"} for row in range(60)]
    persons = np.arange(60) // 6
    source = drawn(picture_manifest, 60, pictures=pictures, facts=facts, labels=["fear"] * 60, group_id=persons)
    by_picture = split(source, SplitConfig(disjoint="pictures", seed=1), "a").frame
    assert by_picture["group_id"].nunique() == 59
    assert by_picture["split"][0] == by_picture["split"][1]
    assert (by_picture.groupby(persons)["split"].nunique() > 1).any()
    digest = hashlib.sha256(b"set/0007").digest()[:8]
    assert by_picture["group_id"][7] == int.from_bytes(digest, "big", signed=True)
    loose = drawn(picture_manifest, 60, pictures=pictures, facts=facts, labels=["fear"] * 60)
    by_person = split(loose, SplitConfig(disjoint="subjects"), "b").frame
    assert (by_person.groupby(persons)["split"].nunique() == 1).all()
    assert by_person["group_id"].nunique() == 10
    with pytest.raises(FerError, match="expected subject_id among the facts, found none"):
        split(drawn(picture_manifest, 7), SplitConfig(disjoint="subjects"), "c")


def test_frames_of_a_sequence_stay_together_even_where_persons_may_not(picture_manifest):
    facts = [{"sequence_id": f"Q{row // 3}"} for row in range(60)]
    made = split(drawn(picture_manifest, 60, facts=facts), SplitConfig(disjoint="pictures"), "m").frame
    assert (made.groupby(np.arange(60) // 3)["split"].nunique() == 1).all()


def test_rows_that_share_a_group_with_kept_rows_follow_or_stay(picture_manifest):
    splits = ["test", "train", "test", None, "train", None, "train"]
    source = drawn(picture_manifest, 7, splits=splits, group_id=[1, 1, 2, 2, 3, 3, 4])
    made = split(source, SplitConfig(), "manifests/filled")
    assert made.frame["split"].tolist() == ["test", "train", "test", "test", "train", "train", "train"]
    assert made.metadata["split"]["straddling_groups"] == 1
    assert made.metadata["split"]["straddling_rows"] == 2
    assert describe_split(made.metadata)[-1].startswith("! 1 groups (2 rows) lie in two splits")
    carved = split(source, SplitConfig(redraw=("train",), shares={"train": 0.5, "val": 0.5}), "manifests/carved")
    assert carved.frame["split"].tolist()[:2] == ["test", "train"]  # the official leak stays visible


def test_folds_keep_groups_whole_and_splits_as_they_are(picture_manifest):
    splits = ["train"] * 140 + ["test"] * 70
    source = drawn(picture_manifest, splits=splits, group_id=np.arange(210) // 2)
    made = split(source, SplitConfig(strategy="folds", folds=4), "manifests/folds")
    assert made.frame["split"].tolist() == splits
    assert made.frame["fold"][140:].isna().all()
    assert sorted(made.frame["fold"][:140].value_counts().tolist()) == [34, 34, 36, 36]
    assert (made.frame[:140].groupby("group_id")["fold"].nunique() == 1).all()
    assert made.metadata["split"]["folds"]["fold 0"].keys() == dict.fromkeys(BASIC7).keys()
    every = split(source, SplitConfig(strategy="folds", folds=4, fold_rows="all"), "manifests/all")
    assert every.frame["fold"].notna().all()
    with pytest.raises(FerError, match="expected rows of train to fold, found none"):
        split(drawn(picture_manifest, 7), SplitConfig(strategy="folds"), "manifests/none")


def test_leave_one_subject_out_has_a_fold_for_each_person(picture_manifest):
    facts = [{"subject_id": f"S{9 - row // 4}"} for row in range(20)]
    source = drawn(picture_manifest, 20, pictures=[0, *range(1, 19), 0], facts=facts, splits=["train"] * 20)
    config = SplitConfig(strategy="leave_one_subject_out")
    folds = split(source, config, "manifests/loso").frame["fold"].tolist()
    assert folds == [4] * 4 + [3] * 4 + [2] * 4 + [1] * 4 + [0] * 4
    joined = split(source, config.model_copy(update={"disjoint": "subjects"}), "manifests/joined").frame["fold"]
    assert joined.tolist() == [0] * 4 + [3] * 4 + [2] * 4 + [1] * 4 + [0] * 4  # two persons share a picture
    with pytest.raises(FerError, match=r"found 1 rows without \(first: set/0002\)"):
        lacking = [*facts[:2], {}, *facts[3:]]
        split(drawn(picture_manifest, 20, facts=lacking, splits=["train"] * 20), config, "manifests/none")
    with pytest.raises(FerError, match="expected 2 to 32,767 persons, found 1"):
        alone = drawn(picture_manifest, 4, facts=[{"subject_id": "S"}] * 4, splits=["train"] * 4)
        split(alone, config, "manifests/none")


def test_too_few_groups_are_refused(picture_manifest):
    three = drawn(picture_manifest, 9, group_id=[1] * 3 + [2] * 3 + [3] * 3)
    assert set(split(three, SplitConfig(), "manifests/three").frame["split"]) == {"train", "val", "test"}
    two = drawn(picture_manifest, 8, group_id=[1] * 4 + [2] * 4)
    with pytest.raises(FerError, match="found 2 groups in 8 rows, too few for"):
        split(two, SplitConfig(), "manifests/two")


def test_synthetic_rows_stay_in_train_and_out_of_folds(picture_manifest):
    generation = {"seen": "seen.parquet"}
    source = drawn(
        picture_manifest, 21, splits=["train"] * 21, origin=["real"] * 18 + ["synthetic"] * 3, generation=generation
    )
    seen = pa.table({"sample_id": ["gone/1"], "group_id": pa.array([10**6], pa.int64())})
    tables.write_table(source.root / "seen.parquet", seen, tables.provenance("seen", "test"))
    made = split(source, SplitConfig(redraw=EVERYTHING, shares={"train": 0.5, "test": 0.5}), "manifests/new")
    assert made.frame["split"].tolist()[18:] == ["train"] * 3
    folds = split(source, SplitConfig(strategy="folds", folds=2), "manifests/folds").frame["fold"]
    assert folds[18:].isna().all()
    seen = pa.table({"sample_id": [f"set/{row:04d}" for row in range(18)], "group_id": np.arange(18)})
    tables.write_table(source.root / "seen.parquet", seen, tables.provenance("seen", "test"), replace=True)
    with pytest.raises(FerError, match="expected that the generator of"):
        split(source, SplitConfig(redraw=EVERYTHING), "manifests/leaky")


def test_a_new_split_forgets_folds_and_an_existing_manifest_is_refused(picture_manifest):
    source = drawn(picture_manifest, 70, fold=np.zeros(70, np.int16))
    assert split(source, SplitConfig(), "manifests/split").frame["fold"].isna().all()
    with pytest.raises(FerError, match="--replace"):
        split(source, SplitConfig(), "manifests/split")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["shares={train: 0.8, val: 0.1}"], "expected shares that sum to 1"),
        (["shares={train: 1.2, val: -0.2}"], "shares.train"),
        (["shares={dev: 1}"], "shares.dev"),
        (["strategy=random"], "strategy"),
        (["folds=1"], "folds"),
        (["redraw=[all]"], "redraw"),
        (["disjoint=persons"], "disjoint"),
    ],
)
def test_configurations_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(FerError, match=message):
        resolve(SplitConfig, settings=settings)


def test_a_subset_keeps_the_shares_and_the_rare_cells(noise_manifest):
    labels = ["anger"] * 40 + ["fear"] * 20 + ["disgust"]
    splits = ["train", "test"] * 30 + ["train"]
    source = noise_manifest(labels, splits)
    subset = stratified_subset(source, "manifests/small", count=15, seed=0)
    assert subset.frame.groupby(["split", "label"]).size().to_dict() == {
        ("test", "anger"): 5,
        ("test", "fear"): 2,
        ("train", "anger"): 5,
        ("train", "disgust"): 1,
        ("train", "fear"): 2,
    }
    again = stratified_subset(source, "manifests/again", count=15, seed=0)
    assert again.frame.equals(subset.frame)
    assert subset.metadata["parents"] == {"manifests/noise.parquet": source.sha256}
    assert len(stratified_subset(source, "manifests/all", count=999, seed=0)) == len(source)


def test_a_subset_of_nothing_is_refused(noise_manifest):
    with pytest.raises(FerError, match="expected a positive count, found 0"):
        stratified_subset(noise_manifest(["anger"], ["train"]), "manifests/none", count=0, seed=0)
