"""Which generated faces the arms of an experiment train on, and how they fared, for its report.

What is known of them stands in their own manifests: all that a generator drew name their generations, those that
screening kept name the drawn ones, the faces that the generator learnt from, and the judges.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from classifier.prediction import Classifier
from experiments.judges import DESCRIPTION, load_judges
from experiments.runs import Part
from experiments.synthesis import Source, describe_source
from fer_data import manifest as manifests
from fer_data.manifest import Manifest, lineage


def collect_synthesis(parts: Sequence[Part]) -> dict[str, Any] | None:
    """What `experiments.report.write_report` tells of generated faces; None where no arm has any.

    Of folds the first is told. Nothing is trained; what is not on this machine any more (a manifest, a generator's
    checkpoint, judges) is left out, and "left_out" says so.
    """
    design = parts[0].design
    used: dict[str, tuple[Source, list[str]]] = {}
    left_out: list[str] = []
    for arm in design.config.arms:
        manifest = design.arms[arm.name]
        if not (manifest.frame["origin"] == "synthetic").any():
            continue
        found = find_sources(manifest)
        for source in found:
            used.setdefault(str(source.kept.path), (source, []))[1].append(arm.name)
        if not found:
            left_out.append(f"“{arm.title or arm.name}” has generated faces whose drawing is not on this machine.")
    if not used and not left_out:
        return None
    told = []
    for source, arms in used.values():
        real = _learnt_from(source)
        if real is None:
            left_out.append(f"The faces that the generator of {source.kept.name} learnt from are not on this machine.")
        else:
            told.append({**_describe(source, real), "arms": arms})
    return {"note": "Of the first fold." if len(parts) > 1 else "", "sources": told, "left_out": left_out}


def find_sources(manifest: Manifest) -> list[Source]:
    """The generated faces among a manifest's ancestors: what was drawn, where it still is, and what screening kept."""
    there = {entry["path"]: entry for entry in lineage(manifest) if "parents" in entry}
    found, screened = [], set()
    for path, entry in there.items():
        if "screening" in entry:
            drawn = [parent for parent in entry["parents"] if "generations" in there.get(parent, {})]
            screened |= set(drawn)
            made = manifests.read(manifest.root / drawn[0]) if drawn else None
            kept = manifests.read(manifest.root / path)
            if made is not None or ("plan" in entry and (kept.root / entry["screening"]).is_file()):
                found.append(Source(made, kept, _asked(entry, there[drawn[0]] if drawn else {})))
    for path, entry in there.items():
        if "generations" in entry and path not in screened:
            made = manifests.read(manifest.root / path)
            found.append(Source(made, made, _asked({}, entry)))
    return found


def _describe(source: Source, real: Manifest) -> dict[str, Any]:
    """The source as the report tells of it, measured where its judges are here."""
    judge, why_not = _measuring_judge(source)
    told = describe_source(source, real, judge)
    if why_not is not None:
        return {**told, "unmeasured": why_not}
    return told if source.made is not None else {**told, "kept_only": True}


def _asked(kept: Mapping[str, Any], drawn: Mapping[str, Any]) -> int:
    """How many faces were asked for: by the plan that was filled, else by that of the generation."""
    if "plan" in kept:
        return sum(cell["asked"] for cell in kept["plan"]["cells"])
    return sum(cell["count"] for cell in drawn["generations"][0]["plan"]["cells"])


def _learnt_from(source: Source) -> Manifest | None:
    """The manifest that the generator learnt from, where it still is."""
    wanted = source.generation["manifest_sha256"]
    for name, digest in {**source.shown.metadata["parents"], **source.kept.metadata["parents"]}.items():
        if digest == wanted and (source.kept.root / name).is_file():
            return manifests.read(source.kept.root / name)
    return None


def _measuring_judge(source: Source) -> tuple[Classifier | None, str | None]:
    """The judge that did not screen these faces, or why there is none to ask."""
    folder = source.kept.metadata.get("judges")
    if folder is None:
        return None, "its manifest names no judges"
    if not (source.kept.root / folder / DESCRIPTION).is_file():
        return None, "its judges are not on this machine"
    return load_judges(source.kept.root / folder).measuring, None
