"""Computational graphs: see every gradient, and prove it right.

import adjoint as ad
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import adjoint.ops  # noqa: F401 (attaches operators and methods to Tensor)
from adjoint.errors import AdjointError
from adjoint.families import Select, elementwise, reduction
from adjoint.gates import Gate, custom_vjp
from adjoint.graph import Graph, Trace
from adjoint.jacobian import Jacobian, hessian, jacobian
from adjoint.leaves import Parameter, State, constant, tensor
from adjoint.op import case
from adjoint.ops import random
from adjoint.ops.elementwise.activation import elu, leaky_relu, relu, sigmoid, softplus
from adjoint.ops.elementwise.arithmetic import (
    add,
    divide,
    multiply,
    negative,
    power,
    reciprocal,
    sqrt,
    square,
    subtract,
)
from adjoint.ops.elementwise.comparison import (
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    not_equal,
)
from adjoint.ops.elementwise.exponential import exp, exp2, expm1, log, log1p, log2, log10
from adjoint.ops.elementwise.extremes import abs, ceil, clip, floor, maximum, minimum, round, sign, where
from adjoint.ops.elementwise.trigonometric import arctan, cos, cosh, erf, sin, sinh, tan, tanh
from adjoint.ops.functions import (
    arange,
    asarray,
    eye,
    from_dlpack,
    full,
    linspace,
    log_softmax,
    ones,
    ones_like,
    softmax,
    std,
    var,
    zeros,
    zeros_like,
)
from adjoint.ops.index import add_along_axis, getitem, index_add, scatter_add, take, take_along_axis
from adjoint.ops.linalg import dot, einsum, matmul, mT, outer
from adjoint.ops.loss import softmax_cross_entropy
from adjoint.ops.reduce import all, any, argmax, argmin, logsumexp, max, mean, min, sum
from adjoint.ops.shape import (
    astype,
    broadcast_to,
    cast,
    concatenate,
    expand_dims,
    identity,
    matrix_transpose,
    moveaxis,
    reshape,
    squeeze,
    stack,
    stop_gradient,
    swapaxes,
    to_whole,
    transpose,
)
from adjoint.paths import Edge, ledger
from adjoint.recording import no_grad
from adjoint.shaped import general, linear
from adjoint.tensor import Constant, Node, Tensor, attach
from adjoint.transforms import grad, hvp, jvp, value_and_grad, vjp
from adjoint.vocabulary import REGISTRY

if TYPE_CHECKING:
    from adjoint.compiler.compiled import compile
    from adjoint.configuration import num_threads, set_num_threads
    from adjoint.control import cond, scan, while_loop
    from adjoint.view import show


def _text(graph: Graph, **settings: Any) -> str:
    """The graph as text, as on the lecture's slides; settings are those of `adjoint.view.text`."""
    drawn: str = import_module("adjoint.view").text(graph, **settings)
    return drawn


def _svg(graph: Graph, path: Any = None, **settings: Any) -> str:
    """The graph as a picture, and to a file if a path is given; settings are those of `adjoint.view.svg`."""
    drawn: str = import_module("adjoint.view").svg(graph, path, **settings)
    return drawn


def _html(graph: Graph, path: Any = None, **settings: Any) -> str:
    """The graph in its viewer, one page; to a file too if a path is given. Settings as `adjoint.view.to_html`."""
    page: str = import_module("adjoint.view").to_html(graph, path, **settings)
    return page


def _mimebundle(graph: Graph, include: Any = None, exclude: Any = None) -> dict[str, Any]:
    """The graph as a notebook shows it."""
    shown: dict[str, Any] = import_module("adjoint.view").mimebundle(graph, include, exclude)
    return shown


# drawing is imported when something is drawn
attach("view", {"text": _text, "svg": _svg, "html": _html, "_repr_mimebundle_": _mimebundle}, to=Graph)

#: The array API's names for what has NumPy's name here.
concat, permute_dims, pow, atan = concatenate, transpose, power, arctan

#: Folders that are imported when they are first named.
_LAZY = ("check", "cli", "data", "formats", "nn", "optim", "train", "view")

#: Names of folders that are imported when one of them is first used.
_ELSEWHERE = {
    **{"compile": "compiler.compiled", "num_threads": "configuration", "set_num_threads": "configuration"},
    **dict.fromkeys(("cond", "scan", "while_loop"), "control"),
    **dict.fromkeys(("gradcheck", "parity"), "check"),
    "show": "view",
}

__version__ = "0.1.0"

__all__ = [
    "AdjointError",
    "Constant",
    "Edge",
    "Gate",
    "Graph",
    "Jacobian",
    "Node",
    "Parameter",
    "Select",
    "State",
    "Tensor",
    "Trace",
    "abs",
    "add",
    "add_along_axis",
    "all",
    "any",
    "arange",
    "arctan",
    "argmax",
    "argmin",
    "asarray",
    "astype",
    "atan",
    "broadcast_to",
    "case",
    "cast",
    "ceil",
    "clip",
    "compile",
    "concat",
    "concatenate",
    "cond",
    "constant",
    "cos",
    "cosh",
    "custom_vjp",
    "divide",
    "dot",
    "einsum",
    "elementwise",
    "elu",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "eye",
    "floor",
    "from_dlpack",
    "full",
    "general",
    "getitem",
    "grad",
    "gradcheck",
    "greater",
    "greater_equal",
    "hessian",
    "hvp",
    "identity",
    "index_add",
    "isfinite",
    "isinf",
    "isnan",
    "jacobian",
    "jvp",
    "leaky_relu",
    "ledger",
    "less",
    "less_equal",
    "linear",
    "linspace",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logsumexp",
    "mT",
    "matmul",
    "matrix_transpose",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "negative",
    "no_grad",
    "not_equal",
    "num_threads",
    "ones",
    "ones_like",
    "outer",
    "parity",
    "permute_dims",
    "pow",
    "power",
    "random",
    "reciprocal",
    "reduction",
    "relu",
    "reshape",
    "round",
    "scan",
    "scatter_add",
    "set_num_threads",
    "show",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensor",
    "to_whole",
    "transpose",
    "value_and_grad",
    "var",
    "vjp",
    "where",
    "while_loop",
    "zeros",
    "zeros_like",
]


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(import_module(f"adjoint.{_ELSEWHERE[name]}"), name)
    if name in _LAZY:
        return import_module(f"adjoint.{name}")
    if name in REGISTRY and REGISTRY[name].__module__.startswith("adjoint.ops."):
        return REGISTRY[name]  # so that a new op is one block in one file
    raise AttributeError(f"module 'adjoint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_LAZY, "__version__"})
