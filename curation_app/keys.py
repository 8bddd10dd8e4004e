"""Which key does what. No key here is reserved by a browser or by Streamlit (which keeps C and R)."""

from collections.abc import Mapping
from types import MappingProxyType

ACTION_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "keep": "K",
        "drop": "D",
        "unsure": "U",
        "accept": "A",
        "reject": "X",
        "undo": "Z",
        "back": "Left",
        "next": "Right",
    }
)
HELP_KEY = "H"
_DIGITS = "1234567890"
_MORE = "QWE"  # compound11 has more labels than there are digits


def label_keys(labels: tuple[str, ...]) -> dict[str, str]:
    """Label → key: digits in the order of the label set, then letters."""
    return dict(zip(labels, _DIGITS + _MORE, strict=False))
