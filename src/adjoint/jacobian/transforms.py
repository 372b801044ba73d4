"""`jacobian` and `hessian`: a function recorded once, then swept once per row or per column."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from adjoint.abstract import Abstract
from adjoint.jacobian.dense import Jacobian
from adjoint.tensor import Tensor, value_of
from adjoint.transforms import Run, grad, run, unflatten
from adjoint.vocabulary import TENSORS


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the Jacobian of `f`.

    J[i, j] = d outᵢ / d inⱼ

    Parameters
    ----------
    f : function of arrays (or containers of them) with arrays (or containers) as results
    argnums : int or sequence of int
        Which arguments to differentiate.

    Returns
    -------
    function
        With the arguments of `f`; gives a `Jacobian` of shape (*out, *in). A container of results gives a container
        of
        Jacobians; a container of arguments gives, for each result, a container of Jacobians.

    Raises
    ------
    DTypeError
        If an argument to differentiate holds integers or complex numbers.

    Notes
    -----
    One sweep per output element or per input element, whichever are fewer: backward for a wide Jacobian, forward for
    a tall one.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> np.asarray(ad.jacobian(lambda x: x * x)(np.array([1.0, 2.0])))
    array([[2., 0.],
           [0., 4.]])

    Source: CS231n 2017, lecture 4, "gradients for vectorized code".
    """

    def at(*args: Any, **settings: Any) -> Any:
        function = (lambda *a: f(*a, **settings)) if settings else f
        done = run(function, args, argnums, what="jacobian")
        rows = [unflatten(done.recipe, _of_output(done, i)) for i in range(len(done.outputs))]
        return unflatten(done.output_recipe, rows)

    return at


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the Hessian of a scalar function: the Jacobian of its gradient.

    H[i, j] = d² f / d inᵢ d inⱼ

    Parameters
    ----------
    f : function with a scalar result
    argnums : int or sequence of int
        Which arguments to differentiate.

    Returns
    -------
    function
        With the arguments of `f`; gives a `Jacobian` of shape (*in, *in), for containers of arguments a container of
        containers of them.

    Raises
    ------
    GradientError
        If the result is no scalar.
    DTypeError
        If an argument to differentiate holds integers or complex numbers.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> np.asarray(ad.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0])))
    array([[6., 2.],
           [2., 0.]])

    Source: any text on optimisation.
    """
    return jacobian(grad(f, argnums), argnums)


def _of_output(done: Run, i: int) -> list[Jacobian]:
    """The Jacobians of one output by every input."""
    out = done.outputs[i]
    out_shape = np.shape(out) if not isinstance(out, Tensor) else out.shape
    rows, columns = math.prod(out_shape), sum(x.size for x in done.inputs)
    entries = _by_rows(done, i) if rows <= columns else _by_columns(done, i)
    pairs = zip(entries, done.inputs, strict=True)
    return [Jacobian(e.reshape(out_shape + x.shape), out_shape, x.shape) for e, x in pairs]


def _units(x: Any) -> list[Any]:
    """Unit vectors in the shape and dtype of a value."""
    kind = Abstract.of(value_of(x))
    if kind.weak:
        return [1.0]
    flat = np.eye(kind.size, dtype=kind.dtype)
    return [row.reshape(kind.shape) for row in flat]


def _zero(x: Any) -> Any:
    """Zeros in the shape and dtype of a value."""
    kind = Abstract.of(value_of(x))
    return np.zeros(kind.shape, kind.dtype)[()]


def _by_rows(done: Run, i: int) -> list[Any]:
    zeros = list(map(_zero, done.outputs))
    swept = [done.pull([u if k == i else z for k, z in enumerate(zeros)]) for u in _units(done.outputs[i])]
    return [_stacked([row[j] for row in swept], 0, x) for j, x in enumerate(done.inputs)]


def _by_columns(done: Run, i: int) -> list[Any]:
    zeros = list(map(_zero, done.inputs))
    out_rank = Abstract.of(value_of(done.outputs[i])).ndim
    found = []
    for j, x in enumerate(done.inputs):
        columns = [done.push([u if k == j else z for k, z in enumerate(zeros)])[i] for u in _units(x)]
        found.append(_stacked(columns, out_rank, done.outputs[i]))
    return found


def _stacked(parts: list[Any], axis: int, like: Any) -> Any:
    if not parts:
        kind = Abstract.of(value_of(like))
        return np.zeros((0, *kind.shape), kind.dtype)
    if any(isinstance(p, Tensor) for p in parts):
        return TENSORS.stack(*parts, axis=axis)
    return np.stack([np.asarray(p) for p in parts], axis=axis)
