"""What tells the arms of an experiment apart: whose labels, which faces besides, and how they are trained on."""

from typing import Any, Literal

from pydantic import Field, model_validator

from fer_data.configuration import Configuration
from fer_data.expressions import LIGHTS, OCCLUSIONS

NAME = r"^[A-Za-z0-9][A-Za-z0-9+_.-]*$"


class ReviewConfig(Configuration):
    """A simulated reviewer looks at training faces (fer_data.simulated_review): the truth it knows is FER+'s votes."""

    faces: int | None = Field(None, ge=1)  # how many; null: all of them, the ceiling
    order: Literal["suspicion", "random"] = "suspicion"  # the worst first by the experiment's audit, or by chance
    # The votes' majority (of drawn faces: what was drawn), or one vote drawn from the ten, as a person would answer.
    answers: Literal["majority", "one_vote"] = "majority"
    targets: Literal["label", "votes"] = (
        "label"  # votes: the faces it looked at get FER+'s distribution as a soft label
    )
    # Faces that nobody looked at: as_given; or evidence: their target says how likely their label is under each class,
    # as the reviewed ones tell. The classifier reads it with train: {targets: likelihood}.
    others: Literal["as_given", "evidence"] = "as_given"
    seed: int = Field(0, ge=0)  # of the order by chance, and of the votes that are drawn

    @model_validator(mode="after")
    def _fair_sample(self) -> "ReviewConfig":
        if self.others == "evidence" and (self.order != "random" or self.targets != "label"):
            raise ValueError(
                "others: evidence wants order: random and targets: label; the worst faces tell of no others"
            )
        return self


class AddConfig(Configuration):
    """Generated faces that are added to some classes."""

    synthetic: str | None = None  # their manifest, after screening
    source: str | None = None  # or one of the experiment's `sources`: drawn by a generator of the arm's own labels
    classes: list[str] | None = None  # null: every class that the manifest has
    ratio: float | None = Field(None, ge=0)  # for each face that the class has; null: as chosen on validation
    weight: float | None = Field(None, gt=0)  # of each in the loss; null: as chosen on validation
    # plain: no occlusion and normal light (or not stated); changed: the others.
    conditions: Literal["any", "plain", "changed"] = "any"
    short: Literal["refuse", "take"] = "refuse"  # where there are fewer faces than asked for
    # Refuse faces whose generator learnt from other faces or labels than the arm has.
    same_training: bool = True
    seed: int = Field(0, ge=0)  # of the choice among more faces than are asked for

    @model_validator(mode="after")
    def _from_one_place(self) -> "AddConfig":
        if (self.synthetic is None) == (self.source is None):
            raise ValueError("expected either synthetic, a manifest, or source, a name")
        return self


class OccludeConfig(Configuration):
    """Copies of real training faces that we cover or darken: the control that needs no generator."""

    share: float = Field(0.5, gt=0, le=1)  # of the training faces that get a copy
    occlusions: tuple[str, ...] = OCCLUSIONS[1:]
    lights: tuple[str, ...] = ("low",)
    weight: float = Field(1.0, gt=0)  # of each copy in the loss
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _known(self) -> "OccludeConfig":
        known = {*OCCLUSIONS[1:], *LIGHTS[1:]}
        strange = sorted({*self.occlusions, *self.lights} - known)
        if strange or not (self.occlusions or self.lights):
            raise ValueError(f"expected words out of {', '.join((*OCCLUSIONS[1:], *LIGHTS[1:]))}")
        return self


class MakeConfig(Configuration):
    """How an arm's training faces are made from those it begins with; in this order."""

    review: ReviewConfig | None = None
    clean: Literal["careful", "balanced", "thorough"] | None = None  # a policy of the audit, nobody asked
    add: list[AddConfig] = []
    occlude: OccludeConfig | None = None

    @model_validator(mode="after")
    def _one_cleaning(self) -> "MakeConfig":
        if self.review is not None and self.clean is not None:
            raise ValueError("expected review or clean, found both")
        if self.review is not None and self.review.others == "evidence" and any(add.source for add in self.add):
            raise ValueError("a source learns from labels, which others: evidence leaves open; leave one out")
        return self


class Arm(Configuration):
    """One way to train."""

    name: str = Field(pattern=NAME)  # names its records
    title: str = ""  # in the report; the name where it is empty
    note: str = ""  # one sentence about it, for the report
    manifest: str | None = None  # whose training rows it begins with, relative to the project; null: evaluate_on
    make: MakeConfig | None = None  # what is made of them
    train: dict[str, Any] = Field({})  # what it changes in `train` of the experiment, the budget excepted
    role: Literal["main", "curve"] = "main"  # curve: with `curve_seeds` only, a point of a curve


class Mixing(Configuration):
    """How many generated faces, and how much each counts."""

    ratio: float = Field(ge=0)
    weight: float = Field(gt=0)


class ChooseConfig(Configuration):
    """What is chosen on validation faces without twins, and written down before a test face is judged."""

    mixing: list[Mixing] = []  # candidates for arms that leave ratio and weight open
    mixing_in: str | None = None  # the arm in which they are compared, with `curve_seeds`
    control: list[str] = []  # arms among which the strongest control is
    primary: list[str] = []  # arms among which the primary one is
    metric: Literal["balanced_accuracy", "accuracy", "macro_f1"] = "balanced_accuracy"
    labels: Literal["given", "reference", "both"] = "both"  # of the validation faces; both: the mean of the two

    @model_validator(mode="after")
    def _somewhere(self) -> "ChooseConfig":
        if bool(self.mixing) != bool(self.mixing_in):
            raise ValueError("expected mixing and mixing_in together")
        return self


def with_mixing(arm: Arm, mixing: Mixing, **changes: Any) -> Arm:
    """The arm with ratio and weight filled in where it leaves them open."""
    if arm.make is None:
        return arm.model_copy(update=changes)
    filled = [
        add.model_copy(
            update={
                "ratio": mixing.ratio if add.ratio is None else add.ratio,
                "weight": mixing.weight if add.weight is None else add.weight,
            }
        )
        for add in arm.make.add
    ]
    return arm.model_copy(update={"make": arm.make.model_copy(update={"add": filled}), **changes})


def is_open(arm: Arm) -> bool:
    """Whether the arm waits for the choice of ratio or weight."""
    return arm.make is not None and any(add.ratio is None or add.weight is None for add in arm.make.add)


def candidate_arms(arm: Arm, choose: ChooseConfig) -> list[tuple[Mixing, Arm]]:
    """The arm with each candidate for its mixing, as points of a curve."""
    found = []
    for mixing in choose.mixing:
        words = f"ratio {mixing.ratio:g}, weight {mixing.weight:g}"
        name = f"{arm.name}.ratio{mixing.ratio:g}-weight{mixing.weight:g}"
        title = f"{arm.title or arm.name}, {words}"
        found.append((mixing, with_mixing(arm, mixing, name=name, title=title, role="curve")))
    return found
