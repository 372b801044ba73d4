"""A program as a graph that can be drawn: every primitive as the op that it is, or is like, without data."""

from __future__ import annotations

from typing import Any, Final

from adjoint.compile.program import Program, Value
from adjoint.graph import Graph
from adjoint.op import Op
from adjoint.tensor import LEAF, Constant, Tensor, new, record
from adjoint.vocabulary import REGISTRY

#: Ops that primitives of other names are drawn as.
_OP_OF: Final = {
    **{"pow": "power", "and_": "logical_and", "or_": "logical_or", "not_": "logical_not", "copied": "identity"},
    **{"broadcast": "broadcast_to", "slice": "getitem", "unslice": "scatter_add", "gather": "take"},
    **{"scatter": "index_add", "uniform": "random_uniform"},
}


def as_graph(program: Program, output: int = 0) -> Graph:
    """The graph of one output: shapes and dtypes, no values."""
    made: dict[Value, Tensor] = {}
    for value in program.values:
        made[value] = _node(value, [made[x] for x in value.inputs])
    for number, x in enumerate(program.inputs):
        made[x].named(f"input {number}")
    return Graph(made[program.outputs[output]])


def _node(value: Value, inputs: list[Tensor]) -> Tensor:
    op = _op_of(value)
    if op is None:
        content = value.abstract if value.content is None else value.content
        node: Tensor = record(new(Constant), LEAF, content, ())
        return node.named(value.kind) if value.kind == "iota" else node
    return record(new(Constant), op.rule((False,) * len(inputs)), value.abstract, tuple(inputs), value.params)  # type: ignore[no-any-return]


def _op_of(value: Value) -> Op | None:
    if value.kind in ("input", "constant", "iota"):
        return None
    if value.kind == "eager":
        return REGISTRY[value.params["op"]]
    name = _OP_OF.get(value.kind, value.kind)
    found: Any = REGISTRY.get(name)
    return found if found is not None else REGISTRY["identity"]
