"""Which key does what: defaults, what a user may change, and what no browser leaves to a page."""

from collections.abc import Mapping
from types import MappingProxyType

from fer_data.errors import FerError

# Names as the browser's KeyboardEvent.key has them; letters stand for both cases.
DEFAULT_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "keep": "k",
        "drop": "d",
        "unsure": "u",
        "accept": "a",
        "reject": "x",
        "undo": "z",
        "previous": "ArrowLeft",
        "next": "ArrowRight",
        "previous_page": "PageUp",
        "next_page": "PageDown",
        "select": " ",
        "enlarge": "v",
        "note": "n",
        "jump": "j",
        "link": "l",
        "heat_map": "m",
        "smooth": "s",
        "brighter": "+",
        "darker": "-",
        "more_contrast": ">",
        "less_contrast": "<",
        "as_stored": "o",
        "help": "?",
    }
)
_LABEL_KEYS = "1234567890qwe"  # compound11 has more labels than there are digits
_NAMED = frozenset({" ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"})
_RESERVED = MappingProxyType(
    {
        "/": "Firefox searches with it",
        "'": "Firefox searches with it",
        "c": "Streamlit keeps it",
        "r": "Streamlit keeps it",
    }
)


def resolve_keys(labels: tuple[str, ...], changes: Mapping[str, str]) -> dict[str, str]:
    """The key of every action and of every label.

    Args:
        labels: names of the label set, in order: their defaults are the digits, then Q, W, E.
        changes: action or label → key, as `KeyboardEvent.key` names it ("b", "ArrowUp", " " for the space bar).

    Raises:
        FerError: an unknown action, a key that a browser or Streamlit keeps for itself, or one key for two things.
    """
    keys = {**DEFAULT_KEYS, **dict(zip(labels, _LABEL_KEYS, strict=False))}
    for action, key in changes.items():
        if action not in keys:
            raise FerError(f"keys: expected an action or label of {', '.join(keys)}, found {action!r}")
        keys[action] = _check_key(action, key)
    taken: dict[str, str] = {}
    for action, key in keys.items():
        if key in taken:
            raise FerError(f"keys: {show_key(key)} is set for {taken[key]} and for {action}; give one another key")
        taken[key] = action
    return keys


def show_key(key: str) -> str:
    """A key as it is printed on a keyboard."""
    printed = {" ": "Space", "ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓"}
    return printed.get(key, key.upper() if len(key) == 1 else key)


def _check_key(action: str, key: str) -> str:
    one = key.lower() if len(key) == 1 else key
    if one in _RESERVED:
        raise FerError(f"keys: {action} cannot be {show_key(one)}: {_RESERVED[one]}; choose another key")
    if len(one) != 1 and one not in _NAMED:
        raise FerError(
            f"keys: {action} cannot be {key!r}: expected one character or one of "
            f"{', '.join(sorted(_NAMED - {' '}))}; browsers keep the others, and keys held with Ctrl or Alt"
        )
    if len(one) == 1 and not one.isprintable():
        raise FerError(f"keys: {action} cannot be {key!r}: expected a key that writes something; choose another key")
    return one
