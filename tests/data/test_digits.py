"""The digits: the right data, a held-out fifth of each class, the same for the same seed."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from adjoint.data import digits
from adjoint.errors import DataError


def test_both_parts_together_are_the_data_set_of_scikit_learn():
    data, reference = digits(), load_digits()
    ours = np.column_stack(
        [np.concatenate([data.x_train, data.x_test]) * 16, np.concatenate([data.y_train, data.y_test])]
    )
    theirs = np.column_stack([reference.data, reference.target])
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))


def test_a_fifth_is_held_out_and_a_fifth_of_each_digit():
    data = digits()
    assert len(data.x_test) == round(1797 / 5) == 359
    shares = np.bincount(data.y_test) / np.bincount(np.concatenate([data.y_train, data.y_test]))
    np.testing.assert_allclose(shares, 0.2, atol=1 / 174)


def test_types_ranges_and_names():
    data = digits()
    assert data.x_train.dtype == np.float32
    assert data.y_train.dtype == np.int64
    assert data.x_train.min() == 0
    assert data.x_train.max() == 1
    assert data.feature_names[:9] == (*(f"pixel_0_{j}" for j in range(8)), "pixel_1_0")
    assert data.class_names == tuple("0123456789")


def test_the_seed_decides():
    first, again, other = digits(seed=3), digits(seed=3), digits(seed=4)
    np.testing.assert_array_equal(first.x_test, again.x_test)
    assert not np.array_equal(first.x_test, other.x_test)


def test_nothing_held_out():
    assert len(digits(test_fraction=0).x_train) == 1797


def test_a_fraction_that_is_none():
    with pytest.raises(DataError, match=r"expected 0 <= validation_fraction < 1, got 1.5"):
        digits(test_fraction=1.5)
