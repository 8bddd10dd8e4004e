"""A sample sheet: every class in a row, under no stated condition and under each that the generator knows."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_data.files import atomic_file
from generators.condition import Vocabulary
from generators.contract import Generator

_PLAIN_COLUMNS = 6  # faces of each class without a stated occlusion or light
_ENLARGE = 2


def write_sheet(path: Path, generator: Generator) -> None:
    """Draw the sheet and write it as PNG; a column uses the same seed for every class."""
    conditions, columns = sheet_conditions(generator.vocabulary)
    seeds = np.tile(np.arange(columns, dtype=np.int64), len(conditions) // columns)
    pictures = generator.sample(conditions, seeds)
    rows = pictures.transpose(0, 2, 3, 1).reshape(-1, columns, *(generator.size_px,) * 2, generator.channels)
    sheet = rows.transpose(0, 2, 1, 3, 4).reshape(len(rows) * generator.size_px, columns * generator.size_px, -1)
    image = Image.fromarray(sheet[:, :, 0] if generator.channels == 1 else sheet)
    enlarged = image.resize((image.width * _ENLARGE, image.height * _ENLARGE), Image.Resampling.NEAREST)
    with atomic_file(path) as partial:
        enlarged.save(partial, "PNG")


def sheet_conditions(vocabulary: Vocabulary) -> tuple[NDArray[np.int64], int]:
    """Conditions int64 [classes * columns, 3], class by class, and the number of columns."""
    _, no_occlusion, no_light = vocabulary.unknown
    pairs = [(no_occlusion, no_light)] * _PLAIN_COLUMNS
    pairs += [(index, no_light) for index in range(len(vocabulary.occlusion))]
    pairs += [(no_occlusion, index) for index in range(len(vocabulary.light))]
    rows = [(label, *pair) for label in range(len(vocabulary.label)) for pair in pairs]
    return np.asarray(rows, dtype=np.int64), len(pairs)
