"""The parts of `results.json` as types; keys that are not named here are kept as they are."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of the file; shares are 0..1, differences of shares -1..1."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Estimate(Part):
    """A figure with its 95 % interval; None where a class that it needs has no faces."""

    value: float | None
    low: float | None
    high: float | None


class Level(Estimate):
    """A metric of one arm, the mean over its seeds."""

    per_seed: list[float | None]


class Recall(Level):
    """A class's recall with Wilson's interval."""

    faces: int


class Contrast(Estimate):
    """A difference between an arm and the baseline, or the control."""

    view: str
    metric: str  # or "recall:<label>"
    arm: str
    family: str  # "primary", "exploratory", "per class", …
    p_value: float | None
    p_holm: float | None
    smallest_effect: float | None


class Scores(Part):
    """One arm in one view."""

    metrics: dict[str, Level]
    recall: dict[str, Recall]
    confusion: list[list[float]]  # counts, the mean over seeds; rows truth


class Agreement(Part):
    """How far an arm's probabilities are from the filtered shares of votes, in nats; the mean over seeds."""

    count: int  # faces that enough people named
    cross_entropy: float | None
    entropy: float | None  # of the shares themselves: no classifier can be below it
    kl: float | None


class View(Part):
    """Some test faces under one kind of label."""

    key: str
    split: Literal["official", "no_copies", "leak_free"]
    split_name: str
    labels: str  # "given", "reference"
    labels_name: str
    faces: int
    left_out: int
    per_class: dict[str, int]


class PairTest(Part):
    """McNemar's test of an arm and another, one seed."""

    view: str
    arm: str
    against: str | None = None  # the baseline or the control; none told: the baseline
    seed: int
    lost: int
    won: int
    p_value: float


class Question(Part):
    """What was compared."""

    baseline: str
    primary: str
    labels: str
    metric: str
    seeds: list[int]
    resamples: int


class TrainingFaces(Part):
    """What an arm trained on."""

    rows: int
    per_class: dict[str, int]
    origins: dict[str, int]


class Arm(Part):
    """One way to train."""

    name: str
    title: str
    note: str
    role: str = "main"  # or "curve": a point of a curve, with fewer seeds
    manifest: str
    manifest_sha256: str
    licence: dict[str, Any]
    train: dict[str, Any]
    changes: dict[str, Any]
    make: dict[str, Any] | None = None  # how its faces were made, `experiments.arms.MakeConfig`, defaults left out
    training_faces: TrainingFaces
    lineage: list[dict[str, Any]]
    reviews: list[dict[str, Any]]


class Run(Part):
    """One arm with one seed."""

    arm: str
    seed: int
    run_sha256: str
    seconds: float
    versions: dict[str, str] = {}  # of what it was trained with
    machine: dict[str, Any] = {}  # where
    same_as: str | None = None  # the arm that trained the same classifier
    lifted_from: str | None = None  # the arm whose classifier it is, lifted
    history: list[dict[str, float | None]]
    metrics: dict[str, dict[str, Any]] = {}  # view → what `classifier.metrics.evaluate` told


class Slice(Part):
    """Test faces that the dataset or a published list names as covered, dark or turned."""

    faces: int
    arms: dict[str, dict[str, float | None]]  # arm → metric, the mean over seeds


class PooledRun(Part):
    """One arm with one seed, judged over the faces of all folds."""

    arm: str
    seed: int
    metrics: dict[str, dict[str, Any]]  # as in `Run`


class EvaluatedOn(Part):
    """The manifest that judges every arm."""

    manifest: str
    sha256: str
    licence: dict[str, Any]
    validation_faces: int


class Leaks(Part):
    """Faces that lie in more than one split, and the policy; None where there was nothing to decide."""

    policy: Literal["refuse", "drop_from_train", "score_apart"] | None
    test_faces_with_twins_in_train: int
    test_faces_with_twins_in_val: int
    val_faces_with_twins_in_train: int
    test_faces_identical_to_train_or_val: int | None = None
    test_faces_related_to_train_or_val: int | None = None  # twins, same person, near duplicates
    val_faces_related_to_train: int | None = None
    faces_in_groups_that_cross_splits: int
    link_tables: int = 0  # tables of near duplicates that were given
    dropped_from_train: dict[str, int]


class Fold(Part):
    """One fold of a cross-validation."""

    manifest: str
    rows_sha256: str
    test_faces: int
    validation_faces: int
    training_faces: dict[str, int]  # by arm


class ConditionContrast(Contrast):
    """The same over all severities of some conditions together, to the baseline or to the control."""

    conditions: str  # "occlusion", "low light", …
    against: str


class CorruptionErrors(Part):
    """Errors under the conditions relative to the baseline's, low is good."""

    mce: float | None
    relative_mce: float | None


class Control(Part):
    """The strongest arm that needs neither review nor synthesis, and differences to it."""

    arm: str
    contrasts: list[Contrast]


class Candidate(Part):
    """What stood for choice, with its validation score."""

    arm: str
    score: float
    per_seed: list[float]


class Chosen(Part):
    """An arm that was chosen, and among which."""

    arm: str
    candidates: list[Candidate]


class Mixing(Part):
    """How many generated faces, how much each counts, and among what that was chosen."""

    ratio: float
    weight: float
    candidates: list[Candidate]


class Choice(Part):
    """What was chosen on validation faces, and written down before a test face was judged."""

    written: str
    metric: str
    labels: str
    validation_faces: int
    asked_sha256: str
    mixing: Mixing | None = None
    control: Chosen | None = None
    primary: Chosen | None = None


class Bin(Part):
    """A bin of a reliability diagram, `classifier.confidence.reliability`."""

    faces: int
    confidence: float
    accuracy: float
    low: float
    high: float
