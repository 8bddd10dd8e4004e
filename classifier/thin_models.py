"""Thin ResNets and a thin VGG: networks for small grey faces that a CPU trains in minutes.

A name says how deep and how wide: `thin_resnet18` has a quarter of the usual widths, `thin_resnet34x1.5` is as deep as
a ResNet-34 and half as wide again.
"""

import re
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

THIN_VGG = "thin_vgg"

_BLOCKS = {"10": (1, 1, 1, 1), "18": (2, 2, 2, 2), "34": (3, 4, 6, 3)}
_WIDTHS = (16, 32, 64, 128)
_LARGEST_SIDE_PX = 28  # of what the first stage sees
_NAME = re.compile(r"thin_resnet(10|18|34)(?:x(\d(?:\.\d+)?))?")


def thin_body(name: str, channels: int, size_px: int) -> tuple[nn.Module, int] | None:
    """The body of this name and how many features it gives; None where no thin network has the name."""
    if name == THIN_VGG:
        return ThinVggBody(channels, size_px), ThinVggBody.WIDTH
    found = _NAME.fullmatch(name)
    if found is None or float(found[2] or 1) < 0.5:
        return None
    widths = tuple(round(width * float(found[2] or 1) / 8) * 8 for width in _WIDTHS)
    return ThinResNetBody(channels, size_px, _BLOCKS[found[1]], widths), widths[-1]


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
    """A narrow ResNet whose stem brings a face to 15..28 px, float32 [N, widths[-1]] out.

    The stem convolves at full resolution and then pools: with one input channel that costs next to nothing
    and keeps the fine lines around eyes and mouth (48 px → 24 px, 24 px stay).

    Args:
        channels: of the pictures.
        size_px: their side.
        blocks: of each stage.
        widths: channels of each stage.
    """

    def __init__(self, channels: int, size_px: int, blocks: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        width = widths[0]
        stem: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)]
        side = size_px
        while side > _LARGEST_SIDE_PX:
            stem.append(nn.MaxPool2d(2))
            side //= 2
        stem.append(nn.ReLU(inplace=True))  # after the pools: the same numbers, on a quarter of the places
        self.stem = nn.Sequential(*stem)
        stages: list[nn.Module] = []
        for stage, (outputs, count) in enumerate(zip(widths, blocks, strict=True)):
            for block in range(count):
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
        for outputs, convolutions in zip(_WIDTHS, (1, 1, 2, 2), strict=True):
            for _ in range(convolutions):
                layers += _convolution(inputs, outputs)
                inputs = outputs
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            side = -(-side // 2)
            while side > _LARGEST_SIDE_PX:  # large pictures are brought down after the first convolution, as above
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


def _initialise(body: nn.Module) -> None:
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
