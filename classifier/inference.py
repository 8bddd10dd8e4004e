"""Run a trained network over faces that are already as it sees them."""

from collections.abc import Callable

import torch
from torch import Tensor

from classifier.data import to_input
from classifier.models import FaceClassifier

_BATCH = 256


def probabilities(model: FaceClassifier, images: Tensor, *, mirror: bool) -> Tensor:
    """Probabilities of the labels, float32 [N, K] on the CPU, rows sum to 1.

    Args:
        images: uint8 [N, C, S, S] of the model's size and channels.
        mirror: average with the probabilities of the mirror image.
    """

    def judge(batch: Tensor) -> Tensor:
        return model(batch).float().softmax(dim=1)

    return _run(model, judge, images, model.head.out_features, mirror=mirror)


def features(model: FaceClassifier, images: Tensor, *, mirror: bool) -> Tensor:
    """What the head sees, float32 [N, F] on the CPU; arguments as for `probabilities`."""
    return _run(model, lambda batch: model.features(batch).float(), images, model.head.in_features, mirror=mirror)


@torch.no_grad()
def _run(
    model: FaceClassifier, function: Callable[[Tensor], Tensor], images: Tensor, width: int, *, mirror: bool
) -> Tensor:
    training = model.training
    model.eval()
    device = model.head.weight.device
    out = torch.empty(len(images), width)
    for start in range(0, len(images), _BATCH):
        batch = to_input(images[start : start + _BATCH].to(device))
        result = function(batch)
        if mirror:
            result = (result + function(batch.flip(3))) / 2
        out[start : start + _BATCH] = result.cpu()
    model.train(training)
    return out
