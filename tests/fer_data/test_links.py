import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fer_data import links, tables
from fer_data.errors import FerError
from fer_data.tabular import together


def name_of(sample_id: str) -> int:
    return int.from_bytes(hashlib.sha256(sample_id.encode()).digest()[:8], "big", signed=True)


def test_exact_twins_are_the_rows_with_equal_pictures(picture_manifest):
    made = picture_manifest([5, 7, 5, 9, 7, 5], ["fear"] * 6, ["train"] * 6)
    twins = links.exact_twins(made)
    assert twins.index.tolist() == [0, 1, 2, 4, 5]
    assert twins["sample_id"].tolist() == [made.frame["sample_id"][row] for row in twins.index]
    assert twins["twin_group"].dtype == np.int64
    hashes = made.facts(["pixel_sha256"])["pixel_sha256"]
    for row in twins.index:
        expected = int.from_bytes(bytes.fromhex(hashes[row])[:8], "big", signed=True)
        assert twins["twin_group"][row] == expected


def test_no_twins_give_an_empty_table_with_the_same_columns(picture_manifest):
    twins = links.exact_twins(picture_manifest([1, 2], ["fear"] * 2, ["train"] * 2))
    assert twins.empty
    assert list(twins.columns) == ["sample_id", "pixel_sha256", "twin_group"]


def test_the_same_numbers_in_another_mode_are_another_picture(picture_manifest):
    grey = picture_manifest([1], ["fear"], ["train"], source="grey")
    colour = picture_manifest([1], ["fear"], ["train"], source="colour", colour=True)
    assert grey.facts(["pixel_sha256"]).iloc[0, 0] != colour.facts(["pixel_sha256"]).iloc[0, 0]


def test_twins_across_looks_only_from_one_split_into_others(picture_manifest):
    pictures = [1, 2, 3, 1, 2, 4, 1, 3, 5]
    splits = ["train", "train", "val", "val", "test", "test", "test", "test", None]
    made = picture_manifest(pictures, ["fear"] * 9, splits)
    assert np.flatnonzero(links.twins_across(made, "test", ["train"])).tolist() == [4, 6]
    assert np.flatnonzero(links.twins_across(made, "test", ["train", "val"])).tolist() == [4, 6, 7]
    assert np.flatnonzero(links.twins_across(made, "val", ["train"])).tolist() == [3]
    assert not links.twins_across(made, "test", []).any()


def test_pictures_are_linked_everywhere_and_people_only_within_their_source():
    ids = pa.chunked_array([["ck/1", "ck/2", "mmi/1", "mmi/2", "ck/3"]])
    pictures = together.same_keys(np.array([7, 8, 7, 0, 0]), np.array([True, True, True, False, False]))
    persons = together.same_persons(ids, pa.chunked_array([["S5", "S5", "S6", "S5", None]]))
    edges = links.chains([pictures, persons])
    assert {frozenset(edge) for edge in edges.tolist()} == {frozenset({0, 2}), frozenset({0, 1})}


def test_a_group_is_named_by_its_smallest_id():
    ids = ["b", "c", "a", "d"]
    found = links.group_ids(ids, np.array([[0, 1], [1, 2]]))
    assert found.tolist() == [name_of("a"), name_of("a"), name_of("a"), name_of("d")]


def test_nothing_has_no_groups():
    assert links.group_ids([], np.empty((0, 2), dtype=np.int64)).shape == (0,)
    assert links.chains([]).shape == (0, 2)


@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_groups_are_connected_components_whatever_the_order(count, total_edges, seed):
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, count, (total_edges, 2))
    ids = [f"s/{number}" for number in rng.permutation(count)]
    found = links.group_ids(ids, edges)
    graph = coo_array((np.ones(total_edges), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, expected = connected_components(graph, directed=False)
    assert np.array_equal(found[:, None] == found, expected[:, None] == expected)
    order = rng.permutation(count)
    moved = links.group_ids([ids[row] for row in order], np.argsort(order)[edges])
    assert np.array_equal(moved, found[order])


def test_a_long_chain_in_random_order_is_one_group():
    path = np.random.default_rng(0).permutation(20_000)
    ids = [f"{number:05d}" for number in range(len(path))]
    groups = links.group_ids(ids, np.stack([path[:-1], path[1:]], axis=1))
    assert set(groups.tolist()) == {name_of("00000")}


def test_crossing_groups_are_those_with_members_in_two_splits(picture_manifest):
    splits = ["train", "test", "train", "train", None, "val", None]
    made = picture_manifest(range(7), ["fear"] * 7, splits, group_id=[1, 1, 2, 2, 1, 3, 3])
    assert np.flatnonzero(links.crossing_groups(made)).tolist() == [0, 1]


BIG = 2**62 + 1  # not a float64


def generated(picture_manifest, seen: list[tuple[str, int]] | None):
    """Row 0 in train, rows 1 and 2 in test, made by a generator that saw `seen`."""
    made = picture_manifest([0], ["fear"], ["train"], source="real")
    generation = {"seen": "seen.parquet"} if seen is not None else {"sampler": "ddim"}
    if seen:
        table = pa.table({"sample_id": [i for i, _ in seen], "group_id": pa.array([g for _, g in seen], pa.int64())})
        tables.write_table(made.root / "seen.parquet", table, {"kind": "seen"})
    return picture_manifest(
        [1, 2, 3], ["fear"] * 3, ["train", "test", "val"], generation=generation, group_id=[BIG, BIG + 2, BIG + 4]
    )


def test_a_generator_that_saw_only_training_groups_is_accepted(picture_manifest):
    made = generated(picture_manifest, [("set/0000", BIG + 2), ("gone/1", BIG + 1)])
    links.refuse_seen_groups(made)
    (made.root / "seen.parquet").unlink()
    with pytest.raises(FerError, match="is missing"):  # what was seen is really read
        links.refuse_seen_groups(made)


def test_a_seen_sample_stands_for_the_group_it_has_now(picture_manifest):
    with pytest.raises(FerError, match=r"1 rows in 1 such groups \(first: set/0001\)"):
        links.refuse_seen_groups(generated(picture_manifest, [("set/0001", 5)]))


def test_a_seen_sample_that_is_gone_stands_for_its_recorded_group(picture_manifest):
    with pytest.raises(FerError, match="set/0002"):
        links.refuse_seen_groups(generated(picture_manifest, [("gone/1", BIG + 4)]))


def test_a_generation_must_tell_what_was_seen(picture_manifest):
    with pytest.raises(FerError, match="generate the faces again"):
        links.refuse_seen_groups(generated(picture_manifest, None))


def test_the_table_of_seen_samples_must_be_there(picture_manifest):
    with pytest.raises(FerError, match=r"seen\.parquet is missing"):
        links.refuse_seen_groups(generated(picture_manifest, []))


def test_stores_without_a_generation_are_not_asked(picture_manifest):
    made = picture_manifest([0, 0], ["fear"] * 2, ["train", "test"], group_id=[1, 1])
    assert links.crossing_groups(made).all()  # it leaks, but no generator saw it
    links.refuse_seen_groups(made)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_joining_groups_is_regrouping_whatever_joined_them(count, seed):
    rng = np.random.default_rng(seed)
    ids = [f"s/{number:02d}" for number in rng.permutation(count)]
    rows, codes = rng.integers(0, count, count), rng.integers(0, 1 + count // 2, count)
    former = rng.integers(0, count, (count // 3, 2))
    groups = links.group_ids(ids, former)
    joined = links.joined_groups(groups, pa.chunked_array([ids]), [together.Together(rows, codes)])
    pairs = [(a, b) for a, code in zip(rows, codes, strict=True) for b in rows[codes == code]]
    everything = np.concatenate([former, np.array(pairs).reshape(-1, 2)])
    assert np.array_equal(joined, links.group_ids(ids, everything))


def test_groups_that_nothing_joins_are_left_alone_and_not_shared():
    groups = np.array([5, 7, 7])
    ids = pa.chunked_array([["a", "b", "c"]])
    alone = links.joined_groups(groups, ids, [together.Together(np.array([1, 2]), np.array([0, 0]))])
    assert alone.tolist() == [5, 7, 7]
    alone[0] = 9
    assert groups[0] == 5


def test_stores_of_an_older_version_have_hashes_but_no_keys(picture_manifest):
    made = picture_manifest([1, 1, 2, 2, 3], ["fear"] * 5, ["train"] * 5)
    now = together.same_pictures(made)
    path = next(iter(made.stores.values())).path / "facts.parquet"
    facts = pq.read_table(path)
    hashes = facts["pixel_sha256"].to_pylist()
    keys = [int.from_bytes(bytes.fromhex(digest[:16]), "big", signed=True) for digest in hashes]
    assert facts["pixel_key"].to_pylist() == keys
    pq.write_table(facts.drop_columns(["pixel_key"]), path)
    before = together.same_pictures(made)
    assert before.rows.tolist() == now.rows.tolist() == [0, 1, 2, 3]
    assert before.codes.tolist() == now.codes.tolist()
    hashes[2:4] = [None, None]
    place = facts.schema.get_field_index("pixel_sha256")
    without = facts.drop_columns(["pixel_key"]).set_column(place, "pixel_sha256", pa.array(hashes, pa.string()))
    pq.write_table(without, path)
    assert together.same_pictures(made).rows.tolist() == [0, 1]  # no hash is not the same as no hash


def test_rows_are_related_over_chains_of_pictures_groups_and_links(picture_manifest, tmp_path):
    made = picture_manifest([1, 2, 1, 3, 4, 5], ["fear"] * 6, ["train", "train", "val", "test", "test", "test"])
    ids = made.frame["sample_id"]
    assert links.related_across(made, "val", ("train",)).tolist() == [False, False, True, False, False, False]
    assert not links.related_across(made, "test", ("train", "val")).any()
    table = pa.table({"a": [ids[3], ids[2]], "b": [ids[4], ids[3]], "kind": ["near duplicate"] * 2})
    path = tables.write_table(tmp_path / "links.parquet", table, tables.provenance("duplicates", "test"))
    assert links.related_across(made, "test", ("train",), [path]).tolist() == [False, False, False, True, True, False]
    assert len(set(links.related_groups(made, [path]).tolist())) == 3
    with pytest.raises(FerError, match="expected a table of links"):
        bad = tables.write_table(tmp_path / "bad.parquet", pa.table({"a": ["x"]}), tables.provenance("x", "test"))
        links.related_groups(made, [bad])
