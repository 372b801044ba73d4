"""What is written inside a gate: the operation's symbol and the constants and settings that it carries.

As on the lecture's slides, a constant is part of its gate, not a wire of its own: (+1), (×−1), (1/x), (x²).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from adjoint.tensor import Node, Tensor
from adjoint.view.digits import shape, short

_DRAWN: Final = {"negative": "×−1", "reciprocal": "1/x", "square": "x²", "getitem": "", "stop_gradient": "stop"}
_CALLED: Final = {"maximum": "max", "minimum": "min", "mT": "transpose"}
_INFIX: Final = {"add": "+", "subtract": "−", "multiply": "×", "divide": "/", "power": "^", "matmul": "@"} | {
    **{"less": "<", "less_equal": "≤", "greater": ">", "greater_equal": "≥", "equal": "=", "not_equal": "≠"}
}
_COMMUTES: Final = ("add", "multiply")
_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DIGITS: Final = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_ASCII: Final[Mapping[str, str]] = {
    **{"×": "*", "·": "*", "−": "-", "÷": "/", "≤": "<=", "≥": ">=", "≠": "!="},
    **{"√": "sqrt", "Σ": "sum", "σ": "sigmoid", "ᵀ": "T", "…": ".."},
}


def gate(node: Node, *, ascii: bool = False) -> str:
    """The gate of a node as it is drawn: its symbol with constants and settings, in parentheses."""
    return f"({caption(node, ascii=ascii)})"


def caption(node: Node, *, ascii: bool = False) -> str:
    """Symbol, constants and settings of a node; its name where ASCII has no letters for the symbol."""
    assert node.op is not None, "a leaf has no gate"
    text = _caption(node)
    return plain(text, node.op.name) if ascii else text


def operation(node: Node, inputs: list[str], *, ascii: bool = False) -> str:
    """The operation with the names of its inputs: x + y, exp(x), W @ x, x[0]."""
    assert node.op is not None, "a leaf has no operation"
    names = [constant(x) if not isinstance(x, Tensor) else name for x, name in zip(node.inputs, inputs, strict=True)]
    text = _operation(node, names)
    return plain(text, f"{node.op.name}({', '.join(names)})") if ascii else text


def plain(text: str, otherwise: str) -> str:
    """The text in ASCII; something else where it has a letter that we cannot write."""
    powers = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: "^" + found.group().translate(_DIGITS), text)
    plain = "".join(_ASCII.get(character, character) for character in powers)
    return plain if plain.isascii() else otherwise


def _operation(node: Node, names: list[str]) -> str:
    assert node.op is not None, "a leaf has no operation"
    name, symbol = node.op.name, _INFIX.get(node.op.name)
    if name == "getitem":
        return names[0] + _setting(node)
    if name == "negative":
        return f"−{names[0]}"
    if name == "power" and isinstance(node.inputs[0], Tensor) and not isinstance(node.inputs[1], Tensor):
        return names[0] + _power(names[1])
    if symbol and len(names) == 2:
        return f"{names[0]} {symbol} {names[1]}"
    return f"{_CALLED.get(name, node.op.title(node.params))}({', '.join(names)}{_setting(node).replace(' ', ', ', 1)})"


def _caption(node: Node) -> str:
    assert node.op is not None, "a leaf has no gate"
    fixed = [not isinstance(x, Tensor) for x in node.inputs]
    if node.op.name in _DRAWN:
        return _DRAWN[node.op.name] + _setting(node)
    if len(fixed) == 2 and fixed[0] != fixed[1]:
        return _with_constant(node, constant(node.inputs[fixed.index(True)]), first=fixed[0])
    constants = "".join(f" {constant(x)}" for x, is_fixed in zip(node.inputs, fixed, strict=True) if is_fixed)
    return _symbol(node) + constants + _setting(node)


def _symbol(node: Node) -> str:
    assert node.op is not None, "a leaf has no symbol"
    title = node.op.title(node.params)
    if title != node.op.name:
        return title
    return _INFIX.get(node.op.name, _CALLED.get(node.op.name, node.op.symbol)).replace("_", " ")


def _with_constant(node: Node, value: str, *, first: bool) -> str:
    """A gate of two inputs of which one is a constant, drawn with one wire."""
    assert node.op is not None, "a leaf has no gate"
    name, symbol = node.op.name, _INFIX.get(node.op.name)
    if symbol is None:
        return f"{_symbol(node)} {value}"
    if first and name not in _COMMUTES:
        return f"{value}{symbol}x"
    return f"x{_power(value)}" if name == "power" else f"{symbol}{value}"


def _power(exponent: str) -> str:
    digits = exponent.replace("−", "-")
    return digits.translate(_SUPERSCRIPTS) if digits.lstrip("-").isdigit() else f"^{exponent}"


def constant(value: Any) -> str:
    """A constant inside a gate: a number, a short vector, or the shape of something larger."""
    array = np.asarray(value)
    if array.ndim == 0:
        return short(float(array)).replace("-", "−") if array.dtype.kind != "b" else str(bool(array)).lower()
    if array.ndim == 1 and 0 < array.size <= 3:
        return "[" + " ".join(constant(each) for each in array) + "]"
    return shape(array.shape)


def _setting(node: Node) -> str:
    """The settings that a reader of the picture needs: an index, an axis."""
    assert node.op is not None, "a leaf has no settings"
    if node.op.name == "getitem":
        return f"[{_index(node.params['key'])}]"
    axis = node.params.get("axis")
    return "" if axis == node.op.signature.defaults.get("axis") else f" axis {axis}"


def _index(index: Any) -> str:
    """An index as it is written."""
    if isinstance(index, tuple):
        return ", ".join(_index(each) for each in index) or "()"
    if isinstance(index, slice):
        parts = ["" if each is None else str(each) for each in (index.start, index.stop, index.step)]
        return ":".join(parts[: 3 if parts[2] else 2])
    if index is Ellipsis or index is None:
        return "..." if index is Ellipsis else "None"
    return str(index) if np.ndim(index) == 0 else constant(index)
