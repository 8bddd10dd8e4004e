"""What an experiment's report tells of generated faces, with a judge that sees brightness."""

import numpy as np
import pytest

from experiments import synthesis
from fer_data import manifest as manifests
from fer_data.links import twins_across
from generators.fidelity.distances import polynomial_mmd2


class Judge:
    size_px, channels = 16, 1

    def features(self, pictures):
        return pictures.reshape(len(pictures), 4, -1).mean(axis=2).astype(np.float32)


@pytest.fixture
def real(project, monkeypatch):
    monkeypatch.setattr(synthesis, "FEWEST", 8)
    return manifests.read(project / "manifests/faces")


def part(manifest, rows, name):
    frame = manifest.frame[rows].reset_index(drop=True)
    path = manifest.path.with_name(name)
    return manifests.write(frame, path, label_set="basic7", command="test", licence=manifest.metadata["licence"])


def test_distances_are_between_faces_of_the_same_labels(real):
    frame = real.frame
    own = frame["label"] == "disgust"
    made = part(real, (frame["split"] == "val") & own, "made")
    found = synthesis._distance(made, real, Judge())
    features = {}
    for split in ("train", "test"):
        rows = ((frame["split"] == split) & own).to_numpy()
        features[split] = Judge().features(real.pictures(16, 1, rows)).astype(np.float64)
    drawn = Judge().features(made.pictures(16, 1)).astype(np.float64)
    assert found["value"] == pytest.approx(polynomial_mmd2(features["train"], drawn))
    apart = ~twins_across(real, "test", ("train", "val"))[((frame["split"] == "test") & own).to_numpy()]
    assert not apart.all()  # one of them is a training face
    assert found["floor"] == pytest.approx(polynomial_mmd2(features["train"], features["test"][apart]))
    assert found["standard_error"] > 0


def test_few_faces_have_no_distance(real):
    rows = np.arange(len(real.frame)) < synthesis.FEWEST - 1
    assert synthesis._distance(part(real, rows, "few"), real, Judge()) is None
