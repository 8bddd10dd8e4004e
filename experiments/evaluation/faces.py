"""Single faces of an evaluation: read right and wrong, and what the classifier looked at."""

import numpy as np

from classifier.heat_map_faces import ExplainedFaces, explain_faces
from experiments.evaluation.scoring import Judged
from experiments.sheets import Sheet

PER_CLASS = 6


def heat_map_sheets(judged: Judged, count: int = PER_CLASS, seed: int = 0) -> list[Sheet]:
    """Faces of every class read right and read wrong, drawn at random, each beside itself under its heat map.

    Args:
        count: how many of each class right, and as many wrong.

    Raises:
        FerError: a network without convolutions.
    """
    view = judged.main_view
    predicted = judged.probabilities.argmax(axis=1)
    found = explain_faces(judged.classifier, judged.images, view.truth, predicted, count=count, seed=seed)
    return [_sheet(judged, faces, count) for faces in found]


def _sheet(judged: Judged, faces: ExplainedFaces, count: int) -> Sheet:
    labels, truth = judged.manifest.labels, judged.main_view.truth
    predicted = judged.probabilities.argmax(axis=1)
    alike = (truth == faces.label) & ((predicted == truth) == faces.right)
    captions = []
    for row, seen in zip(faces.rows, faces.predicted, strict=True):
        share = f"{100 * judged.probabilities[row, seen]:.0f} %"
        captions += [(labels[seen], share), ("",)]
    pairs = np.stack([faces.images, faces.overlaid], axis=1).reshape(-1, *faces.images.shape[1:])
    title = f"{labels[faces.label]}, read {'right' if faces.right else 'wrong'}"
    note = f"{len(faces.rows)} of {int(alike.sum()):,}"
    return Sheet(title, note, pairs, captions, 2 * count)
