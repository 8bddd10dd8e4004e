"""Heat maps: where the model looked, as `fer predict --explain` wrote them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curation_app.knowledge.side_tables import SideTable
from fer_data.images import decode
from fer_data.manifest import Manifest


class HeatMaps:
    """A table of kind `heat_maps`: sample_id, and heat_map, a grey PNG of the picture's size."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Align a table with a manifest.

        Raises:
            FerError: the table is missing or of another kind.
        """
        self._table = SideTable(path, "heat_maps", manifest, parts=4)  # of pictures, which are large

    def of(self, row: int) -> NDArray[np.uint8] | None:
        """The heat map of a face, uint8 [H, W], 255 = most; None where there is none.

        Raises:
            FerError: it does not decode.
        """
        data = self._table.value("heat_map", row)
        return None if data is None else decode(data, f"{self._table.path} row {self._table.place[row]}")
