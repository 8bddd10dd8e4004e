"""What may be done with a dataset, and with what is made from it. Facts for the user, not legal advice.

What is made from several sources gets the AND of their permissions; an unknown permission counts as refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

PERMISSIONS = ("redistribute", "derivatives", "commercial", "models_public")


@dataclass(frozen=True)
class Licence:
    """Permission flags of one source and the sentence that tells a user what they mean."""

    name: str
    summary: str
    redistribute: bool = False
    derivatives: bool = False
    commercial: bool = False
    models_public: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


DRAWN = Licence(
    "Apache-2.0",
    "drawn by this tool; everything is allowed",
    redistribute=True,
    derivatives=True,
    commercial=True,
    models_public=True,
)
FER2013 = Licence(
    "no owner licence known",
    "images and models trained on them may not be redistributed",
    derivatives=True,
)


def combine(licences: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The strictest of several licences, as a dict with the keys of `Licence`."""
    unique = {licence["name"]: licence for licence in licences}
    if len(unique) == 1:
        return dict(next(iter(unique.values())))
    return {
        "name": " + ".join(sorted(unique)),
        "summary": "; ".join(f"{name}: {unique[name]['summary']}" for name in sorted(unique)),
        **{flag: bool(unique) and all(bool(licence.get(flag)) for licence in unique.values()) for flag in PERMISSIONS},
    }
