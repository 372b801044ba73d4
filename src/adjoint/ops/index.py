"""Indexing: choosing elements, and its transpose, adding them back where they came from.

`getitem` and `scatter_add` have the index as a setting: any index that NumPy knows, but one whose numbers are known
when the graph is built. `take` and `take_along_axis`, with `index_add` and `add_along_axis`, have indices as an input:
integers that may be computed in the graph, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adjoint.abstract import Abstract
from adjoint.errors import DTypeError, TraceError
from adjoint.leaves import State
from adjoint.op import case, shape_error
from adjoint.recording import here
from adjoint.shaped import linear
from adjoint.tensor import Tensor


def _chosen_shape(x, key):
    return np.broadcast_to(np.empty((), np.int8), x.shape)[key].shape


@linear(name="getitem", symbol="[ ]", reference="adjoint.ops.index.getitem_reference")
def getitem_op(m, x, /, key):
    """Elements chosen by an index: integers, slices, None, Ellipsis, arrays of integers, a boolean mask.

    out = x[key]

    Gradient: the upstream gradient added into zeros at the chosen places; an element that was chosen twice gets both.

    Example
    -------
    >>> import adjoint as ad
    >>> x = ad.tensor([1.0, 2.0, 3.0])
    >>> x[[0, 2, 2]].sum().backward()
    >>> x.grad
    array([1., 0., 2.])

    Source: NumPy, "Indexing on ndarrays".
    """
    return m.getitem(x, key=key)


getitem_op.shape(_chosen_shape).transpose(lambda m, g, x, key: m.scatter_add(g, key=key, shape=x.shape)).samples(
    case((3, 4), key=1), case((3, 4), key=(slice(None), 2)), case((3, 4), key=(slice(None, None, -2), None)),
    case((5,), key=np.array([0, 2, 2])), case((3, 4), key=(np.array([0, 2]), np.array([1, 1]))),
    case((3, 4), key=(Ellipsis, np.array([True, False, True, False]))), case((0, 3), key=(slice(0, 0),)),
    case((), key=None), case((3, 4), key=np.array([[0, 1], [1, 2]])),
)  # fmt: skip


def getitem_reference(x, key):
    """NumPy's indexing."""
    return np.asarray(x)[key]


@linear(symbol="[ ]ᵀ", reference="adjoint.ops.index.scatter_add_reference")
def scatter_add(m, x, /, key, shape):
    """Zeros of a shape with the value added at an index; a place named twice receives twice.

    out = 0; out[key] += x

    Gradient: the upstream gradient at the index.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> ad.scatter_add([1.0, 10.0], np.array([2, 2]), (4,))
    array([ 0.,  0., 11.,  0.])

    Source: the transpose of indexing; NumPy's add.at.
    """
    return m.scatter_add(x, key=key, shape=shape)


scatter_add.shape(lambda x, key, shape: shape).transpose(lambda m, g, x, key, shape: m.getitem(g, key=key)).samples(
    case((4,), key=1, shape=(3, 4)), case((3,), key=np.array([0, 2, 2]), shape=(5,)), case((), key=0, shape=(2,)),
    case((0,), key=(slice(0, 0),), shape=(3,)),
)  # fmt: skip


def scatter_add_reference(x, key, shape):
    """One element after the other."""
    places = np.arange(np.prod(shape)).reshape(shape)[key].ravel()
    flat = np.zeros(int(np.prod(shape)))
    for place, value in zip(places, np.ravel(x), strict=True):
        flat[place] += value
    return flat.reshape(shape)


# --- indices as an input --------------------------------------------------------------------------------------------


def _axis_of(op, axis, rank, shape):
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        expected = f"an axis from {-rank} to {rank - 1}" if rank else "a tensor with axes"
        raise shape_error(op, f"expected {expected}, got axis={axis} (shape {shape})")
    return axis % rank


def _must_be_whole(op, indices):
    if indices.dtype.kind not in "iu" and (indices.dtype.kind != "f" or 0 not in indices.shape):
        fix = "x[mask] or ad.where choose by a mask" if indices.dtype.kind == "b" else "convert with .astype(int)"
        raise DTypeError(f"{op.name}: expected integer indices, got {indices.dtype}{here()}; {fix}")


def _taken(x, indices, axis):
    _must_be_whole(take, indices)
    axis = _axis_of(take, axis, len(x.shape), x.shape)
    return Abstract(x.shape[:axis] + indices.shape + x.shape[axis + 1 :], x.dtype)


@linear
def take(m, x, indices, /, axis=0):
    """Entries along an axis, by their numbers; the indices stand in place of the axis.

    out[…, i, j, …, k, …] = x[…, indices[i, j, …], k, …]

    Numbers below 0 count from the end; one outside the axis raises IndexRangeError.

    Gradient: the upstream gradient added at the entries that were taken; the indices, integers, get none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.take([10.0, 20.0, 30.0], [2, 0])
    array([30., 10.])

    Source: NumPy.
    """
    return m.take(x, indices, axis=axis)


take.shape(_taken).transpose(
    lambda m, g, x, indices, axis: m.index_add(g, indices, axis=axis % len(x.shape), size=x.shape[axis])
).samples(
    case((5,), np.array([0, 2, 2]), axis=0), case((3, 4), np.array([[1, -1], [0, 0]]), axis=1),
    case((3, 4), np.array([2]), axis=0), case((2, 3, 2), np.array(1), axis=-2), case((5,), np.array(-5), axis=0),
    case((3, 4), np.array([], int), axis=1), case((0, 3), np.array([1, 1, 0], np.int8), axis=1),
)  # fmt: skip


def _added(x, indices, axis, size):
    _must_be_whole(index_add, indices)
    rank, shape = len(indices.shape), x.shape
    axis = _axis_of(index_add, axis, len(shape) - rank + 1, shape)
    if shape[axis : axis + rank] != indices.shape:
        raise shape_error(
            index_add,
            f"expected the shape of the indices in place of axis {axis} of the result, got {shape} and {indices.shape}",
        )
    return Abstract((*shape[:axis], size, *shape[axis + rank :]), x.dtype)


@linear(symbol="takeᵀ", reference="adjoint.ops.index.index_add_reference")
def index_add(m, x, indices, /, axis, size):
    """Zeros with entries added along an axis of some size, by their numbers; a number named twice receives twice.

    out = 0; out[…, indices[i, j, …], k, …] += x[…, i, j, …, k, …]

    Gradient: the entries of the upstream gradient at the indices; the indices, integers, get none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.index_add([1.0, 10.0, 100.0], [2, 0, 2], axis=0, size=4)
    array([ 10.,   0., 101.,   0.])

    Source: the transpose of take; PyTorch's index_add.
    """
    return m.index_add(x, indices, axis=axis, size=size)


index_add.shape(_added).transpose(lambda m, g, x, indices, axis, size: m.take(g, indices, axis=axis)).samples(
    case((3,), np.array([0, 2, 2]), axis=0, size=4), case((3, 2, 2), np.array([[1, -1], [0, 0]]), axis=1, size=2),
    case((2, 2), np.array(1), axis=-2, size=3), case((), np.array(-1), axis=0, size=2),
    case((3, 1), np.array([2]), axis=1, size=3), case((2, 0), np.array([], int), axis=-1, size=3),
    case((0, 2), np.array([1, 1], np.int8), axis=1, size=3),
)  # fmt: skip


def index_add_reference(x, indices, axis, size):
    """One entry after the other."""
    rank = np.ndim(x) - np.ndim(indices) + 1
    before, after = np.shape(x)[: axis % rank], np.shape(x)[axis % rank + np.ndim(indices) :]
    flat = np.reshape(x, (*before, np.size(indices), *after))
    out = np.zeros((*before, size, *after), flat.dtype)
    for place, number in enumerate(np.ravel(indices)):
        out[(slice(None),) * len(before) + (number,)] += flat[(slice(None),) * len(before) + (place,)]
    return out


def _along(op, x, indices, axis):
    """The axis, and the shape of x and indices broadcast on all others."""
    _must_be_whole(op, indices)
    axis = _axis_of(op, axis, len(x.shape), x.shape)
    others = [(*shape[:axis], 1, *shape[axis + 1 :]) for shape in (x.shape, indices.shape)]
    try:
        fits = len(x.shape) == len(indices.shape) and np.broadcast_shapes(*others)
    except ValueError:
        fits = False
    if fits is False:
        raise shape_error(
            op,
            f"expected shapes that broadcast on every axis but axis {axis}, got {x.shape} and {indices.shape}",
            "add an axis to the indices: indices[:, None]" if len(indices.shape) < len(x.shape) else "",
        )
    return axis, fits


def _taken_along(x, indices, axis):
    axis, others = _along(take_along_axis, x, indices, axis)
    return Abstract((*others[:axis], indices.shape[axis], *others[axis + 1 :]), x.dtype)


@linear
def take_along_axis(m, x, indices, /, axis=-1):
    """Entries of each lane along an axis, by their numbers: as many as there are indices for the lane.

    out[…, i, …] = x[…, indices[…, i, …], …]

    x and the indices have as many axes, and broadcast on all but this one. Numbers below 0 count from the end; one
    outside the axis raises IndexRangeError.

    Gradient: the upstream gradient added at the entries that were taken; the indices, integers, get none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.take_along_axis([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[2], [0]], axis=1)
    array([[3.],
           [4.]])

    Source: NumPy; the array API.
    """
    return m.take_along_axis(x, indices, axis=axis)


take_along_axis.shape(_taken_along).transpose(
    lambda m, g, x, indices, axis: m.add_along_axis(g, indices, axis=axis, size=x.shape[axis])
).samples(
    case((3, 4), np.array([[1], [-1], [0]]), axis=1), case((3, 4), np.array([[2, 0, 0, 1]]), axis=0),
    case((2, 3), np.array([[0, 0, -3, 2], [1, 1, 1, 0]]), axis=-1), case((4,), np.array([3, 3, -1]), axis=0),
    case((2, 1, 3), np.array([[[2, 2], [0, 1]]]), axis=2), case((1, 3), np.array([[1], [1], [0]], np.int8), axis=1),
    case((0, 3), np.zeros((0, 2), int), axis=1), case((2, 3), np.zeros((2, 0), int), axis=1),
)  # fmt: skip


def _added_along(x, indices, axis, size):
    axis, others = _along(add_along_axis, x, indices, axis)
    if x.shape[axis] not in (1, indices.shape[axis]):
        raise shape_error(
            add_along_axis,
            f"expected a value for each index along axis {axis}, got {x.shape} and {indices.shape}",
        )
    return Abstract((*others[:axis], size, *others[axis + 1 :]), x.dtype)


@linear(symbol="take_along_axisᵀ", reference="adjoint.ops.index.add_along_axis_reference")
def add_along_axis(m, x, indices, /, axis, size):
    """Zeros with entries added to each lane along an axis of some size; a place named twice receives twice.

    out = 0; out[…, indices[…, i, …], …] += x[…, i, …]

    x and the indices have as many axes; they broadcast, but not the indices along the axis.

    Gradient: the entries of the upstream gradient at the indices; the indices, integers, get none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.add_along_axis([[1.0, 10.0], [2.0, 20.0]], [[2, 2], [0, 1]], axis=1, size=3)
    array([[ 0.,  0., 11.],
           [ 2., 20.,  0.]])

    Source: the transpose of take_along_axis; PyTorch's scatter_add.
    """
    return m.add_along_axis(x, indices, axis=axis, size=size)


add_along_axis.shape(_added_along).transpose(
    lambda m, g, x, indices, axis, size: m.take_along_axis(g, indices, axis=axis)
).samples(
    case((3, 1), np.array([[1], [-1], [0]]), axis=1, size=4), case((1, 4), np.array([[2, 0, 0, 1]]), axis=1, size=3),
    case((3, 2), np.array([[1, 1]]), axis=-1, size=2), case((1, 2), np.array([[1, -1], [0, 1]]), axis=1, size=2),
    case((3, 1), np.array([[1, 1], [0, 1], [-1, 0]]), axis=1, size=2), case((1, 3), np.array([[2]]), axis=0, size=3),
    case((2,), np.array([1, 1], np.int8), axis=0, size=2), case((0, 2), np.zeros((0, 2), int), axis=1, size=3),
)  # fmt: skip


def add_along_axis_reference(x, indices, axis, size):
    """One entry after the other."""
    xs, places = np.broadcast_arrays(x, indices)
    shape = list(xs.shape)
    shape[axis] = size
    out = np.zeros(shape, xs.dtype)
    for at in np.ndindex(xs.shape):
        target = list(at)
        target[axis] = places[at]
        out[tuple(target)] += xs[at]
    return out


# --- what stands in x[…] --------------------------------------------------------------------------------------------


def _plain_part(part):
    """One part of an index as plain data that is safe to keep; an index without data, of a trace, as it is."""
    if part is None or part is Ellipsis or isinstance(part, slice | int | np.integer):
        return part
    if isinstance(part, Tensor):
        part = part.read() if isinstance(part, State) else part
        if type(part._value) is Abstract:
            return part
        part = part.value
    array = np.array(part)
    if array.dtype.kind == "f" and array.size == 0:
        array = array.astype(np.intp)
    if array.dtype.kind not in "iub":
        raise DTypeError(f"index: expected integers, slices or booleans, got {array.dtype}{here()}")
    return array


def _taken_at(x, key, axis):
    """x[…] where the numbers in one place are not known yet; the shape of the result must not depend on them."""
    parts = key if type(key) is tuple else (key,)
    index = parts[axis]
    if index.dtype.kind == "b":
        raise TraceError(
            f"index: a mask that is computed inside a compiled function chooses an unknown number of elements{here()}; "
            "write ad.where(mask, x, 0.0), or sum and weigh with the mask"
        )
    others = parts[:axis] + parts[axis + 1 :]
    if index.dtype.kind not in "iu" or any(not isinstance(p, slice) or p != slice(None) for p in others):
        raise TraceError(
            "index: an index that is computed inside a compiled function must be an integer tensor alone on its axis, "
            f"as in x[:, index]{here()}; use ad.take or ad.take_along_axis"
        )
    return take.apply(x, index, axis=axis)


def getitem(x: Any, key: Any) -> Any:
    """Elements chosen by an index, as by x[key].

    out = x[key]

    Parameters
    ----------
    x : number, array or Tensor
    key : integers, slices, None, Ellipsis, arrays of integers, a boolean mask, or a tuple of these

    Returns
    -------
    A Tensor if x is one, else an array or a number.

    Gradient: the upstream gradient added into zeros at the chosen places; an element that was chosen twice gets both.

    Raises
    ------
    IndexRangeError
        For an index outside its axis, or more indices than axes.
    DTypeError
        For an index of floating numbers.
    TraceError
        Inside a function that is compiled: for an index that is computed there, unless it is an integer tensor alone
        on its axis.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> ad.getitem(np.arange(4.0), slice(None, None, 2))
    array([0., 2.])

    Source: NumPy, "Indexing on ndarrays".
    """
    if isinstance(key, tuple):
        parts = [_plain_part(p) for p in key]
        plain: Any = tuple(parts)
        unknown = [i for i, p in enumerate(parts) if isinstance(p, Tensor)]
    else:
        plain = _plain_part(key)
        unknown = [0] if isinstance(plain, Tensor) else []
    return _taken_at(x, plain, unknown[0]) if unknown else getitem_op.apply(x, key=plain)
