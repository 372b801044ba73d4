"""Elementary functions as straight-line IR."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from adjoint.compile.mathematics import exponential
from adjoint.compile.mathematics.lanes import function

__all__ = ["FUNCTIONS"]

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        name: function(getattr(exponential, name))
        for name in ("exp", "exp2", "expm1", "sinh", "cosh", "tanh", "sigmoid")
    }
)
