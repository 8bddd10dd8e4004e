import numpy as np
import pytest
import torch

from fer_data.errors import FerError
from generators.condition import ConditionEmbedding, Vocabulary, drop_conditions

VOCABULARY = Vocabulary(("anger", "fear"), ("none", "mask"), ("normal",))


def test_words_become_indices_and_null_becomes_unknown():
    found = VOCABULARY.encode(["fear", None], ["mask", float("nan")], [None, "normal"], "here")
    assert found.dtype == np.int64
    assert found.tolist() == [[1, 1, 1], [2, 2, 0]]
    assert VOCABULARY.unknown == (2, 2, 1)


def test_an_unknown_word_is_refused_with_those_that_are_known():
    with pytest.raises(FerError, match=r"cell 3: occlusion 'hair' is not known.*none, mask"):
        VOCABULARY.encode(["fear"], ["hair"], [None], "cell 3")


def test_a_vocabulary_survives_json():
    assert Vocabulary.from_dict(VOCABULARY.as_dict()) == VOCABULARY


def test_embeddings_add_so_that_unseen_combinations_have_a_place():
    embedding = ConditionEmbedding(VOCABULARY, 5)
    rows = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    base, fear, mask, both = embedding(rows)
    torch.testing.assert_close(both, fear + mask - base)


def test_dropout_drops_whole_rows_and_single_conditions_at_the_stated_rate():
    conditions = torch.zeros(20_000, 3, dtype=torch.int64)
    dropped = drop_conditions(conditions, VOCABULARY, 0.1, torch.Generator().manual_seed(0))
    unknown = dropped == torch.tensor(VOCABULARY.unknown)
    assert unknown[:, 0].float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert unknown[:, 1].float().mean().item() == pytest.approx(0.19, abs=0.01)
    assert bool(unknown[unknown[:, 0]].all())


def test_no_dropout_changes_nothing():
    conditions = torch.tensor([[0, 1, 0], [1, 0, 0]])
    kept = drop_conditions(conditions, VOCABULARY, 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(kept, conditions)
