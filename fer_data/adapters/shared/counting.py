"""Whether a download has as many samples as its authors published."""

from collections import Counter
from collections.abc import Iterator, Mapping

from fer_data.samples import Sample


def compared(samples: Iterator[Sample], expected: Mapping[str, int], title: str, notes: list[str]) -> Iterator[Sample]:
    """Pass samples on; at their end note what differs from the published counts.

    Args:
        expected: counts per split; a key "total" counts all samples, whatever their split.
        title: the dataset, for the note.
        notes: the reading's notes, which get at most one sentence.
    """
    counts: Counter[str | None] = Counter()
    for sample in samples:
        counts[sample.split] += 1
        yield sample
    note_counts(counts, expected, title, notes)


def note_counts(counts: "Counter[str | None]", expected: Mapping[str, int], title: str, notes: list[str]) -> None:
    """Add one sentence to `notes` where counts per split differ from the published ones."""
    found = {**counts, "total": counts.total()}
    different = [
        f"{name} {found.get(name, 0):,} instead of {count:,}"
        for name, count in expected.items()
        if found.get(name, 0) != count
    ]
    if different:
        notes.append(f"counts differ from the published {title}: {', '.join(different)}")
