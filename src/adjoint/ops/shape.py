"""Shape: the same elements in another arrangement. All linear; each states its transpose."""

from __future__ import annotations

import math
from operator import index
from typing import Any

import numpy as np

from adjoint.abstract import Abstract
from adjoint.errors import DTypeError
from adjoint.op import case, shape_error
from adjoint.recording import here
from adjoint.shaped import general, linear
from adjoint.tensor import Tensor


@linear(reference="numpy.array")
def identity(m, x, /):
    """The value itself; transforms wrap their arguments in it.

    out = x

    Gradient: d out/dx = 1.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.identity(ad.tensor(2.0)).item()
    2.0

    Source: the definition.
    """
    return x


identity.shape(lambda x: x).transpose(lambda m, g, x: g).samples(case((2, 3)), case(()))


@general(reference="numpy.array", nondiff="it was stopped by stop_gradient")
def stop_gradient(m, x, /):
    """The value itself, through which no gradient flows.

    out = x

    Gradient: none, on purpose.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(lambda x: x * ad.stop_gradient(x))(3.0)
    3.0

    Source: the name is JAX's and TensorFlow's.
    """
    return x


stop_gradient.shape(lambda x: x).samples(case((2, 3)), case(()))


def _normal_shape(shape):
    return tuple(index(n) for n in shape) if isinstance(shape, tuple | list) else (index(shape),)


def _reshaped(x, shape):
    sizes = _normal_shape(shape)
    total = math.prod(x.shape)
    known = math.prod(n for n in sizes if n != -1)
    if sizes.count(-1) > 1:
        raise shape_error(reshape, f"expected at most one -1, got shape {sizes}")
    if -1 in sizes and (known == 0 or total % known):
        raise shape_error(reshape, f"expected a shape that {total} elements fill, got {sizes} (from shape {x.shape})")
    full = tuple(total // known if n == -1 else n for n in sizes)
    if math.prod(full) != total or any(n < 0 for n in full):
        raise shape_error(
            reshape,
            f"expected a shape of {total} elements, got {sizes} with {abs(math.prod(full))} (from shape {x.shape})",
            "one size may be -1 and is then worked out",
        )
    return full


@linear
def reshape(m, x, /, shape):
    """The same elements in C order, in another shape; one size may be −1.

    out = x with new shape

    Gradient: the upstream gradient in the old shape.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.reshape([1.0, 2.0, 3.0, 4.0], (2, -1))
    array([[1., 2.],
           [3., 4.]])

    Source: NumPy.
    """
    return m.reshape(x, shape=shape)


reshape.shape(_reshaped).transpose(lambda m, g, x, shape: m.reshape(g, shape=x.shape)).samples(
    case((2, 3), shape=(6,)), case((4,), shape=(2, -1)), case((), shape=(1, 1)), case((0, 3), shape=(3, 0))
)


def _permutation(rank, axes):
    return tuple(reversed(range(rank))) if axes is None else tuple(a % rank for a in axes)


def _transposed(x, axes):
    rank = len(x.shape)
    if axes is not None and sorted(a % rank if -rank <= a < rank else -1 for a in axes) != list(range(rank)):
        raise shape_error(transpose, f"expected each of the {rank} axes once, got axes={axes} (shape {x.shape})")
    return tuple(x.shape[a] for a in _permutation(rank, axes))


@linear(symbol="T")
def transpose(m, x, /, axes=None):
    """The axes in another order; reversed if no order is given.

    out[j₀, j₁, …] = x[i₀, i₁, …] with jₖ = i_axes[k]

    Gradient: the upstream gradient with its axes put back.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.transpose([[1.0, 2.0], [3.0, 4.0]])
    array([[1., 3.],
           [2., 4.]])

    Source: NumPy.
    """
    return m.transpose(x, axes=axes)


transpose.shape(_transposed).transpose(
    lambda m, g, x, axes: m.transpose(g, axes=tuple(int(a) for a in np.argsort(_permutation(len(x.shape), axes))))
).samples(
    case((2, 3), axes=None), case((2, 3, 4), axes=(1, 2, 0)), case((2, 3, 4), axes=(-1, 0, 1)), case((), axes=None),
    case((0, 2), axes=None),
)  # fmt: skip


def _broadcasted(x, shape):
    sizes = _normal_shape(shape)
    try:
        fits = np.broadcast_shapes(x.shape, sizes) == sizes
    except ValueError:
        fits = False
    if not fits:
        raise shape_error(broadcast_to, f"expected a shape that {x.shape} broadcasts to, got {sizes}")
    return sizes


@linear
def broadcast_to(m, x, /, shape):
    """The value repeated along new axes and along axes of size 1.

    out[i, j, …] = x[j, …]

    Gradient: the sum of the upstream gradient over the repetitions (a branch sums).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.broadcast_to([1.0, 2.0], (2, 2))
    array([[1., 2.],
           [1., 2.]])

    Source: NumPy; CS231n 2017, lecture 4, "gradients add at branches".
    """
    return m.broadcast_to(x, shape=shape)


broadcast_to.shape(_broadcasted).transpose(lambda m, g, x, shape: g).samples(
    case((3,), shape=(2, 3)), case((2, 1), shape=(2, 4)), case((), shape=(3,)), case((1, 0), shape=(2, 0))
)


def _joined(*xs, axis):
    rank = len(xs[0].shape) if xs else 0
    if not xs or not rank or not -rank <= axis < rank:
        raise shape_error(concatenate, f"expected tensors with an axis {axis}, got shapes {[x.shape for x in xs]}")
    first = list(xs[0].shape)
    for x in xs[1:]:
        if len(x.shape) != rank or any(x.shape[i] != first[i] for i in range(rank) if i != axis % rank):
            raise shape_error(
                concatenate,
                f"expected shapes that agree except along axis {axis}, got {xs[0].shape} and {x.shape}",
                "to join along a new axis use ad.stack",
            )
    first[axis % rank] = _total(x.shape[axis] for x in xs)
    return tuple(first)


def _total(sizes):
    return int(np.sum(list(sizes)))


def _part(m, position, g, xs, axis):
    rank = len(xs[0].shape)
    start = _total(x.shape[axis] for x in xs[:position])
    stop = start + xs[position].shape[axis]
    return m.getitem(g, key=(slice(None),) * (axis % rank) + (slice(start, stop),))


@linear(jointly=True)
def concatenate(m, *xs, axis=0):
    """Tensors joined along an axis that they have.

    out = [x₁; x₂; …]

    Gradient: each input gets its part of the upstream gradient.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.concatenate([[1.0], [2.0, 3.0]])
    array([1., 2., 3.])

    Source: NumPy.
    """
    return m.concatenate(*xs, axis=axis)


concatenate.shape(_joined).transpose(lambda m, position, g, *xs, axis: _part(m, position, g, xs, axis)).samples(
    case((2, 3), (1, 3), axis=0), case((2, 3), (2, 1), (2, 2), axis=-1), case((0,), (2,), axis=0)
)


def _stacked(*xs, axis):
    rank = len(xs[0].shape) + 1 if xs else 0
    if not xs or any(x.shape != xs[0].shape for x in xs) or not -rank <= axis < rank:
        raise shape_error(
            stack,
            f"expected tensors of one shape and an axis of the result, got shapes {[x.shape for x in xs]}, axis={axis}",
            "to join along an axis that they have use ad.concatenate",
        )
    shape = list(xs[0].shape)
    shape.insert(axis % rank, len(xs))
    return tuple(shape)


@linear(jointly=True)
def stack(m, *xs, axis=0):
    """Tensors of one shape joined along a new axis.

    out[i] = xᵢ

    Gradient: each input gets its part of the upstream gradient.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.stack([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([[1., 3.],
           [2., 4.]])

    Source: NumPy.
    """
    return m.stack(*xs, axis=axis)


def _layer(m, position, g, axis):
    return m.getitem(g, key=(slice(None),) * (axis % len(g.shape)) + (position,))


stack.shape(_stacked).transpose(lambda m, position, g, *xs, axis: _layer(m, position, g, axis)).samples(
    case((2, 3), (2, 3), axis=0), case((2, 3), (2, 3), (2, 3), axis=-1), case((), (), axis=0), case((0,), (0,), axis=1)
)


@linear(reference="adjoint.ops.shape.cast_reference")
def cast(m, x, /, dtype):
    """The value in another floating dtype.

    out = x as dtype

    Gradient: the upstream gradient in the dtype of x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.cast([0.1], "float32").dtype
    dtype('float32')

    Source: NumPy.
    """
    return m.cast(x, dtype=dtype)


cast.shape(lambda x, dtype: Abstract(x.shape, np.dtype(dtype))).transpose(
    lambda m, g, x, dtype: m.cast(g, dtype=x.dtype)
).samples(case((2, 3), dtype="float64"), case((), dtype="float64"), case((0,), dtype="float64"))


def cast_reference(x, dtype):
    """NumPy's conversion."""
    return np.array(x, dtype)


@general(reference="adjoint.ops.shape.cast_reference", nondiff="integers and booleans do not change smoothly")
def to_whole(m, x, /, dtype):
    """The value as integers or booleans.

    out = x as dtype

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.to_whole([1.7, -1.7], "int64")
    array([ 1, -1])

    Source: NumPy.
    """
    return m.cast(x, dtype=dtype)


to_whole.shape(lambda x, dtype: Abstract(x.shape, np.dtype(dtype))).samples(case((2, 3), dtype="int64"))


def astype(x: Any, dtype: Any) -> Any:
    """The value in another dtype; to a floating one with a gradient, to integers and booleans without.

    Parameters
    ----------
    x : number, array or Tensor
    dtype : real or boolean NumPy dtype

    Returns
    -------
    A Tensor if x is one, else an array or a number, of the same shape.

    Gradient: the upstream gradient in the dtype of x; none to integers and booleans.

    Raises
    ------
    DTypeError
        For a complex dtype or text.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.astype([1.5, 2.5], int)
    array([1, 2])

    Source: NumPy.
    """
    wanted = np.dtype(dtype)
    if wanted.kind not in "fiub":
        raise DTypeError(f"astype: expected a real or boolean dtype, got {wanted}{here()}")
    return cast(x, wanted) if wanted.kind == "f" else to_whole(x, wanted)


def _shape_of(x: Any) -> tuple[int, ...]:
    return x.shape if isinstance(x, Tensor) else np.shape(x)


def _check_axes(function: str, shape: tuple[int, ...], *axes: int) -> None:
    rank = len(shape)
    for axis in axes:
        if not -rank <= axis < rank:
            expected = f"expected an axis from {-rank} to {rank - 1}" if rank else "expected a tensor with axes"
            raise shape_error(transpose, f"{function}: {expected}, got axis={axis} (shape {shape})")


def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    """A new axis of size 1 at the given place (several for a tuple).

    Parameters
    ----------
    x : number, array or Tensor
    axis : int or tuple of int
        Places in the result.

    Returns
    -------
    A Tensor if x is one, else an array or a number.

    Gradient: the upstream gradient in the shape of x.

    Raises
    ------
    ShapeError
        If a place is not there or named twice.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.expand_dims([1.0, 2.0], 0)
    array([[1., 2.]])

    Source: NumPy.
    """
    axes = axis if isinstance(axis, tuple) else (axis,)
    rank = len(_shape_of(x)) + len(axes)
    places = {a % rank for a in axes if -rank <= a < rank}
    if len(places) < len(axes):
        raise shape_error(reshape, f"expand_dims: expected different axes from {-rank} to {rank - 1}, got axis={axis}")
    sizes = iter(_shape_of(x))
    return reshape(x, tuple(1 if i in places else next(sizes) for i in range(rank)))


def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """Without the axes of size 1 (all of them, or the given ones).

    Parameters
    ----------
    x : number, array or Tensor
    axis : int, tuple of int, or None for all axes of size 1

    Returns
    -------
    A Tensor if x is one, else an array or a number.

    Gradient: the upstream gradient in the shape of x.

    Raises
    ------
    ShapeError
        If an axis is not there or not of size 1.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.squeeze([[1.0, 2.0]])
    array([1., 2.])

    Source: NumPy.
    """
    shape = _shape_of(x)
    rank = len(shape)
    axes = [i for i, n in enumerate(shape) if n == 1] if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for a in axes:
        if not -rank <= a < rank or shape[a] != 1:
            raise shape_error(reshape, f"squeeze: expected an axis of size 1, got axis={a} (shape {shape})")
    gone = {a % rank for a in axes}
    return reshape(x, tuple(n for i, n in enumerate(shape) if i not in gone))


def swapaxes(x: Any, first: int, second: int) -> Any:
    """Two axes exchanged.

    Parameters
    ----------
    x : number, array or Tensor
    first, second : int

    Returns
    -------
    A Tensor if x is one, else an array or a number.

    Gradient: the upstream gradient with the axes put back.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.swapaxes([[1.0, 2.0]], 0, 1)
    array([[1.],
           [2.]])

    Source: NumPy.
    """
    rank = len(_shape_of(x))
    _check_axes("swapaxes", _shape_of(x), first, second)
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return transpose(x, tuple(order))


def matrix_transpose(x: Any) -> Any:
    """The last two axes exchanged.

    Parameters
    ----------
    x : number, array or Tensor of shape (…, m, n)

    Returns
    -------
    A Tensor if x is one, else an array or a number, of shape (…, n, m).

    Gradient: the upstream gradient, transposed.

    Raises
    ------
    ShapeError
        If there are fewer than two axes.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.matrix_transpose([[1.0, 2.0]])
    array([[1.],
           [2.]])

    Source: Python array API 2024.12.
    """
    if len(_shape_of(x)) < 2:
        raise shape_error(transpose, f"matrix_transpose: expected at least two axes, got shape {_shape_of(x)}")
    return swapaxes(x, -1, -2)


def moveaxis(x: Any, source: int, destination: int) -> Any:
    """One axis moved to another place.

    Parameters
    ----------
    x : number, array or Tensor
    source, destination : int

    Returns
    -------
    A Tensor if x is one, else an array or a number.

    Gradient: the upstream gradient with the axes put back.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> ad.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)

    Source: NumPy.
    """
    rank = len(_shape_of(x))
    _check_axes("moveaxis", _shape_of(x), source, destination)
    order = [i for i in range(rank) if i != source % rank]
    order.insert(destination % rank, source % rank)
    return transpose(x, tuple(order))
