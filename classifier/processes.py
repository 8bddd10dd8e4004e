"""What the processes of one training do together, as `accelerate launch` starts them; alone, nothing is sent."""

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor

from classifier.inference import probabilities
from classifier.models import FaceClassifier


def mean_over_processes(accelerator: Accelerator, values: Tensor) -> Tensor:
    """The mean of what every process has, the same in all of them; float32 of any shape."""
    return accelerator.reduce(values, "mean") if accelerator.num_processes > 1 else values


def judge_together(accelerator: Accelerator, network: FaceClassifier, images: Tensor, *, mirror: bool) -> Tensor:
    """Probabilities as `classifier.inference.probabilities`, each process judging its share; all get all of them.

    Weights are equal in all processes. Running statistics come from each one's own batches: those of the first count.
    """
    ranks = accelerator.num_processes
    if ranks == 1:
        return probabilities(network, images, mirror=mirror)
    for buffer in network.buffers():
        broadcast(buffer)
    share = -(-len(images) // ranks)
    rows = torch.arange(accelerator.process_index * share, (accelerator.process_index + 1) * share)
    judged = probabilities(network, images[rows.clamp_max(len(images) - 1)], mirror=mirror)
    return accelerator.gather(judged.to(accelerator.device)).cpu()[: len(images)]
