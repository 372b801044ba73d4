"""Indexing: choosing elements, and its transpose, adding them back where they came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from adjoint.errors import DTypeError
from adjoint.op import case
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


def _plain_part(part):
    """One part of an index as plain data that is safe to keep."""
    if isinstance(part, Tensor):
        part = part.value
    if part is None or part is Ellipsis or isinstance(part, slice | int | np.integer):
        return part
    array = np.array(part)
    if array.dtype.kind == "f" and array.size == 0:
        array = array.astype(np.intp)
    if array.dtype.kind not in "iub":
        raise DTypeError(f"index: expected integers, slices or booleans, got {array.dtype}{here()}")
    return array


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

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> ad.getitem(np.arange(4.0), slice(None, None, 2))
    array([0., 2.])

    Source: NumPy, "Indexing on ndarrays".
    """
    plain = tuple(_plain_part(p) for p in key) if isinstance(key, tuple) else _plain_part(key)
    return getitem_op.apply(x, key=plain)


def take(x: Any, indices: Any, axis: int = 0) -> Any:
    """Entries along an axis, by their numbers.

    Parameters
    ----------
    x : number, array or Tensor
    indices : array of int
    axis : int

    Returns
    -------
    A Tensor if x is one, else an array or a number, with the shape of `indices` in place of the axis.

    Gradient: the upstream gradient added at the entries that were taken.

    Raises
    ------
    IndexRangeError
        For a number outside the axis.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.take([10.0, 20.0, 30.0], [2, 0])
    array([30., 10.])

    Source: NumPy.
    """
    rank = len(x.shape if isinstance(x, Tensor) else np.shape(x))
    return getitem(x, (slice(None),) * (axis % rank) + (np.asarray(indices),))
