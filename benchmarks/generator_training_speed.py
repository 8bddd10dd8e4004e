"""Training faces a second: our diffusion model and DCGAN against the plain `diffusers` example, on this machine's CPU.

    python benchmarks/generator_training_speed.py [--quick] [--threads N] [--out FILE]

Pictures are drawn at random at 48x48: speed does not depend on them. One process, one number of threads for all, the
same batch size; after a first step that is not counted, the sides take turns, a few steps each, round after round, so
that what else the machine does hits all alike. Ours: whole steps of `generators.training_run`, batch drawn, weights
averaged, in the preset `diffusion`, with and without bf16. Theirs: `peers/diffusers_train_unconditional.py` with
widths chosen so that it has as many parameters within 5 %, at full resolution, in float32 as is its default, and in
bf16. Times are of the process (all its threads), which other processes disturb least; `wall` is the clock's ratio.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from measuring import figure, keep, tell
from peers.diffusers_train_unconditional import Pictures, build, train

from fer_data.configuration import resolve
from generators.condition import Vocabulary
from generators.contract import GeneratorConfig
from generators.devices import Devices, computing, open_devices
from generators.models import GENERATORS
from generators.pixels import to_float
from generators.training_faces import TrainingFaces

BENCH = "generator_training_speed"
TARGET = 3.0
SIZE_PX, FACES, BATCH = 48, 2048, 32
VOCABULARY = Vocabulary(tuple("abcdefg"), ("none", "mask", "sunglasses", "hand_mouth", "patch"), ("normal", "low"))
PEER_WIDTHS = (32, 64, 104)  # with two layers a block, the example's default
Step = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rounds of one step")
    parser.add_argument("--threads", type=int, default=1, help="of every side")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    arguments = parser.parse_args()
    rounds, steps = (2, 1) if arguments.quick else (7, 4)
    with computing(arguments.threads):
        sides, parameters = make_sides(arguments.quick)
        cpu, wall = take_turns(sides, rounds, steps)
    lines: list[str] = []
    for name in sides:
        if name.startswith("peer"):
            continue
        peer = "peer bf16" if "bf16" in name else "peer"
        against = name.startswith("diffusion") and peer in sides
        ratio = float(np.median(np.divide(cpu[name], cpu[peer]))) if against else None
        tell(
            lines,
            figure(
                BENCH,
                f"{name}, faces a second",
                cpu[name],
                "faces/s of process time",
                n=rounds * steps * BATCH,
                target=f">= {TARGET:g} times the peer" if against else None,
                reached=None if ratio is None else ratio >= TARGET,
                peer=f"diffusers example, {peer.removeprefix('peer').strip() or 'float32'}" if against else None,
                peer_values=cpu[peer] if against else (),
                ratio=ratio,
                wall=round(float(np.median(np.divide(wall[name], wall[peer]))), 2) if against else None,
                parameters=parameters[name],
                peer_parameters=parameters[peer] if against else None,
                threads=arguments.threads,
                batch=BATCH,
                libraries={library: version(library) for library in ("torch", "diffusers", "accelerate")},
            ),
        )
    keep(lines, arguments.out)


def make_sides(quick: bool) -> tuple[dict[str, Step], dict[str, int]]:
    """One step of each side, and how many parameters it trains; the peer must have as many as ours."""
    random = np.random.default_rng(0)
    pictures = random.integers(256, size=(FACES, 1, SIZE_PX, SIZE_PX), dtype=np.uint8)
    labels = random.integers(len(VOCABULARY.label), size=FACES)
    sides, parameters = {}, {}
    for kind in ("diffusion", "dcgan"):
        for precision in ("no", "bf16"):
            name = kind if precision == "no" else f"{kind} bf16"
            settings = [f"batch_size={BATCH}", "minutes=null", "steps=1000000", f"mixed_precision={precision}"]
            config = resolve(GENERATORS[kind].config, kind, settings)
            sides[name], parameters[name] = our_step(kind, config, pictures, labels, open_devices(precision))
    dataset = Pictures(pictures[:, 0], labels, SIZE_PX)
    for name in ("peer",) if quick else ("peer", "peer bf16"):
        model = build(PEER_WIDTHS, 2, SIZE_PX, len(VOCABULARY.label))
        parameters[name] = sum(parameter.numel() for parameter in model.parameters())
        sides[name] = their_step(train(model, dataset, BATCH, 10**6), bf16="bf16" in name)
    gap = abs(parameters["peer"] / parameters["diffusion"] - 1)
    if gap > 0.05:
        raise SystemExit(f"the peer has {parameters['peer']:,} parameters, ours {parameters['diffusion']:,}: {gap:.0%}")
    return sides, parameters


def our_step(
    kind: str, config: GeneratorConfig, pictures: np.ndarray, labels: np.ndarray, devices: Devices
) -> tuple[Step, int]:
    learner = GENERATORS[kind].learner(config, VOCABULARY, devices)
    conditions = np.stack([labels, np.zeros_like(labels), np.zeros_like(labels)], axis=1)
    chances = np.full(len(labels), 1 / len(labels))
    faces = TrainingFaces(torch.from_numpy(pictures), torch.from_numpy(conditions), chances, VOCABULARY)
    done = 0

    def step() -> None:
        nonlocal done
        batch, wanted = faces.batch(done, config)
        learner.step(to_float(batch), wanted, 0.0, torch.Generator().manual_seed(done))
        done += 1

    prefixes = ("network.", "drawer.", "critic.")
    count = sum(tensor.numel() for name, tensor in learner.state().items() if name.startswith(prefixes))
    return step, count


def their_step(losses: Iterator[float], *, bf16: bool) -> Step:
    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            next(losses)

    return step


def take_turns(
    sides: dict[str, Step], rounds: int, steps: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Faces a second of each side in each round, by the process's time and by the clock."""
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    wall: dict[str, list[float]] = {name: [] for name in sides}
    for step in sides.values():
        step()
    for _ in range(rounds):
        for name, step in sides.items():
            used, started = time.process_time(), time.perf_counter()
            for _ in range(steps):
                step()
            cpu[name].append(steps * BATCH / (time.process_time() - used))
            wall[name].append(steps * BATCH / (time.perf_counter() - started))
    return cpu, wall


if __name__ == "__main__":
    main()
