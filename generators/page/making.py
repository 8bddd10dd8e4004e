"""How the faces were made, what may be done with them, and what to do next."""

from collections.abc import Mapping, Sequence
from typing import Any

from fer_data import pages
from fer_data.pages import Html
from generators.page.material import Material
from generators.page.yields import missing_faces

_TOLD_APART = frozenset({"kind", "checkpoint", "checkpoint_sha256", "seen"})
_OF_A_ROUND = frozenset({"id", "plan", "first", "share"})  # what differs between the rounds in which a plan is filled
_HASH = 16  # letters of a hash that are shown


def how_it_was_made(material: Material) -> Html:
    """Per checkpoint what it is and how it was asked; then what the licence allows."""
    parts: list[str] = []
    distinct = _distinct(material.generations)
    for generation in distinct:
        if len(distinct) > 1:
            parts.append(pages.heading(generation.get("checkpoint", "")))
        parts.append(pages.pairs([*_training(material, generation), *_options(generation)]))
    parts.append(_common(material))
    parts.append(pages.heading("What may be done with it") + _licence(material))
    return Html("".join(parts))


def _distinct(generations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Generations that differ in more than the round of a plan that they belong to."""
    found: list[Mapping[str, Any]] = []
    for generation in generations:
        lasting = {key: value for key, value in generation.items() if key not in _OF_A_ROUND}
        if lasting not in found:
            found.append(lasting)
    return found


def _training(material: Material, generation: Mapping[str, Any]) -> list[tuple[object, object]]:
    checkpoint = str(generation.get("checkpoint", ""))
    rows: list[tuple[object, object]] = [
        ("generator", generation.get("kind", "unknown")),
        ("checkpoint", Html(f"{pages.code(checkpoint)} {_hash(generation.get('checkpoint_sha256'))}")),
    ]
    told = material.checkpoints.get(checkpoint, {})
    if not told:
        return [*rows, ("trained", "the checkpoint is no longer there, so nothing tells")]
    config = told.get("config", {})
    budget = f"; the budget was {config['minutes']:g} minutes" if config.get("minutes") else ""
    faces = told.get("faces", {})
    classes = ", ".join(f"{label} {count:,}" for label, count in faces.items())
    rows.append(("trained", f"{told.get('steps', 0):,} steps of {config.get('batch_size', 0):,} faces{budget}"))
    rows.append(("learnt from", f"{sum(faces.values()):,} training faces ({classes})"))
    left_out = {reason: count for reason, count in told.get("left_out", {}).items() if count}
    if left_out:
        rows.append(("left out of training", ", ".join(f"{reason}: {count:,}" for reason, count in left_out.items())))
    rows.append(("draws", f"{told.get('size_px')} px, {'grey' if told.get('channels') == 1 else 'colour'}"))
    return rows


def _options(generation: Mapping[str, Any]) -> list[tuple[object, object]]:
    """Everything else that decided the pictures, as the generation tells it."""
    rows: list[tuple[object, object]] = []
    for key, value in generation.items():
        if key in _TOLD_APART or value in (None, "", {}, []):
            continue
        if isinstance(value, Mapping):
            rows += [(f"{key}: {name.replace('_', ' ')}", _value(inner)) for name, inner in value.items()]
        else:
            rows.append((key.replace("_", " "), _hash(value) if key.endswith("_sha256") else _value(value)))
    return rows


def _common(material: Material) -> str:
    rows: list[tuple[object, object]] = [
        ("drawn faces", pages.code(material.drawn_place)),
        ("training faces", pages.code(material.training_place)),
    ]
    if material.is_screened:
        rows.append(("screening", pages.code(material.screening_place)))
        config = material.screening.get("configuration", {})
        rows += [
            (f"screening: {key.replace('_', ' ')}", _value(value))
            for key, value in config.items()
            if not isinstance(value, Mapping)
        ]
    rows.append(("made", material.drawn.metadata.get("created", "")))
    return pages.heading("Tables and settings") + pages.pairs(rows)


def _licence(material: Material) -> Html:
    licence = material.drawn.metadata.get("licence", {})
    told = f"{licence.get('name', 'unknown')}: {licence.get('summary', '')}."
    refused = []
    if not licence.get("models_public"):
        refused.append("the generator's weights and the faces that it drew")
    if not licence.get("redistribute"):
        refused.append("the training faces, and so this page, which shows some of them")
    if not refused:
        return pages.paragraph(told)
    return Html(pages.paragraph(told) + pages.paragraph(f"Not to be passed on: {'; '.join(refused)}.", "warning"))


def next_steps(material: Material) -> Html:
    """Commands that lead on from here."""
    drawn, kept, training = material.drawn_place, material.kept_place, material.training_place
    steps: list[Html] = []
    if not material.is_screened:
        screen = f"fer screen {drawn} --training {training} --judge JUDGE --out {drawn}-kept"
        steps.append(_step("Drop what a judge contradicts and what copies a face", screen))
    if material.fidelity is None:
        measure = f"fer fidelity {drawn} --training {training} --judges JUDGES"
        measure += f" --kept {kept}" if material.is_screened else ""
        steps.append(_step("Measure how true the faces are", measure))
    missing = sum(missing_faces(cell) for cell in material.cells)
    if material.is_screened and missing:
        steps.append(
            pages.text(
                f"{missing:,} faces of the plan are missing: allow more faces to be drawn (budget_faces), or see above "
                "why they are dropped."
            )
        )
    steps.append(_step("Look through them and take out what is wrong", f"fer curate {kept}"))
    steps.append(
        _step("Put them beside the real ones", f"fer merge {training} {kept} --plan PLAN --out manifests/balanced")
    )
    steps.append(_step("See whether a classifier gains by them", "fer experiment EXPERIMENT"))
    return pages.bullets(steps)


def _step(told: str, command: str) -> Html:
    return Html(f"{pages.text(told)}: {pages.code(command)}")


def _hash(value: object) -> Html:
    return pages.code(str(value)[:_HASH]) if value else Html("")


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_value(inner) for inner in value) or "none"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
