"""A chain of scalar nodes, x ← x a then x ← x + b, forward and backward, with a and b plain numbers.

Long chains show recursion, quadratic time and memory per node. A peer that cannot do a million nodes in a few
seconds gets a shorter chain: the figures are per node. Besides a short chain number by number, a peer shows
the full length that it is timed on, over its closed form: x_n = aⁿ x_0 + b (1 − aⁿ) / (1 − a).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from benchmarks.task import Inputs, Results, Target, Task, Work

MILLION = 1_000_000
SHORT = 1_000

# Takes how many nodes; returns the last value, the first gradient, and what keeps the graph alive.
Chain = Callable[[int], tuple[Any, Any, object]]


def inputs() -> Inputs:
    return {"x": 2.0, "a": 0.999999, "b": 1e-6}


task = Task(
    module=__name__,
    title="A chain of scalar nodes x a + b with numbers a and b, forward and backward, for one node "
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


def extend(x: Any, a: Any, b: Any, nodes: int) -> Any:
    """The chain itself, in whatever overloads the operators."""
    for _ in range(nodes // 2):
        x = x * a + b
    return x


def closed_form(given: Inputs, nodes: int) -> tuple[float, float]:
    x, a, b = given.values()
    power = a ** (nodes // 2)
    return power * x + b * (1 - power) / (1 - a), power


def work(given: Inputs, build: Chain, nodes: int) -> Work:
    """Time and weigh `build` on the full length, check it on that and on a short one."""
    build(SHORT)  # whatever the library loads at its first use is no node's memory

    def check() -> Results:
        value, gradient, _ = build(SHORT)
        full, full_gradient, _ = build(nodes)
        form, power = closed_form(given, nodes)
        ratios = {"full value ratio": float(full) / form, "full gradient ratio": float(full_gradient) / power}
        return {"value": value, "gradient": gradient} | ratios

    return Work(lambda: build(nodes), check, units=nodes)


@task.peer("python", note="by hand, no graph")
def python(given: Inputs) -> Work:
    x, a, b = given.values()

    def build(nodes: int) -> tuple[float, float, object]:
        value, gradient = x, 1.0
        for _ in range(nodes // 2):
            value = value * a + b
        for _ in range(nodes // 2):
            gradient = gradient * a
        return value, gradient, None

    return work(given, build, MILLION)


@task.peer("adjoint")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    start, a, b = given.values()

    def build(nodes: int) -> tuple[Any, Any, object]:
        x = ad.tensor(start)
        out = extend(x, a, b, nodes)
        out.backward()
        return out.value, x.grad, out

    return work(given, build, MILLION)


@task.peer("torch", note="100,000 nodes")
def torch(given: Inputs) -> Work:
    import torch

    start, a, b = given.values()

    def build(nodes: int) -> tuple[Any, Any, object]:
        x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        out = extend(x, a, b, nodes)
        out.backward()
        return out.detach(), x.grad, out

    return work(given, build, 100_000)


@task.peer("micrograd", note="100,000 nodes; it recurses, so Python's limit is lifted; numbers become nodes")
def micrograd(given: Inputs) -> Work:
    from micrograd.engine import Value

    start, a, b = given.values()
    sys.setrecursionlimit(10 * MILLION)

    def build(nodes: int) -> tuple[Any, Any, object]:
        x = Value(start)
        out = extend(x, a, b, nodes)
        out.backward()
        return out.data, x.grad, out

    return work(given, build, 100_000)


@task.peer("autograd", note="100,000 nodes")
def autograd(given: Inputs) -> Work:
    from autograd import value_and_grad

    start, a, b = given.values()

    def build(nodes: int) -> tuple[Any, Any, object]:
        value, gradient = value_and_grad(lambda x: extend(x, a, b, nodes))(start)
        return value, gradient, None

    return work(given, build, 100_000)


@task.peer("mygrad", note="10,000 nodes; it recurses, so Python's limit is lifted")
def mygrad(given: Inputs) -> Work:
    import mygrad as mg

    start, a, b = given.values()
    sys.setrecursionlimit(10 * MILLION)

    def build(nodes: int) -> tuple[Any, Any, object]:
        x = mg.tensor(start)
        out = extend(x, a, b, nodes)
        out.backward()
        return out.data, x.grad, out

    return work(given, build, 10_000)


@task.peer("jax", note="2,000 nodes, eager; jit compiles for seconds at 3,000 nodes and is left out")
def jax(given: Inputs) -> Work:
    import jax

    jax.config.update("jax_enable_x64", True)
    start, a, b = given.values()

    def build(nodes: int) -> tuple[Any, Any, object]:
        both = jax.value_and_grad(lambda x: extend(x, a, b, nodes))
        value, gradient = jax.block_until_ready(both(start))
        return value, gradient, None

    return work(given, build, 2_000)
