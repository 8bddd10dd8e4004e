"""Judge faces by a trained classifier."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from classifier import grad_cam, inference
from classifier.checkpoints import checkpoint_folder, read_checkpoint
from classifier.data import to_input, to_view
from classifier.fusion import fold_norms
from classifier.models import FaceClassifier, build_model
from fer_data.errors import FerError

Floats = NDArray[np.float32]


class Classifier:
    """A trained classifier.

    Attributes:
        labels: its K labels, in the order of its probabilities.
        description: what its checkpoint says about it.
        size_px, channels: the pictures that it looks at; others are brought to that.
    """

    def __init__(self, folder: Path, device: str | None = None) -> None:
        state, self.description = read_checkpoint(folder)
        self.labels: tuple[str, ...] = tuple(self.description["labels"])
        config = self.description["configuration"]
        self.size_px, self.channels = config["size_px"], config["channels"]
        self._mirror = config["mirror_average"]
        model = build_model(config["model"], len(self.labels), self.channels, self.size_px)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise FerError(f"{folder}: expected the weights of {config['model']}, found others ({error})") from None
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model = model.to(self._device, memory_format=torch.channels_last)
        self._model.eval().requires_grad_(False)

    def probabilities(self, images: NDArray[np.uint8]) -> Floats:
        """Probabilities of `labels`, float32 [N, K], rows sum to 1.

        Args:
            images: uint8 [N, C, H, W], C = 1 or 3, of any size.
        """
        return self.judge(images)[0]

    def features(self, images: NDArray[np.uint8]) -> Floats:
        """What the last layer sees, float32 [N, F]; arguments as for `probabilities`."""
        return self.judge(images)[1]

    def judge(self, images: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Probabilities and features in one pass; arguments as for `probabilities`."""
        probabilities, features = inference.judge(self._folded, self._view(images), mirror=self._mirror)
        return probabilities.numpy(), features.numpy()

    def heat_maps(self, images: NDArray[np.uint8], classes: NDArray[np.int64]) -> Floats:
        """Which parts of a face spoke for a label, float32 [N, size_px, size_px], 0..1; see `grad_cam.heat_maps`.

        Args:
            images: as for `probabilities`.
            classes: int64 [N], indices of `labels`: what is explained.

        Raises:
            FerError: the network has no stage of convolutions to look at.
        """
        maps = grad_cam.heat_maps(self._model, self._view(images), torch.from_numpy(classes), mirror=self._mirror)
        return maps.numpy()

    def log_probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """Logarithms of the probabilities of `labels`, float32 [N, K], which can be differentiated by the pictures.

        A face is seen as it is, not together with its mirror image.

        Args:
            images: grey levels 0..255 as float32 [N, C, H, W], C = 1 or 3, of any size.
        """
        view = to_view(images.to(self._device), self.size_px, self.channels)
        logits: torch.Tensor = self._model(to_input(view))
        return logits.log_softmax(dim=1)

    @cached_property
    def _folded(self) -> FaceClassifier:
        """The network as it judges fastest; heat maps and gradients need the one that was trained."""
        return fold_norms(self._model)

    def _view(self, images: NDArray[np.uint8]) -> torch.Tensor:
        if images.ndim != 4 or images.shape[1] not in (1, 3) or images.dtype != np.uint8:
            raise FerError(
                f"classifier: expected pictures uint8 [N, 1 or 3, H, W], found {images.dtype} {list(images.shape)}"
            )
        return to_view(torch.from_numpy(np.ascontiguousarray(images)), self.size_px, self.channels)


def load_classifier(checkpoint: Path) -> Classifier:
    """The classifier in a checkpoint folder, or in the folder of a finished run.

    Raises:
        FerError: there is none, or its files are damaged.
    """
    inner = checkpoint_folder(checkpoint)
    return Classifier(inner if inner.is_dir() else checkpoint)
