"""The simulated reviewer's orders and its single voter; what it knows is tested in test_decisions.py."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError
from fer_data.licenses import DRAWN
from fer_data.samples import Sample
from fer_data.simulated_review import ONE_VOTE, ferplus_one_vote, simulate_review
from fer_data.store_writer import StoreWriter
from fer_data.votes import FERPLUS_COLUMNS

COUNT = 60


@pytest.fixture
def faces(tmp_path: Path) -> manifests.Manifest:
    """60 faces, the last ten held out; votes: seven for fear, two for anger, one "unknown"."""
    ballot = [{"fear": 7, "anger": 2, "unknown": 1}.get(name, 0) for name in FERPLUS_COLUMNS]
    with StoreWriter("v", tmp_path, licence=DRAWN.as_dict(), source="v", votes_labels=FERPLUS_COLUMNS) as writer:
        for row in range(COUNT):
            image = np.random.default_rng(row).integers(0, 255, (16, 16)).astype(np.uint8)
            votes = ballot if row else [0] * len(ballot)
            facts = {"votes": votes, "votes_source": "FER+"}
            writer.add(Sample(f"{row}", image, "anger", "anger", "train", f"{row}", facts))
        store = writer.close()
    (tmp_path / "fer.toml").touch()
    frame = manifests.new_rows(
        COUNT, sample_id=[f"v/{row}" for row in range(COUNT)], store=f"stores/{store.path.name}",
        store_row=np.arange(COUNT), label="anger", split=["train"] * 50 + ["test"] * 10, group_id=np.arange(COUNT),
    )  # fmt: skip
    return manifests.write(frame, tmp_path / "manifests/v", label_set="basic7", command="test", licence=DRAWN.as_dict())


@pytest.fixture
def audit(faces: manifests.Manifest) -> Path:
    """An audit that ranks the last face first."""
    columns = {
        "sample_id": faces.frame["sample_id"].tolist(),
        "suggested_label": ["fear"] * COUNT,
        "rank": list(range(COUNT, 0, -1)),
    }
    return tables.write_table(faces.root / "a.parquet", pa.table(columns), tables.provenance("label_audit", "test"))


def looked_at(faces, audit, budget, **options) -> list[str]:
    path = faces.root / "log.sqlite"
    path.unlink(missing_ok=True)
    with closing(DecisionLog(path)) as log:
        simulate_review(faces, audit, log, budget, **{"rule": "ferplus_majority", **options})
        return [event.sample_id for event in log.events()]


def test_only_the_split_asked_for_is_looked_at_the_worst_first(faces, audit) -> None:
    assert looked_at(faces, audit, 3) == ["v/59", "v/58", "v/57"]
    assert looked_at(faces, audit, 3, split="train") == ["v/49", "v/48", "v/47"]
    assert len(looked_at(faces, audit, None, split="train")) == 50


def test_chance_takes_more_of_the_same_faces_and_asks_no_audit(faces, audit) -> None:
    few = looked_at(faces, audit, 10, order="random", split="train")
    assert looked_at(faces, audit, 25, order="random", split="train")[:10] == few
    assert looked_at(faces, None, 10, order="random", split="train") == few
    assert looked_at(faces, audit, 10, order="random", split="train", seed=1) != few
    with pytest.raises(FerError, match="expected an audit to look at the most suspect faces first"):
        looked_at(faces, None, 10)


def test_one_voter_is_drawn_for_each_face_by_the_votes(faces, audit) -> None:
    rows = np.arange(COUNT)
    seen = np.concatenate([ferplus_one_vote(faces, rows, seed)[1:] for seed in range(40)])
    names, counts = np.unique(seen.astype(str), return_counts=True)
    shares = dict(zip(names, counts / len(seen), strict=True))
    for name, share in (("fear", 0.7), ("anger", 0.2), ("unknown", 0.1)):
        assert abs(shares[name] - share) < 4 * np.sqrt(share * (1 - share) / len(seen))
    assert ferplus_one_vote(faces, rows, 3)[0] is None  # nobody voted
    np.testing.assert_array_equal(ferplus_one_vote(faces, rows[5:], 3), ferplus_one_vote(faces, rows, 3)[5:])


def test_what_one_voter_saw_becomes_a_decision(faces, audit) -> None:
    with closing(DecisionLog(faces.root / "log.sqlite")) as log:
        told = simulate_review(faces, audit, log, None, rule=ONE_VOTE, seed=3, split="train")
        decided = {event.sample_id: (event.action, event.label) for event in log.events()}
        assert {event.reviewer for event in log.events()} == {"simulated:ferplus_one_vote"}
        assert simulate_review(faces, audit, log, None, rule=ONE_VOTE, seed=3, split="train")["new"] == 0
    voted = ferplus_one_vote(faces, np.arange(50), 3)
    expected = {"fear": ("relabel", "fear"), "anger": ("keep", None), "unknown": ("unsure", None), None: ("keep", None)}
    assert decided == {f"v/{row}": expected[vote] for row, vote in enumerate(voted)}
    assert told["unsure"] == sum(vote == "unknown" for vote in voted) > 0
