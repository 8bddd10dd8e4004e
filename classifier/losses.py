"""What a training minimises, and what it knows of how often classes occur."""

import torch
from torch import Tensor

from classifier.data import Faces

_EM_ROUNDS = 200


def mean_loss(
    logits: Tensor, targets: Tensor, weights: Tensor, *, focal: float = 0.0, likelihood: bool = False
) -> Tensor:
    """Cross-entropy with soft targets, its focal form, or that of labels that are evidence; a batch's mean, a scalar.

    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 4, for each class of a soft target:
    -t (1 - p)^gamma log p.

    Where targets are likelihoods, t = P(label that was given | class), the loss is -log sum(p t): what the network says
    of the class, seen through how such labels go wrong (Hendrycks et al., "Using Trusted Data to Train Deep Networks on
    Labels Corrupted by Severe Noise", NeurIPS 2018, section 3.2). For a label that is certain it is cross-entropy.

    Args:
        logits: float32 [N, K].
        targets: float32 [N, K], rows sum to 1; likelihoods up to a factor of each face.
        weights: float32 [N], factor of each face's loss.
        focal: gamma; 0 for cross-entropy.
        likelihood: what targets are; `focal` is not used then.
    """
    logarithms = logits.log_softmax(dim=1)
    if likelihood:
        return -(weights * (logarithms + targets.log()).logsumexp(dim=1)).mean()
    per_class = -targets * logarithms
    if focal:
        per_class = per_class * (1 - logarithms.exp()).clamp_min(1e-6) ** focal  # 0 ** small has an infinite slope
    return (weights * per_class.sum(dim=1)).mean()


def smooth(targets: Tensor, share: float) -> Tensor:
    """Targets, float32 [N, K], of which a share is spread evenly over the classes, soft or not."""
    return targets * (1 - share) + share / targets.shape[1]


def class_mass(faces: Faces) -> Tensor:
    """How much each class counts in the loss, float32 [K]: 0 for one that no face shows."""
    return (faces.targets * faces.weights[:, None]).sum(dim=0)


def class_prior(faces: Faces, *, likelihood: bool = False) -> Tensor:
    """Each class's share of the loss, float32 [K], never quite zero so that its logarithm exists.

    Where targets are likelihoods, the shares under which the labels are likeliest, by EM: Saerens, Latinne and
    Decaestecker, Neural Computation 14, 2002.
    """
    mass = class_mass(faces)
    for _ in range(_EM_ROUNDS if likelihood else 0):
        posterior = faces.targets * mass
        posterior = posterior / posterior.sum(dim=1, keepdim=True).clamp_min(1e-12)
        mass = (posterior * faces.weights[:, None]).sum(dim=0)
    return (mass / mass.sum()).clamp_min(0.5 / len(faces))


def even_out(faces: Faces, beta: float) -> Tensor:
    """Weights of faces, float32 [N], by the effective number of faces of their class; their sum stays as it was.

    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, equation 1: a class of n
    faces weighs (1 - beta) / (1 - beta^n). A soft target weighs as the mixture that it is.

    Args:
        beta: 0 (all equal) to just below 1 (by the inverse frequency).
    """
    counts = faces.targets.sum(dim=0).double()
    per_class = torch.where(counts > 0, (1 - beta) / (1 - beta ** counts.clamp_min(1e-9)), 0.0)
    weights = faces.weights * (faces.targets.double() @ per_class).float()
    return weights * (faces.weights.sum() / weights.sum())
