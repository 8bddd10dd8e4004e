"""What `fer predict` wrote comes back as evidence; what does not fit is refused in one sentence."""

import numpy as np
import pyarrow as pa
import pytest

from fer_data import tables
from fer_data.auditing.evidence import UNTRAINED, read_evidence, repeats_folder
from fer_data.errors import FerError
from fer_data.expressions import BASIC7

COUNT, K = 30, len(BASIC7)


def probabilities(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(K), COUNT).astype(np.float32)


def write(path, kind, ids, judged, **columns):
    table = {"sample_id": list(ids), **columns, **{f"p_{name}": judged[:, k] for k, name in enumerate(BASIC7)}}
    return tables.write_table(path, pa.table(table), tables.provenance(kind, "test"), replace=True)


@pytest.fixture
def made(picture_manifest, project):
    """30 faces, one without a label, their predictions, and one repeat that trained on all but two of them."""
    labels = [BASIC7[index % K] for index in range(COUNT)]
    labels[4] = None
    manifest = picture_manifest(range(COUNT), labels, ["train"] * COUNT)
    ids = manifest.frame["sample_id"]
    path = write(project / "p.parquet", "predictions", ids, probabilities(0))
    told = list(labels)
    told[0], told[1] = "fear", None
    seen = probabilities(2)
    seen[[1, 4]] = np.nan
    repeat = {
        "fold": pa.array(np.arange(COUNT) % 3, pa.int16()),
        "trained_label": told,
        "margins": pa.array([[0.5, index] for index in range(COUNT)], pa.list_(pa.float16(), 2)),
        "features": pa.array([[1.0, 2.0, index] for index in range(COUNT)], pa.list_(pa.float16(), 3)),
        **{f"seen_{name}": seen[:, k] for k, name in enumerate(BASIC7)},
    }
    write(repeats_folder(path) / "0.parquet", "repeat", ids, probabilities(1), **repeat)
    return manifest, path


def test_evidence_is_what_was_written(made):
    manifest, path = made
    evidence, metadata = read_evidence(manifest, path)
    rows = np.delete(np.arange(COUNT), 4)
    assert len(evidence) == COUNT - 1 and metadata["left_out_unlabelled"] == 1
    assert evidence.sample_ids.tolist() == manifest.frame["sample_id"].iloc[rows].tolist()
    assert evidence.labels.tolist() == (rows % K).tolist()
    np.testing.assert_allclose(evidence.probabilities, probabilities(0)[rows], atol=1e-6)
    (repeat,) = evidence.repeats
    np.testing.assert_array_equal(repeat.probabilities, probabilities(1)[rows])
    assert repeat.fold.tolist() == (rows % 3).tolist()
    assert repeat.trained_label[:3].tolist() == [BASIC7.index("fear"), UNTRAINED, 2]
    assert repeat.trained.sum() == COUNT - 2
    assert repeat.features[:, 2].tolist() == rows.tolist() and repeat.margins[:, 1].tolist() == rows.tolist()
    assert np.isnan(repeat.seen).all(axis=1).nonzero()[0].tolist() == [1]
    part = evidence.take(np.array([5, 2]))
    assert part.sample_ids.tolist() == evidence.sample_ids[[5, 2]].tolist()
    assert part.repeats[0].features[:, 2].tolist() == [6, 2]


def test_probabilities_alone_are_enough(made):
    manifest, path = made
    for file in repeats_folder(path).iterdir():
        file.unlink()
    assert read_evidence(manifest, path)[0].repeats == ()


def test_a_repeat_of_other_faces_is_refused(made):
    manifest, path = made
    ids = manifest.frame["sample_id"][::-1]
    folds = pa.array(np.zeros(COUNT), pa.int16())
    write(repeats_folder(path) / "1.parquet", "repeat", ids, probabilities(1), fold=folds)
    with pytest.raises(FerError, match=r"1.parquet: expected the faces of p.parquet in the same order"):
        read_evidence(manifest, path)
