"""A datasheet for a manifest, as far as its adapters, its stores and its ancestors can fill it in.

The questions follow Gebru et al., "Datasheets for Datasets", Communications of the ACM 64(12), 2021 (arXiv
1803.09010), shortened, with what faces and generated faces need besides. What nobody stated says so: an answer that is
missing is an answer too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from fer_data import tables
from fer_data.adapters.registry import ADAPTERS, Adapter
from fer_data.duplicates import find_duplicates
from fer_data.errors import FerError
from fer_data.leaks import describe_leaks, leaking_pairs
from fer_data.licenses import PERMISSIONS
from fer_data.manifest import Manifest, lineage
from fer_data.tabular.rows import SPLITS

NOT_STATED = "not stated"
PROHIBITED = (
    "Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f), prohibits placing on the market, putting into service for "
    "this purpose, or using AI systems to infer emotions of a natural person in the areas of workplace and education "
    "institutions, except for medical or safety reasons. It applies since 2 February 2025.",
    "A label names the expression shown in a picture, judged by others. It does not tell what the person felt, and "
    "nothing may be decided about a person from it.",
)
_LIMIT = 12  # entries of a list before the rest is counted


@dataclass(frozen=True)
class Answer:
    """One question of the datasheet and what is known of it, a statement per line."""

    question: str
    lines: tuple[str, ...]


def datasheet(manifest: Manifest) -> list[Answer]:
    """What is known of a manifest, question by question.

    Raises:
        FerError: a store that the manifest points to is gone or was altered.
    """
    frame = manifest.frame
    adapters = _adapters(manifest)
    licence = manifest.metadata["licence"]
    allowed = [flag.replace("_", " ") for flag in PERMISSIONS if licence.get(flag)]
    answers = {
        "Motivation": _motivation(manifest, adapters),
        "Composition": _composition(manifest),
        "Collection": _of_each(adapters, _collection),
        "Consent of the people shown": [],
        "Raters per item": _raters(manifest),
        "Label rule": [f"{origin}: {count:,} rows" for origin, count in frame["label_origin"].value_counts().items()],
        "Splits and leaks": _splits(manifest),
        "Known defects": _of_each(adapters, lambda adapter: list(adapter.KNOWN_DEFECTS)),
        "Licence": [f"{licence['name']}: {licence['summary']}", f"permitted: {', '.join(allowed) or 'nothing'}"],
        "Prohibited uses": list(PROHIBITED),
        "Synthetic share, generator and seeds": _synthetic(manifest),
        "Memorisation test": _memorisation(manifest),
        "Distribution and maintenance": [
            f"written by {manifest.metadata['command']} (fer-data-studio {manifest.metadata['code_version']}) "
            f"on {manifest.metadata['created']}; a manifest is never changed, a new version names it as its parent"
        ],
    }
    return [Answer(question, tuple(lines) or (NOT_STATED,)) for question, lines in answers.items()]


def _adapters(manifest: Manifest) -> list[Adapter]:
    """The adapters of the data sets that a manifest's stores came from; generated faces have none."""
    names = dict.fromkeys(str(store.info["source"]) for store in manifest.stores.values())
    return [ADAPTERS[name] for name in names if name in ADAPTERS]


def _of_each(adapters: list[Adapter], ask: Callable[[Adapter], list[str]]) -> list[str]:
    """What each adapter answers, under its title where there are several."""
    prefix = len(adapters) > 1
    return [f"{adapter.TITLE}: {line}" if prefix else line for adapter in adapters for line in ask(adapter)]


def _motivation(manifest: Manifest, adapters: list[Adapter]) -> list[str]:
    lines = [f"{adapter.TITLE}: {NOT_STATED} here; see {adapter.CITATION}" for adapter in adapters if adapter.CITATION]
    parents = manifest.metadata["parents"]
    if parents:
        lines.append(f"this version: made by {manifest.metadata['command']} from {', '.join(map(_name, parents))}")
    return lines


def _composition(manifest: Manifest) -> list[str]:
    frame = manifest.frame
    labelled = int(frame["label"].notna().sum())
    lines = [
        f"{len(frame):,} pictures of faces, {labelled:,} of them with a label of {manifest.label_set} "
        f"({', '.join(manifest.labels)})"
    ]
    counts = frame["label"].value_counts()
    lines.append(", ".join(f"{label} {counts[label]:,}" for label in manifest.labels if label in counts) or "no label")
    for adapter in _adapters(manifest):
        expected = (adapter.EXPECTED or {}).get("total")
        if expected is not None:
            lines.append(f"the published {adapter.TITLE} has {expected:,} pictures")
    return lines


def _collection(adapter: Adapter) -> list[str]:
    lines = [f"as published in {adapter.CITATION}"] if adapter.CITATION else []
    lines += [f"home: {adapter.HOMEPAGE}"] if adapter.HOMEPAGE else []
    return lines + ([f"access: {adapter.ACCESS}"] if adapter.ACCESS else [])


def _raters(manifest: Manifest) -> list[str]:
    votes = manifest.facts(["votes", "votes_source"])
    known = votes["votes"].notna()
    if not known.any():
        return []
    raters = votes["votes"][known].map(np.sum)
    sources = ", ".join(sorted(votes["votes_source"].dropna().unique())) or "source not stated"
    return [
        f"{known.sum():,} of {len(votes):,} pictures have votes ({sources}): "
        f"{raters.median():g} per picture in the median, {raters.min():g} to {raters.max():g}"
    ]


def _splits(manifest: Manifest) -> list[str]:
    frame = manifest.frame
    counts = frame["split"].value_counts()
    told = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS if split in counts)
    lines = [f"{told or 'no split'}; {frame['split'].isna().sum():,} rows without one"]
    drawn = next((entry for entry in lineage(manifest) if entry.get("command") == "fer split"), None)
    chosen = ", ".join(f"{key} {value}" for key, value in (drawn or {}).get("configuration", {}).items())
    lines.append(f"rule: drawn by fer split ({chosen})" if drawn else "rule: as the sources have it")
    lines.append(f"exact duplicates: {find_duplicates(manifest).sentence()}")
    leaks = leaking_pairs(manifest)
    return lines + describe_leaks(leaks[leaks["because"] != "picture"])


def _synthetic(manifest: Manifest) -> list[str]:
    frame = manifest.frame
    synthetic = frame["origin"] == "synthetic"
    lines = [f"{synthetic.sum():,} of {len(frame):,} pictures are synthetic ({100 * synthetic.mean():.1f} %)"]
    for name, store in manifest.stores.items():
        generation = store.info["generation"]
        if not generation:
            continue
        seeds = manifest.facts(["seed"], (frame["store"] == name).to_numpy())["seed"].dropna()
        span = f"seeds {seeds.min():.0f} to {seeds.max():.0f}, one per picture" if len(seeds) else "seeds not stated"
        told = {
            key: str(generation.get(key, NOT_STATED)) for key in ("id", "kind", "seed", "checkpoint", "manifest_sha256")
        }
        lines.append(
            f"generation {told['id']}: kind {told['kind']}, base seed {told['seed']}, {span}; "
            f"checkpoint {_name(told['checkpoint'])}; SHA-256 of the training manifest {told['manifest_sha256']}"
        )
    return lines


def _memorisation(manifest: Manifest) -> list[str]:
    """What the screening of synthetic faces dropped as copies, from the tables that this manifest descends from."""
    if not (manifest.frame["origin"] == "synthetic").any():
        return ["no synthetic pictures"]
    return list(islice(_screenings(manifest), _LIMIT))


def _screenings(manifest: Manifest) -> Iterator[str]:
    for entry in lineage(manifest):
        if "screening" not in entry:
            continue
        path = manifest.root / entry["screening"]
        try:
            facts = tables.read_metadata(path)
        except FerError:
            yield f"{_name(entry['screening'])}: the table is gone"
            continue
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in facts.get("reasons", {}).items())
        calibration = facts.get("calibration", {})
        yield (
            f"{_name(entry['screening'])}: {reasons or 'no reasons stated'}; the threshold for copies calls "
            f"{100 * calibration.get('flagged', float('nan')):.1f} % of {calibration.get('count', 0):,} held-out real "
            "faces copies"
        )


def _name(path: str) -> str:
    """The last part of a path: a datasheet names files, not where they lie."""
    return Path(str(path)).name
