"""The multiclass hinge loss of a linear classifier and its gradient, as on flattened small colour images.

lossᵢ = Σ_{j ≠ yᵢ} max(0, sᵢⱼ − sᵢ,yᵢ + 1), averaged over the rows, with s = x · w.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.task import Inputs, Results, Task, Work, faster

ROWS, FEATURES, CLASSES = 256, 3073, 10


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    return {
        "x": rng.standard_normal((ROWS, FEATURES), np.float32),
        "y": rng.integers(0, CLASSES, ROWS),
        "w": rng.standard_normal((FEATURES, CLASSES), np.float32) * np.float32(0.01),
    }


task = Task(
    module=__name__,
    title=f"Hinge loss of {ROWS} rows of {FEATURES} features in {CLASSES} classes and its gradient, float32",
    unit="µs",
    inputs=inputs,
    targets=(faster(1.5),),
    tolerance=1e-4,
    patience=30.0,
)


def named(result: Any) -> Results:
    loss, gradient = result
    return {"loss": loss, "gradient": gradient}


@task.peer("numpy", note="by hand")
def numpy(given: Inputs) -> Work:
    x, y, w = given.values()
    rows = np.arange(ROWS)

    def run() -> Any:
        s = x @ w
        s -= s[rows, y][:, None] - np.float32(1)
        s[rows, y] = 0
        loss = np.maximum(s, 0, out=s).sum() / np.float32(ROWS)
        g = (s > 0).astype(np.float32)
        g[rows, y] = -g.sum(axis=1)
        g /= ROWS
        return loss, x.T @ g

    return Work(run, lambda: named(run()))


@task.peer("adjoint", note="ad.compile")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    x, y, w = given["x"], given["y"], ad.Parameter(given["w"], name="w")

    @ad.compile
    def both(x: Any, y: Any) -> Any:
        loss = ad.nn.hinge_loss(x @ w, y)
        loss.backward()
        return loss, w.grad

    return Work(lambda: both(x, y), lambda: named(map(np.asarray, both(x, y))))


@task.peer("torch", note="eager, its own multi_margin_loss")
def torch(given: Inputs) -> Work:
    import torch

    x, y, w = (torch.from_numpy(v) for v in given.values())
    w.requires_grad_()

    def run() -> Any:
        loss = CLASSES * torch.nn.functional.multi_margin_loss(x @ w, y)  # it divides by the number of classes
        return loss.detach(), torch.autograd.grad(loss, w)[0]

    return Work(run, lambda: named(run()))


@task.peer("torch.compile")
def torch_compile(given: Inputs) -> Work:
    import torch

    x, y, w = (torch.from_numpy(v) for v in given.values())

    def loss_of(w: Any, x: Any, y: Any) -> Any:
        s = x @ w
        margins = torch.relu(s - s.gather(1, y[:, None]) + 1)
        return (margins.sum() - len(x)) / len(x)  # the right class is 1 above itself

    both = torch.compile(torch.func.grad_and_value(loss_of), fullgraph=True, dynamic=False)

    def run() -> Any:
        gradient, loss = both(w, x, y)
        return loss, gradient

    return Work(run, lambda: named(run()))


@task.peer("jax.jit")
def jax(given: Inputs) -> Work:
    import jax
    import jax.numpy as jnp

    x, y, w = (jnp.asarray(v) for v in given.values())

    def loss_of(w: Any, x: Any, y: Any) -> Any:
        s = x @ w
        margins = jax.nn.relu(s - jnp.take_along_axis(s, y[:, None], axis=1) + 1)
        return (margins.sum() - len(x)) / len(x)  # the right class is 1 above itself

    both = jax.jit(jax.value_and_grad(loss_of))
    return Work(lambda: jax.block_until_ready(both(w, x, y)), lambda: named(both(w, x, y)))
