"""Networks by name: thin ResNets and a thin VGG for small grey faces, torchvision's ResNets, and any timm model.

    thin_resnet18   0.70 M parameters   the default on a CPU
    thin_resnet10   0.31 M parameters   about twice as fast: demos and tests
    thin_vgg        0.43 M parameters   no shortcuts, and it knows where on the face something is: a second opinion
    resnet18 · resnet34 · resnet50      torchvision's, the reference arms
    timm:<name>                         for example timm:mobilenetv3_small_100

Every network is a `FaceClassifier`: a body that gives features, and a linear head. Nothing is downloaded.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from fer_data.errors import FerError

THIN_BLOCKS = {"thin_resnet18": 2, "thin_resnet10": 1}
THIN_WIDTHS = (16, 32, 64, 128)
THIN_VGG = "thin_vgg"
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


class ResidualBlock(nn.Module):
    """The basic block of He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, figure 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


class ThinResNetBody(nn.Module):
    """A ResNet of a quarter of the usual widths whose stem brings a face to 15..28 px, float32 [N, 128] out.

    The stem convolves at full resolution and then pools: with one input channel that costs next to nothing
    and keeps the fine lines around eyes and mouth (48 px → 24 px, 24 px stay).
    """

    def __init__(self, channels: int, size_px: int, blocks: int) -> None:
        super().__init__()
        width = THIN_WIDTHS[0]
        stem: list[nn.Module] = [
            nn.Conv2d(channels, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        side = size_px
        while side > 28:
            stem.append(nn.MaxPool2d(2))
            side //= 2
        self.stem = nn.Sequential(*stem)
        stages: list[nn.Module] = []
        for stage, outputs in enumerate(THIN_WIDTHS):
            for block in range(blocks):
                stages.append(ResidualBlock(width, outputs, 2 if stage and not block else 1))
                width = outputs
        self.stages = nn.Sequential(*stages)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(self.stem(x)).mean(dim=(2, 3))


class ThinVggBody(nn.Module):
    """Plain stacks of convolutions between max-pools and one hidden layer on what is left, float32 [N, 128] out.

    The first four stages of configuration A of Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale
    Image Recognition", ICLR 2015, table 1, a quarter as wide and with the batch normalisation that it did without. The
    hidden layer sees 3x3 places of a face one by one, where a ResNet sees their mean.
    """

    _PLACES = 3
    WIDTH = 128

    def __init__(self, channels: int, size_px: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, side = channels, size_px
        for outputs, convolutions in zip(THIN_WIDTHS, (1, 1, 2, 2), strict=True):
            for _ in range(convolutions):
                layers += _convolution(inputs, outputs)
                inputs = outputs
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            side = -(-side // 2)
            while side > 28:  # large pictures are brought down after the first convolution, as above
                layers.append(nn.MaxPool2d(2))
                side //= 2
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.AdaptiveAvgPool2d(self._PLACES),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(inputs * self._PLACES**2, self.WIDTH, bias=False),
            nn.BatchNorm1d(self.WIDTH),
            nn.ReLU(inplace=True),
        )
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden(self.convolutions(x))


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


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
        weights: safetensors file with pretrained tensors, see `load_body`.

    Raises:
        FerError: an unknown name, or weights that do not fit.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body, width = _build_body(name, channels, size_px)
        model = FaceClassifier(body, width, classes)
    if weights is not None:
        load_body(model, weights)
    return model


def load_body(model: FaceClassifier, file: Path) -> None:
    """Fill a model's body from a safetensors file as torchvision, timm or this project names its tensors.

    A stem made for colour is summed over its channels where the model sees grey. A head is not taken.

    Raises:
        FerError: no such file, not safetensors, or fewer than nine tenths of the body's tensors fit.
    """
    try:
        stored = load_file(file)
    except (OSError, SafetensorError) as error:
        raise FerError(f"weights {file}: expected a safetensors file, found {error}; check the path") from None
    own = model.body.state_dict()
    found: dict[str, Tensor] = {}
    for key, value in stored.items():
        key = key.removeprefix("body.")
        if key not in own:
            continue
        if value.ndim == 4 and value.shape[1] == 3 and own[key].shape[1] == 1:
            value = value.sum(dim=1, keepdim=True)
        if value.shape == own[key].shape:
            found[key] = value
    if len(found) < 0.9 * len(own):
        raise FerError(
            f"weights {file}: expected the tensors of this model, found {len(found)} of {len(own)} that fit; "
            "choose the model that the file was trained with"
        )
    model.body.load_state_dict({**own, **found})


def _build_body(name: str, channels: int, size_px: int) -> tuple[nn.Module, int]:
    if name in THIN_BLOCKS:
        return ThinResNetBody(channels, size_px, THIN_BLOCKS[name]), THIN_WIDTHS[-1]
    if name == THIN_VGG:
        return ThinVggBody(channels, size_px), ThinVggBody.WIDTH
    if name in TORCHVISION:
        return _torchvision_body(name, channels, size_px)
    if name.startswith(TIMM):
        return _timm_body(name.removeprefix(TIMM), channels, size_px)
    known = ", ".join((*THIN_BLOCKS, THIN_VGG, *TORCHVISION))
    raise FerError(f"model {name!r} is unknown; expected one of {known}, or timm:<name>")


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


def _initialise(body: nn.Module) -> None:
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
