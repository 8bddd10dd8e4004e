"""The kinds of generators, by name, and how a checkpoint is opened whatever its kind.

A checkpoint is a folder: `generator.json` (what it is and knows), the weights, and `seen.parquet` (every training
row that it saw, so that nobody tests on faces that a synthetic face may repeat).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from fer_data.configuration import Configuration, build
from fer_data.errors import FerError
from fer_data.files import read_json, sha256_file, sha256_json
from generators.condition import Vocabulary
from generators.contract import Generator, GeneratorConfig, Guide, Learner, Steerable
from generators.dcgan import DcganConfig, DcganLearner, DcganSampling, load_dcgan
from generators.diffusion import DiffusionConfig, DiffusionLearner, load_diffusion
from generators.diffusion_sampling import DiffusionSampling
from generators.pretrained import LoraGeneratorConfig, LoraLearner, LoraSampling, load_lora

DESCRIPTION = "generator.json"
SEEN = "seen.parquet"

# What others ask of a description; `generators.training` writes more.
_KEYS = ("kind", "config", "label_set", "vocabulary", "licence", "training_sha256", "manifest", "manifest_sha256")


@dataclass(frozen=True)
class Kind:
    """One kind of generator.

    Attributes:
        config: its training configuration, a `GeneratorConfig`.
        sampling: its sampling options.
        learner: (config, vocabulary, devices) -> Learner; without devices, on the CPU alone.
        load: (checkpoint folder, config, vocabulary, sampling options) -> Generator.
    """

    config: type[GeneratorConfig]
    sampling: type[Configuration]
    learner: Callable[..., Learner]
    load: Callable[[Path, Any, Vocabulary, Any], Generator]


GENERATORS = {
    "dcgan": Kind(DcganConfig, DcganSampling, DcganLearner, load_dcgan),
    "diffusion": Kind(DiffusionConfig, DiffusionSampling, DiffusionLearner, load_diffusion),
    "lora": Kind(LoraGeneratorConfig, LoraSampling, LoraLearner, load_lora),
}


def generator_kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        FerError: there is none.
    """
    if name not in GENERATORS:
        raise FerError(f"generator {name!r} is unknown; expected one of {', '.join(GENERATORS)}")
    return GENERATORS[name]


def describe_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """The contents of `generator.json`.

    Raises:
        FerError: the folder is no finished checkpoint, or of an unknown kind.
    """
    path = checkpoint / DESCRIPTION
    description = read_json(path)
    missing = [key for key in _KEYS if key not in description] if isinstance(description, dict) else list(_KEYS)
    if missing:
        raise FerError(f"{path}: expected a generator's {', '.join(missing)}, found none; name another, or train one")
    generator_kind(description["kind"])
    return description


def load_generator(
    checkpoint: Path, sampling: Mapping[str, Any] | None = None, guide: Guide | None = None
) -> Generator:
    """Open a checkpoint.

    Args:
        checkpoint: the folder that `generators.training.train_generator` returned.
        sampling: options that replace those it was trained with; see the kind's sampling class.
        guide: steers its sampling; how far, the sampling options say.

    Raises:
        FerError: no checkpoint, a file of it is missing, an unknown option, or a guide for a kind that none can steer.
    """
    description = describe_checkpoint(checkpoint)
    kind = generator_kind(description["kind"])
    config: Any = build(kind.config, description["config"], str(checkpoint / DESCRIPTION))
    options = {**config.sampling.model_dump(), **(sampling or {})}
    resolved = build(kind.sampling, options, f"sampling options of {description['kind']}")
    try:
        generator = kind.load(checkpoint, config, Vocabulary.from_dict(description["vocabulary"]), resolved)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:  # diffusers and torch each have their own
        raise FerError(f"{checkpoint}: its weights cannot be read ({error}); train again") from None
    if guide is None:
        return generator
    if not isinstance(generator, Steerable):
        raise FerError(
            f"{checkpoint}: expected a generator that a guide can steer, found {description['kind']}; "
            "leave the guide out, or give a checkpoint of another kind"
        )
    return generator.guided(guide)


def checkpoint_sha256(checkpoint: Path) -> str:
    """Identity of what a checkpoint draws: its weights and what was trained how, but not when, and not from where.

    The tables beside the weights tell the time they were made, so they are left out; the rows that the generator
    saw are in it by the hash that `generator.json` states.
    """
    description = describe_checkpoint(checkpoint)
    timeless = {key: value for key, value in description.items() if key != "manifest_sha256"}
    timeless["config"] = generator_kind(description["kind"]).config.without_places(description["config"])
    files = sorted(path for path in checkpoint.rglob("*") if path.suffix in (".safetensors", ".json"))
    hashes = {
        path.relative_to(checkpoint).as_posix(): _sha256_weights(path)
        if path.suffix == ".safetensors"
        else sha256_file(path)
        for path in files
        if path.name != DESCRIPTION
    }
    return sha256_json({"description": timeless, "files": hashes})


def _sha256_weights(path: Path) -> str:
    """Hash of a safetensors file, whatever order its notes are written in: that order changes from write to write."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
