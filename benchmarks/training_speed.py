"""How fast a classifier trains: against the plain way, what else than computing it does, and what makes it fast.

    python benchmarks/training_speed.py [--quick] [--threads N] [--out docs/results/training_speed.jsonl]

Faces are drawn at 48x48 grey; speed does not depend on them. Both sides train the same network, built by the same
function, in batches of 128, with the same augmentation and AdamW, each in a fresh process, taking turns round after
round; steps are timed by the clock after some that are not counted. Ours: whole steps of `classifier.run.Run` (batch
drawn and varied, margins noted, weights averaged), in float32 and, where the machine computes in it, in bf16, and in
float32 by two processes that share each batch, as `accelerate launch` starts them, with half the threads each. Theirs:
`benchmarks/peers/train_image_folder.py`, PNG files in folders, `DataLoader` with 2 workers. Beside them the faces a
second of a machine that convolved as fast as it multiplies large float32 matrices: what float32 code hardly exceeds.

The share of the time that is not forward, backward and step is measured on the same steps of ours. Variants of forward
and backward of a batch that stays, and optimisers, take turns within one process, one thread, by its own time.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from measuring import figure, fresh, keep, tell
from PIL import Image
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from classifier.data import Faces
from classifier.models import build_model
from classifier.optimisers import build_optimisers, inner_kernels
from classifier.recipe import TrainConfig
from classifier.run import Run
from classifier.trackers import open_accelerator
from fer_data.adapters.procedural import Options, read
from fer_data.expressions import BASIC7
from fer_data.parallel import cores
from learning.precision import computes_in_bf16

BENCH = "training_speed"
SIZE_PX, BATCH, FACES, WORKERS = 48, 128, 2048, 2
PEER = Path(__file__).parent / "peers" / "train_image_folder.py"
PLAIN_WAY = f"ImageFolder, transforms, DataLoader with {WORKERS} workers"
RATIO, SHARE = 2.0, 5.0
PROCESSES = 2
LAUNCH = f"--multi_gpu --num_processes {PROCESSES} --num_machines 1 --mixed_precision no --dynamo_backend no".split()
ROUNDS = {"thin_resnet18": (5, 5, 40), "resnet18": (3, 2, 6)}  # rounds, steps that are not counted, steps
Step = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of a few steps of the thin network")
    parser.add_argument("--threads", type=int, default=cores(), help="CPU threads of either side's network")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    parser.add_argument("--measure", nargs=4, metavar=("FACES", "MODEL", "PRECISION", "STEPS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        faces, name, precision, steps = arguments.measure
        told = measure_ours(Path(faces), name, precision, int(steps), arguments.threads)
        if PartialState().is_main_process:
            print(json.dumps(told))
        return None
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        draw_faces(Path(folder), 256 if arguments.quick else FACES)
        for name, plan in {"thin_resnet18": (1, 1, 3)}.items() if arguments.quick else ROUNDS.items():
            compare(lines, Path(folder), name, plan, arguments.threads)
    for name in ("thin_resnet18",) if arguments.quick else ROUNDS:
        measure_variants(lines, name, quick=arguments.quick)
        measure_optimisers(lines, name, 3 if arguments.quick else 15)
    return keep(lines, arguments.out)


def draw_faces(folder: Path, count: int) -> None:
    """Drawn faces as PNG files in class folders, for the peer, and as arrays, for us."""
    pictures, labels = [], []
    for sample in read(None, Options(count=count, size_px=SIZE_PX), []).samples:
        if not isinstance(sample.image, np.ndarray) or sample.label is None:
            continue
        picture = np.asarray(Image.fromarray(sample.image).convert("L"))
        file = folder / "pictures" / sample.label / f"{len(labels):06d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(file)
        pictures.append(picture[None])
        labels.append(BASIC7.index(sample.label))
    np.savez(folder / "faces.npz", images=np.stack(pictures), labels=np.array(labels))


def compare(lines: list[str], folder: Path, name: str, plan: tuple[int, int, int], threads: int) -> None:
    """Tell the faces a second of both sides, and what of our time is not computing."""
    rounds, warm_up, steps = plan
    precisions = {"float32": "no", **({"bf16": "bf16"} if computes_in_bf16() else {})}
    speeds: dict[str, list[float]] = defaultdict(list)
    shares: dict[str, list[float]] = defaultdict(list)
    peer: list[float] = []
    bounds: list[float] = []
    operations = operations_of_a_face(name)
    started = time.perf_counter()
    for _ in range(rounds):
        told = fresh(PEER, folder / "pictures", name, BATCH, warm_up, steps, threads, WORKERS)
        peer.append(told["faces_per_second"])
        for key, precision in precisions.items():
            told = fresh(__file__, "--threads", threads, "--measure", folder / "faces.npz", name, precision, steps)
            speeds[key].append(told["faces_per_second"])
            shares[key].append(told["outside_percent"])
        each = ("--threads", max(1, threads // PROCESSES), "--measure", folder / "faces.npz", name, "no", steps)
        told = fresh("-m", "accelerate.commands.launch", *LAUNCH, __file__, *each, env={"ACCELERATE_USE_CPU": "true"})
        speeds[f"float32, {PROCESSES} processes"].append(told["faces_per_second"])
        bounds.append(operations_per_second(threads) / operations)
    facts: dict[str, Any] = {
        "n": rounds * steps * BATCH,
        "model": name,
        "threads": threads,
        "batch": BATCH,
        "seconds": round(time.perf_counter() - started, 1),
        "libraries": {library: version(library) for library in ("torch", "torchvision", "accelerate")},
    }

    def tell_speed(what: str, values: list[float], target: float | None = None, **more: Any) -> None:
        ratio = float(np.median(np.divide(values, peer)))
        if target is not None:
            more |= {"target": f">= {target:g} times the plain way", "reached": ratio >= target}
        more |= {"ratio": ratio, "peer": PLAIN_WAY, "peer_values": peer}
        tell(lines, figure(BENCH, f"{name} {what}", values, "faces/s", digits=1, **more, **facts))

    for key, values in speeds.items():
        tell_speed(f"{key}: faces a second", values, RATIO)
    for key, share in shares.items():
        tell(
            lines,
            figure(
                BENCH, f"{name} {key}: share of a step that is not forward, backward and step", share, "%", digits=2,
                target=f"< {SHARE:g}", reached=float(np.median(share)) < SHARE, **facts,
            ),
        )  # fmt: skip
    bound = "float32: faces a second at the speed of a matrix product"
    tell_speed(bound, bounds, gflop_of_a_face=round(operations / 1e9, 3))


def operations_of_a_face(name: str) -> float:
    """Floating-point operations of the convolutions and products in forward and backward, for one face."""
    model, faces = build_model(name, len(BASIC7), 1, SIZE_PX), 2
    with FlopCounterMode(display=False) as counted:
        F.cross_entropy(model(torch.zeros(faces, 1, SIZE_PX, SIZE_PX)), torch.zeros(faces, dtype=torch.long)).backward()
    return counted.get_total_flops() / faces


def operations_per_second(threads: int, side: int = 2048, count: int = 10) -> float:
    """Floating-point operations a second in the product of two float32 matrices of `side` rows and columns."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    left, right = torch.randn(2, side, side)
    torch.mm(left, right)
    started = time.perf_counter()
    for _ in range(count):
        torch.mm(left, right)
    seconds = time.perf_counter() - started
    torch.set_num_threads(before)
    return count * 2 * side**3 / seconds


def measure_ours(file: Path, name: str, precision: str, steps: int, threads: int) -> dict[str, float]:
    """Faces a second of our steps, and the percentage of the time in which they neither learn nor update."""
    torch.set_num_threads(threads)
    stored = np.load(file)
    count = len(stored["labels"])
    targets = torch.eye(len(BASIC7))[torch.from_numpy(stored["labels"])]
    faces = Faces(torch.from_numpy(stored["images"]), targets, torch.ones(count), list(map(str, range(count))))
    config = TrainConfig(model=name, batch_size=BATCH, steps=10 * steps, mixed_precision=precision)
    run = Run(open_accelerator([], file.parent), faces, None, BASIC7, config, file.parent)
    run.model.train()
    seconds = {"computing": 0.0}

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            before = time.perf_counter()
            result = function(*arguments, **options)
            seconds["computing"] += time.perf_counter() - before
            return result

        return call

    run.model.forward = timed(run.model.forward)  # type: ignore[method-assign]
    run.accelerator.backward = timed(run.accelerator.backward)  # type: ignore[method-assign]
    for optimiser in run.optimisers:
        optimiser.step = timed(optimiser.step)  # type: ignore[method-assign]
        optimiser.zero_grad = timed(optimiser.zero_grad)  # type: ignore[method-assign]
    for _ in range(3):
        run.advance(0.001)
    seconds["computing"], started = 0.0, time.perf_counter()
    for _ in range(steps):
        run.advance(0.001)
    whole = time.perf_counter() - started
    return {"faces_per_second": steps * BATCH / whole, "outside_percent": 100 * (1 - seconds["computing"] / whole)}


def measure_variants(lines: list[str], name: str, *, quick: bool) -> None:
    """Tell what each way to compute faster gains over plain float32 in the usual memory order."""
    sides = {
        "plain": variant(name, last=False),
        "channels_last": variant(name),
        "channels_last, 32 px instead of 48": variant(name, size_px=32),
    }
    if not quick:
        sides["channels_last and torch.compile"] = variant(name, compiled=True)
    if computes_in_bf16() or name.startswith("thin"):  # emulated it takes minutes for a large network
        sides["channels_last and bf16"] = variant(name, bf16=True)
    if computes_in_bf16():
        sides["bf16"] = variant(name, last=False, bf16=True)
        sides["channels_last and bf16, 32 px instead of 48"] = variant(name, bf16=True, size_px=32)
        if not quick:
            sides["channels_last, bf16 and torch.compile"] = variant(name, bf16=True, compiled=True)
    seconds = take_turns(sides, 1 if quick else 12 if name.startswith("thin") else 4)
    for key, values in seconds.items():
        tell(
            lines,
            figure(
                BENCH, f"{name}, {key}: faces a second of forward and backward",
                [BATCH / value for value in values], "faces/s of one core", digits=1, n=len(values) * BATCH,
                ratio=float(np.median(np.divide(seconds["plain"], values))), model=name, threads=1, batch=BATCH,
            ),
        )  # fmt: skip


def measure_optimisers(lines: list[str], name: str, rounds: int) -> None:
    """Tell what a step of each optimiser takes."""
    model = build_model(name, len(BASIC7), 1, SIZE_PX).to(memory_format=torch.channels_last)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    muon, rest = build_optimisers(model, TrainConfig(optimizer="muon"))
    matrices = [torch.nn.Parameter(kernel.detach().flatten(1)) for kernel in inner_kernels(model)]
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    peer = torch.optim.Muon(matrices)
    sides: dict[str, Step] = {
        "AdamW, fused": torch.optim.AdamW(model.parameters(), fused=True).step,
        "AdamW, foreach": torch.optim.AdamW(model.parameters(), foreach=True).step,
        "AdamW, one by one": torch.optim.AdamW(model.parameters(), foreach=False, fused=False).step,
        "Muon": lambda: (muon.step(), rest.step()),
    }
    if computes_in_bf16() or name.startswith("thin"):  # it computes in bfloat16 inside
        sides["PyTorch's Muon"] = lambda: (peer.step(), rest.step())
    for key, values in take_turns(sides, rounds).items():
        milliseconds = [1000 * value for value in values]
        told = figure(BENCH, f"{name}, {key}: a step", milliseconds, "ms of one core", n=rounds, model=name, threads=1)
        tell(lines, told)


def take_turns(sides: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of this process, one thread, that each side takes in each round, after two that are not counted."""
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {key: [] for key in sides}
    for step in sides.values():
        step()
        step()
    for _ in range(rounds):
        for key, step in sides.items():
            started = time.process_time()
            step()
            seconds[key].append(time.process_time() - started)
    return seconds


def variant(
    name: str, *, last: bool = True, bf16: bool = False, compiled: bool = False, size_px: int = SIZE_PX
) -> Step:
    """Forward and backward of one batch."""
    order = torch.channels_last if last else torch.contiguous_format
    model = build_model(name, len(BASIC7), 1, SIZE_PX).to(memory_format=order).train()
    network = torch.compile(model) if compiled else model
    images = torch.randn(BATCH, 1, size_px, size_px).contiguous(memory_format=order)
    targets = torch.arange(BATCH) % len(BASIC7)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = network(images)
        F.cross_entropy(logits.float(), targets).backward()
        model.zero_grad()

    return step


if __name__ == "__main__":
    main()
