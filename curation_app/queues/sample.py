"""The same random faces for everybody: how good are the labels, and how well do reviewers agree?"""

import numpy as np

from curation_app.collection import Collection
from curation_app.queues.contract import JUDGE_LABEL, Kind, Order
from fer_data.decision_log import DecisionLog

SAMPLE_FACES = 200


def order(collection: Collection, log: DecisionLog) -> Order:
    """SAMPLE_FACES faces by lot, seeded by the manifest: the same for every reviewer and after every restart."""
    generator = np.random.default_rng(int(collection.manifest.sha256[:16], 16))
    count = min(SAMPLE_FACES, len(collection))
    return Order(generator.choice(len(collection), count, replace=False).astype(np.int64))


KIND = Kind("Random sample", "The same random faces for everybody: how good are the labels?", JUDGE_LABEL, order)
