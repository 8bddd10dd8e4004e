"""Why a face was flagged, in words: what the flags of the audit and of the quality table mean to a person."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from curation_app.knowledge.side_tables import SideTable

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "wrong": "another expression fits better than the label",
        "ambiguous": "more than one expression is plausible",
        "not_a_face": "there may be no face",
        "out_of_distribution": "no other face is like it",
    }
)
FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "is_conflicting_duplicate": "the very picture carries another label elsewhere",
        "is_conflicting_near_duplicate": "a near duplicate carries another label",
        "is_leak": "shares its picture, person or group with another split",
        "is_underperforming_group": "of a group that is recognised worse than others",
        "is_dark": "too dark",
        "is_bright": "washed out",
        "is_low_contrast": "low in contrast",
        "is_blurred": "blurred",
        "is_blank": "blank",
        "is_not_square": "far from square",
        "is_not_a_face": "voters saw no face",
    }
)


def tell_reasons(tables: Sequence[SideTable], row: int) -> str:
    """Everything that some tables flag a face for, as one line; empty where there is nothing.

    Args:
        tables: any of the audit and the quality table; a flag that several carry is told once.
        row: of the manifest.
    """
    told: dict[str, None] = {}
    for table in tables:
        kind = table.value("kind", row)
        flags = [flag for flag in FLAGS if flag in table.columns and table.value(flag, row)]
        told |= dict.fromkeys([KINDS[kind]] if kind in KINDS else [])
        told |= dict.fromkeys(FLAGS[flag] for flag in flags)
    return " · ".join(told)
