"""How fast faces are drawn, and how good they are then: few-step solvers against 1,000-step DDPM on the same weights.

    python benchmarks/sampling_speed.py --checkpoint RUN/checkpoint --judge CLASSIFIER --manifest manifests/audited
        [--dcgan RUN/checkpoint] [--faces 512] [--ddpm-faces 512] [--work FOLDER]
        [--out docs/results/sampling_speed.jsonl]
    python benchmarks/sampling_speed.py --quick

Faces a second are drawn by as many processes as there are cores, the clock started when each has finished its first
batch. KID compares faces that are asked for the labels and lights of real training faces with such faces, in the
judge's features; its interval is a jackknife's. Seconds per face are processor time of one thread, so that other work
on the machine does not count. Guidance is the same everywhere, DDPM included. "At equal KID" is the fastest setting
whose KID is not above DDPM's. --work keeps what is drawn: a killed run goes on. --quick trains tiny generators on drawn
faces for a few steps and compares pixels: it shows that the program runs.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from measuring import figure, keep, tell
from numpy.typing import NDArray
from peers.ddpm_sampling import STEPS
from sampling_settings import Asked, Drawn, Model, Setting, batches_of, draw_settings, faces_a_second

from classifier.prediction import load_classifier
from fer_data import manifest as manifests
from fer_data.adapters import procedural
from fer_data.conditions import measure_light
from fer_data.configuration import build
from fer_data.importing import import_dataset
from fer_data.parallel import cores
from fer_data.project import create_project
from generators.fidelity import label_agreement
from generators.fidelity.distances import kernel_distance
from generators.fidelity.estimates import Estimate
from generators.models import GENERATORS, describe_checkpoint
from generators.pixels import SAMPLE_BATCH
from generators.training import train_generator

BENCH = "sampling_speed"
STEPS_OF = {
    "euler": (4, 6, 8, 12, 16, 24),
    "dpm": (4, 6, 8, 12, 16, 24),
    "unipc": (4, 6, 8, 12, 16, 24),
    "heun": (2, 3, 4, 6, 8, 12),  # it asks the network twice in a step
}
TARGETS = {"diffusion": 8.0, "dcgan": 300.0}
TARGET_RATIO = 30.0

Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main() -> None:
    arguments = parse()
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        work = arguments.work.absolute() if arguments.work else Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        if arguments.quick:
            prepare_quick(arguments, work)
        arguments.model = Model(arguments.checkpoint, yaml.safe_load(arguments.sampling))
        promised = not arguments.quick
        tell(lines, speed_figure("diffusion", arguments.model, arguments.faces, promised=promised))
        if arguments.dcgan is not None:
            tell(lines, speed_figure("dcgan", Model(arguments.dcgan), 20 * arguments.faces, promised=promised))
        if arguments.manifest is not None:
            for line in quality_figures(arguments, work):
                tell(lines, line)
    keep(lines, arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="of a diffusion model")
    parser.add_argument("--dcgan", type=Path, help="checkpoint of a DCGAN")
    parser.add_argument("--sampling", default="{}", help="options in place of the checkpoint's: '{guidance: 2}'")
    parser.add_argument("--judge", type=Path, help="checkpoint of a classifier, for its features")
    parser.add_argument("--manifest", type=Path, help="with the real training faces")
    parser.add_argument("--faces", type=int, default=512, help="drawn in each setting")
    parser.add_argument("--ddpm-faces", type=int, default=512, help="drawn by the 1,000-step DDPM; 0 leaves it out")
    parser.add_argument("--work", type=Path, help="keep what is drawn here and go on from it")
    parser.add_argument("--quick", action="store_true", help="tiny generators of drawn faces")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    arguments = parser.parse_args()
    arguments.steps_of, arguments.ddpm_steps = STEPS_OF, STEPS
    if arguments.checkpoint is None and not arguments.quick:
        parser.error("--checkpoint or --quick is needed")
    if arguments.manifest is not None and arguments.judge is None:
        parser.error("--judge is needed with --manifest")
    if arguments.out:
        arguments.out = arguments.out.absolute()
    return arguments


def prepare_quick(arguments: argparse.Namespace, work: Path) -> None:
    """Tiny generators of drawn faces in place of the ones that were not named."""
    root = work / "quick"
    create_project(root)
    asked = build(procedural.Options, {"count": 160, "classes": "balanced", "size_px": 48}, "drawn faces")
    drawn = import_dataset(procedural, None, root / "manifests/drawn", asked, replace=True).manifest
    small = {"size_px": 16, "steps": 20, "batch_size": 8, "derived_faces": 8, "minimum_per_class": 3}
    tiny = {"dcgan": {"widths": [16, 16], "noise_width": 8}, "diffusion": {"widths": [16, 16], "warmup_steps": 2}}
    made = {
        kind: train_generator(kind, drawn, build(GENERATORS[kind].config, {**small, **own}, "quick"), root / kind)
        for kind, own in tiny.items()
    }
    arguments.checkpoint, arguments.dcgan, arguments.manifest = made["diffusion"], made["dcgan"], drawn.path
    arguments.judge, arguments.faces, arguments.ddpm_faces = None, 2 * SAMPLE_BATCH, SAMPLE_BATCH
    arguments.steps_of, arguments.ddpm_steps = dict.fromkeys(STEPS_OF, (4,)), 100


def speed_figure(kind: str, model: Model, faces: int, *, promised: bool) -> dict[str, Any]:
    """Faces a second by all cores, with the model's own sampling."""
    rate, drawn = faces_a_second(model, faces, cores())
    target = TARGETS[kind]
    return figure(
        BENCH,
        f"{kind}: faces drawn a second, before screening",
        [rate],
        "faces/s",
        n=drawn,
        target=f">= {target:g}" if promised else None,
        reached=rate >= target if promised else None,
        digits=2,
        interval=None,
        processes=cores(),
        sampling=dict(model.open().sampling),
    )


def quality_figures(arguments: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """KID of every setting, and the ratio of times at equal KID."""
    judge = load_classifier(arguments.judge) if arguments.judge else None
    features: Features = judge.features if judge else small_pictures
    real, shown = real_faces(arguments, "train", 8 * arguments.faces)
    reference = features(real)
    held_out, _ = real_faces(arguments, "val", arguments.faces)
    distance = kernel_distance(reference, features(held_out))
    yield kid_figure("real validation faces", distance, features="judge" if judge else "pixels")
    peer = Setting("ddpm", arguments.ddpm_steps)
    settings = [Setting(solver, steps) for solver, counts in arguments.steps_of.items() for steps in counts]
    batches = [batch for setting in settings for batch in batches_of(setting, shown, arguments.faces)]
    batches += batches_of(peer, shown, arguments.ddpm_faces)
    found: dict[Setting, tuple[Drawn, Estimate]] = {}
    for drawn in draw_settings(arguments.model, batches, work):
        distance = kernel_distance(reference, features(drawn.pictures))
        found[drawn.setting] = drawn, distance
        labels = [str(face.label) for face in drawn.asked]
        agreement = label_agreement(judge, drawn.pictures, labels)["all"].value if judge else None
        seconds = round(drawn.seconds_per_face, 4)
        yield kid_figure(drawn.setting.name, distance, seconds_per_face=seconds, label_agreement=agreement)
    if peer in found:
        yield ratio_figure(found.pop(peer), list(found.values()), promised=not arguments.quick)


def kid_figure(name: str, distance: Estimate, **more: Any) -> dict[str, Any]:
    ends = distance.low, distance.high
    interval = [None if end is None else round(end, 6) for end in ends]
    title = f"KID to real training faces: {name}"
    return figure(BENCH, title, [distance.value], "KID", n=distance.count, digits=6, interval=interval, **more)


def ratio_figure(
    ddpm: tuple[Drawn, Estimate], ours: Sequence[tuple[Drawn, Estimate]], *, promised: bool
) -> dict[str, Any]:
    """Processor time per face of DDPM over that of the fastest setting whose KID is not above its."""
    peer, limit = ddpm
    equal = [pair for pair in ours if pair[1].value <= limit.value]
    drawn, distance = (
        min(equal, key=lambda pair: pair[0].seconds_per_face) if equal else min(ours, key=lambda pair: pair[1].value)
    )
    ratio = peer.seconds_per_face / drawn.seconds_per_face
    return figure(
        BENCH,
        "seconds per face at equal KID" if equal else "seconds per face at the lowest KID, which is above DDPM's",
        [drawn.seconds_per_face],
        "s",
        n=len(drawn.pictures),
        target=f">= {TARGET_RATIO:g} times faster" if promised else None,
        reached=bool(equal) and ratio >= TARGET_RATIO if promised else None,
        peer=f"DDPM, {peer.setting.steps} steps",
        peer_values=[peer.seconds_per_face],
        ratio=ratio,
        digits=4,
        interval=None,
        setting=drawn.setting.name,
        kid=round(distance.value, 6),
        peer_kid=round(limit.value, 6),
        peer_kid_interval=[limit.low, limit.high],
    )


def small_pictures(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is compared where no judge is given: float32 [N, C S² / 16]."""
    return (pictures[:, :, ::4, ::4].reshape(len(pictures), -1) / 255).astype(np.float32)


def real_faces(arguments: argparse.Namespace, split: str, limit: int) -> tuple[NDArray[np.uint8], list[Asked]]:
    """A random sample of the labelled real faces of a split, uint8 [N, C, S, S], and what they show."""
    manifest, description = manifests.read(arguments.manifest), describe_checkpoint(arguments.checkpoint)
    frame = manifest.frame
    usable = (frame["split"] == split) & frame["label"].notna() & (frame["origin"] == "real")
    random = np.random.default_rng(0)
    chosen = random.permutation(np.flatnonzero(usable.to_numpy()))[:limit]
    mask = np.zeros(len(frame), dtype=bool)
    mask[chosen] = True
    order = random.permutation(int(mask.sum()))  # a manifest may list one class after the other
    pictures = np.asarray(manifest.pictures(description["size_px"], description["channels"], mask))[order]
    lights = measure_light([picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0) for picture in pictures])
    return pictures, [Asked(*words) for words in zip(frame["label"].to_numpy()[mask][order], lights, strict=True)]


if __name__ == "__main__":
    main()
