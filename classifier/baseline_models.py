"""Bodies of the small networks that studies of FER-2013 compare with: the rows of `benchmarks/classic_baselines.py`.

    baseline_mlp     1.31 M parameters   two hidden layers on the pixels
    baseline_lstm    0.09 M parameters   an LSTM that reads a face row by row
    baseline_cnn3    0.68 M parameters   three convolutions and a hidden layer
    mini_xception    0.05 M parameters   depthwise-separable convolutions, global pooling

They are as plain as the studies describe them; nothing here is meant to win. Parameters are for 48 px grey, 7 classes.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F


class MlpBody(nn.Module):
    """Two hidden layers on all pixels at once, float32 [N, 256] out."""

    WIDTH = 256

    def __init__(self, channels: int, size_px: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * size_px**2, 512),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(512, self.WIDTH),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class RowLstmBody(nn.Module):
    """A face as a sequence of its rows, top to bottom: the LSTM's last state, float32 [N, 128] out."""

    WIDTH = 128

    def __init__(self, channels: int, size_px: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels * size_px, self.WIDTH, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        _, (last, _) = self.lstm(rows)
        return last[-1]


class ThreeLayerCnnBody(nn.Module):
    """Three convolutions, each halved by a max-pool, and one hidden layer, float32 [N, 128] out."""

    WIDTH = 128

    def __init__(self, channels: int, size_px: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for outputs in (32, 64, 128):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
            inputs = outputs
        hidden = nn.Linear(inputs * (size_px // 8) ** 2, self.WIDTH)
        self.layers = nn.Sequential(*layers, nn.Flatten(), hidden, nn.ReLU(inplace=True), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class SeparableBlock(nn.Module):
    """Two depthwise-separable convolutions beside a shortcut of one, both halved in size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.separable = nn.Sequential(
            *_separable(inputs, outputs),
            nn.ReLU(inplace=True),
            *_separable(outputs, outputs),
            nn.MaxPool2d(3, 2, 1),
        )
        # A 1x1 convolution of stride 2, in two parts: as one of 8 channels its gradient crashes oneDNN 3.12 on AVX-512.
        every_second = nn.AvgPool2d(1, 2)
        self.shortcut = nn.Sequential(every_second, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.separable(x) + self.shortcut(x)


class MiniXceptionBody(nn.Module):
    """mini-Xception, float32 [N, 128] out.

    Arriaga, Valdenegro-Toro & Plöger, "Real-time Convolutional Neural Networks for Emotion and Gender Classification",
    arXiv:1710.07557. There the mean over the face of a last convolution, one output a class, is the answer; here the
    mean comes first and a linear head after it.
    """

    WIDTH = 128

    def __init__(self, channels: int, size_px: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
        )
        widths = (8, 16, 32, 64, self.WIDTH)
        self.blocks = nn.Sequential(*map(SeparableBlock, widths[:-1], widths[1:]))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.blocks(self.stem(x))).mean(dim=(2, 3))


def _separable(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    return depthwise, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)


# name → (body of `channels` and `size_px`, how many features it gives)
BASELINES: dict[str, tuple[Callable[[int, int], nn.Module], int]] = {
    "baseline_mlp": (MlpBody, MlpBody.WIDTH),
    "baseline_lstm": (RowLstmBody, RowLstmBody.WIDTH),
    "baseline_cnn3": (ThreeLayerCnnBody, ThreeLayerCnnBody.WIDTH),
    "mini_xception": (MiniXceptionBody, MiniXceptionBody.WIDTH),
}
