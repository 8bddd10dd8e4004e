"""Does Muon train the diffusion model faster than AdamW? Validation loss after equally many steps, each well tuned.

    python benchmarks/optimisers.py --training manifests/audited [--steps 400] [--seeds 2] [--quick]
        [--out docs/results/optimisers.jsonl]

Both see the same batches and noise of real training faces in the preset `diffusion`, each at three learning rates.
The loss is that of the averaged weights on validation faces without twins in training, at fixed levels of fixed noise.
`ratio` is how many steps AdamW needs at its best rate for the loss that Muon has at half of them, over that half.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from measuring import figure, keep, tell
from numpy.typing import NDArray

from fer_data import links
from fer_data import manifest as manifests
from fer_data.configuration import resolve
from fer_data.manifest import Manifest
from fer_data.progress import Terminal
from generators.devices import computing
from generators.diffusion import DiffusionConfig, DiffusionLearner
from generators.pixels import to_float
from generators.training_faces import TrainingFaces, load_faces, select_faces

BENCH = "optimisers"
RATES = {"muon": (1.5e-3, 3e-3, 6e-3), "adamw": (5e-4, 1e-3, 2e-3)}
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
POINTS = 8  # of the curve of losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="16 steps, one seed, one rate")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    given = parser.parse_args()
    steps, seeds = (16, 1) if given.quick else (given.steps, given.seeds)
    training = manifests.read(given.training)
    curves: dict[tuple[str, float], list[list[float]]] = {}
    lines: list[str] = []
    with computing(1):
        faces = load_faces(select_faces(training, 10), _config("muon", RATES["muon"][0], 0, steps), Terminal())
        pictures, conditions = held_out_faces(training, faces)
        for optimiser, rates in RATES.items():
            for rate in rates[:1] if given.quick else rates:
                found = [
                    curve(faces, pictures, conditions, _config(optimiser, rate, seed, steps)) for seed in range(seeds)
                ]
                curves[optimiser, rate] = found
                more = {
                    "optimiser": optimiser,
                    "learning_rate": rate,
                    "curve": np.mean(found, axis=0).round(5).tolist(),
                }
                last = [each[-1] for each in found]
                tell(
                    lines,
                    figure(
                        BENCH, "loss after all steps", last, "MSE", n=steps, digits=5, seeds=list(range(seeds)), **more
                    ),
                )
    tell(lines, steps_saved(curves, steps))
    keep(lines, given.out)


def curve(
    faces: TrainingFaces, pictures: torch.Tensor, conditions: torch.Tensor, config: DiffusionConfig
) -> list[float]:
    """Validation losses at `POINTS` even points of one training at a constant rate."""
    learner = DiffusionLearner(config, faces.vocabulary)
    losses = []
    for step in range(config.steps or 0):
        batch, wanted = faces.batch(step, config)
        learner.step(to_float(batch), wanted, 0.0, torch.Generator().manual_seed(config.seed * 10**6 + step))
        if (step + 1) % max(1, (config.steps or 0) // POINTS) == 0:
            losses.append(validation_loss(learner, pictures, conditions))
    return losses


@torch.no_grad()
def validation_loss(learner: DiffusionLearner, pictures: torch.Tensor, conditions: torch.Tensor) -> float:
    """Mean squared error of the velocity, over `LEVELS`."""
    generator = learner.generator()
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(1))
    losses = []
    for level in LEVELS:
        found = generator.velocity(torch.lerp(pictures, noise, level), torch.tensor(level), conditions)
        losses.append(float((found - (noise - pictures)).square().mean()))
    return float(np.mean(losses))


def held_out_faces(training: Manifest, faces: TrainingFaces, count: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    """Validation faces without twins in training, float32 [N, 1, 48, 48] in -1..1, and conditions int64 [N, 3]."""
    frame = training.frame
    rows = (frame["split"] == "val").to_numpy() & frame["label"].notna().to_numpy()
    rows &= ~links.twins_across(training, "val", ("train",))
    chosen = np.zeros(len(frame), dtype=bool)
    chosen[np.random.default_rng(0).choice(np.flatnonzero(rows), count, replace=False)] = True
    unknown: list[None] = [None] * count
    words: NDArray[np.int64] = faces.vocabulary.encode(frame["label"][chosen].tolist(), unknown, unknown, "validation")
    return to_float(torch.from_numpy(training.pictures(48, 1, chosen))), torch.from_numpy(words)


def steps_saved(curves: dict[tuple[str, float], list[list[float]]], steps: int) -> dict[str, object]:
    """How many times as many steps AdamW at its best needs for what Muon at its best has after half of them."""
    best = {
        name: min((np.mean(found, axis=0) for (kind, _), found in curves.items() if kind == name), key=lambda c: c[-1])
        for name in RATES
    }
    half = len(best["muon"]) // 2 - 1
    reached = np.flatnonzero(best["adamw"] <= best["muon"][half])
    ratio = float((reached[0] + 1) / (half + 1)) if len(reached) else None
    more = {"target": None, "note": None if ratio else f"AdamW did not get there in {steps} steps"}
    return figure(
        BENCH,
        "loss of Muon after half of the steps",
        [best["muon"][half]],
        "MSE",
        n=steps,
        digits=5,
        ratio=ratio,
        peer="AdamW at the end",
        peer_values=[best["adamw"][-1]],
        **more,
    )


def _config(optimiser: str, rate: float, seed: int, steps: int) -> DiffusionConfig:
    settings = [f"optimiser={optimiser}", f"learning_rate={rate}", f"seed={seed}", f"steps={steps}", "minutes=null"]
    settings += ["batch_size=32", "sampling.guidance=1", "mixed_precision=no", "derived_faces=500"]
    return resolve(DiffusionConfig, "diffusion", settings)


if __name__ == "__main__":
    main()
