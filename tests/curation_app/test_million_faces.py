"""The project that the curator is measured on, a small one of it."""

from pathlib import Path

import pytest

from curation_app.collection import Collection
from curation_app.queues import KINDS, missing_queues, queue_sizes
from fer_data import manifest as manifests
from fer_data.decision_log import DecisionLog

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def faces(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from million_faces import make_faces

    return make_faces(tmp_path / "project", 400)


def test_it_is_valid_and_has_faces_for_every_queue_but_that_of_decisions(faces):
    assert manifests.validate(faces, full=True) == []
    collection = Collection(manifests.read(faces.path))
    log = DecisionLog(faces.root / "decisions.sqlite")
    sizes = queue_sizes(collection, log)
    assert missing_queues(collection, log) == {} and set(sizes) >= set(KINDS) - {"disagreements", "leaks"}
    assert sizes["suspected"] == 80 and sizes["synthetic"] == 2 and len(collection) == 400
    assert collection.duplicates(99).tolist() == [98] and collection.notes == ()
    assert collection.picture_of(collection.judge(398).nearest).shape == (48, 48)
