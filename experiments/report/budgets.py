"""Which arms differ in one number only: how many faces were reviewed, how many generated faces were added."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from experiments.report.contents import Results
from experiments.report.parts import Arm

ORDERS = {"suspicion": "most suspect first", "random": "chosen at random"}
ANSWERS = {"majority": "", "one_vote": ", answered by one vote of ten"}


@dataclass(frozen=True)
class Place:
    """Where an arm stands on a curve."""

    x: float
    arm: str


@dataclass(frozen=True)
class Reviews:
    """Arms that were reviewed and nothing else.

    Attributes:
        series: how faces were chosen and who answered → arms by faces reviewed.
        ceiling: the arm of which every face was reviewed, if there is one.
    """

    series: Mapping[str, list[Place]]
    ceiling: str | None


def reviews(results: Results) -> Reviews:
    """The arms of the review curve; every series begins at the baseline, where nothing is reviewed."""
    series: dict[str, list[Place]] = {}
    ceiling = None
    for arm in results.arms:
        if set(arm.make or {}) != {"review"} or arm.changes:
            continue
        review = (arm.make or {})["review"]
        if review.get("faces") is None:
            ceiling = arm.name
            continue
        order, answers = review.get("order", "suspicion"), review.get("answers", "majority")
        soft = ", as soft labels" if review.get("targets") == "votes" else ""
        name = ORDERS[order] + ANSWERS[answers] + soft
        series.setdefault(name, [Place(0, results.question.baseline)]).append(Place(review["faces"], arm.name))
    return Reviews({name: _sorted(places) for name, places in series.items()}, ceiling)


def ratios(results: Results) -> dict[str, list[Place]]:
    """Source and weight → arms by generated faces per real face, beginning at the same arm without any."""
    series: dict[str, list[Place]] = {}
    without = {_key(arm.make or {}, arm): arm.name for arm in reversed(results.arms) if not (arm.make or {}).get("add")}
    for arm in results.arms:
        added = (arm.make or {}).get("add", [])
        if len(added) != 1 or added[0].get("ratio") is None:
            continue
        rest = {key: value for key, value in (arm.make or {}).items() if key != "add"}
        begin = without.get(_key(rest, arm))
        name = _name(added[0], begin, results)
        places = series.setdefault(name, [Place(0, begin)] if begin else [])
        if all(place.x != added[0]["ratio"] for place in places):
            places.append(Place(added[0]["ratio"], arm.name))
    return {name: _sorted(places) for name, places in series.items() if sum(place.x > 0 for place in places) > 1}


def _name(added: Mapping[str, Any], begin: str | None, results: Results) -> str:
    source = added.get("source") or PurePosixPath(added.get("synthetic") or "generated").name
    conditions = {"plain": ", plain", "changed": ", covered or dark"}.get(added.get("conditions", "any"), "")
    after = f" after “{results.titles[begin]}”" if begin and begin != results.question.baseline else ""
    return f"{source}{conditions}, weight {added.get('weight', 1):g}{after}"


def _key(make: Mapping[str, Any], arm: Arm) -> str:
    return json.dumps([make, arm.changes], sort_keys=True)


def _sorted(places: list[Place]) -> list[Place]:
    return sorted(places, key=lambda place: place.x)
