"""Faces by row: what is known of each, from the manifest and from the tables beside it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from curated_project import IDS, LABELS, REAL, audit_columns, keep

from curation_app.collection import Collection
from curation_app.knowledge.synthetic import Judgement
from fer_data import licenses, manifest
from fer_data.duplicates import LINKS, NEAR
from fer_data.errors import FerError
from fer_data.expressions import BASIC7


@pytest.fixture
def collection(faces):
    return Collection(faces)


def test_a_face_is_known_with_all_that_tables_tell(collection):
    face = collection.face(1)
    facts = collection.manifest.facts(["pixel_sha256"])["pixel_sha256"]
    assert (face.row, face.sample_id, face.pixel_sha256) == (1, "a/1", facts[1])
    assert (face.label, face.suggestion, face.split, face.origin) == ("fear", "surprise", "train", "real")
    assert face.score == pytest.approx(0.2)
    np.testing.assert_allclose(face.probabilities, np.arange(1, 8) / 28, rtol=1e-6)
    assert face.why == "more than one expression is plausible · too dark · blurred"
    assert face.votes == {"fear": 1, "happiness": 1, "NF": 0}
    assert (face.occlusion, face.light) == (None, None) and collection.face(0).occlusion == "mask"
    assert collection.face(2).why == (
        "another expression fits better than the label · the very picture carries another label elsewhere"
    )
    unaudited = collection.face(10)
    assert (unaudited.suggestion, unaudited.score, unaudited.probabilities) == (None, None, None)
    assert (unaudited.split, unaudited.votes, unaudited.why) == (None, None, "")


def test_without_tables_there_is_no_opinion(bare):
    collection = Collection(bare)
    face = collection.face(0)
    assert (face.suggestion, face.score, face.probabilities, face.why) == (None, None, None, "")
    assert set(collection.column("suggestion")) == {None} and collection.opinions is None
    assert collection.neighbours(0) is None and collection.judge(REAL) is None and collection.heat_map(0) is None
    assert collection.picture_of("t/1") is None
    assert collection.notes == ("Of copies only identical pictures are known; fer duplicates finds near duplicates.",)


def test_columns_are_codes_and_words(collection):
    assert len(collection) == len(IDS) and collection.labels == BASIC7
    assert collection.column("label").tolist() == LABELS
    assert collection.column("split").tolist()[7:12] == ["train", "val", "test", None, None]
    codes, words = collection.codes("source")
    assert words == ("a", "b", "made") and codes.tolist() == [0] * 8 + [1] * 4 + [2] * 4
    assert collection.column("suggestion").tolist()[:4] == ["surprise", "surprise", "anger", "surprise"]
    assert collection.column("suggestion")[10] is None
    assert collection.column("origin") is collection.column("origin")


@pytest.mark.parametrize("ids", [["b/9", "nowhere/1", "a/0"], [*reversed(IDS), "nowhere/1"], []])
def test_rows_are_found_by_id(collection, ids):
    assert collection.rows_of(ids).tolist() == [IDS.index(name) if name in IDS else -1 for name in ids]


def test_what_is_kept_is_made_again_when_its_version_changes(collection):
    made = []
    for version in (1, 1, 2):
        collection.keep("thing", version, lambda version=version: made.append(version))
    assert made == [1, 2]


def test_two_who_ask_at_once_wait_for_one_making(collection):
    begun, made = threading.Event(), []

    def make():
        begun.set()
        time.sleep(0.05)
        made.append(len(made))
        return made[-1]

    with ThreadPoolExecutor() as threads:
        first = threads.submit(collection.keep, "thing", None, make)
        assert begun.wait(5)
        second = threads.submit(collection.keep, "thing", None, make)
        assert first.result() == second.result() == 0 and made == [0]


def test_pictures_come_by_row_and_by_id(collection):
    stores = collection.manifest.stores
    real, made = (next(store for name, store in stores.items() if word in name) for word in ("real", "made"))
    assert np.array_equal(collection.picture(4), real.image(4))
    assert np.array_equal(collection.picture(REAL + 1), made.image(1))
    assert np.array_equal(collection.picture_of("a/4"), real.image(4))
    assert np.array_equal(collection.picture_of("t/1"), real.image(6))  # of the manifest it was screened against
    assert collection.picture_of("gone/0") is None


def test_copies_are_those_of_the_table_or_identical_pictures(collection, faces):
    assert [collection.duplicates(row).tolist() for row in (2, 3, 4, 9, 6, 0)] == [[3], [2], [9], [4], [7], []]
    (faces.root / "audit/faces.duplicates.parquet").unlink()
    exact = Collection(faces)
    assert [exact.duplicates(row).tolist() for row in (2, 4, 6, 15)] == [[3], [9], [], []]


def test_a_table_of_another_manifest_adds_near_duplicates_to_identical_pictures(faces):
    near = {**dict.fromkeys(LINKS.names), "a": IDS[3], "b": IDS[7], "kind": NEAR}
    table = pa.Table.from_pylist([near], LINKS)
    keep(faces, "duplicates", "audit/faces.duplicates.parquet", table, parents={"manifests/older.parquet": "0"})
    collection = Collection(faces)
    assert [collection.duplicates(row).tolist() for row in (2, 7, 4, 0)] == [[3, 7], [2, 3], [9], []]


def test_tables_of_a_parent_with_other_faces_tell_nothing(faces, tmp_path):
    write = {"label_set": "basic7", "command": "test", "licence": licenses.DRAWN.as_dict()}
    others = faces.frame.assign(sample_id=[f"other/{name}" for name in IDS])
    parents = {"manifests/faces.parquet": faces.sha256}
    collection = Collection(manifest.write(others, tmp_path / "manifests/others", parents=parents, **write))
    face = collection.face(1)
    assert (face.why, collection.quality, collection.judge(REAL), collection.heat_map(1)) == ("", None, None, None)
    assert collection.neighbours(1) is None and collection.duplicates(2).tolist() == [3]


def test_neighbours_are_the_nearest_of_the_fold_each_picture_once(collection):
    assert collection.neighbours(0).tolist() == [6, 2, 1]  # at 5, 10 and 80 degrees; 7 and 3 are copies of 6 and 2
    assert collection.neighbours(2).tolist() == [7, 0, 1]  # not 3, the same picture
    assert collection.neighbours(4).tolist() == [5]
    assert collection.neighbours(10) is None


def test_without_features_neighbours_are_those_that_the_audit_names(faces):
    keep(faces, "repeat", "predictions/faces.repeats/0.parquet", {"sample_id": IDS[:2], "fold": [0, 0]})
    collection = Collection(faces)
    assert collection.neighbours(0).tolist() == [1, 2]  # a third one is not in this manifest
    assert collection.neighbours(1).tolist() == [] and collection.neighbours(10) is None


def test_features_too_many_to_hold_are_left_alone(faces, monkeypatch):
    monkeypatch.setattr("curation_app.knowledge.neighbours.MOST_NUMBERS", 15)
    assert Collection(faces).neighbours(0).tolist() == [1, 2]


def test_a_synthetic_face_is_judged(collection):
    assert collection.judge(REAL) == Judgement("disgust", pytest.approx(0.9), 0.9, None, "t/1", 0.5)
    assert collection.judge(REAL + 3).reason == "the judge disagrees" and collection.judge(0) is None


def test_heat_maps_come_by_row(collection):
    assert [collection.heat_map(row)[0, 0] for row in (2, 0, 1)] == [20, 0, 10]
    assert collection.heat_map(3) is None


def test_a_broken_heat_map_is_told(faces):
    keep(faces, "heat_maps", "predictions/faces.heat_maps.parquet", {"sample_id": IDS[:1], "heat_map": [b"no png"]})
    with pytest.raises(FerError, match="expected an image"):
        Collection(faces).heat_map(0)


def test_an_audit_of_other_faces_is_refused_and_of_more_faces_is_told(faces, tmp_path):
    columns = audit_columns()
    others = {**columns, "sample_id": [f"elsewhere/{row}" for row in range(8)]}
    with pytest.raises(FerError, match="none of its faces"):
        Collection(faces, keep(faces, "label_audit", "a.parquet", others))
    lacking = {name: values for name, values in columns.items() if name != "p_neutral"}
    with pytest.raises(FerError, match="p_neutral is missing"):
        Collection(faces, keep(faces, "label_audit", "b.parquet", lacking))
    both = pa.concat_tables([pa.table(columns), pa.table(others)])
    more = Collection(faces, keep(faces, "label_audit", "c.parquet", both))
    assert more.face(3).score == pytest.approx(0.1)
    assert more.notes == ("8 audited faces are not in this manifest.",)
    with pytest.raises(FerError, match="expected a table of kind 'label_audit'"):
        Collection(faces, tmp_path / "audit/faces.quality.parquet")


def test_an_audit_of_an_older_version_is_told(faces):
    keep(faces, "label_audit", "audit/faces.parquet", audit_columns(), parents={"manifests/faces.parquet": "0"})
    assert "changed since it was audited" in Collection(faces).notes[0]


def test_tables_of_pictures_are_found_for_what_was_made_of_a_manifest_and_audits_are_not(faces, tmp_path):
    write = {"label_set": "basic7", "command": "test", "licence": licenses.DRAWN.as_dict()}
    for name, parent in (("clean", faces), ("cleaner", None)):
        parents = (
            {"manifests/faces.parquet": parent.sha256} if parent else {"manifests/clean.parquet": "0", "x.yaml": "0"}
        )
        derived = manifest.write(faces.frame, tmp_path / "manifests" / name, parents=parents, **write)
        collection = Collection(derived)
        assert collection.opinions is None
        assert collection.paths.quality == tmp_path / "audit/faces.quality.parquet"
        assert collection.face(4).why == "too dark" and collection.neighbours(4).tolist() == [5]
        assert collection.heat_map(1)[0, 0] == 10 and collection.judge(REAL).nearest == "t/1"


def test_a_manifest_names_its_screening_and_a_table_that_is_given_wins(faces, tmp_path):
    moved = tmp_path / "elsewhere.parquet"
    (tmp_path / "manifests/faces.screening.parquet").rename(moved)
    write = {"label_set": "basic7", "command": "test", "licence": licenses.DRAWN.as_dict()}
    named = manifest.write(faces.frame, tmp_path / "manifests/named", screening="elsewhere.parquet", **write)
    assert Collection(named).judge(REAL).label == "disgust"
    assert Collection(faces).judge(REAL) is None
    assert Collection(faces, screening=moved).judge(REAL).label == "disgust"


def test_a_store_that_is_gone_or_damaged_is_told(collection):
    facts = next(store.path for name, store in collection.manifest.stores.items() if "real" in name) / "facts.parquet"
    data = facts.read_bytes()
    facts.write_bytes(data[:100] + bytes(len(data) // 2) + data[len(data) // 2 + 100 :])
    with pytest.raises(FerError, match=r"facts.parquet cannot be read .*; restore it or make it again"):
        collection.face(0)
    facts.unlink()
    with pytest.raises(FerError, match="facts.parquet cannot be read"):
        Collection(collection.manifest).face(0)


def test_what_a_table_leaves_open_is_filled(faces):
    columns = {**audit_columns(), "face_score": [None, *np.linspace(0.8, 0.2, 7)]}
    opinions = Collection(faces, keep(faces, "label_audit", "open.parquet", columns)).opinions
    assert opinions.score_of("face_score")[[0, 1, 10]] == pytest.approx([1, 0.8, 1])
    assert opinions.score_of("no_such_score").tolist() == [1.0] * len(IDS)
