"""Generated faces made within an experiment: judges and a generator learn from the arm's labels, and fill a plan."""

from pathlib import Path
from typing import Any

from pydantic import Field

from experiments.fill_plan import FillConfig, fill_plan
from experiments.identity import rows_sha256
from experiments.judges import JudgesConfig, train_judges
from fer_data.balance import BalanceConfig, make_plan
from fer_data.configuration import Configuration, build, resolve
from fer_data.files import sha256_json
from fer_data.locks import name_lock
from fer_data.manifest import Manifest
from fer_data.plans import Plan
from fer_data.progress import SILENT, Reporter
from generators.contract import GeneratorConfig
from generators.models import generator_kind
from generators.training import train_generator


class SourceConfig(Configuration):
    """How generated faces are made; sources that differ in what they ask for share their judges and their generator."""

    kind: str  # of generator: dcgan or diffusion
    generator: str | dict[str, Any]  # a preset's name or a configuration; `minutes` caps its training
    judges: str | dict[str, Any] = "judges"  # likewise
    classes: list[str] = Field(min_length=1)
    ratio: float = Field(1.0, gt=0)  # faces drawn for each face that the class has
    occlusions: list[str] | None = None  # of the drawn faces; null: as the class's own faces
    lights: list[str] | None = None
    fill: FillConfig = FillConfig()

    def generator_config(self) -> GeneratorConfig:
        """The generator's configuration, checked.

        Raises:
            FerError: an unknown kind, preset, key or value.
        """
        of_kind = generator_kind(self.kind).config
        if isinstance(self.generator, str):
            return resolve(of_kind, self.generator)
        return build(of_kind, self.generator, f"generator {self.kind}")

    def judges_config(self) -> JudgesConfig:
        """The judges' configuration, checked."""
        if isinstance(self.judges, str):
            return resolve(JudgesConfig, self.judges)
        return build(JudgesConfig, self.judges, "judges")


def draw_faces(
    labels: Manifest, config: SourceConfig, out: Path, folder: Path, reporter: Reporter = SILENT
) -> Manifest:
    """Train judges and a generator on the training split of `labels` and draw what the source asks for.

    The same call again goes on where a killed one was. What another process trains already is waited for.

    Args:
        out: the manifest of the faces that screening kept.
        folder: keeps `judges-<id>/` and `<kind>-<id>/`; the id is that of the labels and of the configuration.

    Raises:
        FerError: what the judges, the generator or the plan refuse.
    """
    judges = train_judges_of(labels, config, folder, reporter)
    checkpoint = train_generator_of(labels, config, folder, reporter)
    return fill_plan(_plan(labels, config), [checkpoint], labels, judges, out, config.fill, reporter, replace=True).kept


def train_judges_of(labels: Manifest, config: SourceConfig, folder: Path, reporter: Reporter = SILENT) -> Path:
    """The judges of some labels, trained unless they are there; returns their folder."""
    wanted = config.judges_config()
    judges = folder / f"judges-{_id(labels, wanted)}"
    with name_lock(judges.with_name(f"{judges.name}.training"), wait=True):
        train_judges(labels, wanted, judges, reporter)
    return judges


def train_generator_of(labels: Manifest, config: SourceConfig, folder: Path, reporter: Reporter = SILENT) -> Path:
    """The generator of some labels, trained unless it is there; returns its checkpoint."""
    wanted = config.generator_config()
    run_dir = folder / f"{config.kind}-{_id(labels, wanted)}"
    with name_lock(run_dir.with_name(f"{run_dir.name}.training"), wait=True):
        return train_generator(config.kind, labels, wanted, run_dir, reporter)


def _plan(labels: Manifest, config: SourceConfig) -> Plan:
    """`ratio` times as many faces of each class as it has real training faces, spread over the conditions."""
    real = (labels.frame["split"] == "train") & (labels.frame["origin"] == "real")
    have = labels.frame["label"][real].value_counts()
    target = {name: int(have.get(name, 0)) + round(config.ratio * int(have.get(name, 0))) for name in config.classes}
    occlusions, lights = (None if words is None else tuple(words) for words in (config.occlusions, config.lights))
    asked = BalanceConfig(labels=tuple(config.classes), target=target, occlusions=occlusions, lights=lights)
    return make_plan(labels, asked)


def _id(labels: Manifest, config: Configuration) -> str:
    return sha256_json([config.model_dump(mode="json"), rows_sha256(labels)])[:8]
