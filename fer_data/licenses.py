"""What may be done with a dataset, and with what is made from it. Facts for the user, not legal advice.

What is made from several sources gets the AND of their permissions; an unknown permission counts as refused.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fer_data.errors import FerError

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
    url: str | None = None  # where the terms stand

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
# Pictures found by an image search; no statement of their owners is known, and the licences that some re-uploads
# carry were not given by an owner.
FER2013 = Licence(
    "no owner licence known",
    "images and models trained on them may not be redistributed",
    derivatives=True,
)
# LICENSE.md of github.com/microsoft/FERPlus. It covers the votes and the code; the pictures they are about are
# FER-2013's, so that a data set with both has the AND of the two.
FERPLUS = Licence(
    "MIT",
    "the FER+ votes and labels only; it says nothing of the pictures",
    redistribute=True,
    derivatives=True,
    commercial=True,
    models_public=True,
    url="https://github.com/microsoft/FERPlus/blob/master/LICENSE.md",
)
UNKNOWN = Licence("unknown", "nobody has said what may be done with it, so nothing is allowed")

# Names that https://spdx.org/licenses/ defines, of those that data sets carry.
SPDX = frozenset(
    {
        "Apache-2.0", "BSD-3-Clause", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-4.0",
        "CC-BY-ND-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0", "MIT", "ODbL-1.0", "PDDL-1.0",
    }
)  # fmt: skip


def user_stated(name: str, permissions: Collection[str], url: str | None = None) -> Licence:
    """A licence as the user states it for their own data set: what is not named in `permissions` is refused.

    Raises:
        FerError: a permission has no such name.
    """
    unknown = sorted(set(permissions) - set(PERMISSIONS))
    if unknown:
        raise FerError(f"licence {name}: expected permissions among {', '.join(PERMISSIONS)}, found {unknown[0]!r}")
    allowed = ", ".join(flag.replace("_", " ") for flag in PERMISSIONS if flag in permissions) or "nothing"
    return Licence(
        name,
        f"as stated at the import: allowed is {allowed}",
        **{flag: flag in permissions for flag in PERMISSIONS},
        url=url,
    )


def combine(licences: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The strictest of several licences, as a dict with the keys of `Licence`.

    Where there is more than one, `parts` holds them, so that combining again names each source once. A licence
    that lacks a permission, or its name, is read as refusing it; no licence at all is `UNKNOWN`.
    """
    parts = []
    for licence in licences:
        for part in licence.get("parts") or [licence]:
            whole = {**UNKNOWN.as_dict(), **part}
            if whole not in parts:
                parts.append(whole)
    if not parts:
        return UNKNOWN.as_dict()
    if len(parts) == 1:
        return parts[0]
    parts.sort(key=lambda part: (part["name"], part["summary"]))
    names = list(dict.fromkeys(part["name"] for part in parts))
    return {
        "name": " + ".join(names),
        "summary": "; ".join(f"{part['name']}: {part['summary']}" for part in parts),
        **{flag: all(bool(part[flag]) for part in parts) for flag in PERMISSIONS},
        "url": None,
        "parts": parts,
    }
