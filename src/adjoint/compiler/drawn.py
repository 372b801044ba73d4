"""A program as a graph that can be drawn: every primitive as the op that it is, or is like, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from adjoint.compiler.program import Program, Value
from adjoint.compiler.simplify import EXACT, FAST, simplify
from adjoint.errors import TraceError
from adjoint.graph import Graph
from adjoint.op import Op
from adjoint.recording import here
from adjoint.tensor import LEAF, Constant, Tensor, new, record
from adjoint.vocabulary import REGISTRY

if TYPE_CHECKING:
    from adjoint.compiler.variant import Variant

STAGES: Final = ("traced", "lowered", "simplified")
#: Ops that primitives of other names are drawn as.
_OP_OF: Final = {
    **{"pow": "power", "and_": "logical_and", "or_": "logical_or", "not_": "logical_not", "copied": "identity"},
    **{"broadcast": "broadcast_to", "slice": "getitem", "unslice": "scatter_add", "gather": "take"},
    **{"scatter": "index_add", "uniform": "random_uniform", "repeat": "loop", "result": "loop_result"},
}


def drawn(variant: Variant, stage: str, output: int, *, fast: bool) -> Graph:
    """The graph of one result of a function at a stage of the compiler."""
    traced = variant.traced
    ends = [x for x in (*traced.outputs, *traced.assigned.values()) if isinstance(x, Tensor)]
    if stage not in STAGES:
        raise TraceError(f"graph: expected one of the stages {', '.join(STAGES)}, got {stage!r} (stage){here()}")
    if not 0 <= output < len(ends):
        raise TraceError(f"graph: expected a result from 0 to {len(ends) - 1}, got {output} (output){here()}")
    if stage == "traced":
        return Graph(ends[output])
    program = variant.program
    return as_graph(program if stage == "lowered" else simplify(program, FAST if fast else EXACT), output)


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
    name = value.params["op"] if value.kind == "eager" else _OP_OF.get(value.kind, value.kind)
    op: Op = REGISTRY.get(name) or REGISTRY["identity"]
    return op
