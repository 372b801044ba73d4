"""Splits: disjoint, complete, of the size asked for, stratified to within a row."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjoint.data import split
from adjoint.errors import DataError


@given(n=st.integers(2, 200), fraction=st.floats(0, 0.99), seed=st.integers(0, 2**32))
def test_disjoint_complete_and_of_the_size_asked_for(n, fraction, seed):
    train, held = split(n, fraction, seed)
    assert sorted([*train, *held]) == list(range(n))
    assert list(train) == sorted(train)
    assert list(held) == sorted(held)
    assert len(held) == (0 if fraction == 0 else min(max(round(n * fraction), 1), n - 1))


@given(labels=st.lists(st.sampled_from("aaabbc"), min_size=20, max_size=200), seed=st.integers(0, 99))
def test_each_class_gives_its_share_to_within_a_row(labels, seed):
    train, held = split(len(labels), 0.25, seed, stratify=labels)
    held_counts, counts = Counter(labels[i] for i in held), Counter(labels)
    assert len(held) == round(len(labels) / 4)
    for label, count in counts.items():
        assert abs(held_counts[label] - len(held) * count / len(labels)) <= 1
        assert any(labels[i] == label for i in train)


def test_shares_by_hand():
    # 10 rows, 3 held out: shares 1.8, 0.9, 0.3 give whole parts 1, 0, 0 and largest remainders 0.9, 0.8
    _, held = split(10, 0.3, seed=1, stratify=["a"] * 6 + ["b"] * 3 + ["c"])
    assert np.histogram(held, bins=[0, 6, 9, 10])[0].tolist() == [2, 1, 0]


def test_a_class_of_one_row_stays_in_training():
    for seed in range(20):
        _, held = split(5, 0.6, seed, stratify=np.array([0, 0, 0, 0, 7]))
        assert 4 not in held


def test_the_same_on_every_machine():
    train, held = split(10, 0.3, seed=0)
    assert (train.dtype, held.dtype) == (np.int64, np.int64)
    np.testing.assert_array_equal(held, sorted(np.random.default_rng(0).permutation(10)[:3]))


@pytest.mark.parametrize(
    ("arguments", "stratify", "message"),
    [
        ((10, 1.0, 0), None, r"split: expected 0 <= validation_fraction < 1, got 1.0"),
        ((10, float("nan"), 0), None, r"got nan"),
        ((1, 0.5, 0), None, r"split: expected at least 2 rows to divide, got 1"),
        ((0, 0.0, 0), None, r"got 0"),
        ((3, 0.5, 0), ["a", "b"], r"split: expected 3 labels to stratify by, one for each row, got 2"),
        ((3, 0.5, 0), [1.0, 1.0, float("nan")], r"got NaN; leave rows without a label out"),
        ((4, 0.5, 0), ["a", "b", "c", "d"], r"got 4 classes in 4 rows; hold out fewer, or do not stratify"),
    ],
)
def test_what_cannot_be_split(arguments, stratify, message):
    with pytest.raises(DataError, match=message):
        split(*arguments, stratify=stratify)
