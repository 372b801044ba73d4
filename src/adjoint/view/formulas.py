"""Local gradients as formulas, and for gates that have none per element, what happens to the upstream gradient instead.

In a formula {0} and {1} are the inputs by name, {out} is the result, and [a > b] is 1 where it holds, else 0. Choices
at kinks are those of the ops; a formula does not repeat them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_LOCALS: Final[Mapping[str, tuple[str, ...]]] = {
    "add": ("1", "1"),
    "subtract": ("1", "−1"),
    "multiply": ("{1}", "{0}"),
    "divide": ("1 / {1}", "−{0} / {1}²"),
    "power": ("{1} · {0}^({1} − 1)", "{out} · log {0}"),
    "maximum": ("[{0} > {1}]", "[{1} > {0}]"),
    "minimum": ("[{0} < {1}]", "[{1} < {0}]"),
    "where": ("0", "[{0}]", "[not {0}]"),
    "negative": ("−1",),
    "square": ("2 · {0}",),
    "sqrt": ("1 / (2 · {out})",),
    "reciprocal": ("−1 / {0}²",),
    "exp": ("{out}",),
    "expm1": ("{out} + 1",),
    "log": ("1 / {0}",),
    "log1p": ("1 / (1 + {0})",),
    "sin": ("cos {0}",),
    "cos": ("−sin {0}",),
    "tan": ("1 + {out}²",),
    "arctan": ("1 / (1 + {0}²)",),
    "sinh": ("cosh {0}",),
    "cosh": ("sinh {0}",),
    "tanh": ("1 − {out}²",),
    "sigmoid": ("{out} · (1 − {out})",),
    "relu": ("[{0} > 0]",),
    "abs": ("sign {0}",),
}
_RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "matmul": ("{g} · {1}ᵀ", "{0}ᵀ · {g}"),
    "dot": ("{g} · {1}ᵀ", "{0}ᵀ · {g}"),
    "sum": ("{g} to every element",),
    "mean": ("{g} / {size} to every element",),
    "max": ("{g} to the largest",),
    "min": ("{g} to the smallest",),
    "logsumexp": ("{g} × softmax",),
    "getitem": ("{g} to the elements taken, 0 to the others",),
    "transpose": ("({g})ᵀ",),
}


def local(op: str, position: int, inputs: Sequence[str], out: str) -> str:
    """The local gradient of a gate as a formula; empty where there is none, or where it names a plain number.

    Parameters
    ----------
    op : str
        Name of the op.
    position : int
        Of the input among the inputs.
    inputs : sequence of str
        Names of all inputs; empty for a plain number.
    out : str

    Example
    -------
    >>> local("multiply", 0, ["q", "z"], "f"), local("sigmoid", 0, ["s"], "y"), local("multiply", 0, ["x", ""], "f")
    ('z', 'y · (1 − y)', '')
    """
    found = _LOCALS.get(op, ())
    if position >= len(found) or any(
        f"{{{place}}}" in found[position] for place, name in enumerate(inputs) if not name
    ):
        return ""
    return found[position].format(*inputs, out=out)


def rule(op: str, position: int, inputs: Sequence[str], upstream: str, size: int) -> str:
    """What a gate without local gradients per element hands to an input, in words.

    Parameters
    ----------
    op, position : as in `local`
    inputs : sequence of str
        Names of all inputs; empty for a constant.
    upstream : str
        What the upstream gradient is called.
    size : int
        How many elements the input has.

    Example
    -------
    >>> rule("matmul", 0, ["W", "x"], "∂q", 4), rule("mean", 0, ["x"], "∂f", 8), rule("stack", 1, ["x", "y"], "∂f", 2)
    ('∂q · xᵀ', '∂f / 8 to every element', '∂f through stack')
    """
    found = _RULES.get(op, ())
    if position >= len(found):
        return f"{upstream} through {op}"
    return found[position].format(*(name or "constant" for name in inputs), g=upstream, size=size)
