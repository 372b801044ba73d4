"""Indices as an input of an op: many of them, wrong ones, ones that change, ones that are computed or not known yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint.abstract import Abstract
from adjoint.ops import index
from adjoint.ops.index import add_along_axis_reference, index_add_reference
from adjoint.tensor import Constant, leaf

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4))

CALLS: dict[str, Any] = {
    "take": lambda i: ad.take(ad.tensor(X), i, 1),
    "take_along_axis": lambda i: ad.take_along_axis(ad.tensor(X), np.asarray(i)[None], 1),
    "index_add": lambda i: ad.index_add(ad.tensor(X[:, : np.size(i)]), i, 1, 4),
    "add_along_axis": lambda i: ad.add_along_axis(ad.tensor(X[:, : np.size(i)]), np.asarray(i)[None], 1, 4),
}


# --- as NumPy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lowest", [0, -50], ids=["from the front", "also from the end"])
def test_many_indices_with_repetitions(dtype: str, lowest: int) -> None:
    """More of them than the few that take another path."""
    rng = np.random.default_rng(1)
    x, places = rng.standard_normal((6, 200, 2)).astype(dtype), rng.integers(lowest, 50, 200)
    tolerance = {"rtol": 50 * np.finfo(dtype).eps, "atol": 50 * np.finfo(dtype).eps, "strict": True}
    np.testing.assert_allclose(
        ad.index_add(x, places, axis=1, size=50), index_add_reference(x, places, 1, 50).astype(dtype), **tolerance
    )
    for lanes in (rng.integers(lowest, 50, (6, 200, 2)), rng.integers(lowest, 50, (1, 200, 1))):
        found = ad.add_along_axis(x, lanes, axis=1, size=50)
        np.testing.assert_allclose(found, add_along_axis_reference(x, lanes, 1, 50).astype(dtype), **tolerance)


def test_a_value_for_many_indices_is_added_to_each() -> None:
    x, lanes = RNG.standard_normal((300, 1)), RNG.integers(0, 5, (300, 3))
    np.testing.assert_allclose(
        ad.add_along_axis(x, lanes, axis=1, size=5), add_along_axis_reference(x, lanes, 1, 5), rtol=1e-14
    )


def test_the_empty_list_takes_nothing() -> None:
    assert ad.take(X, [], 1).shape == (3, 0)
    x = ad.tensor(X)
    ad.take(x, []).sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros((3, 4)))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64, np.int64])
def test_indices_of_any_integer_kind(dtype: Any) -> None:
    np.testing.assert_array_equal(ad.take(X, np.array([3, 0], dtype), 1), X[:, [3, 0]])
    lanes = np.array([[3], [0], [1]], dtype)
    np.testing.assert_array_equal(ad.take_along_axis(X, lanes), X[[0, 1, 2], [3, 0, 1]][:, None])


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_numpys_take_along_axis(axis: int | None) -> None:
    x = ad.tensor(X)
    order = np.argsort(X, axis=axis)
    ordered = np.take_along_axis(x, order, axis=axis)
    assert ordered.node.op is ad.take_along_axis
    np.testing.assert_array_equal(ordered.value, np.sort(X, axis=axis))
    weights = RNG.standard_normal(ordered.shape)
    (ordered * weights).sum().backward()
    expected = np.empty(X.size if axis is None else X.shape)
    np.put_along_axis(expected, order, weights, axis=axis)
    np.testing.assert_array_equal(x.grad, expected.reshape(3, 4))


# --- computed in the graph --------------------------------------------------------------------------------------------


def test_indices_that_are_computed_get_no_gradient() -> None:
    x = ad.tensor(X)
    best = ad.argmax(x, axis=1)
    largest = ad.take_along_axis(x, best[:, None], axis=1)
    assert largest.node.inputs[1].node.inputs == (best,)
    largest.sum().backward()
    np.testing.assert_array_equal(x.grad, X.max(axis=1, keepdims=True) == X)
    assert best.grad is None


@pytest.mark.parametrize("name", CALLS)
def test_derivatives_with_tensors_of_indices(name: str) -> None:
    places = ad.constant([1, -1, 1])
    calls: dict[str, Any] = {
        "take": lambda x: ad.take(x, places, 1),
        "take_along_axis": lambda x: ad.take_along_axis(x, places[None], 1),
        "index_add": lambda x: ad.index_add(x[:, :3], places, 1, 5),
        "add_along_axis": lambda x: ad.add_along_axis(x[:, :3], places[None], 1, 5),
    }
    ad.gradcheck(lambda x: ad.sin(calls[name](ad.sin(x))), X, order=2)


@pytest.mark.parametrize("name", CALLS)
def test_indices_that_change_afterwards_do_not_change_the_gradient(name: str) -> None:
    places = np.array([0, 2, 2])
    out = CALLS[name](places)
    x = out.node.inputs[0]
    kept = CALLS[name](places.copy())
    places[:] = 1
    for t in (out, kept):
        (t * t).sum().backward()
    np.testing.assert_array_equal(x.grad, kept.node.inputs[0].grad)


# --- wrong ones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [4, -5])
@pytest.mark.parametrize("name", CALLS)
def test_an_index_outside_its_axis(name: str, wrong: int) -> None:
    for places in ([0, wrong], [wrong], np.append(np.zeros(3, int), wrong)):
        with pytest.raises(ad.errors.IndexRangeError, match=rf"^{name}: index {wrong} .*axis.*size 4.*test_index"):
            CALLS[name](places)


@pytest.mark.parametrize("wrong", [30, -31])
def test_an_index_outside_its_axis_among_many(wrong: int) -> None:
    places = np.append(np.zeros(999, int), wrong)
    for call in (
        lambda: ad.index_add(np.ones(1000), places, axis=0, size=30),
        lambda: ad.add_along_axis(np.ones(1000), places, axis=0, size=30),
    ):
        with pytest.raises(ad.errors.IndexRangeError, match=rf"index {wrong} is out of bounds for an axis of size 30"):
            call()


@pytest.mark.parametrize("name", CALLS)
def test_indices_that_are_no_integers(name: str) -> None:
    with pytest.raises(ad.errors.DTypeError, match=rf"^{name}: expected integer indices, got float64.*astype\(int\)"):
        CALLS[name](np.array([0.0, 1.0]))
    with pytest.raises(ad.errors.DTypeError, match=rf"^{name}: expected integer indices, got bool.*mask"):
        CALLS[name](np.array([True, False]))


WRONG_SHAPES: dict[str, Any] = {
    "take: expected an axis from -2 to 1, got axis=2": lambda: ad.take(X, [0], 2),
    "take: expected a tensor with axes, got axis=0": lambda: ad.take(1.0, 0),
    "take_along_axis: expected an axis from -2 to 1": lambda: ad.take_along_axis(X, np.array([[0]]), 2),
    r"take_along_axis: .*\(3, 4\) and \(3,\).*indices\[:, None\]": lambda: ad.take_along_axis(X, np.zeros(3, int), 1),
    r"take_along_axis: .*\(3, 4\) and \(2, 1\)": lambda: ad.take_along_axis(X, np.zeros((2, 1), int), 1),
    "index_add: expected an axis": lambda: ad.index_add(X, [0, 1, 2], 2, 5),
    r"index_add: .*place of axis 1 .*\(3, 4\) and \(3,\)": lambda: ad.index_add(X, [0, 1, 2], 1, 5),
    r"add_along_axis: .*axis 1, got \(3, 4\) and \(3, 2\)": lambda: ad.add_along_axis(X, np.zeros((3, 2), int), 1, 5),
    r"add_along_axis: .*\(3, 4\) and \(3, 1\)": lambda: ad.add_along_axis(X, np.zeros((3, 1), int), 1, 5),
    r"add_along_axis: .*\(3, 4\) and \(4,\)": lambda: ad.add_along_axis(X, np.zeros(4, int), 1, 5),
}


@pytest.mark.parametrize("said", WRONG_SHAPES)
def test_shapes_and_axes_that_do_not_fit(said: str) -> None:
    with pytest.raises(ad.errors.ShapeError, match="^" + said):
        WRONG_SHAPES[said]()


# --- not known yet: the function is being traced ----------------------------------------------------------------------


def unknown(dtype: Any, *shape: int) -> ad.Tensor:
    """A tensor without data, as in a trace."""
    return leaf(Abstract(shape, np.dtype(dtype)), None, Constant)


@pytest.mark.parametrize(
    ("key", "axis"),
    [
        (lambda i: i, 0),
        (lambda i: (i,), 0),
        (lambda i: (slice(None), i), 1),
        (lambda i: (i, slice(None)), 0),
    ],
)
def test_an_unknown_index_alone_on_its_axis_is_taken(key: Any, axis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, places, called = ad.tensor(X), unknown(np.int64, 2), []
    monkeypatch.setattr(index.take, "apply", lambda *xs, **params: called.append((xs, params)))
    x[key(places)]
    assert called == [((x, places), {"axis": axis})]


@pytest.mark.parametrize(
    "key",
    [
        lambda i: (0, i),
        lambda i: (i, i),
        lambda i: (None, i),
        lambda i: (Ellipsis, i),
        lambda i: (slice(1, 2), i),
        lambda i: (i, np.array([0])),
    ],
)
def test_an_unknown_index_beside_others_is_refused(key: Any) -> None:
    x = ad.tensor(X)
    with pytest.raises(ad.AdjointError, match=r"integer tensor alone on its axis.*; use ad.take or ad.take_along_axis"):
        x[key(unknown(np.int64, 2))]
    with pytest.raises(ad.AdjointError, match="integer tensor alone on its axis"):
        x[unknown(np.float64, 2)]


def test_an_unknown_mask_is_refused() -> None:
    x = ad.tensor(X)
    with pytest.raises(ad.AdjointError, match=r"a mask that is computed inside a compiled function.*write ad.where"):
        x[unknown(np.bool_, 3, 4)]


def test_a_state_as_an_index_is_the_number_of_this_moment() -> None:
    x, place = ad.tensor(X), ad.State(1)
    row = x[place]
    place.assign(2)
    np.testing.assert_array_equal(row.value, X[1])
    np.testing.assert_array_equal(x[place].value, X[2])
