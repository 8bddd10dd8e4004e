"""What data sets without an adapter of their own call labels and splits, and what the user says they mean.

Names that everybody uses are known; every other name is refused with the list of all of them, never guessed.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator

from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import LABEL_SETS, canonical
from fer_data.licenses import Licence, user_stated

SPLITS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "publictest": "val",
    "test": "test",
    "testing": "test",
    "privatetest": "test",
}
_SHOWN = 12  # names in a message


def _texts(value: object) -> object:
    """YAML reads `1: surprise` as a number; keys are text, as the data set's names are."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else value


class StatedLicence(Configuration):
    """What the user says about the licence of their own data set; without it everything is refused."""

    name: str
    permissions: tuple[str, ...] = ()  # of redistribute, derivatives, commercial, models_public
    url: str | None = None

    def licence(self) -> Licence:
        """The licence with the permissions named, every other refused."""
        return user_stated(self.name, self.permissions, self.url)


Labels = Annotated[dict[str, str | None], BeforeValidator(_texts)]  # the data set's name → an expression or null
Splits = Annotated[dict[str, Literal["train", "val", "test"] | None], BeforeValidator(_texts)]
LabelSet = Literal["auto", "basic7", "basic8", "compound11"]  # auto: the first that has all the labels


def as_text(value: object) -> str | None:
    """A value of a table as the name that it stands for: 3 and 3.0 are "3"; null, NaN and blank are None."""
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def resolve_labels(
    names: Mapping[str, int], said: Mapping[str, str | None], label_set: LabelSet, where: str
) -> tuple[str, dict[str, str | None]]:
    """The label set, and the label that every name stands for.

    Args:
        names: the names found, with how often each occurs.
        said: what the user says a name means; it goes before what a name says itself.

    Raises:
        FerError: a name is no expression and the user did not say what it means, or said what is no expression.
    """
    wanted = tuple(LABEL_SETS) if label_set == "auto" else (label_set,)
    for name, meaning in said.items():
        if meaning is not None and not any(canonical(meaning, known) for known in wanted):
            raise FerError(
                f"labels.{name}: expected an expression of {' or '.join(wanted)}, or null, found {meaning!r}"
            )
    meanings = {name: said.get(name, name) for name in names}
    for known in wanted:
        labels = {name: None if meaning is None else canonical(meaning, known) for name, meaning in meanings.items()}
        if all(labels[name] is not None or meanings[name] is None for name in names):
            return known, labels
    unmapped = {
        name: count
        for name, count in names.items()
        if meanings[name] is not None and not any(canonical(str(meanings[name]), known) for known in wanted)
    }
    if not unmapped:
        raise FerError(
            f"{where}: expected labels of one set, found {_listed(names)}, which no set among {', '.join(wanted)} "
            "has all of; say with labels which are to be null"
        )
    first = next(iter(unmapped))
    raise FerError(
        f"{where}: expected names of expressions ({', '.join(wanted)}), found {_listed(unmapped)}; say what each "
        f"means: --set labels.{first or '…'}=anger, or null for no label"
    )


def resolve_splits(names: Iterable[str], said: Mapping[str, str | None], where: str) -> dict[str, str | None]:
    """The split that every name stands for.

    Raises:
        FerError: a name is no known split's and the user did not say what it means.
    """
    names = list(names)
    unknown = [name for name in names if name not in said and name.lower() not in SPLITS]
    if unknown:
        raise FerError(
            f"{where}: expected names of splits (train, val, test and the like), "
            f"found {', '.join(map(repr, unknown[:_SHOWN]))}{' …' if unknown[_SHOWN:] else ''}; say what each means: "
            f"--set splits.{unknown[0]}=train, or null for no split"
        )
    return {name: said[name] if name in said else SPLITS[name.lower()] for name in names}


def _listed(names: Mapping[str, int]) -> str:
    shown = [f"{name[:60]!r} ({count:,})" for name, count in list(names.items())[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
