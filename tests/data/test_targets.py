"""The rule by which a column is taken for classes or for a quantity."""

import pytest

from adjoint.data import Table, decide_task
from adjoint.errors import DataError


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        ([0, 1], "classification"),
        ([1.0, 2.0], "classification"),
        ([0, 1, 2] * 2, "classification"),
        ([0, 1, 2, 0, 1], "regression"),
        ([*range(20)] * 2, "classification"),
        ([*range(21)] * 9, "regression"),
        ([0.5, 1.5], "regression"),
        ([1, 2, 2.5] * 9, "regression"),
        (range(100), "regression"),
    ],
)
def test_the_rule(values, task):
    assert decide_task(Table.of({"y": values}), "y") == task


def test_a_target_that_is_missing_somewhere():
    with pytest.raises(DataError, match=r"expected a target in every row, got 2 of 3 missing"):
        decide_task(Table.of({"y": [1, None, None]}), "y")
