"""How Tensors answer to operators, to methods as ndarrays have them, and to the array API."""

from __future__ import annotations

import sys
from typing import Any, Final

from adjoint.ops import index, linalg, numpy_names, reduce, shape
from adjoint.ops.elementwise import activation, arithmetic, comparison, exponential, extremes, trigonometric
from adjoint.tensor import Tensor


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


_METHODS: Final[dict[str, Any]] = {
    "argmax": lambda self, axis=None: reduce.argmax(self, axis=axis),
    "argmin": lambda self, axis=None: reduce.argmin(self, axis=axis),
    "reshape": _reshape,
    "transpose": _transpose,
    "squeeze": shape.squeeze,
    "flatten": lambda self: shape.reshape(self, (-1,)),
    "ravel": lambda self: shape.reshape(self, (-1,)),
    "astype": shape.astype,
    "clip": numpy_names.clip_between,
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


def array_namespace(self: Tensor, *, api_version: str | None = None) -> Any:
    """This package: the array API's names are among its functions."""
    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        raise ValueError(f"expected an array API version up to 2024.12, got {api_version!r}")
    return sys.modules["adjoint"]


METHODS: Final[dict[str, Any]] = {
    **_OPERATORS,
    **numpy_names.REDUCTIONS,
    **_METHODS,
    "__array_ufunc__": numpy_names.array_ufunc,
    "__array_function__": numpy_names.array_function,
    "__array_namespace__": array_namespace,
}
