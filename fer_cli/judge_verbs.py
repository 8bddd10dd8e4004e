"""The verb that trains the judges of generated faces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_cli.options import ConfigOption, DryRunOption, JsonOption, ManifestArgument, ReplaceOption, SetOption
from fer_cli.terminal import app, read, reporter, say, short, show_plan


@app.command(no_args_is_help=True)
def judges(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="folder; default runs/judges-<name>")] = None,
    config: ConfigOption = "judges",
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train the classifiers that steer, screen and measure generated faces: on real faces, none shared.

    Interrupt and run again to go on.
    """
    from experiments.judge_parts import deal_parts
    from experiments.judges import JudgesConfig, train_judges
    from fer_data.configuration import resolve

    opened = read(manifest)
    configuration = resolve(JudgesConfig, config, settings or ())
    out = out or opened.root / f"runs/judges-{opened.name}"
    if dry_run:
        deal_parts(opened, configuration.shares, configuration.fewest, configuration.seed)
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    made = train_judges(opened, configuration, out, reporter(as_json), replace=replace)
    following = [f"fer generate plans/… --checkpoint … --judges {short(out)} --training {short(manifest)}"]
    return say(as_json, made.description, _told(made.description), [out], following)


def _told(description: Mapping[str, Any]) -> list[str]:
    """How often each judge agrees with the labels of real validation faces, by class, and the judge of conditions."""
    found = description["judges"]
    rows = [("", list(found)), ("network", [judge["model"] for judge in found.values()])]
    rows.append(("learnt from", [f"{judge['train_faces']:,} faces" for judge in found.values()]))
    for label in ("all", *description["labels"]):
        rows.append((label, [_share(judge["agreement"].get(label)) for judge in found.values()]))
    lines = [f"agreement with {found['measuring']['val_faces']:,} real validation faces"]
    lines += ["".join([f"{name:<12}", *(f"{cell:>22}" for cell in cells)]) for name, cells in rows]
    if description["conditions"]:
        held_out = description["conditions"]["held_out"]
        told = " · ".join(
            f"{facet} {100 * held_out[facet]['all']['agreement']:.1f} %" for facet in ("occlusion", "light")
        )
        lines.append(f"conditions of held-out faces that we covered and relit are told right: {told}")
    return lines


def _share(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    return f"{100 * found['agreement']:.1f} % ({100 * found['low']:.1f}–{100 * found['high']:.1f})"
