"""Run a trained network over faces that are already as it sees them."""

import torch
from torch import Tensor

from classifier.data import to_input
from classifier.models import FaceClassifier

_BATCH, _BATCH_ON_CPU = 256, 64  # what a core's cache holds is a third faster than what it does not


def probabilities(model: FaceClassifier, images: Tensor, *, mirror: bool) -> Tensor:
    """Probabilities of the labels, float32 [N, K] on the CPU, rows sum to 1.

    Args:
        images: uint8 [N, C, S, S] of the model's size and channels.
        mirror: average with the probabilities of the mirror image.
    """

    return judge(model, images, mirror=mirror)[0]


@torch.no_grad()
def judge(model: FaceClassifier, images: Tensor, *, mirror: bool) -> tuple[Tensor, Tensor]:
    """Probabilities as above, and the features that the head sees, float32 [N, F] on the CPU, in one pass."""
    training = model.training
    model.eval()
    device = model.head.weight.device
    seen = torch.empty(len(images), model.head.in_features)
    judged = torch.empty(len(images), model.head.out_features)
    size = _BATCH_ON_CPU if device.type == "cpu" else _BATCH
    for start in range(0, len(images), size):
        batch = to_input(images[start : start + size].to(device))
        features = [model.features(view).float() for view in ((batch, batch.flip(3)) if mirror else (batch,))]
        probabilities = [model.head(value).softmax(dim=1) for value in features]
        seen[start : start + size] = (sum(features[1:], features[0]) / len(features)).cpu()
        judged[start : start + size] = (sum(probabilities[1:], probabilities[0]) / len(features)).cpu()
    model.train(training)
    return judged, seen
