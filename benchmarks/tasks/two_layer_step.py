"""One training step of a 64-100-10 relu network: forward, softmax cross-entropy, backward, SGD; batch 32,
float32.

The state goes on from step to step; the check is the loss and the parameters after the fifth.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.task import Inputs, Results, Target, Task, Work

RATE = np.float32(0.01)
STEPS_CHECKED = 5
NAMES = ("w1", "b1", "w2", "b2")


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    n, n_in, hidden, classes = 32, 64, 100, 10

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    return {
        "x": normal(n, n_in),
        "y": rng.integers(0, classes, n),
        "w1": normal(n_in, hidden, scale=(2 / n_in) ** 0.5),
        "b1": np.zeros(hidden, np.float32),
        "w2": normal(hidden, classes, scale=(2 / hidden) ** 0.5),
        "b2": np.zeros(classes, np.float32),
    }


task = Task(
    module=__name__,
    title="One training step, 64-100-10 relu, softmax cross-entropy, SGD, batch 32, float32",
    unit="µs",
    inputs=inputs,
    targets=(
        Target("at most 2.5 times hand-written NumPy", 2.5, against="numpy"),
        Target("faster than torch eager", 1.0, against="torch"),
        Target("faster than torch eager with the update written by hand", 1.0, against="torch.manual_update"),
    ),
    tolerance=1e-4,
)


def after_steps(run: Any) -> Any:
    """The loss that the last of the checked steps gives."""
    for _ in range(STEPS_CHECKED - 1):
        run()
    return run()


def named(loss: Any, *parameters: Any) -> Results:
    return {"loss": loss} | dict(zip(NAMES, parameters, strict=True))


@task.peer("numpy", note="by hand")
def numpy(given: Inputs) -> Work:
    x, y, w1, b1, w2, b2 = given.values()
    n = len(x)
    rows = np.arange(n)

    def run() -> Any:
        z = x @ w1 + b1
        h = np.maximum(z, 0)
        scores = h @ w2 + b2
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, y]).mean()
        p[rows, y] -= 1
        p /= n
        dh = p @ w2.T
        dh *= z > 0
        w2[...] -= RATE * (h.T @ p)
        b2[...] -= RATE * p.sum(axis=0)
        w1[...] -= RATE * (x.T @ dh)
        b1[...] -= RATE * dh.sum(axis=0)
        return loss

    return Work(run, lambda: named(after_steps(run), w1, b1, w2, b2))


@task.peer("adjoint")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    x, y = given["x"], given["y"]
    parameters = [ad.Parameter(given[name], name=name) for name in NAMES]
    w1, b1, w2, b2 = parameters
    optimizer = ad.optim.SGD(parameters, lr=float(RATE))

    def run() -> Any:
        scores = ad.relu(x @ w1 + b1) @ w2 + b2
        loss = ad.nn.cross_entropy(scores, y)
        loss.backward()
        optimizer.step()
        return loss

    return Work(run, lambda: named(after_steps(run).value, *(p.value for p in parameters)))


@task.peer("torch", note="torch.optim.SGD")
def torch(given: Inputs) -> Work:
    import torch

    x, y, *values = (torch.from_numpy(v) for v in given.values())
    parameters: list[Any] = [v.requires_grad_() for v in values]
    w1, b1, w2, b2 = parameters
    optimizer = torch.optim.SGD(parameters, lr=float(RATE))

    def run() -> Any:
        optimizer.zero_grad()
        scores = torch.relu(x @ w1 + b1) @ w2 + b2
        loss = torch.nn.functional.cross_entropy(scores, y)
        loss.backward()
        optimizer.step()
        return loss

    return Work(run, lambda: named(after_steps(run).detach(), *(p.detach() for p in parameters)))


@task.peer("torch.manual_update", note="parameters updated by hand under no_grad")
def torch_manual_update(given: Inputs) -> Work:
    import torch

    x, y, *values = (torch.from_numpy(v) for v in given.values())
    parameters: list[Any] = [v.requires_grad_() for v in values]
    w1, b1, w2, b2 = parameters

    def run() -> Any:
        scores = torch.addmm(b2, torch.relu(torch.addmm(b1, x, w1)), w2)
        loss = torch.nn.functional.cross_entropy(scores, y)
        loss.backward()
        with torch.no_grad():
            for p in parameters:
                p.sub_(p.grad, alpha=float(RATE))
                p.grad = None
        return loss

    return Work(run, lambda: named(after_steps(run).detach(), *(p.detach() for p in parameters)))


@task.peer("jax", note="eager")
def jax(given: Inputs) -> Work:
    return _jax(given, compiled=False)


@task.peer("jax.jit", note="the step compiled beforehand, parameters donated")
def jax_jit(given: Inputs) -> Work:
    return _jax(given, compiled=True)


def _jax(given: Inputs, *, compiled: bool) -> Work:
    import jax
    import jax.numpy as jnp

    x, y, *state = (jnp.asarray(v) for v in given.values())
    rows = jnp.arange(len(x))

    def loss_of(parameters: Any) -> Any:
        w1, b1, w2, b2 = parameters
        scores = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        return -jax.nn.log_softmax(scores)[rows, y].mean()

    def step(parameters: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(parameters)
        return loss, [p - RATE * g for p, g in zip(parameters, gradients, strict=True)]

    do = jax.jit(step, donate_argnums=0) if compiled else step

    def run() -> Any:
        loss, state[:] = jax.block_until_ready(do(state))
        return loss

    return Work(run, lambda: named(after_steps(run), *state))


@task.peer("autograd")
def autograd(given: Inputs) -> Work:
    import autograd.numpy as anp
    from autograd import value_and_grad

    x, y, *state = given.values()
    rows = np.arange(len(x))

    def loss_of(parameters: Any) -> Any:
        w1, b1, w2, b2 = parameters
        scores = anp.maximum(x @ w1 + b1, 0) @ w2 + b2
        shifted = scores - anp.max(scores, axis=1, keepdims=True)
        return -anp.mean(shifted[rows, y] - anp.log(anp.sum(anp.exp(shifted), axis=1)))

    both = value_and_grad(loss_of)

    def run() -> Any:
        loss, gradients = both(state)
        for p, g in zip(state, gradients, strict=True):
            p -= RATE * g  # noqa: PLW2901 - an array, changed in place
        return loss

    return Work(run, lambda: named(after_steps(run), *state))


@task.peer("mygrad", note="its own relu and softmax_crossentropy")
def mygrad(given: Inputs) -> Work:
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    x, y, *values = given.values()
    parameters: list[Any] = [mg.tensor(v) for v in values]
    w1, b1, w2, b2 = parameters

    def run() -> Any:
        scores = mg.matmul(relu(mg.matmul(x, w1) + b1), w2) + b2
        loss = softmax_crossentropy(scores, y)
        loss.backward()
        for p in parameters:
            p.data -= RATE * p.grad
        return loss

    return Work(run, lambda: named(after_steps(run).data, *(p.data for p in parameters)))


@task.peer("scikit-learn", note="MLPClassifier.partial_fit on one batch; checks its input each time")
def scikit_learn(given: Inputs) -> Work:
    from sklearn.neural_network import MLPClassifier

    x, y, w1, b1, w2, b2 = given.values()
    net = MLPClassifier(
        hidden_layer_sizes=(100,),
        solver="sgd",
        alpha=0.0,
        batch_size=len(x),
        learning_rate_init=float(RATE),
        momentum=0.0,
        nesterovs_momentum=False,
    )
    net.partial_fit(x, y, classes=np.arange(10))
    for own, start in zip((*net.coefs_, *net.intercepts_), (w1, w2, b1, b2), strict=True):
        own[...] = start

    def run() -> Any:
        net.partial_fit(x, y)
        return net.loss_

    def check() -> Results:
        loss = after_steps(run)
        return named(loss, net.coefs_[0], net.intercepts_[0], net.coefs_[1], net.intercepts_[1])

    return Work(run, check)
