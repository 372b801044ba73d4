"""The lecture's add, max and multiply gates: f = 2 (x y + max(z, w)), built anew each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.task import Inputs, Results, Target, Task, Work


def inputs() -> Inputs:
    return {"x": 3.0, "y": -4.0, "z": 2.0, "w": -1.0}


task = Task(
    module=__name__,
    title="2 (x y + max(z, w)), forward and backward, leaves and graph built each time, float64",
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
        x, y, z, w = start
        f = 2.0 * (x * y + max(z, w))
        return f, (2.0 * y, 2.0 * x, 2.0 if z >= w else 0.0, 2.0 if w > z else 0.0)

    return Work(run, lambda: named(*run()))


@task.peer("adjoint")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    start = tuple(given.values())

    def run() -> Any:
        leaves = [ad.tensor(v) for v in start]
        x, y, z, w = leaves
        f = 2.0 * (x * y + ad.maximum(z, w))
        f.backward()
        return f, leaves

    def check() -> Results:
        f, leaves = run()
        return named(f.value, [leaf.grad for leaf in leaves])

    return Work(run, check)


@task.peer("micrograd", note="a max gate added in its own style")
def micrograd(given: Inputs) -> Work:
    from micrograd.engine import Value

    start = tuple(given.values())

    def maximum(z: Any, w: Any) -> Any:
        out = Value(z.data if z.data >= w.data else w.data, (z, w), "max")

        def backward() -> None:
            (z if z.data >= w.data else w).grad += out.grad

        out._backward = backward
        return out

    def run() -> Any:
        leaves = [Value(v) for v in start]
        x, y, z, w = leaves
        f = 2.0 * (x * y + maximum(z, w))
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
        x, y, z, w = leaves
        f = 2.0 * (x * y + torch.maximum(z, w))
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
    x, y, z, w = leaves

    def run() -> Any:
        for leaf in leaves:
            leaf.grad = None
        f = 2.0 * (x * y + torch.maximum(z, w))
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

    def circuit(x: Any, y: Any, z: Any, w: Any) -> Any:
        return 2.0 * (x * y + jnp.maximum(z, w))

    both = jax.value_and_grad(circuit, argnums=(0, 1, 2, 3))
    step = jax.jit(both) if compiled else both

    def run() -> Any:
        return jax.block_until_ready(step(*start))

    return Work(run, lambda: named(*run()))


@task.peer("autograd")
def autograd(given: Inputs) -> Work:
    import autograd.numpy as np
    from autograd import value_and_grad

    start = tuple(given.values())

    def circuit(x: Any, y: Any, z: Any, w: Any) -> Any:
        return 2.0 * (x * y + np.maximum(z, w))

    both = value_and_grad(circuit, argnum=(0, 1, 2, 3))
    return Work(lambda: both(*start), lambda: named(*both(*start)))


@task.peer("mygrad")
def mygrad(given: Inputs) -> Work:
    import mygrad as mg

    start = tuple(given.values())

    def run() -> Any:
        leaves = [mg.tensor(v) for v in start]
        x, y, z, w = leaves
        f = 2.0 * (x * y + mg.maximum(z, w))
        f.backward()
        return f, leaves

    def check() -> Results:
        f, leaves = run()
        return named(f.data, [leaf.grad for leaf in leaves])

    return Work(run, check)
