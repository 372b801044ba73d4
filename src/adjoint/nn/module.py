"""A module is a plain object whose attributes are its parameters, states and submodules.

Nothing is registered: `parameters()` looks at the attributes (also inside lists, tuples and dicts) and names what it
finds by path, `layers.0.weight`. Calling a module runs its `forward` inside a scope, so that nodes know where they were
made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import numpy as np

from adjoint.errors import AdjointError, DTypeError, ShapeError
from adjoint.leaves import Parameter, State
from adjoint.recording import MODE, PLAIN, Mode, Scope, Settings, here
from adjoint.tensor import Array, Tensor

Kind = TypeVar("Kind")


class Module(Settings):
    """Base of layers and networks: write `__init__` with the parameters and `forward` with the computation.

    Example
    -------
    >>> import adjoint as ad
    >>> class Scale(ad.nn.Module):
    ...     def __init__(self):
    ...         self.factor = ad.Parameter([2.0, 3.0])
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> net = Scale()
    >>> net([1.0, 1.0]).sum().backward()
    >>> {path: p.grad for path, p in net.parameters().items()}
    {'factor': array([1., 1.])}

    Source: the plain-object style is that of Equinox; the names are PyTorch's.
    """

    #: Dropout and its kin act only while this is true; set it with `train()` and `eval()`.
    training: bool = True

    @property
    def name(self) -> str:
        """Name of the root of the paths that pictures and messages show."""
        return type(self).__name__.lower()

    def forward(self, *inputs: Any) -> Any:
        """The computation; subclasses write it."""
        raise AdjointError(f"{type(self).__name__}: a module needs a method forward(self, x)")

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        """Run `forward` in the scope of this module."""
        outer = MODE.get() or PLAIN
        if outer.trace is not None:
            outer.trace.touch(self)
        token = MODE.set(Mode(outer.record, outer.transforms, Scope(outer.scope, self), outer.reads, outer.trace))
        try:
            return self.forward(*inputs, **settings)
        finally:
            MODE.reset(token)

    # --- what it is made of -----------------------------------------------------------------------------------------

    def parameters(self) -> dict[str, Parameter]:
        """Parameters by path; one that stands in two places has the path of the first."""
        return _found(self, Parameter)

    def states(self) -> dict[str, State]:
        """States that are no parameters (counters, running statistics) by path."""
        return {path: s for path, s in _found(self, State).items() if not isinstance(s, Parameter)}

    def modules(self) -> dict[str, Module]:
        """Submodules by path, this one first, under the path ''."""
        return {"": self} | _found(self, Module)

    def path_of(self, module: Module) -> str:
        """The path of a submodule."""
        for path, candidate in _found(self, Module).items():
            if candidate is module:
                return path
        return module.name

    def __repr__(self) -> str:
        count = sum(p.size for p in self.parameters().values())
        return f"{type(self).__name__}({count:,} parameters)"

    # --- what can be switched ---------------------------------------------------------------------------------------

    def train(self) -> Module:
        """Switch to training: dropout acts."""
        return self._set_training(True)

    def eval(self) -> Module:
        """Switch to evaluation: dropout passes everything on."""
        return self._set_training(False)

    def _set_training(self, training: bool) -> Module:
        for module in self.modules().values():
            module.training = training
        return self

    def freeze(self, pattern: str = "*") -> list[str]:
        """Keep the parameters whose path matches (`layers.0.*`) from being trained; returns their paths."""
        return self._set_trainable(pattern, False)

    def unfreeze(self, pattern: str = "*") -> list[str]:
        """Let the parameters whose path matches be trained again; returns their paths."""
        return self._set_trainable(pattern, True)

    def _set_trainable(self, pattern: str, trainable: bool) -> list[str]:
        parameters = self.parameters()
        matching = [path for path in parameters if fnmatchcase(path, pattern)]
        if not matching:
            raise AdjointError(f"freeze: expected a pattern that matches one of {list(parameters)}, got {pattern!r}")
        for path in matching:
            parameters[path].trainable = trainable
        return matching

    # --- its values -------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """Values of all parameters and states by path, read-only."""
        return {path: s.value for path, s in _found(self, State).items()}

    def load_arrays(self, arrays: Mapping[str, Any]) -> None:
        """Assign all parameters and states; nothing is changed unless every path and shape fits."""
        leaves = _found(self, State)
        if leaves.keys() != arrays.keys():
            raise AdjointError(
                f"load_arrays: expected exactly {sorted(leaves)}; "
                f"missing {sorted(leaves.keys() - arrays.keys())}, unexpected {sorted(arrays.keys() - leaves.keys())}"
            )
        for path, state in leaves.items():
            if np.shape(arrays[path]) != state.shape:
                raise ShapeError(f"load_arrays: expected shape {state.shape} for {path}, got {np.shape(arrays[path])}")
        values = {path: state.fitted(arrays[path]) for path, state in leaves.items()}
        for path, state in leaves.items():
            state.replace(values[path])


def _found(root: Module, kind: type[Kind]) -> dict[str, Kind]:
    """Everything of a kind below a module, by path, each once."""
    found: dict[str, Kind] = {}
    seen: set[int] = {id(root)}
    _collect("", vars(root), kind, found, seen)
    return found


def _collect(prefix: str, holder: Any, kind: type[Kind], found: dict[str, Kind], seen: set[int]) -> None:
    for key, value in _entries(holder):
        if id(value) in seen or not isinstance(value, Module | State | list | tuple | dict):
            continue
        seen.add(id(value))
        path = f"{prefix}{key}"
        if isinstance(value, kind):
            found[path] = value
        if not isinstance(value, State):
            _collect(f"{path}.", vars(value) if isinstance(value, Module) else value, kind, found, seen)


def _entries(holder: Any) -> Iterator[tuple[Any, Any]]:
    return iter(holder.items()) if isinstance(holder, dict) else enumerate(holder)


def cast_input(x: Any, like: Tensor, layer: str) -> Any:
    """Numbers in the dtype of a parameter, so that float64 data does not slow a float32 network in silence."""
    if isinstance(x, Tensor):
        if x.dtype == like.dtype:
            return x
        return x.astype(like.dtype)
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{layer}: expected real numbers, got {array.dtype} of shape {array.shape}{here()}")
    return array.astype(like.dtype, copy=False)
