"""One table over the registry: every op, whatever its family, keeps the promises of an op.

Documented with a formula and an executed example; equal to an independent reference in value and dtype, for all shapes,
memory layouts and special values; its shape rule true; its derivatives right to order 2.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import itertools
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.ops.samples import (
    COMPUTED,
    ELEMENTWISE,
    OPS,
    REDUCTIONS,
    SMOOTH,
    Sample,
    abstract,
    layouts,
    resolved,
    rng_for,
    samples,
)

import adjoint as ad
from adjoint.vocabulary import REGISTRY

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 1e-310, 1e300, -1e300, 750.0, -750.0]
FLOATS = [np.float32, np.float64]


def each(ops: dict[str, Any]) -> pytest.MarkDecorator:
    """A test for each op, named by it."""
    return pytest.mark.parametrize("op", ops.values(), ids=ops.keys())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Overflow, 0/0 and empty means are what these tests ask for; NumPy warns of them, as it should."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice|invalid value|divide by zero", RuntimeWarning)
        yield


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """What a function gives, without NumPy's warnings."""
    with quiet():
        return function(*args)


def assert_same(got: Any, expected: Any, ulps: float = 4.0) -> None:
    """Equal to a few units in the last place, NaN and infinities in the same places, and the same zeros."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    eps = np.finfo(got.dtype).eps if got.dtype.kind == "f" else 0.0
    np.testing.assert_allclose(got, expected, rtol=ulps * eps, atol=0.0, equal_nan=True)


# --- documented -----------------------------------------------------------------------------------------------------


@each(dict(REGISTRY))
def test_docstring_has_every_section(op: ad.op.Op) -> None:
    doc = op.__doc__ or ""
    assert doc.splitlines()[0].endswith((".", "below.")), "the first line is a sentence"
    assert re.search(r"^\s*out.*[=~] \S", doc, re.MULTILINE), "a line with the formula"
    for section in ("Gradient:", "Example\n", "Source:", ">>> "):
        assert section in doc, section


@each(dict(REGISTRY))
def test_example_runs(op: ad.op.Op) -> None:
    parsed = doctest.DocTestParser().get_doctest(op.__doc__ or "", {}, op.name, op.__module__, 0)
    said = io.StringIO()
    failed, tried = doctest.DocTestRunner().run(parsed, out=said.write)
    assert tried
    assert not failed, said.getvalue()


@each(OPS)
def test_rule_or_reason(op: ad.op.Op) -> None:
    assert op.has_rule != (op.nondiff is not None)
    assert op.nondiff is None or len(op.nondiff.split()) > 3
    assert op.kink is None or op.winner is not None, "a check could not see that it crossed the kink"


@each(COMPUTED)
def test_there_are_samples_and_a_reference(op: ad.op.Op) -> None:
    assert callable(resolved(op.reference))
    shapes = [np.shape(x) for sample in samples(op) for x in sample.inputs]
    assert any(0 in s for s in shapes) or op.name in ("stop_gradient", "identity", "argmax", "argmin", "to_whole")
    assert len(shapes) > 0


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=["float32", "float64"])
@each(COMPUTED)
def test_forward_equals_reference(op: ad.op.Op, dtype: Any) -> None:
    for sample in samples(op, dtype):
        with quiet():
            got, expected = sample.call(), sample.reference()
        assert_same(got, expected, 16.0 if op.name in ("logsumexp", "einsum", "matmul", "mean", "sum") else 4.0)
        declared = sample.params.get("dtype")
        assert np.asarray(got).dtype == (declared or (np.asarray(expected).dtype if op.nondiff else dtype))


@each(REDUCTIONS)
def test_no_axis_and_wrong_axes(op: ad.op.Op) -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(op(x, axis=()), x.astype(op(x, axis=()).dtype))
    for axis in (2, -3, (0, 0), (0, -2)):
        with pytest.raises(ad.errors.ShapeError, match=rf"^{op.name}: .*\(2, 2\)"):
            op(x, axis=axis)


@each(COMPUTED)
def test_forward_of_other_layouts(op: ad.op.Op) -> None:
    for sample in samples(op):
        with quiet():
            expected = sample.call()
        for name in ("transposed", "reversed", "strided", "read-only"):
            xs = [layouts(x)[name] for x in sample.inputs]
            # sums of another layout are added up in another order
            np.testing.assert_allclose(quietly(sample.call, *xs), expected, rtol=1e-14, atol=1e-15, strict=True)


@each(COMPUTED)
def test_tensor_equals_array(op: ad.op.Op) -> None:
    """Recording a node does not change what is computed, and array results stay arrays."""
    for sample in samples(op):
        with quiet():
            plain, recorded = sample.call(), sample.call(*(ad.tensor(x) for x in sample.inputs))
        assert not isinstance(plain, ad.Tensor)
        assert isinstance(recorded, ad.Tensor)
        np.testing.assert_array_equal(recorded.value, plain, strict=True)
        assert recorded.active == (op.nondiff is None)


@pytest.mark.parametrize("dtype", FLOATS, ids=["float32", "float64"])
@each(ELEMENTWISE)
def test_special_values(op: Any, dtype: Any) -> None:
    for xs in special_inputs(op, dtype):
        sample = Sample(op, xs, {})
        with quiet():
            got, expected = sample.call(), sample.reference()
        assert_same(got, expected)
        if str(op.reference).startswith("numpy.") and np.asarray(got).dtype.kind == "f":
            zero = np.asarray(expected) == 0.0
            np.testing.assert_array_equal(np.signbit(got)[zero], np.signbit(expected)[zero])


def special_inputs(op: Any, dtype: Any) -> list[tuple[Any, ...]]:
    """All special values; with one another for two inputs, beside ordinary bounds or slopes for ops that have them."""
    with np.errstate(over="ignore"):
        x = np.array(SPECIAL).astype(dtype)
    if op.name == "where":
        return [(np.array([True, False])[:, None], x, x[::-1])]
    if op.signature.defaults:
        others = [np.asarray(np.mean(bounds)).astype(dtype) for bounds in op.domain[1:]]
        return [(x, *others)]
    return [(x,)] if len(op.signature.inputs) == 1 else [(x[:, None], x)]


@pytest.mark.parametrize("dtype", FLOATS, ids=["float32", "float64"])
@each(REDUCTIONS)
def test_special_values_reduced(op: Any, dtype: Any) -> None:
    inf = np.inf
    rows = [[1.0, np.nan], [inf, 1.0], [-inf, -inf], [inf, -inf], [800.0, 800.0], [-0.0, -0.0], [0.0, -inf]]
    sample = Sample(op, (np.array(rows, dtype),), {"axis": 1})
    with quiet():
        assert_same(sample.call(), sample.reference(), 16.0)


@each({n: op for n, op in {**ELEMENTWISE, **REDUCTIONS}.items() if str(op.reference).startswith("numpy.")})
def test_dtype_is_numpys(op: Any) -> None:
    """Integers, booleans, mixed floats and Python numbers promote as in the reference, where that is NumPy."""
    kinds = [np.ones((2,), t) for t in (np.bool_, np.int32, np.int64, np.float32, np.float64)] + [2.0, 2]
    for xs in itertools.product(kinds, repeat=len(op.signature.inputs)):
        if all(isinstance(x, float | int) for x in xs):
            continue
        if op.name == "clip" and (isinstance(xs[0], float | int) or xs[0].dtype == bool):
            continue  # NumPy makes an array of a number first, here it stays weak; a clipped boolean is no use
        sample = Sample(op, xs, {})
        try:
            expected = np.asarray(sample.reference())
        except (TypeError, ValueError):
            with pytest.raises(ad.errors.AdjointError):
                sample.call()
            continue
        got = np.asarray(sample.call())
        assert got.dtype == expected.dtype, [np.asarray(x).dtype for x in xs]
        assert abstract(sample)[:2] == (expected.shape, expected.dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=["float32", "float64"])
@each(COMPUTED)
def test_shape_rule_is_true(op: ad.op.Op, dtype: Any) -> None:
    for sample in samples(op, dtype):
        with quiet():
            real, said = np.asarray(sample.call()), abstract(sample)
        assert (said.shape, said.dtype) == (real.shape, real.dtype), sample


@each(ELEMENTWISE)
def test_shape_rule_of_python_floats(op: Any) -> None:
    """Python floats give a weak result: a Python float, which promotes as one."""
    sample = Sample(op, tuple(0.75 for _ in op.signature.inputs), {})
    said, real = abstract(sample), sample.call()
    assert said.shape == ()
    assert said.weak == (type(real) is float)
    assert np.asarray(real).dtype == said.dtype
    assert type(real) in (float, np.bool_)


# --- derivatives ----------------------------------------------------------------------------------------------------


@each(SMOOTH)
def test_derivatives_to_order_2(op: ad.op.Op) -> None:
    """Every pattern of active and constant inputs, over 0-d, empty and broadcast shapes."""
    for sample in samples(op):
        for positions in sample.patterns():
            if not np.all(np.isfinite(quietly(sample.call))):
                continue  # the mean of nothing
            with quiet():
                report = ad.gradcheck(sample.of(positions), *(sample.inputs[i] for i in positions), order=2)
            assert report.skipped == ()
            assert report.relative_error <= 1e-6
            assert report.checked >= sum(np.size(sample.inputs[i]) for i in positions)


@each({name: op for name, op in ELEMENTWISE.items() if op.nondiff is None})
def test_derivatives_of_python_floats_to_order_2(op: Any) -> None:
    sample = next(s for s in samples(op) if all(np.shape(x) == () for x in s.inputs))
    sample = sample._replace(inputs=tuple(x.item() for x in sample.inputs))
    for positions in sample.patterns():
        ad.gradcheck(sample.of(positions), *(sample.inputs[i] for i in positions), order=2)


@each(SMOOTH)
def test_gradient_has_shape_and_dtype_of_its_input(op: ad.op.Op) -> None:
    for dtype, sample in [(d, s) for d in FLOATS for s in samples(op, d)]:
        leaves = [ad.tensor(x) for x in sample.inputs]
        with quiet():
            out = sample.call(*leaves)
            out.backward(np.ones(out.shape, out.dtype))
        for i in sample.differentiable:
            grad = leaves[i].grad
            assert grad is not None
            assert (grad.shape, grad.dtype) == (sample.inputs[i].shape, np.dtype(dtype))


@each(SMOOTH)
def test_gradient_of_other_layouts(op: ad.op.Op) -> None:
    rng = rng_for(op)
    for sample in samples(op):
        positions = tuple(sample.differentiable)
        xs = [sample.inputs[i] for i in positions]
        with quiet():
            out, pull = ad.vjp(sample.of(positions), *xs)
            upstream = rng.normal(size=np.shape(out)).astype(np.asarray(out).dtype)
            expected = pull(upstream)
        for name in ("transposed", "reversed", "strided"):
            with quiet():
                found = ad.vjp(sample.of(positions), *(layouts(x)[name] for x in xs))[1](layouts(upstream)[name])
            for got, wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-13)


@each(SMOOTH)
def test_jvp_is_the_transpose_of_vjp(op: ad.op.Op) -> None:
    """⟨g, J·t⟩ = ⟨g·J, t⟩ for every pattern of active inputs."""
    rng = rng_for(op)
    for sample in samples(op):
        for positions in sample.patterns():
            primals = tuple(sample.inputs[i] for i in positions)
            tangents = tuple(rng.normal(size=x.shape) for x in primals)
            with quiet():
                out, tangent = ad.jvp(sample.of(positions), primals, tangents)
                g = rng.normal(size=np.shape(out))
                pulled = ad.vjp(sample.of(positions), *primals)[1](g)
            assert np.shape(tangent) == np.shape(out)
            left = np.sum(g * tangent)
            right = sum(np.sum(p * t) for p, t in zip(pulled, tangents, strict=True))
            np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-11)


@each({name: op for name, op in ELEMENTWISE.items() if op.nondiff is None})
def test_float32_stays_float32_beside_python_floats(op: Any) -> None:
    for sample in samples(op, np.float32):
        if len(sample.inputs) == 1 or not any(x.ndim for x in sample.inputs):
            continue
        for i in (i for i in sample.differentiable if sample.inputs[i].ndim and not (i and op.signature.defaults)):
            x = ad.tensor(sample.inputs[i])
            others = [float(np.mean(v)) if v.size and v.dtype.kind == "f" else True for v in sample.inputs]
            out = sample.call(*(x if k == i else v for k, v in enumerate(others)))
            out.backward(np.ones(out.shape, out.dtype))
            assert out.dtype == np.float32
            assert x.grad is not None
            assert x.grad.dtype == np.float32


@each(COMPUTED)
def test_without_a_gradient_the_result_is_constant(op: ad.op.Op) -> None:
    """Constants alone give constants; an op without a gradient says why when asked for one."""
    for sample in samples(op)[:3]:
        with quiet():
            out = sample.call(*(ad.constant(x) for x in sample.inputs))
            flat = sample.call(*(ad.tensor(x) for x in sample.inputs))
        assert type(out) is ad.Constant
        if op.nondiff is not None:
            with pytest.raises(ad.errors.GradientError, match=r"ha(s|ve) no gradient"):
                flat.backward(np.ones(flat.shape, flat.dtype))
