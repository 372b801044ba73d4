"""A graph step by step: forward 1 … F, then backward 1 … B, a gate at each, as a pure function of its document.

Concepts here: the `Step`; the `Timeline`, all steps of a document; the `Moment`, the figures that are known after a
step; and the callout, what a step says: upstream × local = downstream, the formula first, then the numbers.

Invariants. Forward goes in recording order and backward in its reverse, so that a gate hands its gradient on when all
who use it are done. Local gradients are known in the forward half already. A gradient shows when it is complete; the
arms of a branch show their terms one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

from adjoint.view.digits import shape
from adjoint.view.figures import BLANK, Figure
from adjoint.view.formulas import local, rule
from adjoint.view.wires import Written, written

PHASES: Final = ("before", "forward", "backward")


class Step(NamedTuple):
    """A place in the timeline: how many gates of a phase are done, and the node of the last of them; −1 for none."""

    phase: str
    number: int
    node: int


class Timeline:
    """The steps of a document.

    Example
    -------
    >>> import adjoint as ad
    >>> x, y = ad.tensor(3.0, name="x"), ad.tensor(-4.0, name="y")
    >>> f = ((x * y).named("p") + x).named("f")
    >>> f.backward()
    >>> [f"{step.phase} {step.node}" for step in Timeline(ad.view.document(f)).steps]
    ['before -1', 'forward 2', 'forward 3', 'backward 3', 'backward 2']
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document, graph, traces = document, document["graph"], document["traces"]
        states = traces[-1]["states"] if traces else ["unknown"] * graph["count"]
        self.forward = [node for node, kind in enumerate(graph["nodes"]["kind"]) if kind == "op"]
        self.backward = [node for node in reversed(self.forward) if states[node] in ("zero", "value")]
        self.steps = [
            Step("before", 0, -1),
            *(Step("forward", place, node) for place, node in enumerate(self.forward, 1)),
            *(Step("backward", place, node) for place, node in enumerate(self.backward, 1)),
        ]

    @cached_property
    def users(self) -> list[set[int]]:
        """For each node the gates that hand a gradient back to it."""
        edges, back = self.document["graph"]["edges"], set(self.backward)
        users: list[set[int]] = [set() for _ in range(self.document["graph"]["count"])]
        for source, target in zip(edges["source"], edges["target"], strict=True):
            if target in back:
                users[source].add(target)
        return users


class Moment(Written):
    """The figures that are known after a step."""

    def __init__(self, line: Timeline, at: int, digits: int | None = None, *, ascii: bool = False) -> None:
        super().__init__(line.document, digits, ascii=ascii)
        self.line, self.at = line, at
        self.step = line.steps[at]
        back = self.step.number if self.step.phase == "backward" else 0
        self.waiting = set(line.forward[at:])
        self.done = set(line.backward[:back])

    def value(self, node: int) -> Figure:
        """The value of a node that has been computed."""
        return Figure() if node in self.waiting else super().value(node)

    def gradient(self, node: int) -> Figure:
        """The gradient of a node to which all who use it have handed theirs back."""
        return super().gradient(node) if self.is_complete(node) else Figure()

    def term(self, edge: int) -> Figure:
        """What a gate that is done has handed back."""
        return super().term(edge) if self.done and self.edges["target"][edge] in self.done else Figure()

    def is_complete(self, node: int) -> bool:
        """Whether the gradient of a node is known."""
        return bool(self.done) and self.line.users[node] <= self.done


def pages(
    document: Mapping[str, Any],
    *,
    digits: int | None = None,
    ascii: bool = False,
    width: int | None = None,
    color: bool = False,
) -> list[str]:
    """Every step of a document as text: where we are, the picture with what is known, and the callout.

    Parameters
    ----------
    document : dict, as `adjoint.view.document` makes it
    digits, ascii, width, color : as in `adjoint.view.text`

    Returns
    -------
    list of str

    Example
    -------
    >>> import adjoint as ad
    >>> x, y = ad.tensor(3.0, name="x"), ad.tensor(-4.0, name="y")
    >>> f = (x * y).named("f")
    >>> f.backward()
    >>> print(pages(ad.view.document(f))[2])
    step 2 of 2: backward 1 of 1
    <BLANKLINE>
         3
    x ────────╮
       ∂ -4   │      -12
             (×)─ f ──────
        -4    │      ∂ 1
    y ────────╯
        ∂ 3
    <BLANKLINE>
    (×) f = x × y: multiply swaps: each input gets upstream × the other input
        ∂x = ∂f × y = 1 × -4 = -4
        ∂y = ∂f × x = 1 × 3 = 3
    """
    line = Timeline(document)
    known = Written(document, digits, ascii=ascii).digits
    return [page(Moment(line, at, known, ascii=ascii), width=width, color=color) for at in range(len(line.steps))]


def page(moment: Moment, *, width: int | None = None, color: bool = False) -> str:
    """One step as text."""
    step, line = moment.step, moment.line
    total = {"before": 0, "forward": len(line.forward), "backward": len(line.backward)}[step.phase]
    head = f"step {moment.at} of {len(line.steps) - 1}: "
    head += "inputs only" if step.phase == "before" else f"{step.phase} {step.number} of {total}"
    said = [moment.plain(each, _letters(each)) for each in callout(moment)]
    return "\n".join([head, "", written(moment, width=width, color=color), *(["", *said] if said else [])])


def _letters(text: str) -> str:
    """A callout in ASCII: gradients by d, transposes by .T."""
    replaced = text.replace("∂", "d").replace("ᵀ", ".T").replace("·", "@" if ".T" in text or "ᵀ" in text else "*")
    return "".join(_PLAIN.get(letter, letter) for letter in replaced).encode("ascii", "replace").decode()


_PLAIN: Final = {"×": "*", "−": "-", "²": "^2", "≤": "<=", "≥": ">=", "≠": "!=", "—": "--", "…": ".."}


# --- the callout ----------------------------------------------------------------------------------------------------


def callout(moment: Moment) -> list[str]:
    """What happens at the gate of a step, in lines; nothing before the first."""
    node, nodes = moment.step.node, moment.nodes
    if node < 0:
        return []
    head = f"({nodes['caption'][node]}) {nodes['label'][node]} = {nodes['formula'][node]}"
    if moment.step.phase == "forward":
        return [f"{head} = {_brief(moment, moment.value(node), node)}", *_forward(moment, node)]
    pattern = moment.graph["ops"][nodes["op"][node]]["pattern"]
    return [head + (f": {pattern['en']}" if pattern else ""), *_backward(moment, node)]


def _forward(moment: Moment, node: int) -> Iterator[str]:
    """The local gradients, which are known as soon as a gate has computed."""
    labels = moment.nodes["label"]
    for edge in moment.entering[node]:
        found = _local(moment, edge)
        if found:
            source, formula = moment.edges["source"][edge], _formula(moment, edge)
            parts = [f"∂{labels[node]}/∂{labels[source]}", formula, found]
            yield "    " + " = ".join(dict.fromkeys(part for part in parts if part))


def _backward(moment: Moment, node: int) -> Iterator[str]:
    """What each input gets: the formula, the numbers, and at a branch the sum when it is complete."""
    labels, sources = moment.nodes["label"], moment.edges["source"]
    last = {sources[edge]: edge for edge in moment.entering[node]}
    for edge in moment.entering[node]:
        source, term = sources[edge], _contribution(moment, edge)
        if not term:
            continue
        is_branch = moment.uses[source] > 1
        is_sum = is_branch and last[source] == edge and moment.is_complete(source)
        whole = f", in all {_brief(moment, moment.gradient(source), source)}" if is_sum else ""
        sign = "gets" if is_branch else "="
        yield f"    ∂{labels[source]} {sign} {' = '.join([*_product(moment, edge), term])}{whole}"


def _product(moment: Moment, edge: int) -> Iterator[str]:
    """Upstream × local as a formula and in numbers; in words where there is no local gradient per element."""
    target = moment.edges["target"][edge]
    upstream = f"∂{moment.nodes['label'][target]}"
    if moment.trace is None or moment.trace["locals"][edge] is None:
        yield rule(*_names(moment, edge), upstream, math.prod(moment.nodes["shape"][moment.edges["source"][edge]]))
        return
    formula, found = _formula(moment, edge), _local(moment, edge)
    if formula:
        yield f"{upstream} × {formula}"
    if found:
        yield f"{_brief(moment, moment.gradient(target), target)} × {found}"


def _names(moment: Moment, edge: int) -> tuple[str, int, list[str]]:
    """Op, position and the names of all inputs of the gate at the end of an edge."""
    target = moment.edges["target"][edge]
    named = {moment.edges["position"][each]: moment.edges["source"][each] for each in moment.entering[target]}
    count = 1 + max(1, *named)
    labels = [moment.nodes["label"][named[place]] if place in named else "" for place in range(count)]
    op = moment.graph["ops"][moment.nodes["op"][target]]["name"]
    return op, moment.edges["position"][edge], labels


def _formula(moment: Moment, edge: int) -> str:
    return local(*_names(moment, edge), moment.nodes["label"][moment.edges["target"][edge]])


def _local(moment: Moment, edge: int) -> str:
    """The local gradient of an edge in short; empty where there is none, or where it would tell what is blank."""
    target = moment.edges["target"][edge]
    blank = {(target, "value"), *((moment.edges["source"][each], "value") for each in moment.entering[target])}
    if moment.trace is None or moment.trace["locals"][edge] is None or blank & moment.blank:
        return ""
    return _brief(moment, moment.figure(moment.trace["locals"][edge], target), target)


def _contribution(moment: Moment, edge: int) -> str:
    """What an edge hands back in short; empty where nothing flows."""
    source = moment.edges["source"][edge]
    if moment.trace is None or moment.trace["contributions"][edge] is None:
        return ""
    if (source, "gradient") in moment.blank:
        return BLANK
    return _brief(moment, moment.figure(moment.trace["contributions"][edge], source), source)


def _brief(moment: Moment, figure: Figure, node: int) -> str:
    """A figure in one line: a matrix or a large array by its shape."""
    lines = moment.lines(figure)
    return lines[0] if len(lines) == 1 else shape(tuple(moment.nodes["shape"][node]))
