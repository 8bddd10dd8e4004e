"""The networks among the baselines: each a `TrainConfig`, all in one loop, on the same faces, for the same minutes."""

from typing import Any

from classifier.training import TrainConfig
from fer_data.configuration import build

MOST_EPOCHS = 60  # small networks only learn wrong labels by heart after as many

# What all have in common. Epochs are chosen on validation faces, so that the cap of time decides how long, or
# `MOST_EPOCHS`.
_COMMON: dict[str, Any] = {"optimizer": "adamw", "batch_size": 64, "evaluations": 10, "dynamics": 0, "trackers": []}
_CONVOLUTIONS: dict[str, Any] = {"mixed_precision": "auto"}  # up to twice as many epochs where the processor has it

# Networks without batch normalisation want smaller steps and more faces in each.
_PLAIN: dict[str, Any] = {"learning_rate": 0.001, "batch_size": 128}

# Some five passes fit into half an hour of a core: small pictures first, and few evaluations, which take a minute each.
_LARGE: dict[str, Any] = {
    "learning_rate": 0.002,
    "start_px": 32,
    "grown_by": 0.7,
    "evaluations": 3,
    **_CONVOLUTIONS,
}

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"model": "baseline_mlp", **_PLAIN},
    "lstm_rows": {"model": "baseline_lstm", **_PLAIN, "learning_rate": 0.002},
    "cnn3": {"model": "baseline_cnn3", **_PLAIN, **_CONVOLUTIONS},
    "vgg": {"model": "thin_vgg", "learning_rate": 0.01, **_CONVOLUTIONS},
    "separable": {"model": "mini_xception", "learning_rate": 0.01, **_CONVOLUTIONS},
    "resnet18": {"model": "resnet18", **_LARGE},
    "resnet34": {"model": "resnet34", **_LARGE},
}


def network_config(row: str, seed: int, threads: int) -> TrainConfig:
    """The training of a row; the time decides about its steps."""
    return build(TrainConfig, {**_COMMON, **NETWORKS[row], "seed": seed, "threads": threads}, f"baseline {row}")
