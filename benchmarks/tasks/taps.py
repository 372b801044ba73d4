"""The training of `digits_training` by compiled steps, with a look into every layer at each hundredth of them.

The peer "adjoint.plain" takes the same steps without looking. Both are a loop of calls, so that what differs is the
tapped step alone: once in a hundred it also computes four statistics of the results of all layers and of their
gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.task import Inputs, Target, Task, Work
from benchmarks.tasks import digits_training
from benchmarks.tasks.digits_training import MOMENTUM, RATE, batches, work

EVERY = 100

task = Task(
    module=__name__,
    title=f"{digits_training.task.title}, by compiled steps; statistics of every layer at each {EVERY}th",
    unit="ms",
    inputs=digits_training.inputs,
    targets=(Target("at most 2 % more than without looking", 1.02, against="adjoint.plain"),),
    tolerance=digits_training.task.tolerance,
    rounds=digits_training.task.rounds,
    peers={"numpy": digits_training.task.peers["numpy"]},
)


def trained(given: Inputs, every: int) -> Work:
    """Training from the start, with taps at each of so many steps; at none for 0."""
    import adjoint as ad
    from adjoint import nn
    from adjoint.compiler.taps import tapped

    net = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
    parameters = list(net.parameters().values())
    optimizer = ad.optim.SGD(net, lr=RATE, momentum=MOMENTUM)
    velocities = [state for path, state in optimizer.state().items() if path.endswith(".velocity")]

    @ad.compile
    def step(x: Any, y: Any) -> Any:
        loss = nn.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    look: Callable[..., Any] = tapped(step)

    def train() -> tuple[list[Any], list[Any]]:
        for parameter, velocity, start in zip(parameters, velocities, given["parameters"], strict=True):
            parameter.assign(start)
            velocity.assign(np.zeros_like(start))
        losses, seen = [], []
        for number, (x, y) in enumerate(batches(given)):
            if every and number % every == 0:
                loss, taps = look(x, y)
                seen.append(taps)
            else:
                loss = step(x, y)
            losses.append(loss)
        return losses, [p.value for p in parameters]

    return work(given, train)


@task.peer("adjoint.plain", note="the same steps without looking")
def plain(given: Inputs) -> Work:
    return trained(given, 0)


@task.peer("adjoint", note=f"tapped(step) at each {EVERY}th step")
def adjoint(given: Inputs) -> Work:
    return trained(given, EVERY)
