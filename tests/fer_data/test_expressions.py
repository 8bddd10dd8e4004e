import numpy as np
import pytest

from fer_data import expressions
from fer_data.errors import FerError


def test_names_become_canonical():
    assert expressions.canonical(" Happy", "basic7") == "happiness"
    assert expressions.canonical("AFRAID", "basic7") == "fear"
    assert expressions.canonical("contempt", "basic7") is None
    assert expressions.canonical("contempt", "basic8") == "contempt"


def test_synonyms_lead_to_labels():
    assert set(expressions.SYNONYMS.values()) <= set(expressions.LABEL_SETS["basic8"])


def test_indices_follow_the_order_of_the_set():
    assert expressions.label_indices(["anger", None, "neutral", float("nan")], "basic7").tolist() == [
        0,
        -1,
        6,
        -1,
    ]
    assert expressions.label_indices([], "basic7").dtype == np.int64


def test_unknown_words_are_refused():
    with pytest.raises(FerError, match="label set 'basic9' is unknown"):
        expressions.label_names("basic9")
    with pytest.raises(FerError, match="label 'contempt' is not in the label set basic7"):
        expressions.label_indices(["contempt"], "basic7")
