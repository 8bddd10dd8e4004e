"""Tiny videos of drawn faces, as AVI files."""

import io
from collections.abc import Sequence

import av
import numpy as np


def avi(frames: Sequence[np.ndarray], codec: str = "mjpeg", rate: int = 25) -> bytes:
    """Frames uint8 [H, W] or [H, W, 3] (even sides) as an AVI."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = {"mjpeg": "yuvj420p", "ffv1": "gray"}.get(codec, "yuv420p")
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="gray" if pixels.ndim == 2 else "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()
