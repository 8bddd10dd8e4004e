"""Trains on the faces of an .npz, one of the processes that `accelerate launch` starts.

python -m accelerate.commands.launch … tests/two_processes.py faces.npz run_dir configuration.json
"""

import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState

from classifier.data import Faces
from classifier.training import TrainConfig, train
from fer_data.expressions import BASIC7


def faces(arrays, name: str) -> Faces:
    tensors = (torch.from_numpy(arrays[f"{name}_{part}"]) for part in ("images", "targets", "weights"))
    return Faces(*tensors, arrays[f"{name}_ids"].tolist())


if __name__ == "__main__":
    stored = np.load(sys.argv[1])
    config = TrainConfig.model_validate_json(Path(sys.argv[3]).read_text())
    train(faces(stored, "train"), faces(stored, "val"), BASIC7, config, Path(sys.argv[2]))
    state = PartialState()
    # One write a line: `print` writes the newline by itself, and the other process may come between.
    sys.stdout.write(f"{state.process_index}/{state.num_processes}\n")
