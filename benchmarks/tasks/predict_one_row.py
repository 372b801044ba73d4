"""One row through a trained network, as a server answers one request: 64-100-10 relu, class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.networks import inputs, scores
from benchmarks.task import Inputs, Target, Task, Work

task = Task(
    module=__name__,
    title="Class probabilities of one row, 64-100-10 relu, float32",
    unit="µs",
    inputs=lambda: inputs((64, 100, 10), 1),
    targets=(Target("at most 5 µs", 5e-6, "seconds"),),
    tolerance=1e-5,
)


@task.peer("numpy", note="by hand")
def numpy(given: Inputs) -> Work:
    x, (w1, b1, w2, b2) = given["x"], given["parameters"]

    def run() -> Any:
        s = np.maximum(x @ w1 + b1, 0) @ w2 + b2
        e = np.exp(s - s.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    return Work(run, lambda: {"probabilities": run()})


@task.peer("adjoint", note="ad.compile")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    x, parameters = given["x"], [ad.Parameter(p, name=f"p{i}") for i, p in enumerate(given["parameters"])]
    predict = ad.compile(lambda x: ad.softmax(scores(x, parameters, ad.relu), axis=1))
    return Work(lambda: predict(x), lambda: {"probabilities": np.asarray(predict(x))})


@task.peer("torch", note="eager, inference_mode")
def torch(given: Inputs) -> Work:
    import torch

    x, (w1, b1, w2, b2) = torch.from_numpy(given["x"]), map(torch.from_numpy, given["parameters"])

    def run() -> Any:
        with torch.inference_mode():
            return torch.softmax(torch.addmm(b2, torch.relu(torch.addmm(b1, x, w1)), w2), dim=1)

    return Work(run, lambda: {"probabilities": run()})


@task.peer("jax.jit")
def jax(given: Inputs) -> Work:
    import jax
    import jax.numpy as jnp

    x, parameters = jnp.asarray(given["x"]), [jnp.asarray(p) for p in given["parameters"]]
    predict = jax.jit(lambda parameters, x: jax.nn.softmax(scores(x, parameters, jax.nn.relu)))
    return Work(
        lambda: jax.block_until_ready(predict(parameters, x)), lambda: {"probabilities": predict(parameters, x)}
    )


@task.peer("scikit-learn", note="MLPClassifier.predict_proba; checks its input each time")
def scikit_learn(given: Inputs) -> Work:
    from sklearn.neural_network import MLPClassifier

    x, (w1, b1, w2, b2) = given["x"], given["parameters"]
    net = MLPClassifier(hidden_layer_sizes=[len(b1)])
    net.partial_fit(x, [0], classes=np.arange(len(b2)))
    net.coefs_, net.intercepts_ = [w1, w2], [b1, b2]
    return Work(lambda: net.predict_proba(x), lambda: {"probabilities": net.predict_proba(x)})
