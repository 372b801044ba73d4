"""NumPy's own functions on Tensors: `np.exp(t)`, `np.sum(t, axis=0)`, `np.add.reduce(t)`.

What has a counterpart here runs it and is recorded. Everything else computes on plain values outside a transform, and
is refused inside one, where its gradient would be lost in silence: functions that are not known, known ones with a
setting that ours does not have, and `out=`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from adjoint.errors import GradientError
from adjoint.ops import functions, index, linalg, reduce, shape
from adjoint.ops.elementwise import extremes
from adjoint.recording import here, transforming
from adjoint.tensor import Constant, Tensor
from adjoint.vocabulary import REGISTRY

#: NumPy's names for what has another name here.
_OTHER_NAMES: Final = {
    "true_divide": "divide",
    "absolute": "abs",
    "fabs": "abs",
    "rint": "round",
    "float_power": "power",
    "permute_dims": "transpose",
    "concat": "concatenate",
    "pow": "power",
    "acos": "arccos",
    "asin": "arcsin",
    "atan": "arctan",
    "amax": "max",
    "amin": "min",
}

#: What a reduction with a ufunc is called.
_REDUCES: Final = {"add": "sum", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any"}


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
    """NumPy's ufuncs on Tensors: the op of the same name."""
    name = _OTHER_NAMES.get(ufunc.__name__, ufunc.__name__)
    if method == "__call__" and not settings and name in REGISTRY:
        return REGISTRY[name].call(*inputs)
    if method == "reduce" and name in _REDUCES:
        axis = settings.get("axis", 0)  # a ufunc reduces the first axis unless told
        given = {"axis": axis} | {k: v for k, v in settings.items() if k != "axis" and _is_set(v)}
        if given.keys() <= {"axis", "keepdims"}:
            return FUNCTIONS[_REDUCES[name]](*inputs, **given)
    return _on_values(f"numpy.{ufunc.__name__}", getattr(ufunc, method), inputs, settings)


def array_function(self: Tensor, function: Any, types: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """NumPy's functions on Tensors: the function of the same name here."""
    known = FUNCTIONS.get(_OTHER_NAMES.get(function.__name__, function.__name__))
    if known is not None and function.__module__ in ("numpy", "numpy.linalg"):
        ours = _signature(known).parameters  # None is a value of an axis; elsewhere it says that nothing was set
        given = {k: v for k, v in kwargs.items() if _is_set(v) or (v is None and k in ours)}
        if _takes(known, args, given):
            return known(*args, **given)
    return _on_values(f"{function.__module__}.{function.__name__}", function, args, kwargs)


def _is_set(setting: Any) -> bool:
    """False for what NumPy passes on when a caller left a setting out."""
    return setting is not None and setting is not np._NoValue


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _takes(function: Callable[..., Any], args: Sequence[Any], settings: Mapping[str, Any]) -> bool:
    try:
        _signature(function).bind(*args, **settings)
    except TypeError:
        return False
    return True


def _on_values(name: str, compute: Callable[..., Any], args: Sequence[Any], settings: Mapping[str, Any]) -> Any:
    """A call that has no counterpart here: on plain values outside a transform, refused inside one."""
    out = settings.get("out")
    if any(isinstance(x, Tensor) for x in (out if isinstance(out, tuple) else (out,))):
        raise GradientError(f"{name}: out= cannot be a Tensor, Tensors never change{here()}")
    if transforming() and any(type(x) is not Constant for x in _tensors((args, settings))):
        raise GradientError(
            f"{name}: not known to adjoint (or not with these arguments), so its gradient would be lost{here()}; "
            "use functions of adjoint, or ad.stop_gradient(x)"
        )
    return compute(*_values(tuple(args)), **_values(dict(settings)))


def _tensors(x: Any) -> Iterator[Tensor]:
    """Every Tensor in a nest of arguments."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, tuple | list):
        for v in x:
            yield from _tensors(v)
    elif isinstance(x, Mapping):
        yield from _tensors(tuple(x.values()))


def _values(x: Any) -> Any:
    """The same nest of arguments with plain arrays for Tensors."""
    if isinstance(x, Tensor):
        return x.value
    if isinstance(x, tuple | list):
        return type(x)(_values(v) for v in x)
    return {k: _values(v) for k, v in x.items()} if isinstance(x, dict) else x


# --- counterparts with NumPy's signature ------------------------------------------------------------------------------


def reduced(function: Any) -> Callable[..., Any]:
    """A reduction whose settings can be given by position, as NumPy's can."""
    return lambda a, axis=None, keepdims=False: function(a, axis=axis, keepdims=keepdims)


REDUCTIONS: Final[dict[str, Any]] = {
    name: reduced(getattr(reduce, name)) for name in ("sum", "mean", "max", "min", "any", "all")
} | {"var": reduced(functions.var), "std": reduced(functions.std)}


def clip_between(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """NumPy's clip, where None means no bound."""
    low, high = a_min if min is None else min, a_max if max is None else max
    return extremes.clip(a, -np.inf if low is None else low, np.inf if high is None else high)


def _round(a: Any, decimals: int = 0) -> Any:
    return extremes.round(a * 10.0**decimals) / 10.0**decimals if decimals else extremes.round(a)


def _concatenate(arrays: Any, axis: int | None = 0) -> Any:
    if axis is None:
        return shape.concatenate([shape.reshape(x, (-1,)) for x in arrays], axis=0)
    return shape.concatenate(arrays, axis=axis)


def _take(a: Any, indices: Any, axis: int | None = None) -> Any:
    return index.take(shape.reshape(a, (-1,)), indices, 0) if axis is None else index.take(a, indices, axis)


def _take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        return index.take_along_axis(shape.reshape(arr, (-1,)), indices, 0)
    return index.take_along_axis(arr, indices, axis)


#: By NumPy's name, with NumPy's names for what can be given by keyword.
FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **REDUCTIONS,
    "argmax": lambda a, axis=None: reduce.argmax(a, axis=axis),
    "argmin": lambda a, axis=None: reduce.argmin(a, axis=axis),
    "reshape": lambda a, shape: REGISTRY["reshape"](a, shape),
    "ravel": lambda a: shape.reshape(a, (-1,)),
    "transpose": lambda a, axes=None: shape.transpose(a, axes),
    "swapaxes": lambda a, axis1, axis2: shape.swapaxes(a, axis1, axis2),
    "moveaxis": lambda a, source, destination: shape.moveaxis(a, source, destination),
    "matrix_transpose": shape.matrix_transpose,
    "broadcast_to": lambda array, shape: REGISTRY["broadcast_to"](array, shape),
    "concatenate": _concatenate,
    "stack": lambda arrays, axis=0: shape.stack(arrays, axis=axis),
    "expand_dims": lambda a, axis: shape.expand_dims(a, axis),
    "squeeze": lambda a, axis=None: shape.squeeze(a, axis),
    "astype": lambda x, dtype: shape.astype(x, dtype),
    "where": lambda condition, x, y: extremes.where(condition, x, y),
    "clip": clip_between,
    "round": _round,
    "dot": lambda a, b: linalg.dot(a, b),
    "outer": lambda a, b: linalg.outer(a, b),
    "einsum": linalg.einsum,
    "take": _take,
    "take_along_axis": _take_along_axis,
    "zeros_like": lambda a, dtype=None: functions.zeros_like(a, dtype),
    "ones_like": lambda a, dtype=None: functions.ones_like(a, dtype),
    "shape": lambda a: a.shape,
    "ndim": lambda a: a.ndim,
    "size": lambda a: a.size,
}
