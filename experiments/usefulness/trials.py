"""Train classifiers on parts of manifests, judge real held-out faces, keep one record a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data import Faces, load_faces
from classifier.prediction import load_classifier
from classifier.recipe import TrainConfig
from classifier.training import train
from experiments.identity import rows_sha256
from experiments.provenance import versions
from experiments.records import kept_record, pack, record_path, unpack
from experiments.usefulness.yardstick import Yardstick
from fer_data.files import read_json, sha256_json, write_json
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter

Run = tuple[str, int]  # arm and seed
Probabilities = Mapping[str, NDArray[np.float32]]  # view → float32 [N, K]


class Part(Protocol):
    """Some of the faces that an arm trains on."""

    def sha256(self) -> str:
        """Identity of these faces, told without reading a picture."""
        ...

    def faces(self, size_px: int, channels: int, reporter: Reporter) -> Faces:
        """The faces themselves."""
        ...


@dataclass(frozen=True)
class Rows:
    """Rows of a manifest, bool over all of its rows."""

    manifest: Manifest
    rows: NDArray[np.bool_]

    def sha256(self) -> str:
        return rows_sha256(self.manifest, self.rows)

    def faces(self, size_px: int, channels: int, reporter: Reporter) -> Faces:
        return load_faces(self.manifest, self.rows, size_px, channels)


def run_trials(
    runs: Mapping[Run, Sequence[Part]],
    yardstick: Yardstick,
    config: TrainConfig,
    out: Path,
    reporter: Reporter = SILENT,
) -> dict[Run, Probabilities]:
    """Train every run that has no record yet and judge the yardstick in each of its views.

    An interrupted call goes on in the middle of the run that was interrupted. The weights of the last step judge:
    nothing is chosen by faces that an arm did not train on.

    Args:
        runs: (arm, seed) to what it trains on.
        config: the same for all; its seed is replaced by the run's.
        out: folder of `records/`, `runs/` and `views/`.

    Raises:
        FerError: a kept record was made from other faces or with another configuration, and all that
            `classifier.training.train` refuses.
    """
    judged: dict[Run, Probabilities] = {}
    waiting = []
    for run, parts in runs.items():
        record = kept_record(record_path(out / "records", *run), _identity(parts, run, yardstick, config), *run)
        if record is None:
            waiting.append(run)
        else:
            judged[run] = {view: unpack(packed) for view, packed in record["probabilities"].items()}
    for number, run in enumerate(waiting, 1):
        place = f"{number} of {len(waiting)}"
        judged[run] = _run(run, runs[run], yardstick, config, out, reporter, place)
    return {run: judged[run] for run in runs}


def _identity(parts: Sequence[Part], run: Run, yardstick: Yardstick, config: TrainConfig) -> dict[str, Any]:
    return {
        "train_rows_sha256": sha256_json([part.sha256() for part in parts]),
        "judged_rows_sha256": yardstick.sha256,
        "train": config.model_copy(update={"seed": run[1]}).model_dump(mode="json"),
    }


def _run(
    run: Run,
    parts: Sequence[Part],
    yardstick: Yardstick,
    config: TrainConfig,
    out: Path,
    reporter: Reporter,
    place: str,
) -> Probabilities:
    arm, seed = run
    folder = out / "runs" / f"{arm}-seed{seed}"
    checkpoint = train(
        _joined([part.faces(config.size_px, config.channels, reporter) for part in parts]),
        None,
        yardstick.manifest.labels,
        config.model_copy(update={"seed": seed}),
        folder,
        reporter,
        title=f"{arm} · seed {seed} ({place})",
    )
    classifier = load_classifier(checkpoint)
    packed = {}
    for view in yardstick.views:
        pictures = yardstick.pictures(view, config.size_px, config.channels, out / "views", reporter)
        packed[view] = pack(classifier.probabilities(pictures))
    record = {
        "kind": "run",
        "arm": arm,
        "seed": seed,
        "identity": _identity(parts, run, yardstick, config),
        "versions": versions(),
        "seconds": read_json(folder / "history.json")[-1]["seconds"],
        "probabilities": packed,
    }
    write_json(record_path(out / "records", arm, seed), record)
    return {view: unpack(each) for view, each in packed.items()}


def _joined(parts: Sequence[Faces]) -> Faces:
    """Several sets of faces as one."""
    return Faces(
        torch.cat([part.images for part in parts]),
        torch.cat([part.targets for part in parts]),
        torch.cat([part.weights for part in parts]),
        [sample_id for part in parts for sample_id in part.sample_ids],
    )
