"""Networks by name: thin ResNets and a thin VGG for small grey faces, torchvision's ResNets, and any timm model.

    thin_resnet18   0.70 M parameters   the default on a CPU
    thin_resnet10   0.31 M parameters   about twice as fast: demos and tests
    thin_resnet34   1.33 M parameters   deeper; a width may follow any of them, as in thin_resnet18x2
    thin_vgg        0.43 M parameters   no shortcuts, and it knows where on the face something is: a second opinion
    resnet18 · resnet34 · resnet50      torchvision's, the reference arms
    baseline_mlp, …                     plain networks of older studies, see baseline_models.py
    timm:<name>                         for example timm:mobilenetv3_small_100

Every network is a `FaceClassifier`: a body that gives features, and a linear head. Nothing is downloaded.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from classifier.baseline_models import BASELINES
from classifier.pretrained import load_body
from classifier.thin_models import THIN_VGG, thin_body
from fer_data.errors import FerError

THIN = ("thin_resnet10", "thin_resnet18", "thin_resnet34", THIN_VGG)
TORCHVISION = ("resnet18", "resnet34", "resnet50")
TIMM = "timm:"

_SMALL_PX = 96  # below, torchvision's 7x7 stem with stride 2 throws away too much of a face


class FaceClassifier(nn.Module):
    """A body and a linear head.

    Args:
        body: float32 [N, C, S, S] to features float32 [N, F].
        width: F.
        classes: K.
    """

    def __init__(self, body: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, classes)

    def features(self, images: Tensor) -> Tensor:
        """What the head sees, float32 [N, F]."""
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, float32 [N, K]."""
        return self.head(self.body(images))


def build_model(
    name: str, classes: int, channels: int, size_px: int, *, seed: int = 0, weights: Path | None = None
) -> FaceClassifier:
    """A network with fresh weights drawn from `seed`, or with a body read from a local file.

    Args:
        name: see the head of this file.
        classes: number of labels K.
        channels: 1 (grey) or 3.
        size_px: side of the square pictures it will see.
        seed: same seed, same weights; the global random state is left as it was.
        weights: safetensors file with pretrained tensors, see `classifier/pretrained.py`.

    Raises:
        FerError: an unknown name, or weights that do not fit.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body, width = _build_body(name, channels, size_px)
        model = FaceClassifier(body, width, classes)
    if weights is not None:
        load_body(model.body, weights)
    return model


def require_any_size(model: FaceClassifier, name: str, channels: int, size_px: int) -> None:
    """Refuse a network that sees pictures of one size only.

    Args:
        size_px: a side that is not the one it was built for.

    Raises:
        FerError: it takes no pictures of this side.
    """
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, channels, size_px, size_px))
    except (RuntimeError, AssertionError):
        raise FerError(
            f"start_px {size_px}: expected a network that takes pictures of any size, found {name}; "
            "leave start_px out, or choose a convolutional network"
        ) from None
    finally:
        model.train(training)


def _build_body(name: str, channels: int, size_px: int) -> tuple[nn.Module, int]:
    thin = thin_body(name, channels, size_px)
    if thin is not None:
        return thin
    if name in BASELINES:
        build, width = BASELINES[name]
        return build(channels, size_px), width
    if name in TORCHVISION:
        return _torchvision_body(name, channels, size_px)
    if name.startswith(TIMM):
        return _timm_body(name.removeprefix(TIMM), channels, size_px)
    known = ", ".join((*THIN, *BASELINES, *TORCHVISION))
    raise FerError(f"model {name!r} is unknown; expected one of {known}, a width as thin_resnet18x1.5, or timm:<name>")


def _torchvision_body(name: str, channels: int, size_px: int) -> tuple[nn.Module, int]:
    from torchvision import models

    body = getattr(models, name)(weights=None)
    width = body.fc.in_features
    body.fc = nn.Identity()
    kernel, stride = (3, 1) if size_px < _SMALL_PX else (7, 2)
    body.conv1 = nn.Conv2d(channels, 64, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(body.conv1.weight, mode="fan_out", nonlinearity="relu")
    return body, width


def _timm_body(name: str, channels: int, size_px: int) -> tuple[nn.Module, int]:
    import timm

    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:3]
        raise FerError(f"timm has no model {name!r}" + (f"; it has {', '.join(near)}, …" if near else ""))
    card = timm.models.get_pretrained_cfg(name)
    sized = {"img_size": size_px} if card is not None and card.fixed_input_size else {}
    body = timm.create_model(name, pretrained=False, in_chans=channels, num_classes=0, **sized)
    return body, int(getattr(body, "head_hidden_size", None) or body.num_features)
