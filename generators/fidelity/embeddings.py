"""Features of a self-supervised network (DINOv2) from a local checkpoint; nothing is downloaded.

Inception's features misjudge faces and diffusion models: Stein et al., "Exposing flaws of generative model evaluation
metrics", NeurIPS 2023, recommend DINOv2 (Oquab et al., TMLR 2024).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch.nn import functional as F

from fer_data.errors import FerError

DINOV2 = "vit_small_patch14_dinov2"
_BATCH = 64

Embedding = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def load_embedding(checkpoint: Path, name: str = DINOV2, size_px: int = 112, device: str = "cpu") -> Embedding:
    """The pooled features of a timm model.

    Args:
        checkpoint: its weights, a `.safetensors`, `.pth` or `.bin` file as timm or DINOv2's authors publish them.
        name: timm's name of the architecture.
        size_px: pictures are enlarged to this side (DINOv2 was trained at 518 and 98 px; patches are 14 px wide).

    Returns:
        Takes pictures uint8 [N, 1 or 3, S, S], gives float32 [N, F].

    Raises:
        FerError: no such file, an architecture that timm lacks, weights of another one, or a size that it cannot take.
    """
    import timm

    if not checkpoint.is_file():
        raise FerError(f"{checkpoint}: expected the weights of {name}, found no such file; download them first")
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name.split('_')[-1]}*")[:3]) or "timm.list_models() names them"
        raise FerError(f"embedding {name!r}: expected an architecture that timm has, found none; near it: {near}")
    try:
        model = _model(checkpoint, name).to(device)
        mean, std = (torch.tensor(model.pretrained_cfg[key])[:, None, None].to(device) for key in ("mean", "std"))
        with torch.inference_mode():
            model(torch.zeros(1, 3, size_px, size_px, device=device))
    except (RuntimeError, AssertionError, KeyError, ValueError, OSError, SafetensorError) as error:
        told = str(error).splitlines()[0]
        raise FerError(f"{checkpoint}: expected weights of {name} for pictures of {size_px} px, found {told}") from None

    @torch.inference_mode()
    def embed(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        out = np.empty((len(images), model.num_features), dtype=np.float32)
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + _BATCH])).to(device).float() / 255
            batch = F.interpolate(batch, (size_px, size_px), mode="bicubic", antialias=True, align_corners=False)
            out[start : start + len(batch)] = model((batch.expand(-1, 3, -1, -1) - mean) / std).float().cpu().numpy()
        return out

    return embed


def _model(checkpoint: Path, name: str) -> Any:
    """The network with its weights and without its head.

    timm's own loading passes over weights that are missing; here that is an error.
    """
    import timm
    from timm.models import load_state_dict
    from timm.models.vision_transformer import checkpoint_filter_fn

    is_vit = name.startswith("vit_")
    options: dict[str, Any] = {"dynamic_img_size": True} if is_vit else {}
    model: Any = timm.create_model(name, pretrained=False, num_classes=0, **options)
    state: Any = load_state_dict(str(checkpoint), use_ema=False, weights_only=True)
    missing = model.load_state_dict(checkpoint_filter_fn(state, model) if is_vit else state, strict=False).missing_keys
    if missing:
        raise ValueError(f"no {missing[0]} ({len(missing)} weights are missing)")
    return model.eval()
