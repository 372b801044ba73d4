"""Twelve elementwise operations on ten million numbers, their sum, and the gradient of that.

a = σ(x);  b = tanh(x a);  c = exp(−x²);  out = a log(1 + (b + c)²) − c

Done one after the other, each operation reads and writes all the memory; fused, the numbers are read once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.task import Inputs, Results, Task, Work, faster

SIZE = 10_000_000


def inputs() -> Inputs:
    return {"x": np.random.default_rng(0).standard_normal(SIZE, np.float32)}


task = Task(
    module=__name__,
    title="Twelve elementwise operations (sigmoid, multiply, tanh, multiply, negative, exp, add, square, add, log, "
    "multiply, subtract), their sum and its gradient, 10,000,000 numbers, float32",
    unit="ms",
    inputs=inputs,
    targets=(faster(2.5),),
    tolerance=1e-4,
    rounds=7,
    patience=30.0,
)


def chain(m: Any, x: Any, sigmoid: Any) -> Any:
    """The operations in the words of a library."""
    a = sigmoid(x)
    b, c = m.tanh(x * a), m.exp(-(x * x))
    return m.log(m.square(b + c) + 1.0) * a - c


def named(result: Any) -> Results:
    """The mean, and of the gradient the mean and a sample that meets every place in a row of 64 numbers."""
    out, gradient = result
    gradient = np.asarray(gradient)
    mean = {"mean": float(out) / SIZE, "mean of the gradient": gradient.mean(dtype=np.float64)}
    return mean | {"gradient": gradient[::9973]}


@task.peer("numpy", note="by hand")
def numpy(given: Inputs) -> Work:
    x = given["x"]

    def run() -> Any:
        a = 1 / (1 + np.exp(-x))
        b, c = np.tanh(x * a), np.exp(-(x * x))
        d = b + c
        q = np.square(d) + 1
        e = np.log(q)
        out = (e * a - c).sum()
        dd = 2 * a * d / q
        du = dd * (1 - b * b)
        da = e + du * x
        return out, du * a - 2 * x * c * (dd - 1) + da * a * (1 - a)

    return Work(run, lambda: named(run()))


@task.peer("adjoint", note="ad.compile of ad.value_and_grad")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    x, both = given["x"], ad.compile(ad.value_and_grad(lambda x: chain(ad, x, ad.sigmoid).sum()))
    return Work(lambda: both(x), lambda: named(both(x)))


@task.peer("torch", note="eager")
def torch(given: Inputs) -> Work:
    import torch

    x = torch.from_numpy(given["x"]).requires_grad_()

    def run() -> Any:
        out = chain(torch, x, torch.sigmoid).sum()
        return out.detach(), torch.autograd.grad(out, x)[0]

    return Work(run, lambda: named(run()))


@task.peer("torch.compile")
def torch_compile(given: Inputs) -> Work:
    import torch

    x = torch.from_numpy(given["x"])
    both = torch.func.grad_and_value(lambda x: chain(torch, x, torch.sigmoid).sum())
    compiled = torch.compile(both, fullgraph=True, dynamic=False)
    return Work(lambda: compiled(x), lambda: named(reversed(compiled(x))))


@task.peer("jax.jit")
def jax(given: Inputs) -> Work:
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(given["x"])
    both = jax.jit(jax.value_and_grad(lambda x: chain(jnp, x, jax.nn.sigmoid).sum()))
    return Work(lambda: jax.block_until_ready(both(x)), lambda: named(both(x)))
