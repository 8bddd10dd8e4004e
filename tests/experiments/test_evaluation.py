"""`fer evaluate`: a classifier on a split, with twins and without, against labels and votes; what cannot be judged."""

import json

import numpy as np
import pyarrow as pa
import pytest

from classifier.metrics import evaluate
from experiments.evaluation.page import write_page
from experiments.evaluation.scoring import NO_GROUPS, Judged, score
from fer_data import tables
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.votes import FERPLUS_COLUMNS, distribution, label_shares

SIZE = 16


class Reader:
    """Reads a picture's mean brightness; the labels and the size are those of the tests' manifests."""

    labels, size_px, channels = BASIC7, SIZE, 1
    description = {
        "configuration": {"model": "brightness"},
        "trained_on": {"manifest": "another", "manifest_sha256": "1"},
    }

    def probabilities(self, images):
        label = (images.mean(axis=(1, 2, 3)) * 100).astype(int) % 7
        return (0.6 * np.eye(7)[label] + 0.4 / 7).astype(np.float32)


@pytest.fixture
def faces(noise_manifest):
    """Forty faces in three splits, two of the test split one with faces of train and val, two without a label."""
    labels = [BASIC7[index % 7] for index in range(40)]
    labels[38] = labels[39] = None
    splits = ["train"] * 10 + ["val"] * 10 + ["test"] * 20
    groups = np.arange(40)
    groups[20], groups[21], groups[10] = 0, 11, 1
    facts = [{"true_label": BASIC7[(index + index // 30) % 7], "gender": ("f", "m")[index % 2]} for index in range(40)]
    facts[25] |= {"light": "low", "condition_source": "dataset"}
    return noise_manifest(labels, splits, groups=groups, facts=facts, size_px=SIZE)


def test_every_view_is_scored_as_its_faces_alone(faces):
    judged = Judged(faces, Reader())
    found = score(judged)
    assert [view["key"] for view in found["views"]] == [
        "official/given", "official/reference", "leak_free/given", "leak_free/reference",
    ]  # fmt: skip
    assert [view["metrics"]["count"] for view in found["views"]] == [18, 20, 16, 18]
    assert [view["metrics"]["left_out"] for view in found["views"]] == [2, 0, 2, 0]
    assert (found["faces"], found["faces_with_twins"]) == (20, 2)
    truth = np.array([BASIC7.index(label) for label in faces.frame["label"][22:38]])
    expected = evaluate(truth, judged.probabilities[2:18], BASIC7)
    metrics = found["views"][2]["metrics"]
    assert {**metrics, "left_out": 0} == expected
    assert sum(row["faces"] for row in found["views"][0]["reliability"]) == 18
    assert found["views"][0]["risk_coverage"][-1] == pytest.approx([1, 1 - found["views"][0]["metrics"]["accuracy"]])
    assert list(found["slices"]) == ["light: low"] and found["slices"]["light: low"]["leak_free/given"]["count"] == 1
    assert found["robustness"] is None and found["fairness"] is None and found["votes"] is None
    json.dumps(found, allow_nan=False)


def test_validation_is_scored_without_twins_in_training(faces):
    found = score(Judged(faces, Reader(), "val"))
    assert [view["metrics"]["count"] for view in found["views"]] == [10, 10, 9, 9]
    assert found["views"][2]["split_name"] == "validation split without twins in train"


def test_near_duplicates_that_a_table_names_are_twins_too(faces, project):
    links = pa.table({"a": ["noise/00002"], "b": ["noise/00030"], "score": [0.9]})
    tables.write_table(project / "audit/near.parquet", links, {"kind": "duplicates"})
    judged = Judged(faces, Reader(), link_tables=[project / "audit/near.parquet"])
    assert np.flatnonzero(judged.leaked).tolist() == [0, 1, 10]
    assert score(judged)["faces_with_twins"] == 3


def test_groups_are_told_where_the_manifest_names_them(faces, noise_manifest):
    found = score(Judged(faces, Reader()), groups=True)["fairness"]
    assert set(found) == {"leak_free/given", "leak_free/reference"}
    groups = found["leak_free/given"]["attributes"]["gender"]["groups"]
    assert {name: group["faces"] for name, group in groups.items()} == {"f": 8, "m": 8}
    plain = noise_manifest(["anger", "fear"], ["test"] * 2, name="plain", size_px=SIZE)
    assert score(Judged(plain, Reader()), groups=True)["fairness"] == NO_GROUPS


def test_votes_are_a_distribution_over_the_labels(noise_manifest):
    names = dict(zip(FERPLUS_COLUMNS, np.eye(10, dtype=int).tolist(), strict=True))
    votes = np.array([
        np.array(names["fear"]) * 6 + np.array(names["surprise"]) * 4,
        np.array(names["contempt"]) * 6 + np.array(names["neutral"]) * 4,
        np.array(names["neutral"]) * 6 + np.array(names["contempt"]) * 4,
        np.array(names["unknown"]) * 10,
    ])  # fmt: skip
    facts = [{"votes": row.tolist(), "votes_source": "FER+"} for row in votes] + [{}]
    made = noise_manifest(["fear"] * 5, ["test"] * 5, facts=facts, size_px=SIZE)
    made.stores[made.table["store"][0].as_py()].info["votes_labels"] = list(FERPLUS_COLUMNS)
    shares = label_shares(made)
    assert shares[0] == pytest.approx(0.6 * np.eye(7)[2] + 0.4 * np.eye(7)[5])
    assert np.isnan(shares[[1, 3, 4]]).all()  # most saw contempt, nothing, or nobody was asked
    assert shares[2] == pytest.approx(np.eye(7)[6])  # what is left of neutral and contempt
    assert np.isnan(distribution(votes)[3]).all()
    told = score(Judged(made, Reader()))["votes"]
    assert (told["official"]["count"], told["official"]["left_out"]) == (2, 3)


def test_what_cannot_be_judged_is_refused(noise_manifest):
    made = noise_manifest(["anger", None], ["train", "test"], size_px=SIZE)
    with pytest.raises(FerError, match="expected val faces, found none"):
        Judged(made, Reader(), "val")
    with pytest.raises(FerError, match="expected test or val|expected val or test"):
        Judged(made, Reader(), "train")
    with pytest.raises(FerError, match="expected test faces with a label, found 1 without any"):
        Judged(made, Reader())
    other = Reader()
    other.labels = BASIC7[:3]
    with pytest.raises(FerError, match="expected a classifier of anger"):
        Judged(made, other)

    class Broken(Reader):
        def probabilities(self, images):
            return np.full((len(images), 7), np.nan, dtype=np.float32)

    labelled = noise_manifest(["anger", "fear"], ["test"] * 2, name="labelled", size_px=SIZE)
    with pytest.raises(FerError, match="probabilities that sum to 1"):
        score(Judged(labelled, Broken()))


def test_the_page_says_what_it_says_and_escapes_it(faces, tmp_path):
    found = score(Judged(faces, Reader()), groups=True)
    found["manifest"]["name"] = "<b>faces</b>"
    page = write_page(found, tmp_path / "page.html").read_text()
    accuracy = f"{100 * found['views'][3]['metrics']['accuracy']:.1f} %"
    assert accuracy in page and "test split without twins in train or val" in page
    assert "&lt;b&gt;faces" in page and "<b>faces" not in page
    assert "whether it saw some of these" in page  # it learnt from another manifest
    assert "No two groups are large enough" in page and "light: low" in page
    for title in ("Votes", "Occlusion and low light", "What it looked at"):
        assert title not in page
