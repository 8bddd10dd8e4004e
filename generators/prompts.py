"""A condition in words, for generators that learned from captions."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from fer_data.errors import FerError
from generators.condition import FACETS, Vocabulary

FACE = "a photo of a face"

# A label without an entry is named as it is: "showing disgust". Compound labels are adjectives.
_LABELS = MappingProxyType({"neutral": "with a neutral expression"})
_OCCLUSIONS = MappingProxyType(
    {
        "none": "with nothing in front of it",
        "mask": "wearing a surgical mask",
        "sunglasses": "wearing sunglasses",
        "hand_mouth": "with a hand over the mouth",
        "hand_eyes": "with a hand over the eyes",
        "hair": "with hair or a scarf across it",
        "patch": "with a part of it hidden",
    }
)
_LIGHTS = MappingProxyType(
    {"normal": "in even light", "low": "in low light", "side": "lit from the side", "back": "lit from behind"}
)


class Prompts:
    """Conditions of a vocabulary as sentences: "a photo of a face showing disgust, wearing sunglasses, in low light".

    Facets that are unknown are left out. Where all three are, the prompt is empty: what the pretrained model took
    for "no condition", and what guidance steers away from.

    Args:
        phrases: what words of the vocabulary are called instead of their usual phrase.

    Raises:
        FerError: a phrase for a word that the vocabulary lacks.
    """

    def __init__(self, vocabulary: Vocabulary, phrases: Mapping[str, str]) -> None:
        known = [word for facet in FACETS for word in getattr(vocabulary, facet)]
        for word in phrases:
            if word not in known:
                raise FerError(f"phrases: {word!r} is no word of these training faces; expected one of {_list(known)}")
        self._tables = [
            [phrases.get(word, phrase_of(facet, word)) for word in getattr(vocabulary, facet)] for facet in FACETS
        ]

    def __call__(self, condition: Sequence[int]) -> str:
        """The prompt of three indices (label, occlusion, light)."""
        phrases = [
            table[index] if index < len(table) else "" for table, index in zip(self._tables, condition, strict=True)
        ]
        if not any(phrases):
            return ""
        label, *others = phrases
        return ", ".join(phrase for phrase in (f"{FACE} {label}".strip(), *others) if phrase)


def phrase_of(facet: str, word: str) -> str:
    """The usual phrase of a word; the expression is shown, nobody knows what was felt."""
    if facet == "label":
        usual = f"showing a {word} expression" if " " in word else f"showing {word}"
        return _LABELS.get(word, usual)
    return {"occlusion": _OCCLUSIONS, "light": _LIGHTS}[facet][word]


def _list(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"
