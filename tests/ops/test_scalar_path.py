"""The written-out path of Python floats gives what the array path gives: values, gradients, and the same zeros.

Where Python's `math` raises (exp(1000), log(0), 1/0), the result is IEEE's, as on arrays.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from tests.ops.samples import ELEMENTWISE

import adjoint as ad

VALUES = [
    0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 1 / 3, 0.7, 3.0, 20.0, -20.0, 1e-8, 1e-310, 1e300, -1e300, 1000.0, -1000.0,
    math.inf, -math.inf, math.nan,
]  # fmt: skip

#: Computed by the C library on one path and by NumPy's vector loops on the other, whose results may differ by 4 units
#: in the last place. All other ops are exact on both.
TRANSCENDENTAL = {
    "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh",
    "erf", "power", "sigmoid", "softplus", "elu",
}  # fmt: skip


def each(ops: dict[str, Any]) -> pytest.MarkDecorator:
    """A test for each op, named by it."""
    return pytest.mark.parametrize("op", ops.values(), ids=ops.keys())


def points(op: Any) -> list[tuple[float, ...]]:
    """All values for one input, all pairs for two; the first of three inputs is held."""
    count = len(op.signature.inputs)
    return (
        [(1.0, *rest) for rest in itertools.product(VALUES, repeat=2)]
        if count == 3
        else list(itertools.product(VALUES, repeat=count))
    )


def same(op: Any, scalar: float, array: float) -> bool:
    """Equal bit for bit (NaN as NaN), or to a few units in the last place where two libraries computed."""
    if scalar == array:
        return op.name in TRANSCENDENTAL or math.copysign(1.0, scalar) == math.copysign(1.0, array)
    if math.isnan(scalar) or math.isnan(array):
        return math.isnan(scalar) and math.isnan(array)
    return op.name in TRANSCENDENTAL and math.isclose(scalar, array, rel_tol=1e-14, abs_tol=1e-15)


@each(ELEMENTWISE)
def test_scalars_equal_arrays(op: Any) -> None:
    for xs in points(op):
        scalars, arrays = [ad.tensor(x) for x in xs], [ad.tensor(np.array([x])) for x in xs]
        with np.errstate(all="ignore"):
            out, expected = op.call(*scalars), op.call(*arrays)
        assert type(out._value) is (float if op.nondiff is None else np.bool_), xs
        assert same(op, out.value.item(), expected.value.item()), xs
        if op.nondiff is None:
            out.backward(2.5)
            expected.backward(np.array([2.5]))
            for x, a in zip(scalars, arrays, strict=True):
                assert type(x._grad) is float, xs
                assert same(op, x.grad.item(), a.grad.item()), (xs, x.grad, a.grad)


@each(ELEMENTWISE)
def test_every_way_of_calling_is_the_same(op: Any) -> None:
    """`op(x)`, `op.call(x)`, `op.apply(x)` and the op on a plain float agree; plain floats are no Tensors."""
    xs = [0.75, 0.5, 0.25][: len(op.signature.inputs)]
    plain = op(*xs)
    assert type(plain) in (float, np.bool_)
    for way in (op, op.call, op.apply):
        out = way(*map(ad.tensor, xs))
        assert isinstance(out, ad.Tensor)
        assert type(out._value) is type(plain)
        assert same(op, out.value.item(), float(plain))


@each({name: op for name, op in ELEMENTWISE.items() if len(op.signature.inputs) == 2 and op.nondiff is None})
@pytest.mark.parametrize("number", [2, True, np.float64(2.0), np.array(2.0)], ids=["int", "bool", "float64", "0-d"])
def test_beside_other_numbers(op: Any, number: Any) -> None:
    """A scalar Tensor beside an int, a boolean or a NumPy number, on either side."""
    for first in (True, False):
        x = ad.tensor(1.5)
        out = op(x, number) if first else op(number, x)
        expected = op(1.5, float(number)) if first else op(float(number), 1.5)
        assert out.dtype == np.float64
        assert same(op, out.item(), expected)
        out.backward()
        y = ad.tensor(1.5)
        (op(y, float(number)) if first else op(float(number), y)).backward()
        assert same(op, x.grad.item(), y.grad.item())


@pytest.mark.parametrize(
    ("f", "x", "value", "gradient"),
    [
        (ad.exp, 1000.0, math.inf, math.inf),
        (ad.log, 0.0, -math.inf, math.inf),
        (ad.log, -1.0, math.nan, -1.0),
        (ad.reciprocal, 0.0, math.inf, -math.inf),
        (lambda x: 1.0 / x, 0.0, math.inf, -math.inf),
        (lambda x: x / 0.0, 1.0, math.inf, math.inf),
        (lambda x: x ** (1.0 / 3.0), -8.0, math.nan, math.nan),
        (lambda x: x**-1.0, 0.0, math.inf, -math.inf),
        (lambda x: x**0.5, 0.0, 0.0, math.inf),
        (lambda x: x**3.0, 1e200, math.inf, math.inf),
        (lambda x: x * x, 1e200, math.inf, 2e200),
        (ad.sqrt, 0.0, 0.0, math.inf),
        (ad.sqrt, -1.0, math.nan, math.nan),
        (ad.sin, math.inf, math.nan, math.nan),
        (ad.sinh, 1000.0, math.inf, math.inf),
        (ad.log1p, -1.0, -math.inf, math.inf),
        (ad.expm1, 1000.0, math.inf, math.inf),
    ],
)
def test_where_math_raises(f: Any, x: float, value: float, gradient: float) -> None:
    t = ad.tensor(x)
    with np.errstate(all="ignore"):
        out = f(t)
    out.backward()
    np.testing.assert_equal(out.item(), value)
    np.testing.assert_equal(t.grad.item(), gradient)


@pytest.mark.parametrize(
    ("x", "y", "value"), [(1, 0, math.inf), (-1, 0, -math.inf), (0, 0, math.nan), (1.0, 0, math.inf)]
)
def test_plain_numbers_divide_as_arrays_do(x: Any, y: Any, value: float) -> None:
    with np.errstate(all="ignore"):
        np.testing.assert_equal(ad.divide(x, y), value)


def test_scalars_promote_weakly() -> None:
    """A scalar made by any op is as weak beside float32 as a Python float, whatever path it came by."""
    vector = np.ones(2, np.float32)
    for name, op in ELEMENTWISE.items():
        if op.nondiff is None:
            scalar = op(*(ad.tensor(x) for x in (0.75, 0.5, 0.25)[: len(op.signature.inputs)]))
            assert (scalar * vector).dtype == np.float32, name
