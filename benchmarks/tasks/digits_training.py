"""Training a 64-100-10 relu network on the digits set: 30 epochs of 44 batches of 32, SGD with momentum 0.9.

Every peer starts from the same parameters and sees the same batches in the same order, so they agree in the
loss of the first epoch and the accuracy at the end; scikit-learn shuffles and starts by itself and is checked
by its accuracy. The training part is 1,408 images, a multiple of 32, so that no peer has a smaller last
batch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.task import Inputs, Results, Task, Work

EPOCHS, BATCH, TRAINING = 30, 32, 1408
RATE, MOMENTUM = 0.05, 0.9
NAMES = ("w1", "b1", "w2", "b2")
ROWS = np.arange(BATCH)


def digits_file() -> Path:
    """The UCI scans as a table of numbers, label last: the file in the product, else scikit-learn's copy."""
    own = Path(__file__).resolve().parents[2] / "src/adjoint/data/digits.csv.gz"
    if own.exists():
        return own
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("digits: neither adjoint's data file nor scikit-learn's is there")
    return Path(spec.origin).parent / "datasets/data/digits.csv.gz"


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    table = np.loadtxt(digits_file(), delimiter=",", dtype=np.float32)
    table = table[rng.permutation(len(table))]
    x, y = table[:, :64] / np.float32(16), table[:, 64].astype(np.int64)
    hidden, classes = 100, 10
    return {
        "x": x[:TRAINING],
        "y": y[:TRAINING],
        "x_test": x[TRAINING:],
        "y_test": y[TRAINING:],
        "order": np.stack([rng.permutation(TRAINING) for _ in range(EPOCHS)]),
        "parameters": [
            (rng.standard_normal((64, hidden)) * (2 / 64) ** 0.5).astype(np.float32),
            np.zeros(hidden, np.float32),
            (rng.standard_normal((hidden, classes)) * (2 / hidden) ** 0.5).astype(np.float32),
            np.zeros(classes, np.float32),
        ],
    }


task = Task(
    module=__name__,
    title="Training on the digits, 64-100-10, 30 epochs, batch 32, SGD with momentum 0.9, float32",
    unit="ms",
    inputs=inputs,
    tolerance=0.01,
    rounds=7,
)

# Trains from the start; returns the losses of the first epoch's steps and the four parameters at the end.
Train = Callable[[], tuple[list[Any], list[Any]]]


def batches(given: Inputs) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every batch of every epoch, in the order that all peers share."""
    x, y = given["x"], given["y"]
    for order in given["order"]:
        for start in range(0, TRAINING, BATCH):
            rows = order[start : start + BATCH]
            yield x[rows], y[rows]


def accuracy(given: Inputs, parameters: list[Any]) -> float:
    w1, b1, w2, b2 = (np.asarray(p) for p in parameters)
    scores = np.maximum(given["x_test"] @ w1 + b1, 0) @ w2 + b2
    return float((scores.argmax(axis=1) == given["y_test"]).mean())


def update(parameters: Sequence[Any], velocities: Sequence[Any], gradients: Sequence[Any]) -> None:
    """SGD with momentum in place, for the peers that have no optimiser of their own."""
    for parameter, velocity, gradient in zip(parameters, velocities, gradients, strict=True):
        velocity *= np.float32(MOMENTUM)  # noqa: PLW2901 - an array, changed in place
        velocity += gradient  # noqa: PLW2901 - an array, changed in place
        parameter -= np.float32(RATE) * velocity  # noqa: PLW2901 - an array, changed in place


def work(given: Inputs, train: Train) -> Work:
    def check() -> Results:
        losses, parameters = train()
        first = np.mean([float(loss) for loss in losses[: TRAINING // BATCH]])
        return {"loss of epoch 1": first, "accuracy": accuracy(given, parameters)}

    return Work(train, check)


@task.peer("numpy", note="by hand")
def numpy(given: Inputs) -> Work:
    def train() -> tuple[list[Any], list[Any]]:
        parameters = [p.copy() for p in given["parameters"]]
        velocities = [np.zeros_like(p) for p in parameters]
        losses = []
        for x, y in batches(given):
            loss, gradients = _by_hand(x, y, *parameters)
            update(parameters, velocities, gradients)
            losses.append(loss)
        return losses, parameters

    return work(given, train)


def _by_hand(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> tuple[Any, tuple[Any, ...]]:
    """The loss and the four gradients."""
    z = x @ w1 + b1
    h = np.maximum(z, 0)
    scores = h @ w2 + b2
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(p[ROWS, y]).mean()
    p[ROWS, y] -= 1
    p /= BATCH
    dh = p @ w2.T
    dh *= z > 0
    return loss, (x.T @ dh, dh.sum(axis=0), h.T @ p, p.sum(axis=0))


@task.peer("adjoint")
def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    def train() -> tuple[list[Any], list[Any]]:
        parameters = [ad.Parameter(p, name=n) for n, p in zip(NAMES, given["parameters"], strict=True)]
        w1, b1, w2, b2 = parameters
        optimizer = ad.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM)
        losses = []
        for x, y in batches(given):
            loss = ad.nn.cross_entropy(ad.relu(x @ w1 + b1) @ w2 + b2, y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, [p.value for p in parameters]

    return work(given, train)


@task.peer("torch")
def torch(given: Inputs) -> Work:
    import torch

    def train() -> tuple[list[Any], list[Any]]:
        parameters = [torch.tensor(p, requires_grad=True) for p in given["parameters"]]
        w1, b1, w2, b2 = parameters
        optimizer = torch.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM)
        losses = []
        for x, y in batches(given):
            optimizer.zero_grad()
            scores = torch.relu(torch.from_numpy(x) @ w1 + b1) @ w2 + b2
            loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(y))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, [p.detach() for p in parameters]

    return work(given, train)


def _jax_step() -> Callable[[Any, Any], Any]:
    """(parameters, velocities), (x, y) → the same after one step, and the loss."""
    import jax
    import jax.numpy as jnp

    rows = jnp.arange(BATCH)

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2 = parameters
        scores = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        return -jax.nn.log_softmax(scores)[rows, y].mean()

    def step(state: Any, batch: Any) -> Any:
        parameters, velocities = state
        loss, gradients = jax.value_and_grad(loss_of)(parameters, *batch)
        velocities = [MOMENTUM * v + g for v, g in zip(velocities, gradients, strict=True)]
        return ([p - RATE * v for p, v in zip(parameters, velocities, strict=True)], velocities), loss

    return step


def _jax_start(given: Inputs) -> Any:
    import jax.numpy as jnp

    return [jnp.array(p) for p in given["parameters"]], [jnp.zeros_like(p) for p in given["parameters"]]


@task.peer("jax.jit", note="the step compiled beforehand")
def jax_jit(given: Inputs) -> Work:
    import jax

    step = jax.jit(_jax_step(), donate_argnums=0)

    def train() -> tuple[list[Any], list[Any]]:
        state, losses = _jax_start(given), []
        for batch in batches(given):
            state, loss = step(state, batch)
            losses.append(loss)
        return losses, jax.block_until_ready(state[0])

    return work(given, train)


@task.peer("jax.scan", note="a whole epoch compiled beforehand")
def jax_scan(given: Inputs) -> Work:
    import jax
    import jax.numpy as jnp

    step, x, y = _jax_step(), jnp.asarray(given["x"]), jnp.asarray(given["y"])

    @jax.jit
    def epoch(state: Any, order: Any) -> Any:
        rows = order.reshape(-1, BATCH)
        return jax.lax.scan(lambda s, r: step(s, (x[r], y[r])), state, rows)

    def train() -> tuple[list[Any], list[Any]]:
        state, losses = _jax_start(given), []
        for order in given["order"]:
            state, some = epoch(state, order)
            losses.append(some)
        return list(jnp.concatenate(losses[:1])), jax.block_until_ready(state[0])

    return work(given, train)


@task.peer("autograd")
def autograd(given: Inputs) -> Work:
    import autograd.numpy as anp
    from autograd import value_and_grad

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2 = parameters
        scores = anp.maximum(x @ w1 + b1, 0) @ w2 + b2
        shifted = scores - anp.max(scores, axis=1, keepdims=True)
        return -anp.mean(shifted[ROWS, y] - anp.log(anp.sum(anp.exp(shifted), axis=1)))

    both = value_and_grad(loss_of)

    def train() -> tuple[list[Any], list[Any]]:
        parameters = [p.copy() for p in given["parameters"]]
        velocities = [np.zeros_like(p) for p in parameters]
        losses = []
        for x, y in batches(given):
            loss, gradients = both(parameters, x, y)
            update(parameters, velocities, gradients)
            losses.append(loss)
        return losses, parameters

    return work(given, train)


@task.peer("mygrad", note="its own relu and softmax_crossentropy")
def mygrad(given: Inputs) -> Work:
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    def train() -> tuple[list[Any], list[Any]]:
        parameters = [mg.tensor(p) for p in given["parameters"]]
        velocities = [np.zeros_like(p) for p in given["parameters"]]
        w1, b1, w2, b2 = parameters
        losses = []
        for x, y in batches(given):
            loss = softmax_crossentropy(mg.matmul(relu(mg.matmul(x, w1) + b1), w2) + b2, y)
            loss.backward()
            update([p.data for p in parameters], velocities, [p.grad for p in parameters])
            losses.append(loss.item())
        return losses, [p.data for p in parameters]

    return work(given, train)


@task.peer("scikit-learn", note="MLPClassifier.partial_fit, an epoch a call; its own start and order")
def scikit_learn(given: Inputs) -> Work:
    from sklearn.neural_network import MLPClassifier

    x, y, classes = given["x"], given["y"], np.arange(10)

    def train() -> Any:
        net = MLPClassifier(
            hidden_layer_sizes=(100,),
            solver="sgd",
            alpha=0.0,
            batch_size=BATCH,
            learning_rate_init=RATE,
            momentum=MOMENTUM,
            nesterovs_momentum=False,
            random_state=0,
        )
        for _ in range(EPOCHS):
            net.partial_fit(x, y, classes=classes)
        return net

    return Work(train, lambda: {"accuracy": train().score(given["x_test"], given["y_test"])})
