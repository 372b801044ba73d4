"""How numbers are printed: never a false zero, never an untrue product."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjoint.view.digits import enough, is_true, lines, number, short

UPSTREAM = 0.19661193324148185  # the lecture's sigmoid gate


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (-2.0, 0, "-2"),
        (0.0, 2, "0.00"),
        (-0.0, 2, "0.00"),
        (0.3678794, 2, "0.37"),
        (0.001, 2, "1e-3"),  # not 0.00
        (-0.00123, 2, "-1.2e-3"),
        (0.00123, 6, "0.001230"),
        (12345678.0, 2, "1.2e7"),
        (math.inf, 2, "inf"),
        (-math.inf, 2, "-inf"),
        (math.nan, 2, "nan"),
    ],
)
def test_number(value, digits, expected):
    assert number(value, digits) == expected


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 8))
def test_what_is_not_zero_is_not_printed_as_zero(value, digits):
    assert (float(number(value, digits)) == 0) == (value == 0)


def test_constants_inside_gates():
    assert [short(each) for each in (1.0, -1.0, 0.5, 1e-7, math.inf)] == ["1", "-1", "0.5", "1e-07", "inf"]


def test_the_lectures_gate_is_untrue_with_two_decimals():
    product = (UPSTREAM, 2.0, 2 * UPSTREAM)
    assert [number(each, 2) for each in product] == ["0.20", "2.00", "0.39"]
    assert [digits for digits in range(2, 7) if is_true(product, digits)] == [4, 5, 6]
    assert enough([UPSTREAM, 2.0, 2 * UPSTREAM], [product]) == 4


def test_whole_numbers_need_no_decimals():
    assert enough([-2.0, 5.0, -4.0, 3.0, -12.0], [(-4.0, 1.0, -4.0)]) == 0


def test_numbers_that_are_short_are_printed_in_full():
    assert enough([0.22, 0.26, 0.116, 0.44, 0.52], []) == 3
    assert enough([0.5, 3.0], []) == 2


def test_what_is_not_finite_has_no_say():
    assert enough([math.inf, math.nan, 2.0], [(math.inf, 0.0, math.nan)]) == 0


def test_the_fewest_untrue_products_where_not_all_can_be_true():
    products = [(UPSTREAM, local, UPSTREAM * local) for local in np.linspace(10, 100, 91)]
    chosen = enough([UPSTREAM], products)
    untrue = {d: sum(not is_true(each, d) for each in products) for d in range(2, 7)}
    assert untrue[chosen] == min(untrue.values()) > 0


def test_arrays():
    assert lines(np.array(2.0), 2) == ("2.00",)
    assert lines(np.array([0.22, 0.26]), 2) == ("[0.22 0.26]",)
    assert lines(np.array([[0.1, 0.5], [-0.3, 0.8]]), 1) == ("⎡ 0.1 0.5⎤", "⎣-0.3 0.8⎦")
    assert lines(np.array([[1.0], [2.0], [30.0]]), 0) == ("⎡ 1⎤", "⎢ 2⎥", "⎣30⎦")
    assert lines(np.array([[1.0, 2.0]]), 0) == ("[[1 2]]",)
    assert lines(np.array([[0.1, 0.5], [-0.3, 0.8]]), 1, ascii=True) == ("[ 0.1 0.5]", "[-0.3 0.8]")
    assert lines(np.array([True, False]), 2) == ("[true false]",)
    assert lines(np.array([1, 20]), 2) == ("[1 20]",)


def test_large_arrays_say_shape_and_range():
    assert lines(np.linspace(-1, 1, 12), 2) == ("(12,)", "-1.00 … 1.00")
    assert lines(np.zeros((64, 10)), 2) == ("(64, 10)", "0.00")
    assert lines(np.zeros((2, 2, 2)), 2, ascii=True) == ("(2, 2, 2)", "0.00")
    assert lines(np.zeros((0,)), 2) == ("(0,)",)
