"""Frames of a video, decoded by PyAV from bytes in memory. Videos are hostile as pictures are: few forms, and bounds.

Only AVI is opened, so that no container can point at other files or at the network.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fer_data.errors import FerError
from fer_data.images import MAX_PIXELS, Pixels

MAX_FRAMES = 20_000  # of one video, decoded or not: 13 minutes at 25 frames a second
MAX_KEPT_BYTES = 1 << 30  # of the frames of one video that are kept
_BOUNDS = {"max_pixels": str(MAX_PIXELS)}  # FFmpeg's own, for every picture that it decodes


@dataclass(frozen=True)
class Frame:
    """One frame, uint8 [H, W] where the video is grey, else [H, W, 3]."""

    number: int  # from 0
    timestamp_s: float | None
    pixels: Pixels


def is_video(name: str) -> bool:
    """Whether a name ends as the clips of these datasets do."""
    return name.lower().endswith(".avi")


def evenly(total: int, count: int) -> list[int]:
    """The middles of `count` equal parts of 0..total-1, all of it where there are fewer.

    Returns:
        min(total, count) different numbers, rising.
    """
    if count >= total:
        return list(range(total))
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]


def read_frames(data: bytes, choose: Callable[[int], Sequence[int]], where: str) -> list[Frame]:
    """Decode the frames of an AVI that `choose` wants.

    Args:
        data: the file's bytes.
        choose: from the number of frames to the numbers wanted, from 0.
        where: the file, for messages.

    Returns:
        The frames wanted, in order.

    Raises:
        FerError: PyAV is not installed, no video, frames missing, more than `MAX_FRAMES` frames, more pixels a frame
            than a picture may have, or more of them than `MAX_KEPT_BYTES`.
    """
    try:
        import av
    except ImportError:
        raise FerError(
            f"{where}: expected PyAV to read videos with, found none; pip install 'fer-data-studio[video]'"
        ) from None
    try:
        total = _count(av, data, where)
        wanted = sorted(set(choose(total)))
        frames = _decode(av, data, set(wanted), where)
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise FerError(f"{where}: expected a whole AVI video, found one that does not decode ({error})") from None
    if len(frames) != len(wanted):
        raise FerError(f"{where}: expected {total} frames that decode, found fewer; download it again")
    return frames


def _count(av: Any, data: bytes, where: str) -> int:
    """The number of coded frames; headers may claim anything."""
    with _opened(av, data) as container:
        total = sum(1 for packet in container.demux(_stream(container, where)) if packet.size)
    if not 0 < total <= MAX_FRAMES:
        raise FerError(f"{where}: expected 1 to {MAX_FRAMES:,} frames, found {total:,}")
    return total


def _decode(av: Any, data: bytes, wanted: set[int], where: str) -> list[Frame]:
    frames = []
    with _opened(av, data) as container:
        stream = _stream(container, where)
        stream.codec_context.options = _BOUNDS  # for frames that grow within the video
        for number, frame in enumerate(container.decode(stream)):
            if number > max(wanted, default=-1):
                break
            if number in wanted:
                grey = frame.format.name.startswith("gray")
                pixels = frame.to_ndarray(format="gray" if grey else "rgb24")
                frames.append(Frame(number, frame.time, pixels))
                if pixels.nbytes * len(frames) > MAX_KEPT_BYTES:
                    raise FerError(
                        f"{where}: expected frames that fit into {MAX_KEPT_BYTES:,} bytes, found larger ones"
                    )
    return frames


def _opened(av: Any, data: bytes) -> Any:
    return av.open(io.BytesIO(data), format="avi", options=_BOUNDS)  # opening decodes the first frames already


def _stream(container: Any, where: str) -> Any:
    if not container.streams.video:
        raise FerError(f"{where}: expected a video stream, found none")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise FerError(f"{where}: expected a video that FFmpeg can decode, found an unknown codec")
    width, height = stream.codec_context.width, stream.codec_context.height
    if not 0 < width * height <= MAX_PIXELS:
        raise FerError(f"{where}: expected frames of 1 to {MAX_PIXELS:,} pixels, found {width}x{height}")
    return stream
