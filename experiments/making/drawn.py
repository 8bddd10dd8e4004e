"""Generated faces made within an experiment: judges and a generator learn from the arm's labels, and fill a plan."""

from pathlib import Path
from typing import Any

from pydantic import Field

from experiments.fill_plan import FillConfig, fill_plan
from experiments.judges import JudgesConfig, train_judges
from fer_data.balance import BalanceConfig, make_plan
from fer_data.configuration import Configuration, build, resolve
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from generators.contract import GeneratorConfig
from generators.models import generator_kind
from generators.training import train_generator


class SourceConfig(Configuration):
    """How generated faces are made."""

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
    labels: Manifest, config: SourceConfig, out: Path, run_dir: Path, reporter: Reporter = SILENT
) -> Manifest:
    """Train judges and a generator on the training split of `labels` and draw what the source asks for.

    The same call again goes on where a killed one was.

    Args:
        out: the manifest of the faces that screening kept.
        run_dir: keeps `judges/` and `generator/`.

    Raises:
        FerError: what the judges, the generator or the plan refuse.
    """
    have = labels.frame["label"][(labels.frame["split"] == "train") & (labels.frame["origin"] == "real")].value_counts()
    target = {name: int(have.get(name, 0)) + round(config.ratio * int(have.get(name, 0))) for name in config.classes}
    occlusions, lights = (None if words is None else tuple(words) for words in (config.occlusions, config.lights))
    plan = make_plan(
        labels, BalanceConfig(labels=tuple(config.classes), target=target, occlusions=occlusions, lights=lights)
    )
    train_judges(labels, config.judges_config(), run_dir / "judges", reporter)
    checkpoint = train_generator(config.kind, labels, config.generator_config(), run_dir / "generator", reporter)
    return fill_plan(plan, [checkpoint], labels, run_dir / "judges", out, config.fill, reporter, replace=True).kept
