"""What a compiled function is called with: any layout, numbers, containers, static arguments, Tensors."""

import gc
import weakref
from typing import Any, NamedTuple

import numpy as np
import optree
import pytest
from tests.compiler.agreement import agree, assert_agree, assert_bits
from tests.ops.samples import layouts

import adjoint as ad
from adjoint.compiler import compiled as module
from adjoint.compiler.compiled import compile as compiled
from adjoint.errors import DTypeError, TraceError
from adjoint.tensor import Constant

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype(np.float32)


@pytest.mark.parametrize("layout", ["transposed", "reversed", "strided", "read-only"])
def test_arguments_in_any_layout(layout):
    x = layouts(RNG.normal(size=(3, 4)))[layout]
    own = agree(lambda x: ad.exp(x) @ x.T, x)
    assert_agree(own(np.ascontiguousarray(x)), own(x))
    assert len(own.variants) == 1


def test_arguments_in_another_byte_order_and_not_aligned():
    x = np.arange(12.0).reshape(3, 4)
    f = compiled(lambda x: x * 2.0)
    assert_bits(f(x.astype(">f8")), x * 2.0)
    shifted = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float64).reshape(3, 4)
    assert not shifted.flags.aligned
    assert_bits(f(shifted), x * 2.0)
    assert len(f.variants) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(dtype):
    x = np.array([np.nan, -np.nan, 0.0, -0.0, np.inf, -np.inf, 1e-45, np.finfo(dtype).max], dtype)
    agree(lambda x: (x + 0.0, x * 1.0, -x, abs(x), ad.maximum(x, 0.0), ad.where(x > 0.0, x, -0.0)), x)
    f = compiled(lambda x: (x * 1.0, -x, ad.where(x > 0.0, x, -0.0)))
    for got, wanted in zip(f(x), (x * 1.0, -x, np.where(x > 0, x, dtype(-0.0))), strict=True):
        np.testing.assert_array_equal(np.signbit(got[~np.isnan(x)]), np.signbit(wanted[~np.isnan(x)]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8, np.int64, np.bool_])
@pytest.mark.parametrize("number", [2, 2.0, True, np.float32(2.0), np.float64(2.0), np.int16(2)])
def test_numbers_promote_as_in_numpy(number, dtype):
    """A Python number gives way to the dtype of an array; a NumPy scalar does not."""
    f = agree(lambda x, n: ad.multiply(x, n), X.astype(dtype), number)
    assert f(X.astype(dtype), number).dtype == (X.astype(dtype) * number).dtype


def test_python_numbers_alone():
    f = compiled(lambda x, y: ad.exp(x) * y)
    assert type(f(1.0, 2.0)) is float
    assert f(1.0, 2.0) == pytest.approx(2.0 * np.e)
    assert f(1.0, 3.0) == pytest.approx(3.0 * np.e)
    assert len(f.variants) == 1
    assert f(1.0, 3) == pytest.approx(3.0 * np.e)
    assert len(f.variants) == 2


def test_containers_and_keywords():
    def f(pair, *, scale, shift=None):
        total = pair["a"] @ pair["b"][0] * scale
        return {"total": total, "parts": (total + 1.0, [pair["b"][1]])} if shift is None else total + shift

    pair = {"b": (np.ones(4), 3.0), "a": X.astype(float)}
    agree(f, pair, scale=2.0)
    own = agree(f, pair, scale=np.arange(5.0), shift=1)
    assert_agree(own(pair, scale=2.0), f(pair, scale=2.0))
    assert len(own.variants) == 2


def test_tensors_stay_tensors():
    x = ad.constant(X)
    own = agree(lambda x, y: ad.tanh(x) @ y, x, X.T.copy())
    assert type(own(x, X.T.copy())) is Constant
    half = ad.constant(0.5)
    assert type(compiled(lambda x, y: x * y)(half, X).value[0, 0]) is np.float32


def test_static_arguments_by_name_and_position():
    seen = []

    def power(x, n, *, kind):
        seen.append((n, kind))
        for _ in range(n - 1):
            x = x * x if kind == "square" else x + x
        return x

    for static in (("n", "kind"), (1, "kind"), [2, 1]):
        f = compiled(power, static=static)
        assert_bits(f(X, 2, kind="square"), X * X)
        assert_bits(f(X, n=3, kind="double"), X * 4)
    before = len(seen)
    assert_bits(f(X, 2, kind="square"), X * X)
    assert len(seen) == before
    assert_bits(compiled(static="n")(lambda x, n: x * n)(X, 3), X * 3)


def test_static_values_of_different_types_are_different():
    f = compiled(lambda x, n: x * (2.0 if type(n) is bool else 3.0), static=("n",))
    assert_bits(f(X, 1), X * 3)
    assert_bits(f(X, True), X * 2)


def test_static_arguments_that_cannot_be_told_apart():
    with pytest.raises(TraceError, match="expected a hashable value for a static argument, got list"):
        compiled(lambda x, n: x, static=("n",))(X, [1])
    with pytest.raises(TraceError, match=r"expected static to name arguments \(x, n\), got 'm'"):
        compiled(lambda x, n: x, static=("m",))
    with pytest.raises(TraceError, match="got 2"):
        compiled(lambda x, n: x, static=(2,))


@pytest.mark.parametrize("x", [1j, np.ones(2, complex), np.array(["a"]), np.array([None]), 2**70])
def test_what_is_no_real_number_is_refused(x):
    with pytest.raises(DTypeError, match=r"double: expected real numbers"):
        compiled(_double)(x)


def _double(x):
    return x + x


def test_arguments_are_not_kept():
    """The first arguments of a signature do not live as long as the compiled function."""

    x = np.ones(4)
    f = compiled(lambda pair: pair[0] * pair[1])
    f((x, 2.0))
    known = weakref.ref(x)
    del x
    gc.collect()
    assert known() is None


# --- containers of arrays -------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    left: Any
    right: Any


TREES = {
    "list": lambda a, b: [a, b],
    "nested": lambda a, b: (a, [b, (a,)]),
    "dict": lambda a, b: {"w": a, "b": b},
    "named": Pair,
}


def doubled(tree):
    return optree.tree_map(lambda x: x * 2.0, tree)


@pytest.fixture
def taken_apart(monkeypatch):
    """The calls whose arguments were looked at one by one."""
    calls = []

    class Counted(module.Arguments):
        def __init__(self, *args):
            calls.append(args)
            super().__init__(*args)

    monkeypatch.setattr(module, "Arguments", Counted)
    return calls


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_arrays_in_the_containers_of_the_last_call_are_not_looked_at_one_by_one(tree, taken_apart):
    f = compiled(doubled)
    for scale in (1.0, 2.0, 3.0):
        given = tree(scale * X, scale * X + 1)
        agree_at(f, given)
    assert len(taken_apart) == 1


#: What may follow two arrays in a list, and whether it is traced anew.
OTHERS = {
    "nested": ([X, [X]], True),
    "in a tuple": ((X, X), True),
    "fewer": ([X], True),
    "more": ([X, X, X], True),
    "in a dict": ({"a": X, "b": X}, True),
    "nothing": ([X, None], True),
    "a number": ([X, 2.0], True),
    "another dtype": ([X, X.astype(np.float64)], True),
    "another shape": ([X, X[:, :1]], True),
    "a Tensor": ([X, ad.constant(X)], True),
    "reversed": ([X, X[::-1]], False),
    "transposed": ([X, X.T.copy().T], False),
}


@pytest.mark.parametrize(("other", "is_traced"), OTHERS.values(), ids=OTHERS)
def test_other_arguments_than_those_of_the_last_call_are_noticed(other, is_traced):
    f = compiled(doubled)
    for given in ([X, X + 1], [X + 2, X], other, [X, X + 3], other):
        agree_at(f, given)
    assert len(f.variants) == 1 + is_traced


def test_empty_containers_of_different_kinds():
    f = compiled(lambda tree: ad.full((2,), 1.0 if isinstance(tree, list) else 2.0))
    for given in ([], {}, [], {}):
        assert_agree(f(given), f.__wrapped__(given))


def agree_at(f, given):
    """A function that is compiled already, beside itself."""
    got, wanted = f(given), f.__wrapped__(given)
    assert optree.tree_structure(got) == optree.tree_structure(wanted)
    for x, y in zip(optree.tree_leaves(got), optree.tree_leaves(wanted), strict=True):
        assert_agree(x, y)
