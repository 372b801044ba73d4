"""The training of `digits_training` with the step compiled beforehand, and whole epochs where a peer can."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.task import Inputs, Task, Work, faster
from benchmarks.tasks import digits_training
from benchmarks.tasks.digits_training import BATCH, MOMENTUM, RATE, work

OTHERS = ("numpy", "torch", "jax.jit", "jax.scan", "scikit-learn")

task = Task(
    module=__name__,
    title=f"{digits_training.task.title}, compiled beforehand where the peer can",
    unit="ms",
    inputs=digits_training.inputs,
    targets=(faster(1.5),),
    tolerance=digits_training.task.tolerance,
    rounds=digits_training.task.rounds,
    peers={label: digits_training.task.peers[label] for label in OTHERS},
)


@task.peer("adjoint", note="ad.compile, a whole epoch a call")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    parameters = [ad.Parameter(p, name=f"p{i}") for i, p in enumerate(given["parameters"])]
    w1, b1, w2, b2 = parameters
    optimizer = ad.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM)
    velocities = [state for path, state in optimizer.state().items() if path.endswith(".velocity")]

    @ad.compile
    def step(x: Any, y: Any) -> Any:
        loss = ad.nn.cross_entropy(ad.relu(x @ w1 + b1) @ w2 + b2, y)
        loss.backward()
        optimizer.step()
        return loss

    def train() -> tuple[list[Any], list[Any]]:
        for parameter, velocity, start in zip(parameters, velocities, given["parameters"], strict=True):
            parameter.assign(start)
            velocity.assign(np.zeros_like(start))
        x, y = given["x"], given["y"]
        losses = [np.asarray(step.epoch(order.reshape(-1, BATCH), x, y)) for order in given["order"]]
        return list(np.concatenate(losses)), [p.value for p in parameters]

    return work(given, train)


@task.peer("torch.compile", note="the step, gradients and update in one graph")
def torch_compile(given: Inputs) -> Work:
    import torch

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2 = parameters
        hidden = torch.relu(torch.addmm(b1, x, w1))
        return torch.nn.functional.cross_entropy(torch.addmm(b2, hidden, w2), y)

    both = torch.func.grad_and_value(loss_of)

    @torch.compile(fullgraph=True, dynamic=False)
    def step(parameters: Any, velocities: Any, x: Any, y: Any) -> Any:
        gradients, loss = both(parameters, x, y)
        for p, v, g in zip(parameters, velocities, gradients, strict=True):
            v.mul_(MOMENTUM).add_(g)
            p.sub_(v, alpha=RATE)
        return loss

    def train() -> tuple[list[Any], list[Any]]:
        parameters = [torch.tensor(p) for p in given["parameters"]]
        velocities = [torch.zeros_like(p) for p in parameters]
        with torch.no_grad():
            losses = [
                step(parameters, velocities, torch.from_numpy(x), torch.from_numpy(y))
                for x, y in digits_training.batches(given)
            ]
        return losses, parameters

    return work(given, train)
