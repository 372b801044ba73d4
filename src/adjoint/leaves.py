"""Leaves: what a user makes to start a graph from.

Concepts here: `tensor` and `constant` (values that never change), `State` and `Parameter` (values that can be
assigned). An operation consumes a *read* of a State, a node of its own that holds the value of that moment, so that
what was recorded stays true when the State is assigned.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any, Final

import numpy as np

from adjoint.abstract import no_value
from adjoint.errors import DTypeError, ImmutableError, ShapeError
from adjoint.recording import IN_LIBRARY, MODE, Settings, here, tracing
from adjoint.tensor import (
    LEAF,
    NO_PARAMS,
    Constant,
    Rule,
    Tensor,
    add_to_slot,
    as_array,
    leaf,
    new,
    next_id,
    plain_value,
    record,
)

_getframe: Final = sys._getframe
_mode: Final = MODE.get


class State(Tensor):
    """A leaf with a name whose value can be assigned: a buffer, a counter, a learning rate. Gets no gradient.

    An operation consumes a *read* of it, a node of its own that holds the value of that moment; assigning later does
    not change what was recorded.

    Parameters
    ----------
    value : number, nested list, array or Tensor
        Copied.
    name : str, optional
    dtype : NumPy dtype, optional

    Raises
    ------
    DTypeError
        For complex numbers, text or ragged lists.

    Example
    -------
    >>> import adjoint as ad
    >>> rate = ad.State(0.1, name="rate")
    >>> before = rate * 1.0
    >>> rate.assign(0.05)
    >>> before.item(), rate.item()
    (0.1, 0.05)
    """

    __slots__ = ("_read", "_trainable")
    _word = "State"
    _default_trainable = False

    _read: weakref.ref[Tensor] | None
    _trainable: bool

    def __init__(self, value: Any, name: str | None = None, dtype: Any = None) -> None:
        record(self, LEAF, _copied(value, dtype, type(self).__name__), (), NO_PARAMS, name)
        self._read = None
        self._trainable = self._default_trainable

    @property
    def trainable(self) -> bool:
        """True if reads of it get a gradient."""
        return self._trainable

    def assign(self, value: Any) -> None:
        """Set a new value of the same shape; it is copied and cast to the dtype of this leaf."""
        self.replace(self.fitted(value))

    def fitted(self, value: Any) -> Any:
        """A value as this leaf would hold it, checked, copied and cast; nothing is assigned."""
        if isinstance(value, Tensor) and tracing() is not None:
            return value  # the trace checks and casts it
        source = value._leave("assign") if isinstance(value, Tensor) else plain_value(value, "assign")
        if np.shape(source) != self.shape:
            raise ShapeError(
                f"assign: expected shape {self.shape}, got {np.shape(source)} ({self._name or 'unnamed'}){here()}"
            )
        return float(source) if type(self._value) is float else np.array(source, dtype=self.dtype)

    def replace(self, value: Any) -> None:
        """Set a new value without a check or a copy; the caller gives the array away and must not change it."""
        trace = tracing()
        if trace is not None:
            trace.assign(self, value)
            return
        self._value = value
        self._read = None

    def token(self) -> Any:
        """An object that is another one after each assignment."""
        trace = tracing()
        return self._value if trace is None else trace.read(self)

    def now(self) -> Any:
        """What rules compute with: the plain value; while a function is traced the node that reads it."""
        return self._value if tracing() is None else self.read()

    @property
    def value(self) -> Any:
        """The value as a read-only array."""
        if tracing() is not None:
            raise no_value("value")
        return as_array(self._value)

    def _leave(self, how: str) -> Any:
        if tracing() is not None:
            raise no_value(how)
        return super()._leave(how)

    def read(self) -> Tensor:
        """The value of this moment as a node; the same node until the next assignment."""
        current = MODE.get()
        if current is not None and current.reads is not None:
            value, wrapper = current.reads.get(self, (None, None))
            if wrapper is not None and value is self.token():
                return wrapper  # type: ignore[no-any-return]
        if current is not None and current.trace is not None:
            return current.trace.read(self)  # type: ignore[no-any-return]
        node = None if self._read is None else self._read()
        if node is None:
            node = self.fresh_read()
            self._read = weakref.ref(node)
        return node

    def fresh_read(self) -> Tensor:
        """A new node that reads this leaf, active if the leaf is trainable; its origin is where the leaf was made."""
        node: Any = new(Tensor if self._trainable else Constant)
        node._value = self._value
        node._rule = READ if self._trainable else LEAF
        node._inputs = (self,)
        node._params = NO_PARAMS
        node._name = self._name
        node._grad = None
        node._id = next_id()
        node._code = self._code
        node._offset = self._offset
        current = _mode()
        node._scope = None if current is None else current.scope
        return node  # type: ignore[no-any-return]

    def named(self, name: str) -> Tensor:
        """Give this leaf a name and return it."""
        self._name, self._read = name, None
        return self

    def _in_place(self, other: Any) -> Tensor:
        raise ImmutableError(
            f"{type(self).__name__} {self._name or ''} += …: would make a new Tensor and leave the "
            f"{type(self).__name__} as it is{here()}; write p.assign(p.value - rate * p.grad), or use an optimiser"
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = _in_place


class Parameter(State):
    """A leaf that is trained: its reads get gradients, which `backward` adds up in `.grad`.

    Parameters
    ----------
    value : number, nested list, array or Tensor
        Copied.
    name : str, optional
    dtype : floating NumPy dtype, optional

    Raises
    ------
    DTypeError
        For complex numbers, text or ragged lists; for integers, which have no gradients.

    Example
    -------
    >>> import adjoint as ad
    >>> w = ad.Parameter([1.0, 2.0], name="w")
    >>> (w * w).sum().backward()
    >>> w.grad
    array([2., 4.])
    >>> w.assign(w.value - 0.5 * w.grad)
    >>> w
    Parameter([0., 0.], name='w')
    """

    __slots__ = ()
    _word = "Parameter"
    _default_trainable = True

    def __init__(self, value: Any, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(value, name, dtype)
        if self.dtype.kind != "f":
            raise DTypeError(
                f"Parameter: expected floating numbers, got {self.dtype}{here()}; "
                "integers have no gradients: write 1.0 for 1, or dtype='float32'"
            )

    @property
    def active(self) -> bool:
        """True if this parameter gets a gradient (it is trainable)."""
        return self._trainable

    @property
    def trainable(self) -> bool:
        """True if reads of it get a gradient; set it to False to freeze the parameter."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable, self._read = bool(value), None
        Settings.version += 1


def _to_leaf(node: Tensor, g: Any) -> None:
    """A read hands its gradient to the leaf that it read."""
    add_to_slot(node._inputs[0], g)


READ: Final = Rule(None, (True,), _to_leaf)


def _copied(value: Any, dtype: Any, what: str) -> Any:
    if isinstance(value, Tensor):
        value = value._leave(what)
    if dtype is None and type(value) is float:
        return value
    if type(value) in (list, tuple):
        value = _unwrap(value, what)
    stored = plain_value(value, what)
    return np.array(stored) if dtype is None else plain_value(np.array(stored, dtype=dtype), what)


def _unwrap(value: Any, what: str) -> Any:
    if isinstance(value, Tensor):
        return value._leave(what)
    return [_unwrap(v, what) for v in value] if type(value) in (list, tuple) else value


def tensor(value: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """A leaf that gets a gradient (if it holds floating numbers; integers and booleans get none).

    Parameters
    ----------
    value : number, nested list, array or Tensor
        Copied. A Python float stays a float64 scalar that promotes weakly, like a Python float in NumPy; lists of
        floats become float64; arrays keep their dtype.
    dtype : NumPy dtype, optional
    name : str, optional
        Shown in pictures and messages.

    Returns
    -------
    Tensor
        Of the same shape.

    Raises
    ------
    DTypeError
        For complex numbers, text or ragged lists.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.tensor([1.0, 2.0], name="x")
    tensor([1., 2.], name='x')
    """
    if type(value) is float and dtype is None:
        # what `record` does, written out: the leaves are half of the nodes of a small circuit
        t: Any = new(Tensor)
        t._value = value
        t._rule = LEAF
        t._inputs = ()
        t._params = NO_PARAMS
        t._name = name
        t._grad = None
        t._id = next_id()
        frame = _getframe(1)
        while IN_LIBRARY[frame.f_code.co_filename] and frame.f_back is not None:
            frame = frame.f_back
        t._code = frame.f_code
        t._offset = frame.f_lasti
        current = _mode()
        t._scope = None if current is None else current.scope
        return t  # type: ignore[no-any-return]
    stored = _copied(value, dtype, "tensor")
    kind = Tensor if type(stored) is float or stored.dtype.kind == "f" else Constant
    return leaf(stored, name, kind)


def constant(value: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """A leaf that gets no gradient, with a name to show.

    A plain number or array in an expression is a constant already; this names one.

    Parameters
    ----------
    value : number, nested list, array or Tensor
        Copied.
    dtype : NumPy dtype, optional
    name : str, optional
        Shown in pictures and messages.

    Returns
    -------
    Constant
        Of the same shape.

    Gradient: none.

    Raises
    ------
    DTypeError
        For complex numbers, text or ragged lists.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.constant(2.0, name="two")
    constant(2., name='two')
    """
    return leaf(_copied(value, dtype, "constant"), name, Constant)
