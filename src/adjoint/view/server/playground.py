"""The expression playground: a typed function and numbers in, a graph document with values and gradients out.

The text goes through the parser of `adjoint explain`, never to Python. A name without a value is 1; a value without a
name in the expression is kept by the page while somebody types, and does not count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from adjoint.errors import DataError
from adjoint.view.document import document
from adjoint.view.server.placeless import placeless
from adjoint.view.server.tools import Tools

LONGEST: Final = 10_000  # characters of an expression and of a value
MOST_INPUTS: Final = 200


def answer(tools: Tools, request: Mapping[str, Any]) -> dict[str, Any]:
    """The document of an expression, and the value of each of its inputs as text.

    Parameters
    ----------
    tools : Tools
    request : mapping
        "expression": text; "inputs": mapping of name to number or text such as "[0.2, 0.4]".

    Raises
    ------
    AdjointError
        The request is none, or the expression is not in the language.
    """
    expression, given = request.get("expression"), request.get("inputs", {})
    if not isinstance(expression, str) or len(expression) > LONGEST:
        raise DataError(f"playground: expected an expression, a text of at most {LONGEST:,} characters")
    if not isinstance(given, Mapping) or len(given) > MOST_INPUTS:
        raise DataError(f"playground: expected inputs, an object of at most {MOST_INPUTS} values by name")
    inputs = {name: _text(name, given.get(name, 1.0)) for name in tools.variables(expression)}
    output = tools.evaluate(expression, [f"{name}={value}" for name, value in inputs.items()])
    if output.active and output.size == 1:
        output.backward()
    note = "" if output.size == 1 else f"a gradient belongs to one number, and the output has shape {output.shape}"
    return {"document": placeless(document(output)), "inputs": inputs, "note": note}


def _text(name: str, value: Any) -> str:
    """A value as the language reads it."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST:
        return value
    if type(value) in (int, float) and math.isfinite(value):
        return repr(float(value))
    raise DataError(f"playground: expected a finite number or a text for {name}")
