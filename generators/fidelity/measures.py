"""The figures of one group of faces, synthetic or real alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from generators.fidelity.agreement import Agreement, Answers
from generators.fidelity.configuration import FidelityConfig
from generators.fidelity.distances import frechet_estimates, kernel_distance, kid
from generators.fidelity.diversity import mean_pairwise_distance, vendi_estimate
from generators.fidelity.estimates import Estimate, Floats, Rows, share, some
from generators.fidelity.faces import Key
from generators.fidelity.manifold import measure_manifold
from generators.fidelity.memorisation import Memory

Found = Estimate | Agreement | str  # a figure, or the reason why there is none

FEATURE_MEASURES = (
    "kid",
    "subset_kid",
    "frechet",
    "frechet_infinity",
    "precision",
    "recall",
    "density",
    "coverage",
    "distance",
    "vendi",
)
MEMORY_MEASURES = ("nearer_training", "unusually_near", "distance_ratio", "authenticity")


@dataclass(frozen=True)
class Marks:
    """What was found out about each of N faces.

    Attributes:
        answers: what judges saw; "agreement", "occlusion_agreement", "light_agreement".
        examined: int64 [E], ascending: the faces that were looked up among the training faces.
        copied: bool [E] each; "flagged", "near_duplicates", "exact".
        memories: per space, over the E faces.
    """

    answers: Mapping[str, Answers | str]
    examined: Rows
    copied: Mapping[str, NDArray[np.bool_]]
    memories: Mapping[str, Memory]

    def places(self, rows: Rows) -> Rows:
        """Where those of the rows that were examined lie among the E faces."""
        return np.flatnonzero(np.isin(self.examined, rows))


class Counts(NamedTuple):
    """Faces of each side that figures rest on which depend on their number; the same for synthetic and real ones.

    Attributes:
        neighbours: of precision, recall, density and coverage, and of what varies among them.
        frechet: of the Fréchet distances.
    """

    neighbours: int
    frechet: int


@dataclass(frozen=True)
class FeatureFigures:
    """Figures of a group in one feature space.

    Attributes:
        found: by name.
        training: of the training faces themselves, at the same count: what distance and vendi are compared with.
        expected_coverage: that samples from the very same distribution would reach.
    """

    found: Mapping[str, Found]
    training: Mapping[str, Found] = field(default_factory=dict)
    expected_coverage: float | None = None


@dataclass(frozen=True)
class Figures:
    """Everything measured on a group of faces.

    Attributes:
        count: the faces.
        agreement, copies: by name.
        features, memorisation: by space.
        altered: whether agreement is that of real faces that were brought under the condition.
    """

    count: int
    agreement: Mapping[str, Found]
    copies: Mapping[str, Found]
    features: Mapping[str, FeatureFigures]
    memorisation: Mapping[str, Mapping[str, Found]]
    altered: bool = False


def agreements(marks: Marks, rows: Rows) -> dict[str, Found]:
    """What judges agree with, over some of the faces."""
    found: dict[str, Found] = {}
    nothing = "nothing was stated that the judge knows" if len(rows) else "no faces"
    for name, told in marks.answers.items():
        found[name] = told if isinstance(told, str) else told.agreement(rows) or nothing
    return found


def copies(marks: Marks, rows: Rows) -> dict[str, Found]:
    """Shares of some of the faces that copy a training face."""
    places = marks.places(rows)
    return {name: share(hits[places]) if len(places) else "no faces" for name, hits in marks.copied.items()}


def memory(marks: Marks, rows: Rows, fewest: int) -> dict[str, dict[str, Found]]:
    """What nearest neighbours tell about some of the faces, per space."""
    places = marks.places(rows)
    if len(places) < fewest:
        few = f"{len(places)} faces, fewer than {fewest}"
        return {space: dict.fromkeys(MEMORY_MEASURES, few) for space in marks.memories}
    return {space: dict(found.summary(places)) for space, found in marks.memories.items()}


def feature_figures(
    real: Floats, synthetic: Floats, config: FidelityConfig, counts: Counts, subset_size: int
) -> FeatureFigures:
    """Figures of one group in one space.

    Args:
        real, synthetic: float32 [M, F] and [N, F].
        counts: where there are fewer synthetic faces (that is: real ones in their place), they reach fewer real faces,
            so that neither recall nor coverage compares.
        subset_size: of KID over subsets.
    """
    if min(len(real), len(synthetic)) < config.fewest:
        few = f"{len(synthetic)} faces and {len(real)} real training faces, fewer than {config.fewest} on a side"
        return FeatureFigures(dict.fromkeys(FEATURE_MEASURES, few))
    random = np.random.default_rng(config.seed)
    x, y = (points[some(len(points), config.faces, random)] for points in (real, synthetic))
    few_x, few_y = (points[some(len(points), counts.neighbours, random)] for points in (x, y))
    subset = kid(x, y, subset_size=subset_size, subsets=config.subsets, seed=config.seed)
    frechet, frechet_infinity = frechet_estimates(x, y, counts.frechet, config.seed)
    manifold = measure_manifold(few_x, few_y, config.k)
    found: dict[str, Found] = {
        "kid": kernel_distance(x, y),
        "subset_kid": Estimate(subset.value, subset.low, subset.high, subset.subset_size),
        "frechet": frechet,
        "frechet_infinity": frechet_infinity,
        "precision": manifold.precision,
        "recall": manifold.recall,
        "density": manifold.density,
        "coverage": manifold.coverage,
    }
    if len(few_y) < counts.neighbours:
        found |= dict.fromkeys(("recall", "coverage"), f"{len(few_y)} faces, fewer than {counts.neighbours}")
    return FeatureFigures(
        {**found, **_diversity(few_y, config.seed)}, _diversity(few_x, config.seed), manifold.expected_coverage
    )


def as_group(key: Key, figures: Figures, real: Figures, training: int) -> dict[str, Any]:
    """One entry of `groups`: the figures of synthetic faces beside those of real ones, as JSON holds them.

    Args:
        real: the figures of real held-out faces of the group.
        training: how many training faces it has.
    """
    features: dict[str, Any] = {}
    for space, found in figures.features.items():
        beside = {**real.features[space].found, **found.training}
        features[space] = {name: _measure(figure, beside[name]) for name, figure in found.found.items()}
        features[space]["coverage"]["expected"] = found.expected_coverage
    return {
        **key._asdict(),
        "count": figures.count,
        "real_count": training,
        "held_out_count": real.count,
        **{name: _measure(found, real.agreement[name], real.altered) for name, found in figures.agreement.items()},
        "copies": {name: _measure(found, real.copies[name]) for name, found in figures.copies.items()},
        "features": features,
        "memorisation": {
            space: {name: _measure(found, real.memorisation[space][name]) for name, found in measures.items()}
            for space, measures in figures.memorisation.items()
        },
    }


def _diversity(points: Floats, seed: int) -> dict[str, Found]:
    return {"distance": mean_pairwise_distance(points), "vendi": vendi_estimate(points, seed)}


def _measure(found: Found, real: Found, altered: bool = False) -> dict[str, Any]:
    """A figure beside that of real faces; where there is none, null and the reason."""
    beside = None if isinstance(real, str) else {**_plain(real), **({"altered": True} if altered else {})}
    if isinstance(found, str):
        return {"value": None, "reason": found, "real": beside}
    chance = {"chance": found.chance} if isinstance(found, Agreement) else {}
    return {**_plain(found), **chance, "real": beside}


def _plain(found: Estimate | Agreement) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "count": found.count}
