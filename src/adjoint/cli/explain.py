"""`adjoint explain`: the graph of an expression with every value, and every gradient as upstream × local.

Concepts here: `Answer`, an expression computed forward and backward, with its two renderings, plain data for
JSON and text for a terminal. The language is in `expression.py`, the picture in `adjoint.view`.

The data, keys sorted, numbers that are not finite as the strings "inf", "-inf" and "nan":

    schema      "adjoint.explain/1"
    expression  the text
    output      id of the output's node
    nodes       in recording order: id, name or null, operation ("x + y"), op (name, null for an input),
                inputs ({"node": id} or {"constant": number}), shape, dtype, value,
                gradient (null where no path leads)
    edges       in the order of the backward pass: node, input (ids), position, upstream, local (null where it
                is no number per element), rule (what happens instead, in words, or null), product
    branches    for each value used more than once: node (id), terms, sum
    patterns    for each op: what the lecture says about its gate (multiply swaps)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TextIO

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adjoint.cli import HELP
from adjoint.cli.evaluation import build, without_place
from adjoint.cli.expression import parse
from adjoint.cli.stepper import print_all, run
from adjoint.cli.words import ColumnError
from adjoint.errors import ExpressionError, GradientError
from adjoint.paths import Edge, ledger
from adjoint.tensor import Tensor
from adjoint.view.digits import is_true, lines
from adjoint.view.document import document
from adjoint.view.formulas import rule
from adjoint.view.gates import caption, operation, plain
from adjoint.view.patterns import pattern
from adjoint.view.steps import pages
from adjoint.view.text import labels, precision, text

SCHEMA: Final = "adjoint.explain/1"
PIPED_WIDTH: Final = 200  # columns of the tables where no terminal sets a limit
SIGNS: Final = "─∂×→≈⎡"
_ASCII_WORDS: Final = str.maketrans({"∂": "d", "ᵀ": ".T", "×": "*", "·": "@"})


@dataclass(frozen=True)
class Answer:
    """An expression, computed forward and backward."""

    expression: str
    output: Tensor
    ledger: Sequence[Edge]

    @classmethod
    def of(cls, expression: str, bindings: Sequence[str]) -> Answer:
        """Build the graph and run the backward pass; raises ExpressionError with text and column."""
        output = build(expression, bindings)
        try:
            return cls(expression, output, ledger(output) if output.active else ())
        except GradientError as error:
            raise _no_ledger(expression, output, error) from None

    @cached_property
    def nodes(self) -> Sequence[Tensor]:
        return self.output.graph.nodes

    @cached_property
    def place(self) -> dict[int, int]:
        """Number of each node."""
        return {id(t): index for index, t in enumerate(self.nodes)}

    @cached_property
    def labels(self) -> list[str]:
        return labels(self.nodes)

    def label(self, t: Tensor) -> str:
        return self.labels[self.place[id(t)]]

    def input_labels(self, t: Tensor) -> list[str]:
        """Names of a node's inputs; empty for plain numbers."""
        return [self.label(x) if isinstance(x, Tensor) else "" for x in t.node.inputs]

    @property
    def branches(self) -> Iterator[tuple[Tensor, list[Edge]]]:
        """The values into which more than one gradient flows, with the edges on which they arrive."""
        for t in self.nodes:
            edges = [edge for edge in self.ledger if edge.input is t]
            if len(edges) > 1:
                yield t, edges

    @property
    def no_gradient(self) -> str:
        """Why nothing flows back from this output, or an empty text."""
        if self.output.active:
            return ""
        op = self.output.node.op
        if op is not None and op.nondiff:
            return f"no gradients: {op.name} has none, {op.nondiff}"
        return "no gradients: the output depends on no variable"


def _no_ledger(expression: str, output: Tensor, error: GradientError) -> ExpressionError:
    """The error for an output that nothing can be sent back from, at the column of its last operation."""
    program = parse(expression)
    column = program.steps[program.output].column
    if output.size == 1:
        return ColumnError(without_place(str(error)), expression, column)
    message = f"expected one number as the output, got shape {output.shape}"
    hint = "a gradient belongs to one number: write sum(…), mean(…) or an index such as [0]"
    return ColumnError(message, expression, column, hint)


def explanation(expression: str, bindings: Sequence[str]) -> dict[str, Any]:
    """The graph of an expression and its gradients as plain data (the module's docstring says which)."""
    answer = Answer.of(expression, bindings)
    return {
        "schema": SCHEMA,
        "expression": expression,
        "output": answer.place[id(answer.output)],
        "nodes": [_node_data(answer, t) for t in answer.nodes],
        "edges": [_edge_data(answer, edge) for edge in answer.ledger],
        "branches": [_branch_data(answer, t, edges) for t, edges in answer.branches],
        "patterns": patterns_of(answer),
    }


def _node_data(answer: Answer, t: Tensor) -> dict[str, Any]:
    node = t.node
    return {
        "id": answer.place[id(t)],
        "name": t.name,
        "op": node.op.name if node.op else None,
        "operation": operation(node, answer.input_labels(t)) if node.op else None,
        "inputs": [
            {"node": answer.place[id(x)]} if isinstance(x, Tensor) else {"constant": _numbers(x)} for x in node.inputs
        ],
        "shape": list(t.shape),
        "dtype": str(t.dtype),
        "value": _numbers(t.value),
        "gradient": _numbers(t.grad),
    }


def _edge_data(answer: Answer, edge: Edge) -> dict[str, Any]:
    return {
        "node": answer.place[id(edge.node)],
        "input": answer.place[id(edge.input)],
        "position": edge.position,
        "upstream": _numbers(edge.upstream),
        "local": _numbers(edge.local),
        "rule": None if edge.local is not None else rule_in_words(answer, edge),
        "product": _numbers(edge.product),
    }


def _branch_data(answer: Answer, t: Tensor, edges: Sequence[Edge]) -> dict[str, Any]:
    terms = [_numbers(edge.product) for edge in edges]
    return {"node": answer.place[id(t)], "terms": terms, "sum": _numbers(t.grad)}


def _numbers(value: Any) -> Any:
    """Numbers as JSON can hold them: nested lists, what is not finite as a string."""
    if value is None:
        return None
    nested = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    if isinstance(nested, list):
        return [_numbers(each) for each in nested]
    return str(nested) if isinstance(nested, float) and not np.isfinite(nested) else nested


# --- rules of operations whose local gradient is no number per element ----------------------------------------------


def rule_in_words(answer: Answer, edge: Edge) -> str:
    """How such an operation hands its upstream gradient on; ∂q is the gradient that arrives at q."""
    name = edge.node._rule.op.name if edge.node._rule.op else ""
    upstream = f"∂{answer.label(edge.node)}"
    return rule(name, edge.position, answer.input_labels(edge.node), upstream, edge.input.size)


def patterns_of(answer: Answer) -> dict[str, str]:
    """What the lecture says about each gate that hands a gradient on, by op, in the order of the backward pass."""
    ops = dict.fromkeys(edge.node._rule.op.name for edge in answer.ledger if edge.node._rule.op is not None)
    return {op: said for op in ops if (said := pattern(op)) is not None}


# --- text for a terminal --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """How an answer is printed."""

    answer: Answer
    digits: int
    ascii: bool

    def sign(self, drawn: str, ascii: str) -> str:
        return ascii if self.ascii else drawn

    def cell(self, value: np.ndarray | None) -> Text:
        """A value in a table; Text, since rich would read [0.2 0.4] as markup."""
        shown = (self.sign("—", "--"),) if value is None else lines(value, self.digits, ascii=self.ascii)
        return Text("\n".join(shown), no_wrap=True)

    def words(self, words: str) -> str:
        """A rule in words, in the letters of this page."""
        return words.translate(_ASCII_WORDS) if self.ascii else words


def show(answer: Answer, console: Console, *, digits: int | None = None, ascii: bool = False) -> None:
    """Print picture, forward table, backward table and the sums at branches."""
    graph = answer.output.graph
    page = Page(answer, precision(graph, answer.ledger) if digits is None else digits, ascii)
    width = console.width if console.is_terminal else None
    color = console.is_terminal and not console.no_color
    picture = text(graph, digits=page.digits, ascii=ascii, width=width, color=color, ledger=answer.ledger)
    click.echo(picture, file=console.file, color=color)
    console.print()
    console.print(_forward(page))
    if answer.no_gradient:
        console.print(Text(f"\n{answer.no_gradient}"))
    if answer.ledger:
        console.print()
        console.print(_backward(page))
    for line in (*_sums(page), *_patterns(page)):
        console.print(line)


def _forward(page: Page) -> Table:
    """Every node with its operation and value, and the gradient that the backward pass leaves there."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for head, side in (("node", "left"), ("operation", "left"), ("value", "right"), ("gradient", "right")):
        table.add_column(head, justify=side)  # type: ignore[arg-type]  # rich wants a literal
    for t in page.answer.nodes:
        node = t.node
        made = operation(node, page.answer.input_labels(t), ascii=page.ascii) if node.op else _kind(t)
        table.add_row(Text(page.answer.label(t)), Text(made), page.cell(t.value), page.cell(t.grad))
    return table


def _kind(t: Tensor) -> str:
    return "input" if t.active else "constant"


def _backward(page: Page) -> Table:
    """A row for each edge, in the order of the backward pass: upstream × local = downstream."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for head, side in _HEADS:
        table.add_column(page.words(head), justify=side)  # type: ignore[arg-type]  # rich wants a literal
    for edge in page.answer.ledger:
        table.add_row(*_edge_row(page, edge))
    return table


_HEADS: Final = (
    *(("gate", "left"), ("wire", "left"), ("upstream", "right"), ("×", "left")),
    *(("local", "right"), ("=", "left"), ("downstream", "right")),
)


def _edge_row(page: Page, edge: Edge) -> list[Text]:
    op = edge.node.node
    wire = f"{page.answer.label(edge.node)} {page.sign('→', '->')} {page.answer.label(edge.input)}"
    if edge.local is None:
        middle = [Text(""), Text(page.words(rule_in_words(page.answer, edge))), Text("=")]
    else:
        middle = [Text(page.sign("×", "*")), page.cell(edge.local), Text(_equals(page, edge))]
    gate = f"({caption(op, ascii=page.ascii)})"
    return [Text(gate), Text(wire), page.cell(edge.upstream), *middle, page.cell(edge.product)]


def _equals(page: Page, edge: Edge) -> str:
    """= where the printed product is right, ≈ where it is rounded, Σ where a broadcast is summed again."""
    assert edge.local is not None, "asked of elementwise edges only"
    if edge.product.shape != edge.local.shape:
        return page.sign("Σ", "sum")
    products = zip(edge.upstream.flat, edge.local.flat, edge.product.flat, strict=True)
    return "=" if all(is_true(each, page.digits) for each in products) else page.sign("≈", "~")


def _sums(page: Page) -> Iterator[Table | Text]:
    """At each branch: the terms that meet there, and their sum."""
    branches = list(page.answer.branches)
    if branches:
        yield Text("\nat branches gradients add up")
    for t, edges in branches:
        grid = Table.grid(padding=(0, 1, 0, 0))
        cells = [Text(page.words(f"∂{page.answer.label(t)}")), Text("=")]
        for edge in edges:
            cells += [page.cell(edge.product), Text("+")]
        grid.add_row(*cells[:-1], Text("="), page.cell(t.grad))
        yield grid


def _patterns(page: Page) -> Iterator[Text]:
    """What the lecture says about the gates that occur."""
    said = patterns_of(page.answer)
    if said:
        yield Text("\nwhat each gate does")
    for each in said.values():
        yield Text(plain(each, each) if page.ascii else each)


def show_steps(answer: Answer, console: Console, *, digits: int | None = None, ascii: bool = False) -> None:
    """Show the steps of the graph, by keys on a terminal, else one after the other."""
    can_ask = console.is_terminal and sys.stdin.isatty()
    color = console.is_terminal and not console.no_color
    made = document(answer.output)
    shown = pages(made, digits=digits, ascii=ascii, width=console.width if console.is_terminal else None, color=color)
    if can_ask:
        run(shown, console.file, color=color)
    else:
        print_all(shown, console.file, color=color)


# --- the command ----------------------------------------------------------------------------------------------------


def writes_signs(stream: TextIO) -> bool:
    """Whether the encoding of a stream has the characters of our pictures."""
    try:
        SIGNS.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


# unknown options are passed on, since an expression may begin with a minus sign
@click.command(context_settings=HELP | {"ignore_unknown_options": True})
@click.argument("expression", type=click.UNPROCESSED)
@click.argument("bindings", nargs=-1, type=click.UNPROCESSED)
@click.option("--json", "as_json", is_flag=True, help="Print the same as data.")
@click.option("--digits", type=click.IntRange(0, 12), help="Decimals; else as many as needed.")
@click.option("--ascii", is_flag=True, help="Draw with ASCII characters only.")
@click.option("--step", "by_steps", is_flag=True, help="Show it gate by gate: . next, comma back, Home, End, q.")
def explain(
    expression: str, bindings: tuple[str, ...], as_json: bool, digits: int | None, ascii: bool, by_steps: bool
) -> None:
    """Show the graph of EXPRESSION with values and gradients.

    BINDINGS give its variables values. Statements are separated by a semicolon; the last one is the output:

    \b
      adjoint explain "(x+y)*z" x=-2 y=5 z=-4
      adjoint explain "q=W@x; f=sum(q**2)" W=[[0.1,0.5],[-0.3,0.8]] x=[0.2,0.4]
    """
    try:
        if as_json:
            data = explanation(expression, bindings)
            click.echo(json.dumps(data, sort_keys=True, indent=2, allow_nan=False))
            return
        answer = Answer.of(expression, bindings)
    except ExpressionError as error:
        click.echo(f"adjoint explain: {error}", err=True)
        sys.exit(2)
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    shown = show_steps if by_steps else show
    shown(answer, console, digits=digits, ascii=ascii or not writes_signs(sys.stdout))
