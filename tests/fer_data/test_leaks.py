import numpy as np

from fer_data.leaks import describe_leaks, leaking_pairs


def test_every_held_out_row_is_named_with_its_first_twin_and_the_strongest_reason(picture_manifest):
    pictures = [1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    splits = ["train", "test", "train", "val", "test", "train", "test", "train", "test", None, "test"]
    facts = [{} for _ in pictures]
    facts[3] = facts[4] = facts[5] = {"subject_id": "S1"}
    facts[4] = {"subject_id": "S1", "sequence_id": "Q"}
    facts[5] = {"subject_id": "S1", "sequence_id": "Q"}
    labels = ["fear", "anger", "fear", None, *["neutral"] * 7]
    groups = [10, 10, 10, 11, 11, 11, 12, 12, 13, 13, 14]
    pairs = leaking_pairs(picture_manifest(pictures, labels, splits, facts=facts, group_id=groups))
    told = pairs[["sample_id", "twin_id", "twin_split", "because"]].to_numpy().tolist()
    assert told == [
        ["set/0001", "set/0000", "train", "picture"],
        ["set/0004", "set/0005", "train", "sequence"],
        ["set/0004", "set/0003", "val", "subject"],
        ["set/0006", "set/0007", "train", "group"],
        ["set/0003", "set/0005", "train", "subject"],
    ]
    assert pairs.loc[0, ["split", "label", "twin_label"]].tolist() == ["test", "anger", "fear"]
    assert pairs["label"].iloc[-1] is None
    assert describe_leaks(pairs) == [
        "1 test faces share the very picture of a train face",
        "1 test faces share the sequence of a train face",
        "1 test faces share the person of a val face",
        "1 test faces share the group of a train face",
        "1 val faces share the person of a train face",
    ]


def test_without_leaks_there_are_no_pairs(picture_manifest):
    pairs = leaking_pairs(picture_manifest(range(4), ["fear"] * 4, ["train", "test", "val", None]))
    assert pairs.empty
    assert list(pairs.columns) == ["sample_id", "split", "label", "twin_id", "twin_split", "twin_label", "because"]
    assert describe_leaks(pairs) == []


def test_a_picture_is_found_across_stores_and_groups(picture_manifest, project):
    from fer_data.merging import merge

    one = picture_manifest([1, 2], ["fear"] * 2, ["train"] * 2, source="one")
    other = picture_manifest([2, 3], ["fear"] * 2, ["test"] * 2, source="other", group_id=np.array([7, 8]))
    pairs = leaking_pairs(merge([one, other], "manifests/both"))
    assert pairs[["sample_id", "twin_id", "because"]].to_numpy().tolist() == [["other/0000", "one/0001", "picture"]]
