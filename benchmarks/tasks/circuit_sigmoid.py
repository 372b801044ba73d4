"""The lecture's sigmoid neuron, unfolded: f = 1 / (1 + exp(−(w0 x0 + w1 x1 + w2))), all five gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.task import Inputs, Results, Target, Task, Work


def inputs() -> Inputs:
    return {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0}


task = Task(
    module=__name__,
    title="The sigmoid neuron unfolded, forward and backward, leaves and graph built each time, float64",
    unit="µs",
    inputs=inputs,
    targets=(
        Target("faster than micrograd", 1.0, against="micrograd"),
        Target("at least 10 times faster than torch", 0.1, against="torch"),
    ),
)


def named(value: Any, gradients: Sequence[Any]) -> Results:
    return {"f": value} | {f"df/d{leaf}": g for leaf, g in zip(inputs(), gradients, strict=True)}


@task.peer("python", note="by hand, no graph")
def python(given: Inputs) -> Work:
    start = tuple(given.values())

    def run() -> tuple[float, tuple[float, ...]]:
        w0, x0, w1, x1, w2 = start
        f = 1.0 / (1.0 + math.exp(-(w0 * x0 + w1 * x1 + w2)))
        d = (1.0 - f) * f
        return f, (x0 * d, w0 * d, x1 * d, w1 * d, d)

    return Work(run, lambda: named(*run()))


@task.peer("adjoint")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    start = tuple(given.values())

    def run() -> Any:
        leaves = [ad.tensor(v) for v in start]
        w0, x0, w1, x1, w2 = leaves
        f = 1.0 / (1.0 + ad.exp(-(w0 * x0 + w1 * x1 + w2)))
        f.backward()
        return f, leaves

    def check() -> Results:
        f, leaves = run()
        return named(f.value, [leaf.grad for leaf in leaves])

    return Work(run, check)


@task.peer("micrograd", note="exp added in its own style, as its author's lecture does")
def micrograd(given: Inputs) -> Work:
    from micrograd.engine import Value

    start = tuple(given.values())

    def exp(x: Any) -> Any:
        out = Value(math.exp(x.data), (x,), "exp")

        def backward() -> None:
            x.grad += out.data * out.grad

        out._backward = backward
        return out

    def run() -> Any:
        leaves = [Value(v) for v in start]
        w0, x0, w1, x1, w2 = leaves
        f = 1.0 / (1.0 + exp(-(w0 * x0 + w1 * x1 + w2)))
        f.backward()
        return f, leaves

    def check() -> Results:
        f, leaves = run()
        return named(f.data, [leaf.grad for leaf in leaves])

    return Work(run, check)


@task.peer("torch")
def torch(given: Inputs) -> Work:
    import torch

    start = tuple(given.values())

    def run() -> Any:
        leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in start]
        w0, x0, w1, x1, w2 = leaves
        f = 1.0 / (1.0 + torch.exp(-(w0 * x0 + w1 * x1 + w2)))
        f.backward()
        return f, leaves

    def check() -> Results:
        f, leaves = run()
        return named(f.detach(), [leaf.grad for leaf in leaves])

    return Work(run, check)


@task.peer("torch.leaves_kept", note="leaves made once, their gradients reset")
def torch_leaves_kept(given: Inputs) -> Work:
    import torch

    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in given.values()]
    w0, x0, w1, x1, w2 = leaves

    def run() -> Any:
        for leaf in leaves:
            leaf.grad = None
        f = 1.0 / (1.0 + torch.exp(-(w0 * x0 + w1 * x1 + w2)))
        f.backward()
        return f

    return Work(run, lambda: named(run().detach(), [leaf.grad for leaf in leaves]))


@task.peer("jax", note="value_and_grad, eager")
def jax(given: Inputs) -> Work:
    return _jax(given, compiled=False)


@task.peer("jax.jit", note="compiled beforehand")
def jax_jit(given: Inputs) -> Work:
    return _jax(given, compiled=True)


def _jax(given: Inputs, *, compiled: bool) -> Work:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    start = tuple(given.values())

    def neuron(w0: Any, x0: Any, w1: Any, x1: Any, w2: Any) -> Any:
        return 1.0 / (1.0 + jnp.exp(-(w0 * x0 + w1 * x1 + w2)))

    both = jax.value_and_grad(neuron, argnums=(0, 1, 2, 3, 4))
    step = jax.jit(both) if compiled else both

    def run() -> Any:
        return jax.block_until_ready(step(*start))

    return Work(run, lambda: named(*run()))


@task.peer("autograd")
def autograd(given: Inputs) -> Work:
    import autograd.numpy as np
    from autograd import value_and_grad

    start = tuple(given.values())

    def neuron(w0: Any, x0: Any, w1: Any, x1: Any, w2: Any) -> Any:
        return 1.0 / (1.0 + np.exp(-(w0 * x0 + w1 * x1 + w2)))

    both = value_and_grad(neuron, argnum=(0, 1, 2, 3, 4))
    return Work(lambda: both(*start), lambda: named(*both(*start)))


@task.peer("mygrad")
def mygrad(given: Inputs) -> Work:
    import mygrad as mg

    start = tuple(given.values())

    def run() -> Any:
        leaves = [mg.tensor(v) for v in start]
        w0, x0, w1, x1, w2 = leaves
        f = 1.0 / (1.0 + mg.exp(-(w0 * x0 + w1 * x1 + w2)))
        f.backward()
        return f, leaves

    def check() -> Results:
        f, leaves = run()
        return named(f.data, [leaf.grad for leaf in leaves])

    return Work(run, check)
