"""The configuration of an experiment."""

from typing import Annotated, Any, Literal

from pydantic import Field

from classifier.robustness import CONDITIONS
from experiments.arms import NAME, Arm, ChooseConfig
from experiments.making.drawn import SourceConfig
from fer_data.configuration import Configuration


class FoldsConfig(Configuration):
    """Cross-validation: every face is tested with once, by classifiers that saw nothing that is one with it."""

    count: int = Field(3, ge=2, le=20)
    val_share: float = Field(0.1, gt=0, lt=0.5)  # of the faces that are not tested with; they choose the weights
    seed: int = Field(0, ge=0)


class RobustnessConfig(Configuration):
    """Test faces covered and in low light, at five severities (classifier.robustness)."""

    conditions: tuple[str, ...] = CONDITIONS
    # Whose runs are judged so; names: these, the baseline, the control and the primary arm.
    arms: Literal["main", "all"] | Annotated[tuple[str, ...], Field(min_length=1)] = "main"
    seed: int = Field(0, ge=0)


class ExperimentConfig(Configuration):
    """A before/after experiment."""

    name: str = Field("experiment", pattern=NAME)
    title: str = ""  # of the report
    evaluate_on: str  # manifest whose val and test rows and labels judge every arm
    audit: str | None = None  # table of `fer audit` that orders reviews and cleans
    links: list[str] = []  # tables of near duplicates (fer duplicates --near): they count as twins
    sources: dict[str, SourceConfig] = {}  # generated faces that are drawn here, where an arm asks for them
    arms: list[Arm] = Field(min_length=2)
    baseline: str  # the arm "before"
    primary: str | None = None  # the arm of the one contrast that was chosen beforehand; null: `choose` finds it
    control: str | None = None  # the strongest arm without review and synthesis; null: `choose` finds it, or none
    choose: ChooseConfig | None = None  # what is chosen on validation before a test face is judged
    primary_labels: Literal["given", "reference"] | None = None  # none: reference where the manifest has it
    primary_metric: Literal["accuracy", "balanced_accuracy", "macro_f1"] = "balanced_accuracy"
    seeds: list[int] = Field([1, 2, 3], min_length=1)  # the same for every main arm: the seed pairs them
    curve_seeds: list[int] = []  # of arms that are points of a curve, some of `seeds`; empty: the first two
    train: dict[str, Any] = Field({})  # classifier.training.TrainConfig; `steps` is required
    # Held-out faces that are also in train. Nothing said: an experiment that has such faces is refused.
    leaks: Literal["refuse", "drop_from_train", "score_apart"] | None = None
    folds: FoldsConfig | None = None  # cross-validation instead of the manifest's own splits
    robustness: RobustnessConfig | None = None  # null: runs are not judged on covered and dark faces
    records: str | None = None  # folder of the runs' records, relative to the project; null: beside the runs
    bootstrap: int = Field(2000, ge=100)  # resamples
    sheets: int = Field(32, ge=0)  # faces in each sheet of the report

    def judges_conditions(self, arm: Arm) -> bool:
        """Whether an arm's runs are judged on covered and dark faces."""
        asked = () if self.robustness is None else self.robustness.arms
        if isinstance(asked, str):
            return asked == "all" or arm.role == "main"
        return bool(asked) and arm.name in {*asked, self.baseline, self.control, self.primary}

    def seeds_of(self, arm: Arm) -> list[int]:
        """The seeds that an arm is trained with."""
        return self.seeds if arm.role == "main" else self.curve_seeds or self.seeds[:2]

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)
