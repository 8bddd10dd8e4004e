"""How fast faces are drawn, and how good they are then: few-step solvers against 1,000-step DDPM on the same weights.

    python benchmarks/sampling_speed.py --checkpoint RUN/checkpoint --judge CLASSIFIER --manifest manifests/audited
        [--dcgan RUN/checkpoint] [--faces 512] [--ddpm-faces 512] [--work FOLDER]
        [--out docs/results/sampling_speed.jsonl]
    python benchmarks/sampling_speed.py --quick

Faces a second are drawn by as many processes as there are cores, the clock started when each has finished its first
batch. Seconds per face are processor time of one thread, so that other work on the machine does not count. Where there
is a GPU, one process draws on it, and time is the clock's; what was promised of two cores is not asked of it then.

KID compares faces that are asked for the labels and lights of real training faces with such faces, in the judge's
features; its interval is a jackknife's. Guidance is the same everywhere, DDPM included. A setting draws as well as DDPM
where its KID minus DDPM's, asked for the same faces, is small at the upper end of its 95 % interval: at most the half
width of the interval around the KID of as many real validation faces, which is what chance does to real faces. The
fastest such setting is chosen, drawn again from other seeds beside as many other faces of DDPM, and told by these
alone. So DDPM draws twice --ddpm-faces: two to three hours on two cores at 48 px, minutes on a GPU.

--work keeps what is drawn: a killed run goes on. --quick trains tiny generators on drawn faces for a few steps and
compares pixels: it shows that the program runs.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from kid_differences import kid_difference
from measuring import figure, keep, tell
from numpy.typing import NDArray
from peers.ddpm_sampling import STEPS
from sampling_settings import Asked, Drawn, Model, Setting, batches_of, draw_settings, faces_a_second, processes

from classifier.prediction import load_classifier
from fer_data import links
from fer_data import manifest as manifests
from fer_data.adapters import procedural
from fer_data.conditions import measure_light
from fer_data.configuration import build
from fer_data.importing import import_dataset
from fer_data.project import create_project
from generators.devices import drawing_device
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
        promised = not arguments.quick and drawing_device().type == "cpu"
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
    parser.add_argument("--ddpm-faces", type=int, default=512, help="of the 1,000-step DDPM, twice; 0 leaves it out")
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
    """Faces a second by all cores or the GPU, with the model's own sampling."""
    rate, drawn = faces_a_second(model, faces)
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
        device=drawing_device().type,
        processes=processes(),
        sampling=dict(model.open().sampling),
    )


def quality_figures(arguments: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """KID of every setting, and the ratio of times at equal KID."""
    judge = load_classifier(arguments.judge) if arguments.judge else None
    features: Features = judge.features if judge else small_pictures
    real, shown = real_faces(arguments, "train", 8 * arguments.faces)
    reference = features(real)
    held_out, _ = real_faces(arguments, "val", arguments.ddpm_faces or arguments.faces)
    floor = kernel_distance(reference, features(held_out))
    yield kid_figure("real validation faces", floor, features="judge" if judge else "pixels")

    def measure(drawn: Drawn) -> Measured:
        seen = features(drawn.pictures)
        labels = [str(face.label) for face in drawn.asked]
        agreement = label_agreement(judge, drawn.pictures, labels)["all"].value if judge else None
        return Measured(drawn, seen, kernel_distance(reference, seen), agreement)

    peer = Setting("ddpm", arguments.ddpm_steps)
    faces_of = {
        Setting(solver, steps): arguments.faces for solver, counts in arguments.steps_of.items() for steps in counts
    } | ({peer: arguments.ddpm_faces} if arguments.ddpm_faces else {})
    batches = [batch for setting, faces in faces_of.items() for batch in batches_of(setting, shown, faces)]
    found = {drawn.setting: measure(drawn) for drawn in draw_settings(arguments.model, batches, work)}
    for measured in found.values():
        yield setting_figure(measured, "to choose by")
    if peer not in found:
        return
    margin = (floor.high - floor.low) / 2
    chosen = choose(found, peer, reference, margin)
    fresh = -(-max(faces_of.values()) // SAMPLE_BATCH) * SAMPLE_BATCH  # the first seed that nothing was chosen by
    batches = [batch for setting in (chosen, peer) for batch in batches_of(setting, shown, arguments.ddpm_faces, fresh)]
    ours, theirs = (measure(drawn) for drawn in draw_settings(arguments.model, batches, work))
    for measured in (ours, theirs):
        yield setting_figure(measured, "from other seeds")
    yield ratio_figure(ours, theirs, reference, margin, promised=not arguments.quick)


@dataclass(frozen=True)
class Measured:
    """The faces of a setting, and how good they are.

    Attributes:
        features: float32 [N, F].
        distance: KID to real training faces.
        agreement: share of faces in which the judge sees the label that was asked for; None without a judge.
    """

    drawn: Drawn
    features: NDArray[np.float32]
    distance: Estimate
    agreement: float | None

    @property
    def seconds(self) -> float:
        """Per face, the median of the batches."""
        return float(np.median(self.drawn.seconds_per_face))


def choose(found: Mapping[Setting, Measured], peer: Setting, reference: NDArray[np.float32], margin: float) -> Setting:
    """The fastest setting that draws as well as the peer; where none does, the one that comes closest to it."""
    ours = {setting: measured for setting, measured in found.items() if setting != peer}
    worst = {setting: difference(measured, found[peer], reference).high for setting, measured in ours.items()}
    equal = [setting for setting in ours if worst[setting] <= margin]
    return min(equal, key=lambda setting: ours[setting].seconds) if equal else min(ours, key=worst.__getitem__)


def difference(ours: Measured, theirs: Measured, reference: NDArray[np.float32]) -> Estimate:
    """KID of ours minus theirs, over the faces that both were asked for."""
    count = min(len(ours.features), len(theirs.features))
    return kid_difference(reference, ours.features[:count], theirs.features[:count])


def setting_figure(measured: Measured, seeds: str) -> dict[str, Any]:
    name = f"{measured.drawn.setting.name}, {seeds}"
    seconds = round(measured.seconds, 4)
    return kid_figure(name, measured.distance, seconds_per_face=seconds, label_agreement=measured.agreement)


def kid_figure(name: str, distance: Estimate, **more: Any) -> dict[str, Any]:
    ends = distance.low, distance.high
    interval = [None if end is None else round(end, 6) for end in ends]
    title = f"KID to real training faces: {name}"
    return figure(BENCH, title, [distance.value], "KID", n=distance.count, digits=6, interval=interval, **more)


def ratio_figure(
    ours: Measured, theirs: Measured, reference: NDArray[np.float32], margin: float, *, promised: bool
) -> dict[str, Any]:
    """Seconds per face of DDPM over those of the setting that was chosen by other faces, and whether KIDs are equal."""
    apart = difference(ours, theirs, reference)
    equal, ratio = apart.high <= margin, theirs.seconds / ours.seconds
    return figure(
        BENCH,
        "seconds per face at equal KID",
        ours.drawn.seconds_per_face,
        "s",
        n=apart.count,
        target=f">= {TARGET_RATIO:g} times faster" if promised else None,
        reached=equal and ratio >= TARGET_RATIO if promised else None,
        peer=f"DDPM, {theirs.drawn.setting.steps} steps",
        peer_values=theirs.drawn.seconds_per_face,
        ratio=ratio,
        digits=4,
        device=drawing_device().type,
        setting=ours.drawn.setting.name,
        equal_kid=equal,
        kid_difference=round(apart.value, 6),
        kid_difference_interval=[round(apart.low, 6), round(apart.high, 6)],
        margin=round(margin, 6),
    )


def small_pictures(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is compared where no judge is given: float32 [N, C S² / 16]."""
    return (pictures[:, :, ::4, ::4].reshape(len(pictures), -1) / 255).astype(np.float32)


def real_faces(arguments: argparse.Namespace, split: str, limit: int) -> tuple[NDArray[np.uint8], list[Asked]]:
    """A random sample of the labelled real faces of a split, uint8 [N, C, S, S], and what they show.

    Held-out faces that share a picture or a group with another split are none of them.
    """
    manifest, description = manifests.read(arguments.manifest), describe_checkpoint(arguments.checkpoint)
    frame = manifest.frame
    usable = (frame["split"] == split) & frame["label"].notna() & (frame["origin"] == "real")
    if split != "train":
        usable &= ~(links.crossing_groups(manifest) | links.twins_across(manifest, split, ("train",)))
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
