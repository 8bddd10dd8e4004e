"""Reading a copy to its end, as an import does."""

from pathlib import Path
from types import ModuleType

from fer_data.samples import Reading, Rejection, Sample


def read_all(adapter: ModuleType, root: Path, **options: object) -> tuple[Reading, list[Sample], list[Rejection]]:
    rejections: list[Rejection] = []
    reading = adapter.read(root, adapter.Options(**options), rejections)
    return reading, list(reading.samples), rejections


def by_key(samples: list[Sample]) -> dict[str, Sample]:
    return {sample.key: sample for sample in samples}


def only(rejections: list[Rejection]) -> str:
    """The one rejection there should be, as the user reads it."""
    (rejection,) = rejections
    return rejection.sentence()
