"""How long a fresh interpreter takes to start, import one library, and end."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.task import Inputs, Target, Task, Work

task = Task(
    module=__name__,
    title="A fresh interpreter that imports the library and ends (compiled bytecode and warm file cache)",
    unit="ms",
    inputs=dict,
    targets=(Target("import adjoint within 0.1 s of import numpy", 0.1, "difference", against="numpy"),),
    rounds=10,
)


def fresh(statement: str) -> Work:
    def run() -> None:
        subprocess.run([sys.executable, "-c", statement], check=True)

    return Work(run, dict)


@task.peer("python", note="starting alone, no import")
def python(given: Inputs) -> Work:
    return fresh("")


@task.peer("numpy")
def numpy(given: Inputs) -> Work:
    return fresh("import numpy")


@task.peer("adjoint")
def adjoint(given: Inputs) -> Work:
    return fresh("import adjoint")


@task.peer("torch")
def torch(given: Inputs) -> Work:
    return fresh("import torch")


@task.peer("jax")
def jax(given: Inputs) -> Work:
    return fresh("import jax, jax.numpy")


@task.peer("autograd")
def autograd(given: Inputs) -> Work:
    return fresh("import autograd, autograd.numpy")


@task.peer("mygrad")
def mygrad(given: Inputs) -> Work:
    return fresh("import mygrad")


@task.peer("micrograd")
def micrograd(given: Inputs) -> Work:
    return fresh("import micrograd.engine")


@task.peer("scikit-learn", note="sklearn.neural_network")
def scikit_learn(given: Inputs) -> Work:
    return fresh("import sklearn.neural_network")
