"""Optimisers: how gradients change parameters.

An optimiser's rule is a pure function `update(m, w, g, buffers) -> (new w, new buffers)` in the words `m`, so that the
same rule serves an eager step and a traced one. Step counters, learning rates and buffers are state leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from adjoint.errors import AdjointError, GradientError, TraceError
from adjoint.leaves import Parameter, State
from adjoint.recording import Settings, here, tracing
from adjoint.tensor import DROPPED, Tensor
from adjoint.transforms import Parametrised
from adjoint.vocabulary import ARRAYS, TENSORS

Buffers = dict[str, Any]


class Optimizer(Settings):
    """Base of the optimisers: which parameters, the learning rate, and a step over all of them.

    Parameters
    ----------
    parameters : module, dict of path to Parameter, or sequence of Parameters
    lr : float
        Learning rate; change it with `optimizer.lr.assign(…)`.

    Raises
    ------
    GradientError
        From `step`, if no parameter has a new gradient.

    Example
    -------
    >>> import adjoint as ad
    >>> class SignedSteps(ad.optim.Optimizer):
    ...     def update(self, m, w, g, buffers):
    ...         return w - self.lr.now() * m.sign(g), {}
    >>> w = ad.Parameter([1.0, -1.0])
    >>> (w * w).sum().backward()
    >>> SignedSteps([w], lr=0.5).step()
    >>> w.value
    array([ 0.5, -0.5])
    """

    #: Names of the buffers kept per parameter, of its shape, starting at zero.
    buffer_names: tuple[str, ...] = ()

    def __init__(self, parameters: Any, lr: float) -> None:
        self.parameters = _by_path(parameters)
        self.lr = State(_positive("lr", lr), name="lr")
        self.steps = State(0, name="steps")
        self.buffers = {
            path: {name: State(_zeros_like(p), name=name) for name in self.buffer_names}
            for path, p in self.parameters.items()
        }
        self._used: dict[str, Any] = {}

    def update(self, m: Any, w: Any, g: Any, buffers: Buffers) -> tuple[Any, Buffers]:
        """New value and new buffers of one parameter; subclasses write it."""
        raise AdjointError(f"{type(self).__name__}: an optimiser needs a method update(self, m, w, g, buffers)")

    def step(self) -> None:
        """Change every trainable parameter that has got a new gradient since the last step."""
        m, trace = ARRAYS, tracing()
        if trace is not None:
            m = TENSORS
            trace.touch(self)
            trace.restore_later(self._used)
        used = self._used.get
        fresh = [
            (path, p, g)
            for path, p in self.parameters.items()
            if (g := p._grad) is not None and g is not DROPPED and p._trainable and g is not used(path)
        ]
        if trace is not None and not all(isinstance(g, Tensor) for _, _, g in fresh):
            raise TraceError(
                f"{type(self).__name__}.step: a gradient from outside would be the same at every call{here()}; "
                "call loss.backward() inside the compiled function, too"
            )
        if not fresh:
            raise GradientError(
                f"{type(self).__name__}.step: no parameter has a new gradient{here()}; "
                "call loss.backward() before each step"
            )
        self.steps.replace(self.steps.now() + 1)
        for path, p, g in fresh:
            held = self.buffers[path]
            before = {name: s.now() for name, s in held.items()} if held else held
            new, after = self.update(m, p.now(), g, before)
            p.replace(new)
            self._used[path] = g
            for name in after:
                held[name].replace(after[name])

    def state(self) -> dict[str, State]:
        """Every state leaf by path: `lr`, `steps`, and `layers.0.weight.velocity` and so on."""
        own = {"lr": self.lr, "steps": self.steps}
        return own | {f"{path}.{name}": s for path, held in self.buffers.items() for name, s in held.items()}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    v ← momentum · v − lr · g;  w ← w + v   (Nesterov: w ← w − momentum · v_before + (1 + momentum) · v)

    Parameters
    ----------
    parameters, lr : as in Optimizer
    momentum : float
        From 0 (none) to below 1.
    nesterov : bool
    weight_decay : float
        Adds weight_decay · w to the gradient.

    Raises
    ------
    AdjointError
        For a setting out of range, or without parameters.
    GradientError
        From `step`, if no parameter has a new gradient.

    Example
    -------
    >>> import adjoint as ad
    >>> w = ad.Parameter(1.0)
    >>> opt = ad.optim.SGD([w], lr=0.25)
    >>> (w * w).backward()
    >>> opt.step()
    >>> w.item()
    0.5

    Source: CS231n 2017, lecture 3, "gradient descent"; assignment 2, `sgd_momentum`.
    """

    def __init__(
        self,
        parameters: Any,
        lr: float = 1e-2,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum = _fraction("momentum", momentum)
        self.nesterov = nesterov
        self.weight_decay = _not_negative("weight_decay", weight_decay)
        self.buffer_names = ("velocity",) if self.momentum else ()
        super().__init__(parameters, lr)

    def update(self, m: Any, w: Any, g: Any, buffers: Buffers) -> tuple[Any, Buffers]:
        """One step of one parameter."""
        rate, momentum = self.lr.now(), self.momentum
        if self.weight_decay:
            g = g + self.weight_decay * w
        if not momentum:
            return w - rate * g, {}
        velocity = momentum * buffers["velocity"] - rate * g
        if self.nesterov:
            return w - momentum * buffers["velocity"] + (1.0 + momentum) * velocity, {"velocity": velocity}
        return w + velocity, {"velocity": velocity}


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient.

    c ← decay · c + (1 − decay) · g²;  w ← w − lr · g / (√c + epsilon)

    Parameters
    ----------
    parameters, lr : as in Optimizer
    decay : float
        From 0 to below 1.
    epsilon : float

    Raises
    ------
    AdjointError
        For a setting out of range, or without parameters.
    GradientError
        From `step`, if no parameter has a new gradient.

    Example
    -------
    >>> import adjoint as ad
    >>> w = ad.Parameter(1.0)
    >>> opt = ad.optim.RMSprop([w], lr=0.01, decay=0.75)
    >>> (w * w).backward()
    >>> opt.step()
    >>> round(w.item(), 6)
    0.98

    Source: G. Hinton, Coursera lecture 6e, 2012; CS231n 2017, assignment 2, `rmsprop`.
    """

    buffer_names = ("cache",)

    def __init__(self, parameters: Any, lr: float = 1e-3, *, decay: float = 0.99, epsilon: float = 1e-8) -> None:
        self.decay = _fraction("decay", decay)
        self.epsilon = _positive("epsilon", epsilon)
        super().__init__(parameters, lr)

    def update(self, m: Any, w: Any, g: Any, buffers: Buffers) -> tuple[Any, Buffers]:
        """One step of one parameter."""
        cache = self.decay * buffers["cache"] + (1.0 - self.decay) * (g * g)
        return w - self.lr.now() * g / (m.sqrt(cache) + self.epsilon), {"cache": cache}


class Adam(Optimizer):
    """Momentum and running root mean square together, corrected for their start at zero.

    m ← β₁ · m + (1 − β₁) · g;  v ← β₂ · v + (1 − β₂) · g²
    w ← w − lr · m̂ / (√v̂ + epsilon), with m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ)

    Parameters
    ----------
    parameters, lr : as in Optimizer
    beta1, beta2 : float
        From 0 to below 1.
    epsilon : float

    Raises
    ------
    AdjointError
        For a setting out of range, or without parameters.
    GradientError
        From `step`, if no parameter has a new gradient.

    Example
    -------
    >>> import adjoint as ad
    >>> w = ad.Parameter(1.0)
    >>> opt = ad.optim.Adam([w], lr=0.1)
    >>> (w * w).backward()
    >>> opt.step()
    >>> round(w.item(), 6)
    0.9

    Source: D. Kingma and J. Ba, "Adam", 2015, algorithm 1.
    """

    buffer_names = ("first", "second")

    def __init__(
        self, parameters: Any, lr: float = 1e-3, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        self.beta1 = _fraction("beta1", beta1)
        self.beta2 = _fraction("beta2", beta2)
        self.epsilon = _positive("epsilon", epsilon)
        super().__init__(parameters, lr)

    def update(self, m: Any, w: Any, g: Any, buffers: Buffers) -> tuple[Any, Buffers]:
        """One step of one parameter."""
        first = self.beta1 * buffers["first"] + (1.0 - self.beta1) * g
        second = self.beta2 * buffers["second"] + (1.0 - self.beta2) * (g * g)
        corrected = first / self._missing(m, self.beta1, w)
        spread = m.sqrt(second / self._missing(m, self.beta2, w)) + self.epsilon
        return w - self.lr.now() * corrected / spread, {"first": first, "second": second}

    def _missing(self, m: Any, beta: float, w: Any) -> Any:
        """1 − βᵗ: the share of the running mean that does not come from its start at zero."""
        share = 1.0 - m.pow(beta, m.cast(self.steps.now(), dtype=np.float64))
        return m.cast(share, dtype=np.float64 if type(w) is float else w.dtype)


def _by_path(parameters: Any) -> dict[str, Parameter]:
    if isinstance(parameters, Parameter):
        found: Mapping[str, Any] = {parameters.name or "0": parameters}
    elif isinstance(parameters, Parametrised):
        found = parameters.parameters()
    elif isinstance(parameters, Mapping):
        found = parameters
    elif isinstance(parameters, Iterable):
        found = {str(i): p for i, p in enumerate(parameters)}
    else:
        found = {"": parameters}
    for path, p in found.items():
        if not isinstance(p, Parameter):
            raise AdjointError(f"optimiser: expected a module or Parameters, got {type(p).__name__} ({path!r}){here()}")
    if not found:
        raise AdjointError(f"optimiser: expected at least one Parameter, got none{here()}")
    return dict(found)


def _zeros_like(p: Parameter) -> Any:
    return 0.0 if type(p._value) is float else np.zeros(p.shape, p.dtype)


def _positive(name: str, value: float) -> float:
    if not value > 0.0 or value == float("inf"):
        raise AdjointError(f"optimiser: expected a positive {name}, got {value}{here()}")
    return float(value)


def _not_negative(name: str, value: float) -> float:
    if not 0.0 <= value < float("inf"):
        raise AdjointError(f"optimiser: expected {name} from 0 on, got {value}{here()}")
    return float(value)


def _fraction(name: str, value: float) -> float:
    if not 0.0 <= value < 1.0:
        raise AdjointError(f"optimiser: expected {name} from 0 to below 1, got {value}{here()}")
    return float(value)
