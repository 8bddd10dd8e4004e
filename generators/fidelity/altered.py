"""Real faces brought under a condition that no real face shows, so that synthetic ones have something beside them.

A judge sees less in a masked face, whoever made it. What it sees in real held-out faces that were masked by us is what
may be expected of synthetic ones.
"""

import numpy as np
from numpy.typing import NDArray

from fer_data import conditions
from generators.fidelity.estimates import Rows, some
from generators.fidelity.faces import Faces


def altered_faces(
    faces: Faces, occlusion: str | None, light: str | None, limit: int, seed: int
) -> tuple[NDArray[np.uint8], Rows]:
    """Occlude and relight plain faces.

    Args:
        faces: real faces with conditions (`faces.with_real_conditions`).
        occlusion, light: words of `fer_data.expressions`; None leaves a face as it is.
        limit: at most about so many, at random, of rare labels as many as of frequent ones.

    Returns:
        Pictures uint8 [M, C, S, S], and the rows of the faces that they show, int64 [M], ascending.
    """
    plain = np.ones(len(faces), dtype=bool)
    for words, word, usual in ((faces.occlusions, occlusion, "none"), (faces.lights, light, "normal")):
        plain &= (words == word) | (words == usual) if word is not None else True
    labels = np.unique(faces.labels[plain].astype(str))
    random = np.random.default_rng(seed)
    found = [np.flatnonzero(plain & (faces.labels == label)) for label in labels]
    chosen = [own[some(len(own), -(-limit // len(labels)), random)] for own in found]
    rows = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))
    pictures = np.empty((len(rows), *faces.pictures.shape[1:]), dtype=np.uint8)
    for place, row in enumerate(rows.tolist()):
        pictures[place] = _altered(faces.pictures[row], row, faces, occlusion, light, seed)
    return pictures, rows


def _altered(
    picture: NDArray[np.uint8], row: int, faces: Faces, occlusion: str | None, light: str | None, seed: int
) -> NDArray[np.uint8]:
    grey = len(picture) == 1
    image = picture[0] if grey else np.ascontiguousarray(picture.transpose(1, 2, 0))
    number = int(np.random.default_rng([seed, row]).integers(2**31))
    if occlusion is not None and faces.occlusions[row] != occlusion:
        image = conditions.occlude(image, occlusion, number)
    if light is not None and faces.lights[row] != light:
        image = conditions.relight(image, light, number)
    return image[None] if grey else image.transpose(2, 0, 1)
