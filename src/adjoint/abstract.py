"""A value without data: what a shape rule sees, and what a Tensor holds while a function is traced.

Tracing runs a function once to see which operations it does. Values are not there yet, only shapes and dtypes; whatever
asks for a number (an `if`, `float`, `print`) gets an error that says what to write instead.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.errors import TraceError
from adjoint.recording import here

_PYTHON: Final = {kind: np.asarray(kind()).dtype for kind in (float, int, bool)}


class Abstract(NamedTuple):
    """Shape and dtype of a value; `weak` marks a Python number, which promotes weakly."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak: bool = False

    @classmethod
    def of(cls, value: Any) -> Abstract:
        """Shape and dtype of a value."""
        if type(value) is Abstract:
            return value
        if type(value) in _PYTHON:
            return cls((), _PYTHON[type(value)], True)
        array = np.asarray(value)
        return cls(array.shape, array.dtype)

    def specimen(self) -> Any:
        """The smallest value of this dtype and number of axes, to find out the dtype of a result."""
        if self.weak:
            return self.dtype.type(1).item()
        array = np.ones((1,) * len(self.shape), self.dtype)
        return array if self.dtype.kind == "b" else array[()]  # a NumPy bool counts as Python's

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise no_value("np.asarray")


#: What to write instead of each way of asking for a value, in a function that is compiled.
INSTEAD: Final = {
    "bool": "an if, while, and, or, not or assert chooses once, while tracing; write ad.where(condition, a, b)",
    "int": "a size or count must be known before compiling: take it from a shape, or pass it in as a plain setting",
    "index": "a Python index must be known before compiling: use ad.take or ad.take_along_axis",
    "str": "a text is made once, while tracing; return the value and print it outside",
}
DEFAULT_INSTEAD: Final = "use functions of adjoint or NumPy functions known to it, or compute it outside and pass it in"


def no_value(how: str) -> TraceError:
    """The error for asking a traced value for its number."""
    return TraceError(
        f"{how}: this value is not known while a function is being compiled, only its shape and dtype are{here()}; "
        + INSTEAD.get(how, DEFAULT_INSTEAD)
    )
