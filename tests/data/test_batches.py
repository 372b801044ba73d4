"""Minibatches: every row once, rows kept together, the last one short."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjoint.data import minibatches
from adjoint.errors import DataError


def test_in_order_with_a_short_last_batch():
    x, y = np.arange(10).reshape(5, 2), np.arange(5)
    batches = list(minibatches((x, y), 2))
    assert [yb.tolist() for _, yb in batches] == [[0, 1], [2, 3], [4]]
    np.testing.assert_array_equal(batches[2][0], [[8, 9]])


def test_drop_last():
    assert [len(b) for (b,) in minibatches((np.arange(7),), 3, drop_last=True)] == [3, 3]
    assert [len(b) for (b,) in minibatches((np.arange(6),), 3, drop_last=True)] == [3, 3]


@given(n=st.integers(0, 50), size=st.integers(1, 60), seed=st.integers(0, 9))
def test_shuffled_every_row_comes_once_and_together(n, size, seed):
    x, y = np.arange(n) * 10, np.arange(n)
    batches = list(minibatches((x, y), size, rng=np.random.default_rng(seed)))
    assert len(batches) == -(-n // size)
    assert all(len(yb) == size for _, yb in batches[:-1])
    assert sorted(np.concatenate([np.empty(0, int), *(yb for _, yb in batches)])) == list(range(n))
    for xb, yb in batches:
        np.testing.assert_array_equal(xb, yb * 10)


def test_the_generator_moves_on():
    rng = np.random.default_rng(0)
    x = np.arange(20)
    first, second = (np.concatenate([b for (b,) in minibatches((x,), 6, rng=rng)]) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("arrays", "size", "message"),
    [
        ((np.zeros(3), np.zeros(4)), 2, r"minibatches: expected arrays of one length, got 3, 4 rows"),
        (np.zeros(3), 2, r"minibatches: expected a tuple of arrays, as in \(x, y\), got ndarray"),
        ((), 2, r"got tuple"),
        (([1, 2],), 2, r"minibatches: expected arrays with rows, got list \(arrays\[0\]\)"),
        ((np.float64(1),), 2, r"expected arrays with rows"),
        ((np.zeros(3),), 0, r"minibatches: expected a batch size of at least 1, got 0"),
        ((np.zeros(3),), 1.5, r"got 1.5"),
        ((np.zeros(3),), True, r"got True"),
    ],
)
def test_what_is_no_batch_raises_at_the_call(arrays, size, message):
    with pytest.raises(DataError, match=message):
        minibatches(arrays, size)
