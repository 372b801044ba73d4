"""A graph of 100,000 scalar nodes, like the neurons of a teaching engine: forward and backward, for one node.

A cell takes three earlier values at random, v = tanh((a + b) c), and adds v to a running total: four nodes. Values
stay within 1, and gradients neither die nor explode, since earlier values are drawn from all the way back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.task import Inputs, Results, Target, Task, Work

LEAVES, CELLS = 100, 25_000
NODES = 4 * CELLS


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    places = rng.integers(0, LEAVES + np.arange(CELLS)[:, None], (CELLS, 3))
    return {"leaves": rng.uniform(-1, 1, LEAVES).tolist(), "places": places.tolist()}


task = Task(
    module=__name__,
    title=f"A graph of {NODES:,} scalar nodes (add, multiply, tanh), forward and backward, for one node, float64; "
    "jax.jit and torch.compile need more than two minutes to compile it and are left out",
    unit="µs",
    inputs=inputs,
    targets=(Target("at least 100 times faster than torch eager", 0.01, against="torch"),),
    rounds=5,
)


def total(leaves: Sequence[Any], places: Sequence[Sequence[int]], tanh: Callable[[Any], Any]) -> Any:
    """The graph in whatever overloads the operators."""
    values, result = list(leaves), leaves[0]
    for i, j, k in places:
        value = tanh((values[i] + values[j]) * values[k])
        values.append(value)
        result = result + value
    return result


def named(result: Any) -> Results:
    out, gradients = result
    return {"out": float(out), "gradients": [float(g) for g in gradients]}


@task.peer("python", note="by hand, no graph")
def python(given: Inputs) -> Work:
    leaves, places = given.values()

    def run() -> Any:
        values, sums = list(leaves), []
        for i, j, k in places:
            sums.append(values[i] + values[j])
            values.append(math.tanh(sums[-1] * values[k]))
        gradients = [0.0] * LEAVES + [1.0] * CELLS
        gradients[0] = 1.0
        for cell in range(CELLS - 1, -1, -1):
            (i, j, k), value = places[cell], values[LEAVES + cell]
            g = gradients[LEAVES + cell] * (1 - value * value)
            gradients[k] += g * sums[cell]
            g *= values[k]
            gradients[i] += g
            gradients[j] += g
        return leaves[0] + sum(values[LEAVES:]), gradients[:LEAVES]

    return Work(run, lambda: named(run()), units=NODES)


@task.peer("adjoint", note="ad.compile: built once")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    leaves = [ad.Parameter(value) for value in given["leaves"]]

    @ad.compile
    def both() -> Any:
        out = total(leaves, given["places"], ad.tanh)
        out.backward()
        return out, [leaf.grad for leaf in leaves]

    return Work(both, lambda: named(both()), units=NODES)


@task.peer("torch", note="eager: built at every run")
def torch(given: Inputs) -> Work:
    import torch

    leaves = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in given["leaves"]]

    def run() -> Any:
        out = total(leaves, given["places"], torch.tanh)
        return out.detach(), torch.autograd.grad(out, leaves)

    return Work(run, lambda: named(run()), units=NODES)
