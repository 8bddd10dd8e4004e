"""Which key does what, and which keys are refused."""

import pytest

from curation_app.keys import DEFAULT_KEYS, resolve_keys, show_key
from fer_data.errors import FerError
from fer_data.expressions import BASIC7, LABEL_SETS

KEPT_BY_OTHERS = {"/", "'", "c", "r", "Tab", "Escape", "Enter", "Backspace", *(f"F{number}" for number in range(1, 13))}


@pytest.mark.parametrize("labels", LABEL_SETS.values(), ids=LABEL_SETS)
def test_by_default_no_key_does_two_things_or_is_reserved(labels):
    keys = resolve_keys(labels, {})
    assert len(set(keys.values())) == len(keys) == len(DEFAULT_KEYS) + len(labels)
    assert not KEPT_BY_OTHERS & set(keys.values())
    assert [keys[label] for label in labels[:3]] == ["1", "2", "3"]


def test_keys_can_be_changed_and_exchanged():
    keys = resolve_keys(BASIC7, {"keep": "B", "surprise": "k", "next": "ArrowDown"})
    assert (keys["keep"], keys["surprise"], keys["next"], keys["drop"]) == ("b", "k", "ArrowDown", "d")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"praise": "b"}, "expected an action or label of keep, .* found 'praise'"),
        ({"keep": "d"}, "D is set for keep and for drop"),
        ({"keep": "/"}, "keep cannot be /: Firefox"),
        ({"keep": "R"}, "keep cannot be R: Streamlit"),
        ({"keep": "F5"}, "keep cannot be 'F5': expected one character"),
        ({"keep": "ctrl+w"}, "browsers keep the others"),
        ({"keep": ""}, "expected one character"),
        ({"keep": "\x07"}, "a key that writes something"),
    ],
)
def test_keys_that_cannot_be_are_refused(changes, why):
    with pytest.raises(FerError, match=why):
        resolve_keys(BASIC7, changes)


@pytest.mark.parametrize(("key", "printed"), [(" ", "Space"), ("ArrowLeft", "←"), ("k", "K"), ("PageUp", "PageUp")])
def test_keys_are_shown_as_they_are_printed(key, printed):
    assert show_key(key) == printed
