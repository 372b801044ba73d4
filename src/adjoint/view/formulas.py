"""Local gradients as formulas, and for gates that have none per element, what happens to the upstream gradient instead.

They are read from `formulas.json`, which the front end reads, too. Choices at kinks are those of the ops; a formula
does not repeat them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files


@cache
def formulas() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """The whole file: "locals" and "rules" by op, a text for each input."""
    text = files("adjoint.view").joinpath("formulas.json").read_text("utf-8")
    return {name: table for name, table in json.loads(text).items() if name != "about"}


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
    found = formulas()["locals"].get(op, ())
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
    found = formulas()["rules"].get(op, ())
    if position >= len(found):
        return f"{upstream} through {op}"
    return found[position].format(*(name or "constant" for name in inputs), g=upstream, size=size)
