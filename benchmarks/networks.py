"""A training step of a relu network in every peer: forward, softmax cross-entropy, backward, SGD; float32.

The tasks on compiled steps differ in sizes only. The state goes on from step to step. The check is the loss of the
fifth step and the way that each parameter went by then; of a matrix, sums over rows and over columns with random
signs, so that a wrong part of millions of numbers is seen by comparing a few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from benchmarks.task import Inputs, Peer, Results, Target, Task, Work

RATE = 0.01
STEPS_CHECKED = 5


def step_task(
    module: str, sizes: Sequence[int], rows: int, unit: Literal["ms", "µs"], *targets: Target, rounds: int = 15
) -> Task:
    """The task of one network: sizes of its layers from input to classes, and rows in the batch."""
    return Task(
        module=module,
        title=f"One training step, {'-'.join(map(str, sizes))} relu, softmax cross-entropy, SGD, batch {rows}, "
        "float32, compiled where the peer can",
        unit=unit,
        inputs=lambda: inputs(sizes, rows),
        targets=targets,
        tolerance=0.03,  # where a sum is so near 0 that rounding decides its relu, a column moves by half of that
        rounds=rounds,
        patience=30.0,  # a step that takes longer to compile is no peer in practice
        peers={peer.label: peer for peer in PEERS},
    )


def inputs(sizes: Sequence[int], rows: int) -> Inputs:
    rng = np.random.default_rng(0)
    parameters = []
    for n_in, n_out in pairwise(sizes):
        weight = rng.standard_normal((n_in, n_out), np.float32) * np.float32((2 / n_in) ** 0.5)
        parameters += [weight, np.zeros(n_out, np.float32)]
    x = rng.standard_normal((rows, sizes[0]), np.float32)
    return {"x": x, "y": rng.integers(0, sizes[-1], rows), "parameters": parameters}


def pairs(parameters: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Weight and bias of each layer."""
    return list(zip(parameters[::2], parameters[1::2], strict=True))


def affine(x: Any, weight: Any, bias: Any) -> Any:
    return x @ weight + bias


def scores(x: Any, parameters: Sequence[Any], relu: Callable[[Any], Any], layer: Callable[..., Any] = affine) -> Any:
    """The network itself, in whatever overloads the operators."""
    *hidden, last = pairs(parameters)
    for weight, bias in hidden:
        x = relu(layer(x, weight, bias))
    return layer(x, *last)


def moves(given: Inputs, loss: Any, parameters: Iterable[Any]) -> Results:
    """What is compared: the loss, and where each parameter went, in units that make the numbers about 1."""
    results: Results = {"loss": loss}
    rng = np.random.default_rng(1)
    for i, (after, before) in enumerate(zip(parameters, given["parameters"], strict=True)):
        unit = RATE * STEPS_CHECKED / (len(given["x"]) * before.shape[-1]) ** 0.5
        move = (np.asarray(after, np.float64) - before) / unit
        if move.ndim == 1:
            results[f"bias {i // 2}"] = move
            continue
        for axis, size in enumerate(move.shape):
            signs = rng.choice((-1.0, 1.0), size) / size**0.5
            results[f"weight {i // 2} summed over axis {axis}"] = np.tensordot(signs, move, (0, axis))
    return results


def work(given: Inputs, run: Callable[[], Any], parameters: Callable[[], Iterable[Any]]) -> Work:
    def check() -> Results:
        losses = [float(run()) for _ in range(STEPS_CHECKED)]
        return moves(given, losses[-1], parameters())

    return Work(run, check)


def own_copy(given: Inputs) -> list[np.ndarray]:
    return [p.copy() for p in given["parameters"]]


def numpy(given: Inputs) -> Work:
    x, y, parameters = given["x"], given["y"], own_copy(given)
    layers, rows, rate = pairs(parameters), np.arange(len(x)), np.float32(RATE)

    def run() -> Any:
        activations = [x]
        for weight, bias in layers:
            z = activations[-1] @ weight
            z += bias
            activations.append(np.maximum(z, 0, out=z) if weight is not layers[-1][0] else z)
        p = activations.pop()
        p -= p.max(axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, y]).mean()
        p[rows, y] -= 1
        p /= len(x)
        backward(p, activations)
        return loss

    def backward(g: Any, activations: list[Any]) -> None:
        for weight, bias in reversed(layers):
            h = activations.pop()
            step = h.T @ g
            step *= rate
            bias -= rate * g.sum(axis=0)  # noqa: PLW2901 - an array, changed in place
            if activations:
                g = g @ weight.T
                g *= h > 0
            weight -= step  # noqa: PLW2901 - an array, changed in place

    return work(given, run, lambda: parameters)


def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    x, y = given["x"], given["y"]
    parameters = [ad.Parameter(p, name=f"p{i}") for i, p in enumerate(given["parameters"])]
    optimizer = ad.optim.SGD(parameters, lr=RATE)

    @ad.compile
    def step(x: Any, y: Any) -> Any:
        loss = ad.nn.cross_entropy(scores(x, parameters, ad.relu), y)
        loss.backward()
        optimizer.step()
        return loss

    return work(given, lambda: step(x, y), lambda: [p.value for p in parameters])


#: Loss of parameters, rows and labels, in PyTorch.
TorchLoss = Callable[[Any, Any, Any], Any]


def torch_loss(parameters: Any, x: Any, y: Any) -> Any:
    import torch

    found = scores(x, parameters, torch.relu, lambda x, weight, bias: torch.addmm(bias, x, weight))
    return torch.nn.functional.cross_entropy(found, y)


def torch(given: Inputs, loss_of: TorchLoss = torch_loss) -> Work:
    import torch

    x, y = torch.from_numpy(given["x"]), torch.from_numpy(given["y"])
    parameters = [torch.from_numpy(p).requires_grad_() for p in own_copy(given)]

    def run() -> Any:
        loss = loss_of(parameters, x, y)
        loss.backward()
        with torch.no_grad():
            for p in parameters:
                p.sub_(p.grad, alpha=RATE)
                p.grad = None
        return loss.detach()

    return work(given, run, lambda: [p.detach() for p in parameters])


def torch_compile(given: Inputs, loss_of: TorchLoss = torch_loss) -> Work:
    import torch

    x, y = torch.from_numpy(given["x"]), torch.from_numpy(given["y"])
    parameters = [torch.from_numpy(p) for p in own_copy(given)]
    both = torch.func.grad_and_value(loss_of)

    @torch.compile(fullgraph=True, dynamic=False)
    def step(parameters: Any, x: Any, y: Any) -> Any:
        gradients, loss = both(parameters, x, y)
        for p, g in zip(parameters, gradients, strict=True):
            p.sub_(g, alpha=RATE)
        return loss

    def run() -> Any:
        with torch.no_grad():
            return step(parameters, x, y)

    return work(given, run, lambda: parameters)


def jax(given: Inputs) -> Work:
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray(given["x"]), jnp.asarray(given["y"])
    state = [jnp.array(p) for p in given["parameters"]]

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        found = jax.nn.log_softmax(scores(x, parameters, jax.nn.relu))
        return -jnp.take_along_axis(found, y[:, None], axis=1).mean()

    def step(parameters: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        return loss, [p - RATE * g for p, g in zip(parameters, gradients, strict=True)]

    compiled = jax.jit(step, donate_argnums=0)

    def run() -> Any:
        loss, state[:] = jax.block_until_ready(compiled(state, x, y))
        return loss

    return work(given, run, lambda: state)


def scikit_learn(given: Inputs) -> Work:
    from sklearn.neural_network import MLPClassifier

    x, y, parameters = given["x"], given["y"], given["parameters"]
    net = MLPClassifier(
        hidden_layer_sizes=[len(bias) for bias in parameters[1:-1:2]],
        solver="sgd",
        alpha=0.0,
        batch_size=len(x),
        learning_rate_init=RATE,
        momentum=0.0,
        nesterovs_momentum=False,
    )
    net.partial_fit(x, y, classes=np.arange(len(parameters[-1])))
    for own, start in zip((*net.coefs_, *net.intercepts_), (*parameters[::2], *parameters[1::2]), strict=True):
        own[...] = start

    def run() -> Any:
        net.partial_fit(x, y)
        return net.loss_

    return work(given, run, lambda: [p for pair in zip(net.coefs_, net.intercepts_, strict=True) for p in pair])


PEERS = (
    Peer("numpy", numpy, "by hand, in place where it can be"),
    Peer("adjoint", adjoint, "ad.compile"),
    Peer("torch", torch, "eager, parameters updated by hand under no_grad"),
    Peer("torch.compile", torch_compile, "gradients and update in one graph"),
    Peer("jax.jit", jax, "parameters donated"),
    Peer("scikit-learn", scikit_learn, "MLPClassifier.partial_fit on one batch; checks its input each time"),
)
