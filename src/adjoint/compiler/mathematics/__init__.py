"""Elementary functions as IR on a number or a vector, float32 or float64: no library is called.

Within 2 ulp of the true value everywhere (most within 1.5), with NumPy's special values, gradual underflow, and the
same bits whatever the lane count: each lane sees the same IEEE operations. All is straight-line code but `remainder`, a
loop that hardly ever turns twice, and `sin`, `cos`, `tan`, with a branch for huge arguments: these leave the builder in
another basic block. A rule is written once, on `lanes.Float`; what differs between the formats is its coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from adjoint.compiler.mathematics import exponential, inverse, logarithm
from adjoint.compiler.mathematics.error_function import erf
from adjoint.compiler.mathematics.lanes import Float, function
from adjoint.compiler.mathematics.power import pow as power
from adjoint.compiler.mathematics.remainder import remainder
from adjoint.compiler.mathematics.roots import cbrt
from adjoint.compiler.mathematics.trigonometric import cos, sin, tan

__all__ = ["FUNCTIONS"]


def _intrinsic(name: str) -> Callable[[Float], Float]:
    """A function that LLVM has, and the machines too."""
    return lambda x: x.call(name)


_RULES: Final[dict[str, Callable[..., Float]]] = {
    "abs": abs,
    "arccos": inverse.arccos,
    "arcsin": inverse.arcsin,
    "arctan": inverse.arctan,
    "arctan2": inverse.arctan2,
    "cbrt": cbrt,
    "ceil": _intrinsic("ceil"),
    "cos": cos,
    "cosh": exponential.cosh,
    "erf": erf,
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "floor": _intrinsic("floor"),
    "log": logarithm.log,
    "log10": logarithm.log10,
    "log1p": logarithm.log1p,
    "log2": logarithm.log2,
    "pow": power,
    "remainder": remainder,
    "round": _intrinsic("roundeven"),
    "sigmoid": exponential.sigmoid,
    "sin": sin,
    "sinh": exponential.sinh,
    "sqrt": _intrinsic("sqrt"),
    "tan": tan,
    "tanh": exponential.tanh,
    "trunc": _intrinsic("trunc"),
}

#: By word: (builder, *operands) → result, all of one type, a float, a double or a vector of either.
FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {name: function(rule) for name, rule in _RULES.items()}
)
