"""Architecture: a feed-forward network as plain data, from which it can be made anew.

Fully connected layers of given sizes with one activation between them, and dropout if wanted. That is what the command
line trains; a network of another kind is rebuilt by the program that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from adjoint.errors import ModelFileError
from adjoint.nn import ELU, Dropout, LeakyReLU, Linear, Maxout, Module, ReLU, Sequential, Sigmoid, Tanh
from adjoint.ops.random import Generator
from adjoint.tensor import Array

KIND: Final = "feed-forward"
PIECES: Final = 2
#: Above any real layer; a longer number in a damaged file could not even be printed.
MOST_NEURONS: Final = 10**9
_SIMPLE: Final[Mapping[str, Callable[[], Module]]] = {
    "relu": ReLU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
}
ACTIVATIONS: Final = (*_SIMPLE, "maxout")


@dataclass(frozen=True)
class Architecture:
    """A feed-forward network.

    Parameters
    ----------
    sizes : tuple of int
        Numbers of inputs, of neurons of each hidden layer, of outputs.
    activation : one of ACTIVATIONS
    dropout, input_dropout : float
        Probability that a hidden neuron, or an input, stays silent in a training step; from 0 to below 1.

    Example
    -------
    >>> net = Architecture((64, 100, 10), dropout=0.5).build()
    >>> net
    Sequential(Linear(64, 100), ReLU(), Dropout(0.5), Linear(100, 10))
    """

    sizes: tuple[int, ...]
    activation: str = "relu"
    dropout: float = 0.0
    input_dropout: float = 0.0

    def build(self, seed: int = 0) -> Sequential:
        """The network with fresh parameters."""
        rng = Generator(seed)
        layers: list[Module] = _dropout(self.input_dropout, rng)
        for n_in, n_out in zip(self.sizes[:-2], self.sizes[1:-1], strict=True):
            layers += [*_hidden(self.activation, n_in, n_out, rng), *_dropout(self.dropout, rng)]
        return Sequential(*layers, Linear(*self.sizes[-2:], init="xavier", rng=rng))

    @property
    def count(self) -> int:
        """Number of parameters."""
        pieces = PIECES if self.activation == "maxout" else 1
        *hidden, last = [(n_in + 1) * n_out for n_in, n_out in zip(self.sizes[:-1], self.sizes[1:], strict=True)]
        return pieces * sum(hidden) + last

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_json` makes an equal architecture."""
        return {"kind": KIND, **asdict(self), "sizes": list(self.sizes)}

    @classmethod
    def from_json(cls, data: Any) -> Architecture:
        """The architecture that `to_json` described; ModelFileError if there is anything wrong with it."""
        if not isinstance(data, Mapping) or data.get("kind") != KIND:
            raise ModelFileError(f"model: expected a description of a {KIND} network, got {_brief(data)}")
        sizes, activation = data.get("sizes"), data.get("activation")
        if not isinstance(sizes, list) or len(sizes) < 2 or not all(map(_is_size, sizes)):
            raise ModelFileError(f"model: expected layer sizes, two or more whole numbers, got {_brief(sizes)}")
        if activation not in ACTIVATIONS:
            raise ModelFileError(f"model: expected an activation of {', '.join(ACTIVATIONS)}, got {_brief(activation)}")
        rates = [data.get(name, 0.0) for name in ("dropout", "input_dropout")]
        if not all(type(p) in (int, float) and 0 <= p < 1 for p in rates):
            raise ModelFileError(f"model: expected dropout from 0 to below 1, got {_brief(rates)}")
        return cls(tuple(sizes), activation, *map(float, rates))


def rebuild(description: Mapping[str, Any], arrays: Mapping[str, Array]) -> Sequential:
    """The network that a model file holds, ready to predict.

    Parameters
    ----------
    description : mapping with an entry "network", as `Architecture.to_json` makes it
    arrays : mapping of path to array, as `load_model` gives it

    Returns
    -------
    Sequential, in evaluation mode

    Raises
    ------
    ModelFileError
        No such entry, or arrays that are not of the network described.

    Example
    -------
    >>> architecture = Architecture((2, 3, 1), "tanh")
    >>> net = rebuild({"network": architecture.to_json()}, architecture.build(seed=7).arrays())
    >>> net
    Sequential(Linear(2, 3), Tanh(), Linear(3, 1))

    Source: CS231n 2017, lecture 4, "neural network: architectures".
    """
    architecture = Architecture.from_json(description.get("network"))
    held = sum(array.size for array in arrays.values())
    if architecture.count != held:  # before anything of that size is made
        sizes = "-".join(map(str, architecture.sizes))
        raise ModelFileError(
            f"model: expected {architecture.count:,} parameters of a {sizes:.60} network, got {held:,}; "
            "the file is damaged"
        )
    net = architecture.build()
    _check_fit(net.arrays(), arrays)
    net.load_arrays(arrays)
    net.eval()
    return net


def _check_fit(own: Mapping[str, Array], found: Mapping[str, Array]) -> None:
    """Every array under its path, of its shape and dtype: a whole number for a weight would be taken in silence."""
    for path in {**own, **found}:
        wanted, got = own.get(path), found.get(path)
        if wanted is None or got is None or wanted.shape != got.shape:
            shapes = ["none" if array is None else array.shape for array in (wanted, got)]
            raise ModelFileError(
                f"model: expected {path:.60} of shape {shapes[0]}, got {shapes[1]}; the file is damaged"
            )
        if wanted.dtype != got.dtype:
            raise ModelFileError(f"model: expected {path} of {wanted.dtype}, got {got.dtype}; the file is damaged")


def _hidden(activation: str, n_in: int, n_out: int, rng: Generator) -> list[Module]:
    if activation == "maxout":
        return [Maxout(n_in, n_out, PIECES, rng=rng)]
    init = "xavier" if activation in ("tanh", "sigmoid") else "he"
    return [Linear(n_in, n_out, init=init, rng=rng), _SIMPLE[activation]()]


def _dropout(p: float, rng: Generator) -> list[Module]:
    return [Dropout(p, rng=rng)] if p else []


def _is_size(n: object) -> bool:
    return type(n) is int and 1 <= n <= MOST_NEURONS


def _brief(value: object) -> str:
    return repr(value)[:60]
