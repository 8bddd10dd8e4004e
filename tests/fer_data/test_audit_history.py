import pyarrow as pa
import pytest

from fer_data import manifest, tables
from fer_data.auditing.history import carry_on, entry_of, find_previous

RATE = {"value": 0.3, "low": 0.25, "high": 0.35}


@pytest.fixture
def faces(noise_manifest):
    return noise_manifest(["fear", "anger"], ["train", "train"], name="faces")


def previous_audit(manifest, out):
    """Metadata of the audit that `find_previous` finds."""
    path = find_previous(manifest, out)
    return None if path is None else tables.read_metadata(path)


def entry(made, reviewed=0, rate=RATE, created="2026-01-01T00:00:00+00:00"):
    return entry_of(
        made, created, faces=2, reviewed=reviewed, error_rate=rate, error_rates={"fear": rate, "anger": None}
    )


def write_audit(made, path, **summary):
    facts = tables.provenance("label_audit", "test", parents={"m": made.sha256, "p": "0"}, summary=summary)
    return tables.write_table(path, pa.table({"sample_id": ["a"]}), facts, replace=True)


def derived(made, name):
    return manifest.derive(made, made.table, made.path.with_name(name), command="test", configuration={})


def test_an_entry_tells_what_was_estimated_of_which_labels(faces):
    assert entry(faces, reviewed=1) == {
        "created": "2026-01-01T00:00:00+00:00",
        "manifest": "manifests/faces.parquet",
        "manifest_sha256": faces.sha256,
        "faces": 2,
        "reviewed": 1,
        "error_rate": 0.3,
        "low": 0.25,
        "high": 0.35,
        "error_rates": {"fear": RATE, "anger": None},
    }


def test_the_first_audit_begins_a_history(faces):
    assert carry_on(None, entry(faces)) == [entry(faces)]
    assert carry_on({"summary": {}}, entry(faces)) == [entry(faces)]


def test_an_audit_after_a_review_carries_the_older_ones_on(faces):
    older, newer = entry(faces), entry(faces, reviewed=1)
    assert carry_on({"summary": {"history": [older]}}, newer) == [older, newer]
    assert carry_on({"summary": {"history": [older, newer]}}, entry(faces, 2)) == [older, newer, entry(faces, 2)]


def test_the_same_labels_audited_again_replace_their_entry(faces):
    older, again = entry(faces), entry(faces, rate={"value": 0.2, "low": 0.1, "high": 0.3})
    assert carry_on({"summary": {"history": [older]}}, again) == [again]


def test_an_audit_from_before_there_was_a_history_becomes_its_first_entry(faces):
    old = {
        "created": "2025-01-01T00:00:00+00:00",
        "parents": {"manifests/faces.parquet": "older"},
        "summary": {"error_rate": 0.4, "error_rates": {"fear": 0.5, "disgust": None}, "given": {"fear": 2, "anger": 1}},
    }
    first, second = carry_on(old, entry(faces))
    assert second == entry(faces)
    assert (first["error_rate"], first["low"], first["faces"], first["reviewed"]) == (0.4, None, 3, 0)
    assert first["error_rates"] == {"fear": {"value": 0.5, "low": None, "high": None}, "disgust": None}


def test_the_audit_that_is_replaced_is_the_one_before(faces, project):
    out = write_audit(faces, project / "audit" / "faces.parquet", history=[entry(faces)])
    assert previous_audit(faces, out)["summary"]["history"] == [entry(faces)]
    child = derived(faces, "child")
    assert previous_audit(child, out)["summary"]["history"] == [entry(faces)]


def test_an_audit_of_an_ancestor_is_found_by_its_name_nearest_first(faces, project):
    child = derived(faces, "child")
    grandchild = derived(child, "grandchild")
    out = project / "audit" / "grandchild.parquet"
    assert previous_audit(grandchild, out) is None
    write_audit(faces, project / "audit" / "faces.parquet", history=["of faces"])
    assert previous_audit(grandchild, out)["summary"]["history"] == ["of faces"]
    write_audit(child, project / "audit" / "child.parquet", history=["of child"])
    assert previous_audit(grandchild, out)["summary"]["history"] == ["of child"]
    assert find_previous(grandchild, out) == project / "audit" / "child.parquet"


def test_ancestors_that_are_gone_end_the_search(faces, project):
    child = derived(faces, "child")
    grandchild = derived(child, "grandchild")
    child.path.unlink()
    write_audit(faces, project / "audit" / "faces.parquet", history=[])
    assert previous_audit(grandchild, project / "audit" / "grandchild.parquet") is None


def test_audits_of_other_manifests_and_other_files_are_no_history(faces, noise_manifest, project):
    other = noise_manifest(["fear", "anger"], ["train", "train"], name="other", seed=1)
    out = write_audit(other, project / "audit" / "faces.parquet", history=[])
    assert previous_audit(faces, out) is None
    out.write_bytes(b"no table")
    assert previous_audit(faces, out) is None
