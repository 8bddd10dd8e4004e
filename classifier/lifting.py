"""Rare classes lifted after training: a finished classifier is corrected for how rarely it was shown them."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from classifier.checkpoints import IDENTITY, checkpoint_folder, open_run, read_checkpoint
from classifier.data import Faces
from classifier.losses import class_mass, class_prior
from fer_data.files import atomic_folder, write_json

_BIAS = "head.bias"


def rare_lift(faces: Faces, *, likelihood: bool = False) -> Tensor:
    """What is added to each class's logit, float32 [K]: log(median share / own share) where that is positive, else 0.

    Logit adjustment after training (Menon et al., ICLR 2021, section 4.1), but up to the median share alone (the median
    frequency of Eigen and Fergus, ICCV 2015): frequent classes are left as they are among each other, so that what
    rare ones gain costs less accuracy. Of an even number of shares the lower one of the middle counts. A class that was
    never shown is left as it is, too: lifted, it would be the answer to everything.

    Args:
        faces: that a classifier was trained on.
        likelihood: what their targets are, as for `classifier.losses.class_prior`.
    """
    prior = class_prior(faces, likelihood=likelihood)
    shown = class_mass(faces) > 0
    return (prior[shown].median() / prior).log().clamp_min(0) * shown


def lifted(state: Mapping[str, Tensor], lift: Tensor) -> dict[str, Tensor]:
    """The weights of a `FaceClassifier`, the bias of its head with a lift on it."""
    return {**state, _BIAS: state[_BIAS] + lift.to(state[_BIAS])}


def lift_run(run_dir: Path, lift: Tensor, to: Path, trained_on: Mapping[str, Any]) -> Path:
    """Make of a finished run the one that differs in `lift_rare` alone, which training again would give.

    Args:
        run_dir: of a run without `lift_rare`.
        lift: as `rare_lift` tells it of the run's training faces.
        to: folder of the new run.
        trained_on: where its faces come from, as for `classifier.training.train`.

    Returns:
        Its checkpoint folder.

    Raises:
        FerError: `run_dir` holds no finished run, or `to` holds another run.
    """
    state, description = read_checkpoint(checkpoint_folder(run_dir))
    configuration = {"configuration": {**description["configuration"], "lift_rare": True}}
    folder = checkpoint_folder(to)
    if open_run(to, {**{key: description[key] for key in IDENTITY}, **configuration}, replace=False):
        return folder
    if (run_dir / "history.json").is_file():
        shutil.copy2(run_dir / "history.json", to)
    with atomic_folder(folder) as partial:
        shutil.copytree(checkpoint_folder(run_dir), partial, dirs_exist_ok=True)
        save_file(lifted(state, lift), partial / "model.safetensors")
        write_json(partial / "classifier.json", {**description, **configuration, "trained_on": dict(trained_on)})
    return folder
