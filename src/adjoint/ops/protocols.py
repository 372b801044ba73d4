"""How Tensors answer to operators, to methods as ndarrays have them, to NumPy's functions, and to the array API."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from adjoint.errors import GradientError
from adjoint.ops import functions, index, linalg, reduce, shape
from adjoint.ops.elementwise import activation, arithmetic, comparison, exponential, extremes, trigonometric
from adjoint.recording import here, transforming
from adjoint.tensor import Constant, Tensor
from adjoint.vocabulary import REGISTRY


def _inverted(self: Tensor) -> Tensor:
    result: Tensor = comparison.logical_not(self)
    return result


def _reshape(self: Tensor, *sizes: Any) -> Any:
    return shape.reshape(self, sizes[0] if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes)


def _transpose(self: Tensor, *axes: Any) -> Any:
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
    return shape.transpose(self, tuple(order) or None)


_OPERATORS: Final[dict[str, Any]] = {
    "__add__": arithmetic.add.call,
    "__radd__": arithmetic.add.reflected,
    "__sub__": arithmetic.subtract.call,
    "__rsub__": arithmetic.subtract.reflected,
    "__mul__": arithmetic.multiply.call,
    "__rmul__": arithmetic.multiply.reflected,
    "__truediv__": arithmetic.divide.call,
    "__rtruediv__": arithmetic.divide.reflected,
    "__pow__": arithmetic.power.call,
    "__rpow__": arithmetic.power.reflected,
    "__matmul__": linalg.matmul.call,
    "__rmatmul__": linalg.matmul.reflected,
    "__neg__": arithmetic.negative.call,
    "__pos__": lambda self: self,
    "__abs__": extremes.abs.call,
    "__invert__": _inverted,
    "__and__": comparison.logical_and.call,
    "__or__": comparison.logical_or.call,
    "__lt__": comparison.less.call,
    "__le__": comparison.less_equal.call,
    "__gt__": comparison.greater.call,
    "__ge__": comparison.greater_equal.call,
    "__eq__": comparison.equal.call,
    "__ne__": comparison.not_equal.call,
    "__getitem__": index.getitem,
}


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, axis=None, keepdims=False: function(a, axis=axis, keepdims=keepdims)


_REDUCTIONS: Final[dict[str, Any]] = {
    name: _reduced(getattr(reduce, name)) for name in ("sum", "mean", "max", "min", "any", "all")
} | {"var": _reduced(functions.var), "std": _reduced(functions.std)}


def clip_between(x: Any, low: Any = None, high: Any = None) -> Any:
    """NumPy's clip, where None means no bound."""
    return extremes.clip(x, -np.inf if low is None else low, np.inf if high is None else high)


_METHODS: Final[dict[str, Any]] = {
    "argmax": lambda self, axis=None: reduce.argmax(self, axis=axis),
    "argmin": lambda self, axis=None: reduce.argmin(self, axis=axis),
    "reshape": _reshape,
    "transpose": _transpose,
    "squeeze": shape.squeeze,
    "flatten": lambda self: shape.reshape(self, (-1,)),
    "ravel": lambda self: shape.reshape(self, (-1,)),
    "astype": shape.astype,
    "clip": clip_between,
    "dot": linalg.dot,
    "exp": exponential.exp.call,
    "log": exponential.log.call,
    "sqrt": arithmetic.sqrt.call,
    "tanh": trigonometric.tanh.call,
    "sigmoid": activation.sigmoid.call,
    "relu": activation.relu.call,
    "T": property(shape.transpose, doc="The axes in reverse order."),
    "mT": property(shape.matrix_transpose, doc="The last two axes exchanged."),
}


# --- NumPy ----------------------------------------------------------------------------------------------------------

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


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
    """NumPy's ufuncs on Tensors: the op of the same name."""
    name = _OTHER_NAMES.get(ufunc.__name__, ufunc.__name__)
    op = REGISTRY.get(name)
    if method == "__call__" and op is not None and not settings:
        return op.call(*inputs)
    if method == "reduce" and name in _REDUCES and settings.get("out") is None:
        return _FUNCTIONS[_REDUCES[name]](
            inputs[0], axis=settings.get("axis", 0), keepdims=bool(settings.get("keepdims", False))
        )
    compute = getattr(ufunc, method)
    return _unknown(f"numpy.{ufunc.__name__}", method, settings, lambda values: compute(*values, **settings), inputs)


_REDUCES: Final = {"add": "sum", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any"}


def array_function(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's functions on Tensors: the function of the same name here."""
    known = _FUNCTIONS.get(_OTHER_NAMES.get(function.__name__, function.__name__))
    plain = {k: v for k, v in kwargs.items() if v is not None and v is not np._NoValue}
    if known is not None and function.__module__ in ("numpy", "numpy.linalg") and "out" not in plain:
        return known(*args, **plain)
    return _unknown(f"numpy.{function.__name__}", "", kwargs, lambda values: function(*values, **_values(kwargs)), args)


def _unknown(name: str, method: str, settings: Mapping[str, Any], compute: Callable[[Any], Any], args: Any) -> Any:
    """A function that is not known here: on plain values outside a transform, refused inside one."""
    if settings.get("out") is not None and not all(isinstance(o, np.ndarray) for o in settings["out"]):
        raise GradientError(f"{name}: out= cannot be a Tensor, Tensors never change{here()}")
    if transforming() and any(isinstance(x, Tensor) and type(x) is not Constant for x in _flat(args)):
        raise GradientError(
            f"{name}{'.' + method if method not in ('', '__call__') else ''}: not known to adjoint (or not with these "
            f"arguments), so its gradient would be lost{here()}; use functions of adjoint, or ad.stop_gradient(x)"
        )
    return compute(_values(args))


def _flat(args: Any) -> list[Any]:
    return [y for x in args for y in (_flat(x) if isinstance(x, tuple | list) else [x])]


def _values(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x.value
    if isinstance(x, tuple | list):
        return type(x)(_values(v) for v in x)
    return {k: _values(v) for k, v in x.items()} if isinstance(x, dict) else x


def _clip(a: Any, a_min: Any = None, a_max: Any = None, **bounds: Any) -> Any:
    return clip_between(a, bounds.get("min", a_min), bounds.get("max", a_max))


def _round(a: Any, decimals: int = 0) -> Any:
    return extremes.round(a * 10.0**decimals) / 10.0**decimals if decimals else extremes.round(a)


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **_REDUCTIONS,
    "argmax": reduce.argmax,
    "argmin": reduce.argmin,
    "reshape": shape.reshape,
    "ravel": lambda a: shape.reshape(a, (-1,)),
    "transpose": shape.transpose,
    "swapaxes": shape.swapaxes,
    "moveaxis": shape.moveaxis,
    "matrix_transpose": shape.matrix_transpose,
    "broadcast_to": shape.broadcast_to,
    "concatenate": lambda arrays, axis=0: shape.concatenate(arrays, axis=axis),
    "stack": lambda arrays, axis=0: shape.stack(arrays, axis=axis),
    "expand_dims": shape.expand_dims,
    "squeeze": shape.squeeze,
    "astype": shape.astype,
    "where": extremes.where,
    "clip": _clip,
    "round": _round,
    "dot": linalg.dot,
    "outer": linalg.outer,
    "einsum": linalg.einsum,
    "take": index.take,
    "zeros_like": functions.zeros_like,
    "ones_like": functions.ones_like,
    "shape": lambda a: a.shape,
    "ndim": lambda a: a.ndim,
    "size": lambda a: a.size,
}


def array_namespace(self: Tensor, *, api_version: str | None = None) -> Any:
    """This package: the array API's names are among its functions."""
    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        raise ValueError(f"expected an array API version up to 2024.12, got {api_version!r}")
    return sys.modules["adjoint"]


METHODS: Final[dict[str, Any]] = {
    **_OPERATORS,
    **_REDUCTIONS,
    **_METHODS,
    "__array_ufunc__": array_ufunc,
    "__array_function__": array_function,
    "__array_namespace__": array_namespace,
}
