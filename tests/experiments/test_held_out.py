"""What counts as one with a held-out face: the picture, the group, a link, and any chain of these."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from experiments.design import prepare
from experiments.held_out import HeldOut, refuse_judged_groups
from experiments.settings import ExperimentConfig
from fer_data import manifest as manifests
from fer_data import tables
from fer_data.errors import FerError
from fer_data.links import related_across


@pytest.fixture
def faces(project: Path) -> manifests.Manifest:
    return manifests.read(project / "manifests/faces")


def write_links(faces: manifests.Manifest, pairs: list[tuple[int, int]]) -> Path:
    ids = faces.frame["sample_id"]
    columns = {
        "a": [ids[a] for a, _ in pairs],
        "b": [ids[b] for _, b in pairs],
        "kind": ["near duplicate"] * len(pairs),
    }
    path = faces.root / "links.parquet"
    return tables.write_table(path, pa.table(columns), tables.provenance("duplicates", "test"), replace=True)


def rewrite(faces: manifests.Manifest, name: str, **columns) -> manifests.Manifest:
    return manifests.write(
        faces.frame.assign(**columns), faces.path.with_name(name), label_set="basic7", command="test",
        licence=faces.metadata["licence"],
    )  # fmt: skip


def rows_of(faces: manifests.Manifest, split: str) -> np.ndarray:
    return np.flatnonzero(faces.frame["split"] == split)


def test_chains_of_links_groups_and_pictures_are_followed(faces) -> None:
    """Against scipy's connected components on a graph of everything that joins two rows."""
    train, val, test = (rows_of(faces, split) for split in ("train", "val", "test"))
    groups = faces.frame["group_id"].to_numpy().copy()
    groups[train[50]] = groups[train[51]]
    joined = rewrite(faces, "joined", group_id=groups)
    pairs = [(test[30], train[50]), (train[51], val[7]), (test[31], test[32]), (test[32], train[60])]
    links = write_links(joined, pairs)
    pictures = joined.facts(["pixel_sha256"])["pixel_sha256"].to_numpy()
    edges = [*pairs]
    for keys in (pictures, groups):
        for rows in pd.Series(np.arange(len(faces))).groupby(keys).indices.values():
            edges += itertools.pairwise(rows)
    size = len(faces)
    graph = coo_array((np.ones(len(edges)), tuple(np.array(edges).T)), (size, size))
    component = connected_components(graph, directed=False)[1]
    split = joined.frame["split"].to_numpy()
    for of, others in (("test", ("train", "val")), ("test", ("val",)), ("val", ("train",)), ("train", ("val", "test"))):
        expected = (split == of) & np.isin(component, component[np.isin(split, others)])
        np.testing.assert_array_equal(related_across(joined, of, others, [links]), expected)
        np.testing.assert_array_equal(HeldOut(joined, [links]).related(of, others), expected)
    assert related_across(joined, "test", ("train", "val"), [links])[[test[30], test[31], test[32]]].all()


def config(**changes) -> ExperimentConfig:
    values = {
        "evaluate_on": "manifests/faces",
        "arms": [{"name": "baseline"}, {"name": "cleaned", "manifest": "manifests/clean"}],
        "baseline": "baseline",
        "primary": "cleaned",
        "seeds": [1],
        "train": {"model": "thin_resnet10", "size_px": 16, "steps": 4, "batch_size": 32},
        "leaks": "score_apart",
    }
    return ExperimentConfig(**{**values, **changes})


def test_near_duplicates_leave_the_leak_free_view_and_both_numbers_are_told(faces) -> None:
    train, val, test = (rows_of(faces, split) for split in ("train", "val", "test"))
    plain = prepare(config(), faces.root)
    write_links(faces, [(test[40], train[3]), (val[5], train[9])])
    linked = prepare(config(links=["links.parquet"]), faces.root)
    assert plain.leaks["test_faces_related_to_train_or_val"] == 2
    assert linked.leaks["test_faces_related_to_train_or_val"] == 3
    assert linked.leaks["test_faces_identical_to_train_or_val"] == 2
    assert plain.val_rows.sum() - linked.val_rows.sum() == 1
    sizes = [{view.key: int(view.rows.sum()) for view in design.views} for design in (plain, linked)]
    assert sizes[0]["leak_free/given"] - sizes[1]["leak_free/given"] == 1
    assert sizes[0]["official/given"] == sizes[1]["official/given"]
    with pytest.raises(FerError, match=r"nowhere\.parquet"):
        prepare(config(links=["nowhere.parquet"]), faces.root)


def test_an_experiment_without_a_policy_for_its_leaks_is_refused(faces) -> None:
    with pytest.raises(FerError, match="expected a policy for leaks, found none and 2 test and 0 validation faces"):
        prepare(config(leaks=None), faces.root)
    related = related_across(faces, "test", ("train", "val"))
    manifests.write(
        faces.frame[~related], faces.path, label_set="basic7", command="test", licence=faces.metadata["licence"],
        replace=True,
    )  # fmt: skip
    assert prepare(config(leaks=None), faces.root).leaks["policy"] == "refuse"


def test_copies_of_leaked_faces_leave_with_them(faces) -> None:
    arms = [{"name": "baseline"}, {"name": "covered", "make": {"occlude": {"share": 1.0}}}]
    design = prepare(config(arms=arms, primary="covered", leaks="drop_from_train"), faces.root)
    assert design.leaks["dropped_from_train"] == {"baseline": 2, "covered": 4}


def test_what_a_generator_saw_is_followed_to_held_out_faces(faces, write_synthetic) -> None:
    train, test = rows_of(faces, "train"), rows_of(faces, "test")
    groups = faces.frame["group_id"].to_numpy().copy()
    groups[train[40]] = groups[test[20]]  # a face of train in the group of a test face
    grouped = rewrite(faces, "grouped", group_id=groups)
    for seen, refused in ((train[30], False), (train[0], True), (train[40], True)):
        arm = write_synthetic(faces, f"arm{seen}", seen=faces.frame.iloc[[seen]])
        without = manifests.write(
            arm.frame[arm.frame["sample_id"] != faces.frame["sample_id"][seen]], arm.path.with_name(f"without{seen}"),
            label_set="basic7", command="test", licence=faces.metadata["licence"],
        )  # fmt: skip
        for manifest in (arm, without):  # the face may have left the arm since
            rows = (manifest.frame["split"] == "train").to_numpy()
            if refused:  # by its group; by its picture, which is also in test
                with pytest.raises(FerError, match="arm x: .*saw no group of val or test, found 1 rows"):
                    refuse_judged_groups("arm x", manifest, rows, grouped)
            else:
                refuse_judged_groups("arm x", manifest, rows, grouped)
    real_only = (arm.frame["origin"] == "real").to_numpy()
    refuse_judged_groups("arm x", arm, real_only, grouped)  # none of its faces is trained on


def test_a_generation_that_does_not_tell_what_it_saw_is_refused(faces, write_synthetic) -> None:
    arm = write_synthetic(faces, "arm", seen=faces.frame.iloc[[30]])
    store = next(path for path in (faces.root / "stores").glob("generated-*/store.json"))
    store.write_text(store.read_text().replace('"seen": "runs/g/seen.parquet"', '"seen": null'))
    with pytest.raises(FerError, match="arm x: .*expected its generation to name the table of samples"):
        refuse_judged_groups("arm x", manifests.read(arm.path), (arm.frame["split"] == "train").to_numpy(), faces)
