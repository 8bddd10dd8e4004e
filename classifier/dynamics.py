"""How a classifier came to see the faces it trains on: the margin of every face, all through the training.

A label that is wrong is fitted late and against its neighbours: the mean of these margins is the area under the
margin (Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking", NeurIPS 2020).
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from fer_data.files import atomic_file

_FILE = "dynamics.safetensors"


class Dynamics:
    """Margins of N faces in E equal stretches of a training.

    A margin is the logit of the trained label minus the largest other one, as the network gave them when the
    face came by, augmented, for its own training step: recording costs nothing.

    Args:
        classes: int64 [N], the labels that are trained.
        stretches: E.
        device: where the logits will be: a GPU does not wait for what is noted.
    """

    def __init__(self, classes: NDArray[np.int64], stretches: int, device: torch.device | str = "cpu") -> None:
        self._classes = torch.from_numpy(classes).to(device)
        self._sums = torch.zeros(stretches, len(classes), device=device)
        self._counts = torch.zeros(stretches, len(classes), device=device)

    def record(self, rows: Tensor, logits: Tensor, progress: float) -> None:
        """Note the logits (float32 [B, K]) of the faces `rows` (int64 [B]), at `progress` 0..1 of the training."""
        own = self._classes[rows].unsqueeze(1)
        margins = logits.gather(1, own).squeeze(1) - logits.scatter(1, own, -torch.inf).amax(dim=1)
        stretch = min(int(progress * len(self._sums)), len(self._sums) - 1)
        self._sums[stretch].index_add_(0, rows, margins)
        self._counts[stretch].index_add_(0, rows, torch.ones_like(margins))

    def state_dict(self) -> dict[str, Tensor]:
        """All that is recorded so far."""
        return {"sums": self._sums, "counts": self._counts}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what was recorded."""
        self._sums.copy_(state["sums"])
        self._counts.copy_(state["counts"])

    def write(self, folder: Path) -> None:
        """Keep the mean margins beside the classifier."""
        with atomic_file(folder / _FILE) as partial:
            save_file({"margins": (self._sums / self._counts).T.contiguous().cpu()}, partial)


def read_margins(checkpoint: Path) -> NDArray[np.float32]:
    """The margins of the faces that a classifier trained on, in their order.

    Returns:
        float32 [N, E]; NaN in stretches in which a face did not come by.
    """
    margins: NDArray[np.float32] = load_file(checkpoint / _FILE)["margins"].numpy()
    return margins
