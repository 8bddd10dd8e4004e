"""Configurations: typed classes, filled from a preset or a YAML file and from `key=value` settings.

Every long command has one class derived from `Configuration`. Resolution is the same everywhere:
defaults of the class, then the file or preset, then `--set key=value`, then the command's own arguments.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from fer_data.errors import FerError

PRESETS = Path(__file__).resolve().parent.parent / "configs"


class Configuration(BaseModel):
    """Base of all configurations: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


Kind = TypeVar("Kind", bound=Configuration)


def resolve(
    kind: type[Kind],
    file: str | Path | None = None,
    settings: Sequence[str] = (),
    **arguments: Any,
) -> Kind:
    """Build a configuration.

    Args:
        kind: the configuration class.
        file: a YAML file, or the name of a preset in `configs/` ("demo", "experiments/demo").
        settings: `key=value` strings; values are read as YAML, dots reach into nested keys.
        arguments: values from the command line; None means "not given".

    Raises:
        FerError: a missing file, broken YAML, an unknown key (the nearest known one is named), a wrong value.
    """
    values: dict[str, Any] = read_yaml(find_preset(file)) if file is not None else {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise FerError(f"--set {setting!r}: expected key=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise FerError(f"--set {setting!r}: the value is not valid YAML") from None
        inside = values
        *outer, last = key.strip().split(".")
        for part in outer:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                raise FerError(f"--set {setting!r}: {part} holds a value and has no keys inside")
        inside[last] = value
    values.update({key: value for key, value in arguments.items() if value is not None})
    return build(kind, values, str(file) if file is not None else "configuration")


def build(kind: type[Kind], values: Mapping[str, Any], where: str) -> Kind:
    """Validate `values`; what is wrong is told in one sentence that begins with `where`."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise FerError(f"{where}: {_sentence(kind, error)}") from None


def find_preset(file: str | Path) -> Path:
    """The path of a YAML file given as a path or as the name of a preset that ships with the package."""
    direct = Path(file)
    if direct.is_file():
        return direct
    name = str(file).removeprefix("configs/").removesuffix(".yaml")
    preset = PRESETS / f"{name}.yaml"
    if preset.is_file() and preset.resolve().is_relative_to(PRESETS):
        return preset
    known = sorted(str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml"))
    raise FerError(f"configuration {file}: no such file or preset; presets are {', '.join(known)}")


def read_yaml(path: Path) -> dict[str, Any]:
    """Safe-load a YAML mapping; anything else is a FerError."""
    try:
        values = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FerError(f"{path}: expected YAML, {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise FerError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values


def _sentence(kind: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        holder: Any = kind
        for part in first["loc"][:-1]:
            field = getattr(holder, "model_fields", {}).get(str(part))
            holder = field.annotation if field else None
        known = list(getattr(holder, "model_fields", {}))
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0)
        return f"unknown key {place!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    return f"{place or 'value'}: {first['msg']}, found {first['input']!r}"
