"""Faces drawn in many settings, on the GPU or by all cores, each batch kept, for benchmarks/sampling_speed.py."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peers.ddpm_sampling import draw_ddpm

from fer_data.files import atomic_file, sha256_json
from fer_data.parallel import cores
from generators.devices import drawing_device
from generators.diffusion_sampling import Diffusion
from generators.drawing.processes import map_apart
from generators.models import checkpoint_sha256, load_generator
from generators.pixels import SAMPLE_BATCH, noise, to_uint8
from generators.seeds import derived_seed

Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Model:
    """A checkpoint, and sampling options in place of those it was trained with."""

    checkpoint: Path
    sampling: Mapping[str, Any] = field(default_factory=dict)

    def open(self, **more: Any) -> Any:
        """A `Diffusion`, or for its speed alone another generator."""
        return load_generator(self.checkpoint, {**self.sampling, **more})

    @property
    def sha256(self) -> str:
        """Identity of what it draws."""
        return sha256_json({"checkpoint": checkpoint_sha256(self.checkpoint), **self.open().sampling})


@dataclass(frozen=True)
class Setting:
    """One way to draw: a solver of ours, or the peer "ddpm"."""

    solver: str
    steps: int

    @property
    def name(self) -> str:
        return f"{self.solver}, {self.steps} steps"


@dataclass(frozen=True)
class Asked:
    """What a face should show; light is null where nobody knows, occlusion always is."""

    label: str | None
    light: str | None


@dataclass(frozen=True)
class Batch:
    """Faces of one setting that are drawn at once, seeded from `start` on."""

    setting: Setting
    start: int
    asked: tuple[Asked, ...]

    def kept_in(self, work: Path) -> Path:
        shown = sha256_json([[face.label, face.light] for face in self.asked])[:8]
        return work / f"{self.setting.solver}-{self.setting.steps}-{self.start:06d}-{shown}.npz"


@dataclass(frozen=True)
class Drawn:
    """The faces of a setting, what they should show, and the time that each batch took; see `_clock`."""

    setting: Setting
    asked: tuple[Asked, ...]
    pictures: Pictures
    batch_seconds: tuple[float, ...]

    @property
    def seconds_per_face(self) -> list[float]:
        """Of each batch."""
        return [seconds / SAMPLE_BATCH for seconds in self.batch_seconds]


def batches_of(setting: Setting, asked: Sequence[Asked], faces: int, first: int = 0) -> list[Batch]:
    """So many faces, rounded up to whole batches, seeded from `first` on.

    What is asked and the seeds are the same in every setting.
    """
    return [
        Batch(setting, start, tuple(asked[(start + place) % len(asked)] for place in range(SAMPLE_BATCH)))
        for start in range(first, first + faces, SAMPLE_BATCH)
    ]


def processes() -> int:
    """How many draw at once: a GPU does one batch after the other, so that each is timed alone."""
    return 1 if drawing_device().type == "cuda" else cores()


def draw_settings(model: Model, batches: Sequence[Batch], work: Path) -> list[Drawn]:
    """Draw every batch that `work` does not hold yet, and read all of them."""
    work = work / f"{model.sha256[:12]}-{drawing_device().type}"  # times of one device are not those of another
    work.mkdir(parents=True, exist_ok=True)
    missing = [batch for batch in batches if not batch.kept_in(work).is_file()]
    if missing:
        # The long ones first, so that no core waits for another at the end.
        longest_first = sorted(missing, key=lambda batch: -batch.setting.steps)
        drawn = map_apart(partial(_drawer, model), iter(longest_first), min(processes(), len(missing)))
        for batch, (pictures, seconds) in drawn:
            with atomic_file(batch.kept_in(work)) as unfinished, unfinished.open("wb") as file:
                np.savez(file, pictures=pictures, seconds=seconds)
    settings = dict.fromkeys(batch.setting for batch in batches)
    return [_read([batch for batch in batches if batch.setting == setting], work) for setting in settings]


def faces_a_second(model: Model, faces: int) -> tuple[float, int]:
    """How fast at least so many faces are drawn by as many processes as draw at once, and how many faces they drew.

    The clock starts when as many batches are finished as there are processes: by then each has opened its generator.
    """
    rows, together = max(SAMPLE_BATCH, faces // 16), processes()
    total = max(3 * together, -(-faces // rows))
    seeds = (np.arange(rows, dtype=np.int64) + number * rows for number in range(total))
    finished = [time.perf_counter() for _ in map_apart(partial(_seed_drawer, model), seeds, together)]
    return rows * (total - together) / (finished[-1] - finished[together - 1]), rows * total


def _read(batches: Sequence[Batch], work: Path) -> Drawn:
    kept = [np.load(batch.kept_in(work), allow_pickle=False) for batch in batches]
    return Drawn(
        batches[0].setting,
        tuple(face for batch in batches for face in batch.asked),
        np.concatenate([each["pictures"] for each in kept]),
        tuple(float(each["seconds"]) for each in kept),
    )


def _drawer(model: Model) -> Callable[[Batch], tuple[Pictures, float]]:
    """What draws in a process: pictures, and the time that they took."""
    torch.set_num_threads(1)
    _draw(model.open(steps=1), Batch(Setting("euler", 1), 0, (Asked(None, None),)))  # kernels are chosen here
    clock = _clock()

    def draw(batch: Batch) -> tuple[Pictures, float]:
        ours = {} if batch.setting.solver == "ddpm" else {"solver": batch.setting.solver, "steps": batch.setting.steps}
        generator = model.open(**ours)
        started = clock()
        return _draw(generator, batch), clock() - started

    return draw


def _clock() -> Callable[[], float]:
    """Processor time of the one thread that draws, so that other work on the machine does not count.

    On a GPU it is the time that passes until the pictures are in memory: a GPU's work is none of the processor's.
    """
    return time.perf_counter if drawing_device().type == "cuda" else time.process_time


def _seed_drawer(model: Model) -> Callable[[NDArray[np.int64]], Pictures]:
    """What draws all classes in turn."""
    torch.set_num_threads(1)
    generator = model.open()
    classes, *unknown = generator.vocabulary.unknown

    def draw(seeds: NDArray[np.int64]) -> Pictures:
        return generator.sample(
            np.stack([seeds % classes, *(np.full_like(seeds, place) for place in unknown)], 1), seeds
        )

    return draw


def _draw(generator: Diffusion, batch: Batch) -> Pictures:
    words = generator.vocabulary
    labels = [face.label for face in batch.asked]
    lights = [face.light if face.light in words.light else None for face in batch.asked]
    conditions = words.encode(labels, [None] * len(labels), lights, batch.setting.name)
    seeds = np.arange(batch.start, batch.start + len(labels), dtype=np.int64)
    if batch.setting.solver != "ddpm":
        return generator.sample(conditions, seeds)
    device = drawing_device()  # where the generator was opened
    start = noise(seeds, (generator.channels, generator.size_px, generator.size_px)).to(device)
    on_the_way = derived_seed(batch.start, batch.setting.steps)  # unlike any seed of `start`
    asked = torch.from_numpy(conditions).to(device)
    return to_uint8(draw_ddpm(generator.velocity, start, asked, on_the_way, batch.setting.steps))
