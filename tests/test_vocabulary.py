"""Words of the array vocabulary that are computed otherwise than by the NumPy function of their name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adjoint.vocabulary import ARRAYS

ODD = np.array([np.inf, -np.inf, np.nan, -np.nan, 0.0, -0.0, 1.5, -1e-310, 5e-324, -3.0])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64"])
@pytest.mark.parametrize("other", [0.0, -0.0, 1.0])
def test_a_choice_has_the_bits_of_numpys(dtype: str, other: float) -> None:
    with np.errstate(all="ignore"):
        x = ODD.astype(dtype)
    for chosen in (np.ones(10, bool), np.zeros(10, bool), np.arange(10) % 2 == 0, np.arange(10) % 3 == 0):
        ours, numpys = ARRAYS.where(chosen, x, other), np.where(chosen, x, other)
        assert ours.dtype == numpys.dtype
        assert ours.tobytes() == numpys.tobytes()


@pytest.mark.parametrize(
    ("condition", "x"),
    [
        (np.arange(6).reshape(2, 3) % 2 == 0, np.arange(3.0)),
        (np.array([True, False, True]), np.arange(6.0).reshape(2, 3)),
        (np.array([[True], [False]]), np.arange(6.0).reshape(2, 3)[:, ::-1]),
        (np.array(False), np.arange(3.0)),
        (np.zeros((0, 3), bool), np.ones(3)),
        (np.array([1, 0, 2]), np.arange(3.0)),
    ],
    ids=["x broadcast", "condition broadcast", "strided", "0-d", "empty", "integers as condition"],
)
def test_a_choice_against_zero_broadcasts_as_numpys(condition: Any, x: Any) -> None:
    np.testing.assert_array_equal(ARRAYS.where(condition, x, 0.0), np.where(condition, x, 0.0), strict=True)
