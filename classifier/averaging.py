"""The average of a network's weights over the last steps, which is kept and judged instead of the network."""

from copy import deepcopy

import torch

from classifier.models import FaceClassifier


class WeightAverage:
    """A copy of a network that follows it: average × decay + network × (1 - decay), running statistics included.

    Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, in exponential form.

    Args:
        network: its tensors must stay where they are in memory, as optimisers and `load_state_dict` leave them.
    """

    def __init__(self, network: FaceClassifier) -> None:
        self.network = deepcopy(network)
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        self._floats = tuple(zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True))
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Move towards the network as it is now, with one call for all weights."""
        means, values = self._floats
        torch._foreach_lerp_(means, values, 1 - decay)
        for mean, value in self._counters:
            mean.copy_(value)
