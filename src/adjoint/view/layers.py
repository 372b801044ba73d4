"""The layers of a network as the lecture draws them: inputs, weights, sum and bias, activation.

Concepts here: the `Layer`, one matrix product with a parameter, the bias that is added to it and the activation that
follows, with the numbers of one batch. Layers are found in the recorded graph, so that any module has them that
computes x · weight + bias, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from adjoint.autodiff import ieee
from adjoint.errors import AdjointError
from adjoint.graph import Graph
from adjoint.nn import Module
from adjoint.paths import op_of
from adjoint.recording import here
from adjoint.tensor import Array, Tensor
from adjoint.view.columns import kind_of
from adjoint.view.findings import NEAR
from adjoint.view.subjects import graph_of
from adjoint.vocabulary import ARRAYS

#: Activations with their ends; None where there is none, and the op is flat below 0 or nowhere.
ENDS: Final[dict[str, tuple[float | None, float | None]]] = {
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, None),
    "leaky_relu": (None, None),
    "elu": (None, None),
    "softplus": (0.0, None),
}


@dataclass(frozen=True)
class Layer:
    """A layer with the numbers of a batch.

    inputs (n, n_in), weight (n_in, n_out), bias (n_out,) or None, sums (n, n_out) before the activation, outputs
    (n, n_out) behind it; `node` is that of the activation, or None.
    """

    name: str
    inputs: Array
    weight: Array
    bias: Array | None
    sums: Array
    outputs: Array
    node: Tensor | None

    @property
    def activation(self) -> str:
        """Name of the activation; empty without one."""
        return "" if self.node is None else op_of(self.node).name

    def curve(self, x: Array) -> tuple[Array, Array]:
        """The activation and its derivative at some places; of a layer without one, x and 1."""
        if self.node is None:
            return x, np.ones_like(x)
        op, params, active = op_of(self.node), self.node._params, self.node._rule.active
        inputs = [x if isinstance(each, Tensor) else each for each in self.node._inputs]
        with np.errstate(all="ignore"):
            y = op.apply(*inputs, **params)
            slope = op.pull(ARRAYS, 0, active, ieee(1.0), ieee(y), [ieee(each) for each in inputs], params)
        return np.asarray(y), np.broadcast_to(np.asarray(slope), x.shape)

    def is_flat(self, x: Array) -> Array:
        """Where the activation is saturated: within 0.01 of an end."""
        low, high = ENDS.get(self.activation, (None, None))
        y, _ = self.curve(x)
        flat = np.zeros(x.shape, bool)
        flat |= False if low is None else y <= low + NEAR
        flat |= False if high is None else y >= high - NEAR
        return flat


def layers(module: Module, x: Any) -> list[Layer]:
    """The layers of a module in the order in which they compute.

    Parameters
    ----------
    module : Module
    x : array of shape (n, n_in) or (n_in,), or a Tensor

    Returns
    -------
    list of Layer

    Raises
    ------
    AdjointError
        Nothing in the module is a matrix product with a parameter.

    Example
    -------
    >>> import adjoint as ad
    >>> net = ad.nn.Sequential(ad.nn.Linear(3, 4), ad.nn.Tanh(), ad.nn.Linear(4, 2))
    >>> [(layer.name, layer.weight.shape, layer.activation) for layer in layers(net, np.ones((5, 3)))]
    [('layers.0', (3, 4), 'tanh'), ('layers.2', (4, 2), '')]
    """
    graph = graph_of(module, np.atleast_2d(np.asarray(x)) if not isinstance(x, Tensor) else x)
    found = list(_found(graph))
    if not found:
        raise AdjointError(
            f"network: expected layers that compute x @ weight, got {type(module).__name__} without any{here()}"
        )
    return found


def _found(graph: Graph) -> Iterator[Layer]:
    users: dict[int, list[Tensor]] = {id(t): [] for t in graph.nodes}
    for t in graph.nodes:
        for source in t._inputs if t._rule.op is not None else ():
            if id(source) in users:
                users[id(source)].append(t)
    for t in graph.nodes:
        if t._rule.op is not None and t._rule.op.name == "matmul" and _is_weight(t._inputs):
            yield _layer(t, users)


def _is_weight(inputs: Sequence[Any]) -> bool:
    right = inputs[1]
    return isinstance(right, Tensor) and kind_of(right) == "parameter" and right.ndim == 2


def _layer(product: Tensor, users: dict[int, list[Tensor]]) -> Layer:
    left, right = product._inputs
    sums, bias = product, None
    for user in users[id(product)]:
        others = [x for x in user._inputs if x is not product]
        if op_of(user).name == "add" and others and isinstance(others[0], Tensor) and kind_of(others[0]) == "parameter":
            sums, bias = user, others[0].value
    node = next((user for user in users[id(sums)] if op_of(user).name in ENDS), None)
    path = "" if product._scope is None else product._scope.path
    return Layer(
        name=path.partition(".")[2] or path or "layer",
        inputs=_rows(left.value if isinstance(left, Tensor) else left),
        weight=right.value,
        bias=bias,
        sums=_rows(sums.value),
        outputs=_rows((sums if node is None else node).value),
        node=node,
    )


def _rows(value: Any) -> Array:
    """A batch as rows."""
    array = np.asarray(value)
    return array.reshape(-1, array.shape[-1])
