"""The chain of `chain` with a and b as leaves too: each gathers a gradient from half of all nodes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from benchmarks.task import Inputs, Results, Target, Task, Work
from benchmarks.tasks.chain import MILLION, SHORT, closed_form, extend, inputs

# Takes how many nodes; returns the last value, the gradients of x, a and b, and what keeps the graph alive.
Chain = Callable[[int], tuple[Any, list[Any], object]]

task = Task(
    module=__name__,
    title="A chain of scalar nodes x a + b with leaves a and b, forward and backward, for one node "
    "(1,000,000 nodes where the note says no other length; bytes: growth of the process at its peak)",
    unit="µs",
    inputs=inputs,
    targets=(
        Target("at most 3 µs a node", 3e-6, "seconds"),
        Target("at most 400 bytes a node", 400, "bytes"),
    ),
    rounds=3,
    memory=True,
)


def work(given: Inputs, build: Chain, nodes: int) -> Work:
    """Time and weigh `build` on the full length, check it on that and on a short one."""
    build(SHORT)

    def check() -> Results:
        value, gradients, _ = build(SHORT)
        full, full_gradients, _ = build(nodes)
        form, power = closed_form(given, nodes)
        ratios = {
            "full value ratio": float(full) / form,
            "full gradient ratio": float(full_gradients[0]) / power,
        }
        return {"value": value} | dict(zip(("dx", "da", "db"), map(float, gradients), strict=True)) | ratios

    return Work(lambda: build(nodes), check, units=nodes)


@task.peer("python", note="by hand, no graph; keeps the values that the backward sweep reads")
def python(given: Inputs) -> Work:
    x, a, b = given.values()

    def build(nodes: int) -> tuple[float, list[Any], object]:
        values = [x]
        for _ in range(nodes // 2):
            values.append(values[-1] * a + b)
        dx, da, db = 1.0, 0.0, 0.0
        for value in reversed(values[:-1]):
            db += dx
            da += dx * value
            dx *= a
        return values[-1], [dx, da, db], values

    return work(given, build, MILLION)


@task.peer("adjoint")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    start = tuple(given.values())

    def build(nodes: int) -> tuple[Any, list[Any], object]:
        leaves = [ad.tensor(v) for v in start]
        x, a, b = leaves
        out = extend(x, a, b, nodes)
        out.backward()
        return out.value, [leaf.grad for leaf in leaves], out

    return work(given, build, MILLION)


@task.peer("torch", note="100,000 nodes")
def torch(given: Inputs) -> Work:
    import torch

    start = tuple(given.values())

    def build(nodes: int) -> tuple[Any, list[Any], object]:
        leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in start]
        x, a, b = leaves
        out = extend(x, a, b, nodes)
        out.backward()
        return out.detach(), [leaf.grad for leaf in leaves], out

    return work(given, build, 100_000)


@task.peer("micrograd", note="100,000 nodes; it recurses, so Python's limit is lifted")
def micrograd(given: Inputs) -> Work:
    from micrograd.engine import Value

    start = tuple(given.values())
    sys.setrecursionlimit(10 * MILLION)

    def build(nodes: int) -> tuple[Any, list[Any], object]:
        leaves = [Value(v) for v in start]
        x, a, b = leaves
        out = extend(x, a, b, nodes)
        out.backward()
        return out.data, [leaf.grad for leaf in leaves], out

    return work(given, build, 100_000)


@task.peer("autograd", note="100,000 nodes")
def autograd(given: Inputs) -> Work:
    from autograd import value_and_grad

    start = tuple(given.values())

    def build(nodes: int) -> tuple[Any, list[Any], object]:
        both = value_and_grad(lambda x, a, b: extend(x, a, b, nodes), argnum=(0, 1, 2))
        value, gradients = both(*start)
        return value, list(gradients), None

    return work(given, build, 100_000)
