import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_data.tabular import columns

WORDS = st.lists(st.one_of(st.none(), st.text("abc", max_size=2)), max_size=30)


def chunked(values, cut, *, encoded=False):
    parts = [pa.array(part, pa.string()) for part in (values[:cut], values[cut:])]
    return pa.chunked_array([part.dictionary_encode() if encoded else part for part in parts])


@given(WORDS, st.integers(0, 30), st.booleans())
def test_codes_are_places_among_the_words(values, cut, encoded):
    found = columns.word_codes(chunked(values, cut, encoded=encoded), ("a", "ab"))
    assert found.dtype == np.int32
    assert found.tolist() == [-1 if value is None else {"a": 0, "ab": 1}.get(value, 2) for value in values]


@given(WORDS, st.integers(0, 30), st.booleans())
def test_values_are_sorted_and_codes_lead_back_to_them(values, cut, encoded):
    codes, names = columns.value_codes(chunked(values, cut, encoded=encoded))
    assert names == tuple(sorted({value for value in values if value is not None}))
    assert [None if code < 0 else names[code] for code in codes] == values


def test_a_code_of_numbers_and_of_nothing():
    codes, values = columns.value_codes(pa.chunked_array([[3, 1, None], [3]]))
    assert (codes.tolist(), values) == ([1, 0, -1, 1], (1, 3))
    assert columns.value_codes(pa.chunked_array([], pa.string()))[1] == ()


@settings(deadline=None, max_examples=40)
@given(WORDS, st.integers(0, 30))
def test_equal_rows_are_those_that_pandas_finds(values, cut):
    rows, codes = columns.equal_rows(chunked(values, cut))
    series = pd.Series(values, dtype=object)
    twice = series.notna() & series.duplicated(keep=False)
    assert rows.tolist() == np.flatnonzero(twice).tolist()
    assert np.array_equal(columns.repeated_values(chunked(values, cut)), twice.to_numpy(dtype=bool))
    expected, _ = pd.factorize(series[twice])
    assert np.array_equal(codes[:, None] == codes, expected[:, None] == expected)
    assert sorted(set(codes.tolist())) == list(range(len(set(expected))))


def test_repeated_keys_are_never_missed_even_where_halves_collide():
    keys = np.arange(200_000, dtype=np.uint64) << np.uint64(20)  # many keys share their upper half
    keys[7] = keys[99_999]
    found = columns.repeated(keys)
    assert {7, 99_999} <= set(found.tolist())
    distinct = columns.mixed(np.arange(200_000))
    assert len(columns.repeated(distinct)) < 20_000  # few of the others come along
    assert len(columns.repeated(np.empty(0, np.uint64))) == 0


def test_the_mix_is_splitmix64_and_a_bijection():
    # The first outputs of SplitMix64 seeded with 1234567, as its reference implementation prints them.
    state = np.array([1234567 + step * 0x9E3779B97F4A7C15 for step in range(1, 4)], dtype=object) % 2**64
    without_seed = (state - 0x9E3779B97F4A7C15) % 2**64
    found = columns.mixed(without_seed.astype(np.uint64))
    assert found.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert len(np.unique(columns.mixed(np.arange(-50_000, 50_000), 3))) == 100_000
    assert (columns.mixed(np.arange(9), 1) != columns.mixed(np.arange(9), 2)).all()


@given(st.lists(st.integers(-5, 5), max_size=20), st.sets(st.integers(-5, 5)))
def test_rows_among_a_few_values(values, few):
    found = columns.rows_among(np.array(values, np.int64), np.array(sorted(few), np.int64))
    assert found.tolist() == [row for row, value in enumerate(values) if value in few]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text("abcd", max_size=3), unique=True), st.lists(st.text("abcd", max_size=3), unique=True))
def test_matching_rows_are_the_places_of_the_same_values(one, other):
    found = columns.matching_rows(pa.chunked_array([one], pa.string()), pa.chunked_array([other], pa.string()))
    assert found.tolist() == [other.index(value) if value in other else -1 for value in one]


def test_colliding_keys_do_not_mislead(monkeypatch):
    one, other = (pa.chunked_array([values]) for values in (["a", "b", "c"], ["c", "x", "a"]))
    monkeypatch.setattr(columns, "string_keys", lambda column: np.arange(len(column), dtype=np.uint64))
    assert columns.matching_rows(one, other).tolist() == [2, -1, 0]
    monkeypatch.setattr(columns, "string_keys", lambda column: np.zeros(len(column), dtype=np.uint64))
    assert columns.matching_rows(one, other).tolist() == [2, -1, 0]
    assert columns.equal_rows(other)[0].tolist() == []


@pytest.mark.parametrize(("sample_id", "source"), [("set/a/b", "set"), ("alone", "alone"), ("/x", "")])
def test_a_source_stands_before_the_first_slash(sample_id, source):
    assert columns.sources_of(pa.chunked_array([[sample_id]])).to_pylist() == [source]
