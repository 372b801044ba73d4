"""relu of a matrix and its gradient for a given upstream: what is moved through memory decides.

Every peer returns new arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.task import Inputs, Results, Task, Work, faster

SHAPE = (100, 4096)


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal(SHAPE, np.float32), "upstream": rng.standard_normal(SHAPE, np.float32)}


task = Task(
    module=__name__,
    title="relu forward and backward, 100 x 4096, float32",
    unit="µs",
    inputs=inputs,
    targets=(faster(2),),
    tolerance=0.0,
    patience=30.0,
)


def named(result: Any) -> Results:
    """Row and column sums in float64 would hide a wrong sign; the numbers of every tenth row do not."""
    out, gradient = (np.asarray(part)[::10] for part in result)
    return {"out": out, "gradient": gradient}


@task.peer("numpy", note="by hand")
def numpy(given: Inputs) -> Work:
    x, upstream = given.values()

    def run() -> Any:
        return np.maximum(x, 0), upstream * (x > 0)

    return Work(run, lambda: named(run()))


@task.peer("adjoint", note="ad.compile of ad.vjp")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    x, upstream = given.values()

    @ad.compile
    def both(x: Any, upstream: Any) -> Any:
        out, pull = ad.vjp(ad.relu, x)
        return out, pull(upstream)[0]

    return Work(lambda: both(x, upstream), lambda: named(both(x, upstream)))


@task.peer("torch", note="eager")
def torch(given: Inputs) -> Work:
    import torch

    x, upstream = (torch.from_numpy(v) for v in given.values())
    x.requires_grad_()

    def run() -> Any:
        out = torch.relu(x)
        return out.detach(), torch.autograd.grad(out, x, upstream)[0]

    return Work(run, lambda: named(run()))


@task.peer("torch.compile", note="of torch.func.vjp")
def torch_compile(given: Inputs) -> Work:
    import torch

    x, upstream = (torch.from_numpy(v) for v in given.values())

    @torch.compile(fullgraph=True, dynamic=False)
    def both(x: Any, upstream: Any) -> Any:
        out, pull = torch.func.vjp(torch.relu, x)
        return out, pull(upstream)[0]

    return Work(lambda: both(x, upstream), lambda: named(both(x, upstream)))


@task.peer("jax.jit", note="of jax.vjp")
def jax(given: Inputs) -> Work:
    import jax
    import jax.numpy as jnp

    x, upstream = (jnp.asarray(v) for v in given.values())

    @jax.jit
    def both(x: Any, upstream: Any) -> Any:
        out, pull = jax.vjp(jax.nn.relu, x)
        return out, pull(upstream)[0]

    return Work(lambda: jax.block_until_ready(both(x, upstream)), lambda: named(both(x, upstream)))
