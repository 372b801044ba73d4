"""The lecture's first circuit, f = (x + y) z: built, evaluated and differentiated anew each time."""

from __future__ import annotations

from typing import Any

from benchmarks.task import Inputs, Results, Target, Task, Work


def inputs() -> Inputs:
    return {"x": -2.0, "y": 5.0, "z": -4.0}


task = Task(
    module=__name__,
    title="(x + y) z, forward and backward, leaves and graph built each time, float64",
    unit="µs",
    inputs=inputs,
    targets=(
        Target("faster than micrograd", 1.0, against="micrograd"),
        Target("at least 10 times faster than torch", 0.1, against="torch"),
    ),
)


def named(value: Any, x: Any, y: Any, z: Any) -> Results:
    return {"f": value, "df/dx": x, "df/dy": y, "df/dz": z}


@task.peer("python", note="by hand, no graph")
def python(given: Inputs) -> Work:
    x0, y0, z0 = given.values()

    def run() -> tuple[float, ...]:
        x, y, z = x0, y0, z0
        q = x + y
        f = q * z
        dq, dz = z, q
        return f, dq, dq, dz

    return Work(run, lambda: named(*run()))


@task.peer("adjoint")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    x0, y0, z0 = given.values()

    def run() -> Any:
        x, y, z = ad.tensor(x0), ad.tensor(y0), ad.tensor(z0)
        f = (x + y) * z
        f.backward()
        return f, x, y, z

    def check() -> Results:
        f, x, y, z = run()
        return named(f.value, x.grad, y.grad, z.grad)

    return Work(run, check)


@task.peer("micrograd")
def micrograd(given: Inputs) -> Work:
    from micrograd.engine import Value

    x0, y0, z0 = given.values()

    def run() -> Any:
        x, y, z = Value(x0), Value(y0), Value(z0)
        f = (x + y) * z
        f.backward()
        return f, x, y, z

    def check() -> Results:
        f, x, y, z = run()
        return named(f.data, x.grad, y.grad, z.grad)

    return Work(run, check)


@task.peer("torch")
def torch(given: Inputs) -> Work:
    import torch

    x0, y0, z0 = given.values()

    def run() -> Any:
        x = torch.tensor(x0, dtype=torch.float64, requires_grad=True)
        y = torch.tensor(y0, dtype=torch.float64, requires_grad=True)
        z = torch.tensor(z0, dtype=torch.float64, requires_grad=True)
        f = (x + y) * z
        f.backward()
        return f, x, y, z

    def check() -> Results:
        f, x, y, z = run()
        return named(f.detach(), x.grad, y.grad, z.grad)

    return Work(run, check)


@task.peer("torch.leaves_kept", note="leaves made once, their gradients reset")
def torch_leaves_kept(given: Inputs) -> Work:
    import torch

    x, y, z = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in given.values())

    def run() -> Any:
        x.grad = y.grad = z.grad = None
        f = (x + y) * z
        f.backward()
        return f

    return Work(run, lambda: named(run().detach(), x.grad, y.grad, z.grad))


@task.peer("jax", note="value_and_grad, eager")
def jax(given: Inputs) -> Work:
    return _jax(given, compiled=False)


@task.peer("jax.jit", note="compiled beforehand")
def jax_jit(given: Inputs) -> Work:
    return _jax(given, compiled=True)


def _jax(given: Inputs, *, compiled: bool) -> Work:
    import jax

    jax.config.update("jax_enable_x64", True)
    x, y, z = given.values()
    both = jax.value_and_grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))
    step = jax.jit(both) if compiled else both

    def run() -> Any:
        return jax.block_until_ready(step(x, y, z))

    def check() -> Results:
        f, gradients = run()
        return named(f, *gradients)

    return Work(run, check)


@task.peer("autograd")
def autograd(given: Inputs) -> Work:
    from autograd import value_and_grad

    x, y, z = given.values()
    both = value_and_grad(lambda x, y, z: (x + y) * z, argnum=(0, 1, 2))

    def check() -> Results:
        f, gradients = both(x, y, z)
        return named(f, *gradients)

    return Work(lambda: both(x, y, z), check)


@task.peer("mygrad")
def mygrad(given: Inputs) -> Work:
    import mygrad as mg

    x0, y0, z0 = given.values()

    def run() -> Any:
        x, y, z = mg.tensor(x0), mg.tensor(y0), mg.tensor(z0)
        f = (x + y) * z
        f.backward()
        return f, x, y, z

    def check() -> Results:
        f, x, y, z = run()
        return named(f.data, x.grad, y.grad, z.grad)

    return Work(run, check)
