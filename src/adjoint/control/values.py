"""What control flow is told and hands on: conditions, and containers that keep their structure, shapes and dtypes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from adjoint.abstract import Abstract, no_value
from adjoint.errors import DTypeError, ShapeError
from adjoint.leaves import State
from adjoint.recording import here, tracing
from adjoint.tensor import Tensor, plain_value
from adjoint.transforms import unflatten


def condition(what: str, given: Any) -> Any:
    """A condition as a bool if it is known, else as the Tensor that stands for it."""
    x = given.read() if isinstance(given, State) else given
    kind = kind_of(what, x)
    if kind.dtype != np.bool_ or kind.shape:
        error = DTypeError if kind.dtype != np.bool_ else ShapeError
        raise error(
            f"{what}: expected a boolean of shape () as the condition, got {kind.dtype} of shape {kind.shape}{here()}; "
            "write a comparison such as x > 0, and ad.any or ad.all around one of arrays"
        )
    value = x._value if isinstance(x, Tensor) else x
    if type(value) is not Abstract:
        return bool(value)
    if tracing() is None:
        raise no_value("bool")
    return x


def kind_of(what: str, x: Any) -> Abstract:
    """Shape and dtype of a leaf."""
    if isinstance(x, Tensor):
        return Abstract.of(x._value)
    return Abstract.of(x if type(x) in (float, int, bool) else plain_value(x, what))


def _agree(a: Abstract, b: Abstract) -> bool:
    """True if one may take the place of the other; a Python float may stand for a floating number of any dtype."""
    floats = a.dtype.kind == b.dtype.kind == "f"
    return a.shape == b.shape and (a.dtype == b.dtype or (floats and (a.weak or b.weak)))


class Flat(NamedTuple):
    """A container as its leaves and the recipe that puts them back."""

    leaves: list[Any]
    recipe: Any

    @classmethod
    def of(cls, tree: Any) -> Flat:
        import optree  # not `flatten` of transforms, which makes a dict of a module: here it is not a number

        leaves, recipe = optree.tree_flatten(tree)
        return cls(leaves, recipe)

    def tree(self) -> Any:
        return unflatten(self.recipe, self.leaves)

    def check(self, like: Flat, what: str, name: str, which: str) -> None:
        """Raise unless this has the structure of another container, and its leaves their shapes and dtypes."""
        if self.recipe != like.recipe:
            raise ShapeError(f"{what}: expected {which} of structure {like.recipe}, got {self.recipe} ({name}){here()}")
        for i, (x, old) in enumerate(zip(self.leaves, like.leaves, strict=True)):
            if x is old:
                continue
            got, expected = kind_of(what, x), kind_of(what, old)
            if not _agree(got, expected):
                error = DTypeError if got.shape == expected.shape else ShapeError
                raise error(
                    f"{what}: expected {which} of {expected.dtype} {expected.shape}, got {got.dtype} {got.shape} "
                    f"({self.recipe.accessors()[i].codify(name)}){here()}"
                )
