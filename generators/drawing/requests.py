"""Faces asked of opened generators, in this process or in several: the same bits either way.

Every process draws with one thread, because sums over threads are rounded in another order. On a GPU one process
draws.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fer_data import conditions as real_conditions
from fer_data.parallel import cores
from generators.contract import Generator, GuideSource
from generators.drawing.chunks import Chunk
from generators.drawing.processes import is_portable, map_apart
from generators.models import load_generator

# Starting processes costs some seconds each; what takes less than this here is finished sooner without them.
_WORTH_SECONDS = 20.0


@dataclass(frozen=True)
class Opening:
    """How a process opens the generators of a plan; this is sent to it instead of weights.

    Attributes:
        checkpoints: their folders.
        sampling: options that replace those they were trained with.
        guide: what steers them, if anything.
    """

    checkpoints: tuple[Path, ...]
    sampling: Mapping[str, Any]
    guide: GuideSource | None = None

    def open(self) -> list[Generator]:
        """The generators, in the order of the checkpoints.

        Raises:
            FerError: as `generators.models.load_generator`.
        """
        guide = self.guide.make() if self.guide is not None else None
        return [load_generator(checkpoint, self.sampling, guide) for checkpoint in self.checkpoints]


@dataclass(frozen=True)
class Request:
    """Faces that are asked of one generator at once: N rows.

    Attributes:
        generator: its place among those opened.
        chunk: where the pictures are to be kept.
        conditions: int64 [N, 3].
        seeds: int64 [N].
        faces: uint8 [N, C, S, S] to start from; None starts from noise.
        afterwards: occlusion and light to put on each drawn face, null for none; None puts nothing on.
    """

    generator: int
    chunk: Chunk
    conditions: NDArray[np.int64]
    seeds: NDArray[np.int64]
    faces: NDArray[np.uint8] | None = None
    afterwards: Sequence[tuple[str | None, str | None]] | None = None

    def draw(self, generators: Sequence[Generator]) -> NDArray[np.uint8]:
        """The pictures, uint8 [N, C, S, S]."""
        generator = generators[self.generator]
        given = () if self.faces is None else (self.faces,)
        pictures = generator.sample(self.conditions, self.seeds, *given)
        return pictures if self.afterwards is None else put_on(pictures, self.afterwards, self.seeds)


def draw_requests(
    opening: Opening, generators: Sequence[Generator], requests: Iterator[Request], total: int, processes: int
) -> Iterator[tuple[Request, NDArray[np.uint8]]]:
    """Draw requests, each yielded with its pictures, in no particular order.

    Args:
        generators: as `opening` opens them, for what is drawn in this process.
        total: how many requests there are.
        processes: at most so many draw at a time; 0 is one per core, where that is worth starting them. With a GPU,
            or a guide that cannot be sent to another process, this one draws alone.

    Raises:
        FerError: a process ended, or a request failed in it.
    """
    alone = torch.cuda.is_available() or not is_portable(opening)
    wanted = 1 if alone else processes or cores()
    if wanted > 1 and not processes and total > 1:
        started = time.monotonic()
        yield _draw_here(next(requests), generators)
        total -= 1
        if (time.monotonic() - started) * total < _WORTH_SECONDS:
            wanted = 1
    if min(wanted, total) > 1:
        yield from map_apart(partial(_drawer, opening), requests, min(wanted, total))
        return
    for request in requests:
        yield _draw_here(request, generators)


def put_on(
    pictures: NDArray[np.uint8], conditions: Sequence[tuple[str | None, str | None]], seeds: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Occlude and relight drawn faces, each from its own seed.

    Args:
        pictures: uint8 [N, C, S, S].
        conditions: occlusion and light of each, null for none.
        seeds: int64 [N], not negative.

    Returns:
        uint8 [N, C, S, S].

    Raises:
        FerError: pictures smaller than 16 px.
    """
    changed = pictures.copy()
    for place, ((occlusion, light), seed) in enumerate(zip(conditions, seeds, strict=True)):
        picture = pictures[place]
        image = np.ascontiguousarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0))
        occluding, relighting = np.random.default_rng([int(seed), 1]).integers(2**31, size=2)
        if occlusion is not None:
            image = real_conditions.occlude(image, occlusion, int(occluding))
        if light is not None:
            image = real_conditions.relight(image, light, int(relighting))
        changed[place] = image[None] if len(picture) == 1 else image.transpose(2, 0, 1)
    return changed


def _drawer(opening: Opening) -> Callable[[Request], NDArray[np.uint8]]:
    """What draws in another process."""
    torch.set_num_threads(1)
    generators = opening.open()
    return lambda request: request.draw(generators)


def _draw_here(request: Request, generators: Sequence[Generator]) -> tuple[Request, NDArray[np.uint8]]:
    with _one_thread():
        return request, request.draw(generators)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
