"""From a Program and bindings to a graph of Tensors.

Concepts here: `bind`, which reads bindings such as `x=-2` or `W=[[0.1,0.5],[-0.3,0.8]]` in the expression
language itself, `build`, which makes the graph, and `Evaluation`, which runs a Program step by step.
Operations on plain numbers alone are computed and leave no node, so that `x**-1` shows one gate. Numbers are
counted before they are made, so that no text can fill the memory.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

import adjoint
from adjoint.cli.expression import Parser, Program, Step, parse
from adjoint.cli.words import FUNCTIONS, ColumnError, check_new_name, quoted, tokens
from adjoint.errors import AdjointError
from adjoint.leaves import constant, tensor
from adjoint.ops.shape import stack
from adjoint.tensor import Tensor

MOST_NUMBERS: Final = 1_000_000  # in all values of one program together

Value = Any  # float, NumPy array or Tensor


def build(expression: str, bindings: Sequence[str]) -> Tensor:
    """The Tensor that an expression gives for bindings, with the names of its statements on the nodes.

    Raises
    ------
    ExpressionError
        For a text outside the language, a missing, unused or repeated binding, and shapes that do not fit;
        with text and column.
    """
    program, values = parse(expression), bind(bindings)
    _check_names(program, values, bindings)
    leaves = {name: tensor(value, name=name) for name, value in values.items()}
    result = Evaluation(program, leaves).output()
    return result if isinstance(result, Tensor) else constant(result)


def bind(bindings: Sequence[str]) -> dict[str, Value]:
    """Values by name, as floats and float64 arrays."""
    values: dict[str, Value] = {}
    for text in bindings:
        name, value = _read_binding(text)
        if name in values:
            raise ColumnError(f"{quoted(name)} is bound twice", text, 0)
        values[name] = value
    return values


def _read_binding(text: str) -> tuple[str, Value]:
    """Name and value of one binding; the value is an expression of numbers."""
    pieces = tokens(text)
    if pieces[0].kind != "name" or pieces[1].kind != "=":
        option = text.startswith("--")
        hint = f"there is no option {text}" if option else "put an expression with blanks in quotes"
        raise ColumnError("expected a binding such as x=2 or x=[0.2,0.4]", text, 0, hint)
    check_new_name(pieces[0], text)
    program = Parser(text, pieces, place=2).program()
    for name, step in program.variables.items():
        raise ColumnError(f"expected numbers, got the name {quoted(name)}", text, program.steps[step].column)
    value = Evaluation(program, {}).output()
    if np.asarray(value).dtype.kind != "f":
        raise ColumnError("expected numbers, got a comparison", text, pieces[2].column)
    return pieces[0].text, value


def _check_names(program: Program, values: Mapping[str, Value], bindings: Sequence[str]) -> None:
    """Every variable has a value, every value is used, and no statement takes the name of one."""
    for name, step in program.variables.items():
        if name not in values:
            hint = f"add {name}=… to the command line"
            raise ColumnError(f"{quoted(name)} has no value", program.text, program.steps[step].column, hint)
    for name, text in zip(values, bindings, strict=True):
        if name in program.names.values():
            raise ColumnError(f"{quoted(name)} is computed by the expression and cannot be bound too", text, 0)
        if name not in program.variables:
            raise ColumnError(f"{quoted(name)} does not occur in the expression", text, 0, _what_occurs(program))


def _what_occurs(program: Program) -> str:
    names = ", ".join(program.variables)
    return f"the expression uses {names}" if names else "the expression has no variables"


class Evaluation:
    """One run of a Program; `results` are floats, arrays and Tensors by step."""

    def __init__(self, program: Program, variables: Mapping[str, Tensor]) -> None:
        self.program = program
        self.variables = variables
        self.results: list[Value] = []
        self.numbers = 0

    def output(self) -> Value:
        # not finite is a value to be shown here, not a reason to warn
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for index, step in enumerate(self.program.steps):
                self.results.append(self._named(index, self._result(step)))
        return self.results[self.program.output]

    def _named(self, index: int, value: Value) -> Value:
        """The value with the name of its statement; what has a name already, such as a variable, keeps it."""
        name = self.program.names.get(index)
        if name is None:
            return value
        if not isinstance(value, Tensor):
            return constant(value, name=name)
        return value if value.name else value.named(name)

    def _result(self, step: Step) -> Value:
        inputs = [self.results[index] for index in step.inputs]
        self._count(step, inputs)
        try:
            return self._perform(step, inputs)
        except ColumnError:
            raise
        except (AdjointError, ValueError, TypeError, IndexError, ArithmeticError) as error:
            raise self._fault(step, str(error)) from None

    def _perform(self, step: Step, inputs: list[Value]) -> Value:
        content: Any = step.content
        match step.kind:
            case "number":
                return content
            case "name":
                return self.variables[content]
            case "list":
                return self._stacked(step, inputs)
            case "index":
                return self._indexed(step, inputs[0])
        if content == "where" and _dtype(inputs[0]).kind != "b":
            raise self._fault(step, "where: expected a comparison such as x > 0 as the first argument")
        return _plain(getattr(adjoint, content)(*self._settled(content, inputs)))

    def _settled(self, function: str, inputs: list[Value]) -> list[Value]:
        """The arguments of a function, its settings as plain numbers even where they have a name."""
        first = FUNCTIONS[function].settings if function in FUNCTIONS else len(inputs)
        settled = [*inputs[:first], *map(float, inputs[first:])]
        if any(isinstance(each, Tensor) for each in settled):
            return settled
        return [np.float64(each) if isinstance(each, float) else each for each in settled]  # 1/0 is inf

    def _stacked(self, step: Step, elements: list[Value]) -> Value:
        """The array of a list: one row of numbers or rows of one shape."""
        shapes = [np.shape(element) for element in elements]
        for index, shape in zip(step.inputs, shapes, strict=True):
            if shape != shapes[0]:
                message = f"ragged list: expected an element of shape {shapes[0]}, got shape {shape}"
                raise ColumnError(message, self.program.text, self.program.steps[index].column)
        if any(isinstance(element, Tensor) for element in elements):
            return stack(elements)
        return np.array(elements, dtype=np.float64)

    def _indexed(self, step: Step, source: Value) -> Value:
        index: Any = step.content
        if len(index) > np.ndim(source):
            raise self._fault(step, f"expected at most {np.ndim(source)} indices, got {len(index)}")
        return _plain(source[index[0] if len(index) == 1 else index])

    def _count(self, step: Step, inputs: list[Value]) -> None:
        """Refuse what would be too large before it is made."""
        self.numbers += _size(step, [np.shape(each) for each in inputs])
        if self.numbers > MOST_NUMBERS:
            message = f"expected at most {MOST_NUMBERS:,} numbers in all values together, got more"
            raise self._fault(step, message)

    def _fault(self, step: Step, message: str) -> ColumnError:
        return ColumnError(without_place(message), self.program.text, step.column)


def without_place(message: str) -> str:
    """A message of the core without file and line, which are ours here: the column is what helps."""
    return re.sub(r", at [^;]*?:\d+", "", message)


def _size(step: Step, shapes: list[tuple[int, ...]]) -> int:
    """How many numbers the result will have at most."""
    if step.kind == "list":
        return sum(map(math.prod, shapes))
    if step.content in ("matmul", "dot") and all(shapes):
        return math.prod(shapes[0]) // max(shapes[0][-1], 1) * math.prod(shapes[1]) + 1
    try:
        return math.prod(np.broadcast_shapes(*shapes))
    except ValueError:
        return 0  # the operation itself says what is wrong


def _dtype(value: Value) -> np.dtype[Any]:
    return value.dtype if isinstance(value, Tensor) else np.asarray(value).dtype


def _plain(value: Value) -> Value:
    """A number that no Tensor took part in as a Python float, so that it promotes like one."""
    return float(value) if isinstance(value, float | np.floating) else value
