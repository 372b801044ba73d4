"""A Tensor is a value with a history, and the history is the graph.

Concepts here: `Tensor` and its inactive kind `Constant`, the `Rule` that a recorded node points to, the immutable view
`Node`, and what a graph stores of a value. Leaves are in `leaves.py`, a whole graph as an object in `graph.py`; what
computes is in `op.py`, what sends gradients backward in `autodiff.py`: later folders attach their part of Tensor here,
through `attach` and the table `SLOTS`.

Invariants. Ids rise in recording order, so every input of a node has a lower id. Values never change once recorded.
`type(x) is Tensor` says "a Tensor that gets a gradient"; every inactive or assignable kind is a subclass.
There is no global tape: a node holds its inputs, nothing holds the node but those who use it.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract, no_value
from adjoint.errors import AdjointError, DTypeError, GradientError, ImmutableError
from adjoint.recording import IN_LIBRARY, MODE, Origin, Scope, decode_origin, here, tracing, transforming

if TYPE_CHECKING:
    from adjoint.graph import Graph
    from adjoint.op import Op

Array = np.ndarray[Any, Any]

next_id: Final = itertools.count(1).__next__
_getframe: Final = sys._getframe
_mode: Final = MODE.get
NO_PARAMS: Final[Mapping[str, Any]] = MappingProxyType({})


class _Pending:
    """Mark in the gradient slot of a node that a running backward pass has reached but not yet served."""

    def __repr__(self) -> str:
        return "<gradient pending>"


PENDING: Final = _Pending()
#: Mark of a gradient that a compiled function did not compute, because nothing in it asked for it.
DROPPED: Final = _Pending()


class Rule:
    """How a recorded node was made and how its gradient goes on: shared by all nodes of one op and active pattern.

    `pull(node, g)` adds the gradient of every active input of `node` to that input's slot.
    """

    __slots__ = ("active", "op", "pull")

    def __init__(self, op: Op | None, active: tuple[bool, ...], pull: Callable[[Tensor, Any], None]) -> None:
        self.op = op
        self.active = active
        self.pull = pull


def _nothing(node: Tensor, g: Any) -> None:
    """A leaf sends its gradient nowhere."""


LEAF: Final = Rule(None, (), _nothing)


class Node(NamedTuple):
    """An immutable view of how a Tensor was made; `op` is None for a leaf.

    Attributes
    ----------
    op : Op or None
    inputs : tuple of Tensor, number or array
        What the op was given.
    params : mapping
        Its settings, such as axis.
    shape : tuple of int
    dtype : NumPy dtype
    origin : Origin or None
        File and line of the user's code.
    scope : str
        Path of the module that ran, `net.layers.0`; empty outside modules.

    Example
    -------
    >>> import adjoint as ad
    >>> x = ad.tensor(2.0, name="x")
    >>> node = (x * 3.0).node
    >>> node.op.name, node.inputs
    ('multiply', (tensor(2., name='x'), 3.0))
    """

    op: Op | None
    inputs: tuple[Any, ...]
    params: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    origin: Origin | None
    scope: str


# --- values ---------------------------------------------------------------------------------------------------------


def plain_value(value: Any, what: str = "tensor") -> Any:
    """What a graph stores of a value: a Python float as it is, else an array of real numbers or booleans."""
    if type(value) is float:
        return value
    if type(value) is int and -(2**63) <= value < 2**63:
        return np.int64(value)
    try:
        array = value if isinstance(value, np.ndarray | np.generic) else np.asarray(value)
    except ValueError:
        raise DTypeError(
            f"{what}: expected numbers in a regular array, got {_kind(value)} with rows of different lengths{here()}"
        ) from None
    if array.dtype.kind in "fiub":
        return array
    raise DTypeError(f"{what}: {refusal(array.dtype, value)}{here()}")


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


def refusal(dtype: np.dtype[Any], value: Any) -> str:
    if dtype.kind == "c":
        return (
            f"expected real numbers, got {dtype}; gradients here are of real functions: "
            "pass the real and the imaginary part as two tensors (z.real, z.imag)"
        )
    return f"expected real numbers or booleans, got {_kind(value)} of dtype {dtype}; convert it to numbers first"


def value_of(x: Any) -> Any:
    """The internal value of an input of a node."""
    return x._value if isinstance(x, Tensor) else x


def owned(value: Any) -> Any:
    """The value, copied if somebody else could still change it."""
    return value.copy() if isinstance(value, np.ndarray) and value.flags.writeable else value


def as_array(value: Any) -> Array:
    """Read-only array seen by users: internal values may be Python floats or shared arrays."""
    if type(value) is Abstract:
        raise no_value("value")
    array = np.asarray(value).view()
    array.flags.writeable = False
    return array


# --- Tensor ---------------------------------------------------------------------------------------------------------


class Tensor:
    """A value with a history, which gets a gradient.

    Tensors are made by `ad.tensor`, `ad.constant`, `ad.Parameter` and by operations; not by this class itself.
    Arithmetic, comparison, indexing, NumPy functions and the methods of `numpy.ndarray` work element by element as
    in NumPy and record what they did. Values are read-only and never change.

    Example
    -------
    >>> import adjoint as ad
    >>> x, y, z = ad.tensor(-2.0), ad.tensor(5.0), ad.tensor(-4.0)
    >>> f = (x + y) * z
    >>> f.backward()
    >>> f.item(), x.grad.item(), y.grad.item(), z.grad.item()
    (-12.0, -4.0, -4.0, 3.0)

    Source: CS231n 2017, lecture 4, slides 11 to 22.
    """

    __slots__ = (
        "__weakref__",
        "_code",
        "_grad",
        "_id",
        "_inputs",
        "_name",
        "_offset",
        "_params",
        "_rule",
        "_scope",
        "_value",
    )

    _code: CodeType | None
    _grad: Any
    _id: int
    _inputs: tuple[Any, ...]
    _name: str | None
    _offset: int
    _params: Mapping[str, Any]
    _rule: Rule
    _scope: Scope | None
    _value: Any

    __hash__ = object.__hash__
    __array_priority__ = 1000

    # what this tensor is

    @property
    def value(self) -> Array:
        """The value as a read-only array."""
        return as_array(self._value)

    @property
    def grad(self) -> Array | None:
        """The gradient of the last backward pass as a read-only array without history; None before one."""
        g = self._grad
        if g is None or g is PENDING:
            return None
        if g is DROPPED:
            raise GradientError(
                f"grad: a compiled function computed no gradient for {self._name or 'this tensor'}, because nothing "
                f"used it{here()}; return it from the function (return loss, w.grad), or run it without ad.compile"
            )
        return g if isinstance(g, Tensor) else as_array(g)  # type: ignore[return-value]  # a Tensor while tracing

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes; () for a scalar."""
        return () if type(self._value) is float else self._value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the value."""
        return np.dtype(np.float64) if type(self._value) is float else self._value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return 1 if type(self._value) is float else int(self._value.size)

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return self.size * self.dtype.itemsize

    @property
    def device(self) -> str:
        """Where the value lives (array API)."""
        return "cpu"

    @property
    def id(self) -> int:
        """Number that rises in recording order."""
        return self._id

    @property
    def name(self) -> str | None:
        """Name given by the user, or None."""
        return self._name

    def named(self, name: str) -> Tensor:
        """Give this tensor a name (shown in pictures and messages) and return it."""
        self._name = name
        return self

    @property
    def active(self) -> bool:
        """True if this tensor gets a gradient."""
        return type(self) is Tensor

    @property
    def node(self) -> Node:
        """How this tensor was made."""
        rule, reads_state = self._rule, self._rule.op is None
        scope = "" if self._scope is None else self._scope.path
        origin = decode_origin(self._code, self._offset)
        inputs = () if reads_state else self._inputs
        return Node(rule.op, inputs, self._params, self.shape, self.dtype, origin, scope)

    # leaving the graph

    def item(self) -> float | int | bool:
        """The single element as a Python number."""
        if type(self._value) is not Abstract and self.size != 1:
            raise GradientError(
                f"item: expected a tensor of one element, got shape {self.shape}{here()}; index it, or use .value"
            )
        return self._leave("item").item()  # type: ignore[no-any-return]

    def numpy(self) -> Array:
        """The value as a read-only array (the same as `.value`)."""
        return self._leave("numpy")

    def tolist(self) -> Any:
        """The value as nested Python lists."""
        return self._leave("tolist").tolist()

    def detach(self) -> Tensor:
        """A constant of the same value, without history: nothing flows back through it."""
        if type(self._value) is Abstract:  # the trace must know where it comes from
            return record(new(Constant), LEAF, self._value, (self,), NO_PARAMS, self._name)  # type: ignore[no-any-return]
        return leaf(self._value, self._name, Constant)

    def _leave(self, how: str) -> Array:
        if type(self._value) is Abstract:
            raise no_value(how)
        if type(self) is not Constant and transforming():
            raise GradientError(
                f"{how}: inside grad, jvp or jacobian a Tensor that carries a gradient cannot become a plain number or "
                f"array, its gradient would be lost{here()}; use the functions of adjoint or of NumPy that are "
                "known to it, or say so with ad.stop_gradient(x)"
            )
        return self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self._leave("np.asarray")
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"cannot make an array of dtype {dtype} from {array.dtype} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __float__(self) -> float:
        return float(self._scalar("float"))

    def __int__(self) -> int:
        return int(self._scalar("int"))

    def __bool__(self) -> bool:
        return bool(self._scalar("bool"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise DTypeError(f"index: expected an integer of shape (), got {self.dtype} of shape {self.shape}{here()}")
        return int(self._leave("index"))

    def _scalar(self, how: str) -> Any:
        if type(self._value) is not Abstract and self.size != 1:
            raise GradientError(
                f"{how}: expected a tensor of one element, got shape {self.shape}{here()}; "
                "reduce it first (.sum(), .mean(), ad.any, ad.all)"
            )
        return self._leave(how).reshape(-1)[0]

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __dlpack__(self, **options: Any) -> Any:
        # a DLPack consumer may write: it gets a copy, since recorded values never change
        if options.get("copy") is False:
            raise BufferError("a Tensor is given away as a copy only: its value must never change; pass copy=None")
        return np.array(self._leave("__dlpack__")).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return np.empty(0).__dlpack_device__()

    def to_device(self, device: str, /, *, stream: Any = None) -> Tensor:
        """This tensor; the CPU is the only device here (array API)."""
        if device != "cpu" or stream is not None:
            raise AdjointError(f"to_device: expected 'cpu', got {device!r}{here()}")
        return self

    # like an ndarray

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor of shape ()")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a tensor of shape ()")
        return (self[i] for i in range(self.shape[0]))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise ImmutableError(
            f"tensor[…] = …: tensors cannot be changed in place, their history would no longer be true{here()}; "
            "write ad.where(mask, new, x), or for a Parameter p.assign(array)"
        )

    def __str__(self) -> str:
        if tracing() is not None and type(self._value) is Abstract:
            raise no_value("str")
        return repr(self)

    def __repr__(self) -> str:
        if type(self._value) is Abstract:
            return f"{self._word}(traced, shape={self.shape}, dtype={self.dtype})"
        text = np.array2string(self.value, separator=", ", prefix="tensor(", threshold=100, precision=6)
        parts = [text]
        if self.dtype not in (np.float64, np.int64, np.bool_):
            parts.append(f"dtype={self.dtype}")
        if self._name is not None:
            parts.append(f"name={self._name!r}")
        if self._rule.op is not None:
            parts.append(f"op={self._rule.op.title(self._params)}")
        return f"{self._word}({', '.join(parts)})"

    _word = "tensor"

    def __reduce__(self) -> Any:
        raise AdjointError(
            "a Tensor cannot be pickled or deep-copied: it would take its whole graph along; "
            "keep t.value, or save a model with adjoint.formats"
        )

    if TYPE_CHECKING:  # attached by later folders, see SLOTS

        @property
        def graph(self) -> Graph: ...
        def backward(self, upstream: Any = None, *, keep: str = "all", accumulate: bool = False) -> None: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __getitem__(self, key: Any) -> Tensor: ...
        def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def max(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def min(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def var(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def std(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def argmax(self, axis: int | None = None) -> Tensor: ...
        def argmin(self, axis: int | None = None) -> Tensor: ...
        def any(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def all(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def transpose(self, *axes: Any) -> Tensor: ...
        def squeeze(self, axis: Any = None) -> Tensor: ...
        def flatten(self) -> Tensor: ...
        def ravel(self) -> Tensor: ...
        def astype(self, dtype: Any) -> Tensor: ...
        def clip(self, low: Any = None, high: Any = None) -> Tensor: ...
        def dot(self, other: Any) -> Tensor: ...
        def exp(self) -> Tensor: ...
        def log(self) -> Tensor: ...
        def sqrt(self) -> Tensor: ...
        def tanh(self) -> Tensor: ...
        def sigmoid(self) -> Tensor: ...
        def relu(self) -> Tensor: ...
        @property
        def T(self) -> Tensor: ...  # noqa: N802
        @property
        def mT(self) -> Tensor: ...  # noqa: N802


#: An instance with empty slots, to be handed to `record`.
new: Final = Tensor.__new__

#: Which folder supplies what of Tensor (`view`: of Graph). `attach` accepts nothing else; a test finds what is missing.
SLOTS: Final[Mapping[str, Sequence[str]]] = {
    "graph": ("graph",),
    "autodiff": ("backward",),
    "ops": (
        *("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__"),
        *("__pow__", "__rpow__", "__matmul__", "__rmatmul__", "__neg__", "__pos__", "__abs__", "__invert__"),
        *("__and__", "__or__", "__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__", "__getitem__"),
        *("sum", "mean", "max", "min", "var", "std", "argmax", "argmin", "any", "all"),
        *("reshape", "transpose", "squeeze", "flatten", "ravel", "astype", "clip", "dot", "T", "mT"),
        *("exp", "log", "sqrt", "tanh", "sigmoid", "relu"),
        *("__array_ufunc__", "__array_function__", "__array_namespace__"),
    ),
    "view": ("text", "svg", "html", "_repr_mimebundle_"),
}


def attach(folder: str, methods: Mapping[str, Any], to: type | None = None) -> None:
    """Add what a later folder supplies to Tensor (or to another class); the names must be those that SLOTS promises."""
    if set(methods) != set(SLOTS[folder]):
        difference = sorted(set(methods) ^ set(SLOTS[folder]))
        raise AdjointError(f"attach: {folder} must supply exactly what SLOTS names; these differ: {difference}")
    for name, method in methods.items():
        setattr(to or Tensor, name, method)


class Constant(Tensor):
    """A Tensor that gets no gradient: a constant, or the result of an operation on inactive tensors only.

    Example
    -------
    >>> import adjoint as ad
    >>> isinstance(ad.constant(2.0) + 1.0, ad.Constant), isinstance(ad.tensor([1, 2]), ad.Constant)
    (True, True)
    """

    __slots__ = ()
    _word = "constant"


def add_to_slot(target: Tensor, g: Any) -> None:
    """Add a gradient to a slot that a backward pass has marked as pending."""
    held = target._grad
    target._grad = g if held is PENDING else held + g


def record(
    t: Any,
    rule: Rule,
    value: Any,
    inputs: tuple[Any, ...],
    params: Mapping[str, Any] = NO_PARAMS,
    name: str | None = None,
) -> Any:
    """Make a new Tensor a node: its value and its history, with the place in the user's code. Returns it."""
    t._value = value
    t._rule = rule
    t._inputs = inputs
    t._params = params
    t._name = name
    t._grad = None
    t._id = next_id()
    frame = _getframe(1)  # the loop is that of `recording.caller`, without its call
    code = frame.f_code
    while IN_LIBRARY[code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
        code = frame.f_code
    t._code = code
    t._offset = frame.f_lasti
    current = _mode()
    t._scope = None if current is None else current.scope
    return t


def leaf(value: Any, name: str | None = None, kind: type[Tensor] = Tensor) -> Tensor:
    """A node without inputs that holds the value as it is, without a copy."""
    return record(new(kind), LEAF, value, (), NO_PARAMS, name)  # type: ignore[no-any-return]
