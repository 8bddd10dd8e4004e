"""Faces that the project draws itself, with exact truth in the facts.

A tool for tests, demos and simulations: what FER-2013 suffers from is planted here, known row by row. A figure
measured on drawn faces says whether the machinery works, and nothing about people.

Facts of a row: `true_label` is what was drawn (null where it is no face) and the manifest's label is what the data
set claims, wrong where the two differ; `planted` names the defect (label_noise, exact_duplicate, near_duplicate,
blank, not_a_face); `seed` is that of the picture, so that copies share it with their original.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from fer_data import licenses
from fer_data.configuration import Configuration
from fer_data.drawn import defects
from fer_data.drawn.face import Identity
from fer_data.drawn.planting import Defects, Row, plan_rows, stream_seed
from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import SMALLEST_PX, render
from fer_data.errors import FerError
from fer_data.expressions import BASIC7, LIGHTS, OCCLUSIONS
from fer_data.samples import Reading, Rejection, Sample

NAME = "procedural"
TITLE = "drawn faces (for tests, demos and simulations)"
LICENCE = licenses.DRAWN
CITATION: str | None = None
HOMEPAGE: str | None = None
EXPECTED: Mapping[str, int] | None = None
ACCESS = None
UNVERIFIED = ()
KNOWN_DEFECTS = (
    "These are drawings: what is measured on them says nothing about people.",
    "Wrong labels, copies across splits, blanks and pictures of no face are planted; the facts `true_label` and "
    "`planted` name them row by row.",
)

# FER-2013's own counts over all three splits.
_FER2013_COUNTS = MappingProxyType(
    dict(anger=4953, disgust=547, fear=5121, happiness=8989, sadness=6077, surprise=4002, neutral=6198)
)
# How often a FER-2013 label differs from a clear FER+ majority, by given label.
_FER2013_WRONG = MappingProxyType(
    dict(anger=0.488, disgust=0.635, fear=0.878, happiness=0.066, sadness=0.579, surprise=0.177, neutral=0.108)
)
# What a face really shows where its label is wrong: given label -> {truth: weight}.
_LOOK_ALIKES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "anger": {"neutral": 0.4, "disgust": 0.25, "sadness": 0.25, "surprise": 0.1},
        "disgust": {"anger": 0.7, "neutral": 0.15, "sadness": 0.15},
        "fear": {"surprise": 0.5, "sadness": 0.3, "neutral": 0.15, "anger": 0.05},
        "happiness": {"neutral": 0.7, "surprise": 0.3},
        "sadness": {"neutral": 0.65, "fear": 0.15, "anger": 0.1, "disgust": 0.1},
        "surprise": {"fear": 0.6, "happiness": 0.2, "neutral": 0.2},
        "neutral": {"sadness": 0.6, "anger": 0.2, "happiness": 0.2},
    }
)
_Shares = dict[str, float]


class Options(Configuration):
    """What to draw."""

    count: int = Field(4000, ge=1, le=10_000_000)  # rows, copies and blanks included
    seed: int = Field(0, ge=0)
    size_px: int = Field(48, ge=SMALLEST_PX, le=1024)
    subjects: int | None = Field(None, ge=3)  # people; none given: one to eight rows
    classes: Literal["fer2013", "balanced"] | _Shares = "fer2013"  # share of the rows given each label
    label_noise: float = Field(0.15, ge=0, le=0.6)  # share of the faces that are given a wrong label
    noise_rates: _Shares = Field(default_factory=lambda: dict(_FER2013_WRONG))  # by given label, relative
    confusions: dict[str, _Shares] = Field(  # given label -> {truth: weight} where it is wrong
        default_factory=lambda: {label: dict(truths) for label, truths in _LOOK_ALIKES.items()}
    )
    exact_duplicates: float = Field(0.015, ge=0, le=0.08)  # rows of val and test that copy one of train
    near_duplicates: float = Field(0.01, ge=0, le=0.08)  # the same, mirrored, shifted, brighter or as JPEG
    blank: float = Field(0.002, ge=0, le=0.2)
    not_a_face: float = Field(0.005, ge=0, le=0.2)
    occlusions: _Shares = Field(  # share of the faces; the rest is "none"
        default_factory=lambda: dict(
            mask=0.035, sunglasses=0.035, hand_mouth=0.03, hand_eyes=0.02, hair=0.04, patch=0.04
        )
    )
    lights: _Shares = Field(default_factory=lambda: dict(low=0.06, side=0.06, back=0.04))  # the rest is "normal"

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        shares = self.classes if isinstance(self.classes, dict) else {}
        _require_shares("classes", shares, BASIC7)
        _require_shares("noise_rates", self.noise_rates, BASIC7)
        _require_shares("occlusions", self.occlusions, OCCLUSIONS[1:], most=1.0)
        _require_shares("lights", self.lights, LIGHTS[1:], most=1.0)
        if isinstance(self.classes, dict) and sum(shares.values()) <= 0:
            raise ValueError("classes: expected shares above 0, found none")
        for label, truths in self.confusions.items():
            _require_shares("confusions", {label: 1.0}, BASIC7)
            _require_shares(f"confusions.{label}", truths, tuple(name for name in BASIC7 if name != label))
        silent = [
            label
            for label, rate in self.noise_rates.items()
            if rate > 0 and sum(self.confusions.get(label, {}).values()) <= 0
        ]
        if silent:
            raise ValueError(f"confusions: expected weights for {silent[0]!r}, which noise_rates names, found none")
        return self


def _require_shares(key: str, shares: _Shares, known: tuple[str, ...], most: float | None = None) -> None:
    for name, share in shares.items():
        if name not in known:
            raise ValueError(f"{key}: expected names among {', '.join(known)}, found {name!r}")
        if share < 0:
            raise ValueError(f"{key}: expected shares of at least 0, found {share} for {name!r}")
    if most is not None and sum(shares.values()) > most + 1e-9:
        raise ValueError(f"{key}: expected shares that sum to at most {most}, found {sum(shares.values()):.3f}")


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Draw a data set. The same options give the same rows and pictures, each picture from a seed of its own.

    Args:
        root: None; nothing is read.
        rejections: stays as it is; a drawn row is never faulty.

    Raises:
        FerError: a root was given.
    """
    if root is not None:
        raise FerError(f"procedural: expected no path, found {root}; drawn faces take --count and --seed")
    rows = plan_rows(
        count=options.count,
        seed=options.seed,
        subjects=options.subjects or max(3, options.count // 8),
        class_shares=_class_shares(options),
        occlusions=options.occlusions,
        lights=options.lights,
        defects=Defects(
            label_noise=options.label_noise,
            rates=options.noise_rates,
            confusions=options.confusions,
            exact_duplicates=options.exact_duplicates,
            near_duplicates=options.near_duplicates,
            blank=options.blank,
            not_a_face=options.not_a_face,
        ),
    )
    planted = Counter(row.planted for row in rows if row.planted)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(planted.items())) or "nothing"
    return Reading(
        form="drawn",
        label_set="basic7",
        total_images=len(rows),
        samples=(_sample(row, options) for row in rows),
        notes=[
            "drawn faces, for tests, demos and simulations: what is measured on them says nothing about people",
            f"planted on purpose: {told}; the facts true_label and planted name them row by row",
        ],
    )


def draw_row(row: Row, options: Options) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], dict[str, Any]]:
    """The picture of a row, uint8 [size, size], and its facts."""
    seed = stream_seed(options.seed, "image", row.picture)
    facts: dict[str, Any] = {"planted": row.planted, "seed": seed}
    own = np.random.default_rng(stream_seed(options.seed, "defect", row.number))
    if row.true_label is None or row.subject is None:
        kind = defects.blank if row.planted == "blank" else defects.not_a_face
        return kind(options.size_px, own), facts
    identity = _person(options.seed, row.subject)
    face = sample_face(seed, row.true_label, identity, row.occlusion, row.light)
    drawing = render(face, options.size_px)
    image, landmarks = drawing.image, drawing.landmarks
    if row.planted == "near_duplicate":
        image, landmarks = defects.near_duplicate(image, landmarks, own)
    facts |= {
        "true_label": row.true_label,
        "subject_id": f"drawn-{row.subject:06d}",
        "landmarks": landmarks.ravel().tolist(),
        "action_units": dict(face.action_units),
        "occlusion": row.occlusion,
        "light": row.light,
        "condition_source": "dataset",
    }
    return image, facts


@lru_cache(maxsize=4096)
def _person(seed: int, subject: int) -> Identity:
    return sample_identity(stream_seed(seed, "subject", subject))


def _sample(row: Row, options: Options) -> Sample:
    image, facts = draw_row(row, options)
    return Sample(f"{row.number:06d}", image, row.label, row.label, row.split, f"drawn face {row.number}", facts)


def _class_shares(options: Options) -> _Shares:
    if isinstance(options.classes, dict):
        return options.classes
    return dict(_FER2013_COUNTS) if options.classes == "fer2013" else dict.fromkeys(BASIC7, 1.0)
