"""What an op is: a name, a forward rule, derivative rules, a shape rule, and the way it is called and recorded.

`Op` is the part that all families share; the families themselves (elementwise, reduction, linear, general) are in
`families.py`. An op is called in two ways: `op(x, …)` is the public function, `op.apply(*inputs, **params)` what rules
and engines use. Called on Tensors it computes at once and records a node; on plain arrays it just computes.

How fast paths and gradient carriers are built is the business of later files (`source.py`, `autodiff.py`), which put
their builders into `ENGINE`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, Self

import numpy as np

from adjoint.abstract import Abstract
from adjoint.errors import AdjointError, DTypeError, GradientError, IndexRangeError, ShapeError
from adjoint.leaves import State
from adjoint.recording import MODE, here
from adjoint.tensor import NO_PARAMS, Constant, Rule, Tensor, leaf, new, owned, plain_value, record
from adjoint.vocabulary import ARRAYS, REGISTRY

Pull = Callable[[Tensor, Any], None]


class Case(NamedTuple):
    """Shapes of the inputs (or an input itself, where it is an array of integers) and the params of one test sample."""

    inputs: tuple[Any, ...]
    params: Mapping[str, Any]


def case(*inputs: Any, **params: Any) -> Case:
    """A test sample that stands beside its op: inputs of these shapes are drawn from the op's domain.

    Parameters
    ----------
    *inputs : tuple of int, or array of integers
        One per input: its shape, or the input itself where it is an array.
    **params
        Settings of the op.

    Returns
    -------
    Case

    Example
    -------
    >>> import adjoint as ad
    >>> ad.case((3, 4), axis=1)
    Case(inputs=((3, 4),), params={'axis': 1})
    """
    return Case(inputs, params)


class Kink(NamedTuple):
    """A point where the derivative jumps, and the gradient that we declare there."""

    inputs: tuple[Any, ...]
    gradient: tuple[float | None, ...]


class Engine:
    """What later files supply: how to build the fast call of an op and the gradient carrier of a rule."""

    build_call: Callable[[Any, bool], Callable[..., Any]]
    build_pull: Callable[[Any, tuple[bool, ...], bool], Pull]


ENGINE: Final = Engine()


class Signature(NamedTuple):
    """Inputs and params of an op, read from its forward rule: inputs stand before the `/` (or are all, without one)."""

    inputs: tuple[str, ...]
    variadic: bool
    params: tuple[str, ...]
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, forward: Callable[..., Any]) -> Signature:
        """Signature of a forward rule `forward(m, x, /, setting)`."""
        parameters = list(inspect.signature(forward).parameters.values())[1:]
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        marked = variadic or any(p.kind is p.POSITIONAL_ONLY for p in parameters)
        is_input = [not marked or p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL) for p in parameters]
        inputs = tuple(p.name for p, yes in zip(parameters, is_input, strict=True) if yes)
        params = tuple(p.name for p, yes in zip(parameters, is_input, strict=True) if not yes)
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        return cls(inputs, variadic, params, defaults)

    def public(self) -> inspect.Signature:
        """The signature that callers see: without `m`, and several inputs as one list."""
        every = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in self.inputs + self.params]
        return inspect.Signature([p.replace(default=self.defaults.get(p.name, p.empty)) for p in every])

    def __str__(self) -> str:
        names = [f"[{self.inputs[0]}, …]"] if self.variadic else list(self.inputs)
        names += self.params
        return ", ".join(f"{n}={self.defaults[n]!r}" if n in self.defaults else n for n in names)


class Shared(NamedTuple):
    """The sections that the docstrings of a family of ops share; each op writes only what is its own."""

    inputs: str
    settings: Mapping[str, str]
    returns: str
    raises: str

    def complete(self, doc: str | None, signature: Signature) -> str | None:
        """A docstring with Parameters and Returns before its Gradient, and Raises before its Example."""
        if doc is None:
            return None
        top, gradient, rest = inspect.cleandoc(doc).partition("\n\nGradient:")
        formula, example, source = rest.partition("\n\nExample\n")
        before = f"\n\nParameters\n----------\n{self.parameters(signature)}\n\nReturns\n-------\n{self.returns}"
        return f"{top}{before}{gradient}{formula}\n\nRaises\n------\n{self.raises}{example}{source}"

    def parameters(self, signature: Signature) -> str:
        """One line per setting, after one for all inputs."""
        names, defaults = signature.inputs, signature.defaults
        left_out = ", ".join(f"{n}={defaults[n]!r}" for n in names if n in defaults)
        kind = f"sequence of ({self.inputs})" if signature.variadic else self.inputs
        lines = [f"{', '.join(names)} : {kind}" + (f" ({left_out} if left out)" if left_out else "")]
        for n in signature.params:
            setting = f"{n} : {self.settings[n]}" if n in self.settings else n
            lines.append(setting + (f", default {defaults[n]!r}" if n in defaults else ""))
        return "\n".join(lines)


SHARED: Final = Shared(
    inputs="number, array or Tensor",
    settings={
        "axis": "int",
        "classes": "int",
        "axes": "tuple of int, or None for the reverse order",
        "dtype": "NumPy dtype",
        "gate": "Gate",
        "high": "int",
        "key": "what stands in x[…]: integers, slices, None, Ellipsis, arrays of integers, a boolean mask",
        "low": "int",
        "n": "int",
        "seed": "int",
        "shape": "tuple of int",
        "size": "int",
        "what": "str, the name that errors mention",
        "subscripts": 'str such as "ij,jk->ik"',
    },
    returns="A Tensor if an input is one, else an array or a number.",
    raises="ShapeError, DTypeError\n    If an input or a setting does not fit.",
)


class Op:
    """An operation: mathematics written once and read by several interpreters.

    Families say in `evaluate`, `abstract`, `pull` and `push` what the words mean for them.
    """

    #: Python-float inputs give a Python float, and the scalar path applies.
    scalar: bool = False

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        symbol: str | None = None,
        nondiff: str | None = None,
        kink: str | None = None,
        domain: Sequence[tuple[float, float]] | None = None,
        reference: str | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or forward.__name__.rstrip("_")
        self.__name__ = self.name
        self.__module__ = forward.__module__
        self.__wrapped__ = forward
        self.forward = forward
        self.signature = self.read_signature(forward)
        self.__signature__ = self.signature.public()
        self.__doc__ = self.shared.complete(forward.__doc__, self.signature)
        self._defaults = {n: v for n, v in self.signature.defaults.items() if n in self.signature.params}
        self._arity = -1 if self.signature.params or self.signature.variadic else len(self.signature.inputs)
        self.symbol = symbol or self.name
        self.nondiff = nondiff
        self.kink = kink
        self.domain = domain
        self.reference: str | Callable[..., Any] = reference or f"numpy.{self.name}"
        self.cases: tuple[Case, ...] = ()
        self.kinks: tuple[Kink, ...] = ()
        self.winner: Callable[..., Any] | None = None
        self._rules: dict[tuple[bool, ...], Rule] = {}
        self._scalar_rules: dict[tuple[bool, ...], Rule] = {}
        REGISTRY[self.name] = self

    @cached_property
    def call(self) -> Callable[..., Any]:
        """The call with inputs by position, by the fastest path there is."""
        return ENGINE.build_call(self, False)

    @cached_property
    def reflected(self) -> Callable[..., Any]:
        """`call` with the two inputs in reverse order, as Python asks for 1.0 / x."""
        return ENGINE.build_call(self, True)

    def __repr__(self) -> str:
        return f"<op {self.name}({self.signature})>"

    def title(self, params: Mapping[str, Any]) -> str:
        """What a node of this op is called in pictures and messages."""
        return self.name

    @property
    def shared(self) -> Shared:
        """What its docstring shares with those of its family."""
        return SHARED

    def read_signature(self, forward: Callable[..., Any]) -> Signature:
        """Inputs and params, as the forward rule has them."""
        return Signature.of(forward)

    # --- what the families say --------------------------------------------------------------------------------------

    @property
    def has_rule(self) -> bool:
        """True if a derivative rule is stated."""
        raise AdjointError(f"{type(self).__name__} does not say whether it has a rule")

    def evaluate(self, values: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """The value of the op on plain values."""
        return self.forward(ARRAYS, *values, **params)

    def abstract(self, inputs: Sequence[Abstract], params: Mapping[str, Any]) -> Abstract:
        """Shape and dtype of the result, or a ShapeError that says what does not fit."""
        raise AdjointError(f"{self.name} has no shape rule")

    def pull(
        self, m: Any, position: int, active: tuple[bool, ...], g: Any, out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """Gradient of the input at `position`, not yet un-broadcast; None if nothing flows there."""
        raise self.no_rule()

    def push(
        self, m: Any, active: tuple[bool, ...], tangents: Sequence[Any], out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """Tangent of the result from the tangents of the inputs (None for a zero)."""
        raise self.no_rule()

    def no_rule(self) -> GradientError:
        """The error for a derivative that does not exist."""
        reason = self.nondiff or "no derivative rule is stated for it"
        return GradientError(f"{self.name}: has no gradient: {reason}{here()}")

    # --- what stands beside the block -------------------------------------------------------------------------------

    def samples(self, *cases: Case) -> Self:
        """Declare test samples; the tests of the registry draw inputs for them."""
        self.cases += cases
        return self

    def at_kink(self, *inputs: Any, gradient: tuple[float | None, ...]) -> Self:
        """Declare the gradient at a kink."""
        self.kinks += (Kink(inputs, gradient),)
        return self

    # --- calling ----------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **settings: Any) -> Any:
        if not settings and len(args) == self._arity:
            return self.call(*args)
        signature = self.signature
        if signature.variadic and args:
            return self.apply(*args[0], **self._params(args[1:], settings))
        count = len(signature.inputs)
        if len(args) < count:
            args = self._filled(args, settings)
        return self.apply(*args[:count], **self._params(args[count:], settings))

    def _filled(self, args: tuple[Any, ...], settings: dict[str, Any]) -> tuple[Any, ...]:
        """Inputs that were given by keyword or left at their default, in their places."""
        filled = list(args)
        for name in self.signature.inputs[len(args) :]:
            if name in settings:
                filled.append(settings.pop(name))
            elif name in self.signature.defaults:
                filled.append(self.signature.defaults[name])
            else:
                raise TypeError(f"{self.name}({self.signature}): expected {name}, which is missing{here()}")
        return tuple(filled)

    def _params(self, values: tuple[Any, ...], settings: dict[str, Any]) -> dict[str, Any]:
        names = self.signature.params
        if not values:
            given = {**self._defaults, **settings}
            if len(given) == len(names):
                return given
        if len(values) > len(names) or not settings.keys() <= set(names):
            wrong = sorted(settings.keys() - set(names)) or f"{len(values) - len(names)} too many by position"
            raise TypeError(f"{self.name}({self.signature}): got unexpected arguments: {wrong}{here()}")
        given = dict(zip(names, values, strict=False)) | settings
        if len(given) < len(names):
            missing = [n for n in names if n not in given and n not in self.signature.defaults]
            if missing:
                raise TypeError(f"{self.name}({self.signature}): expected {missing[0]}, which is missing{here()}")
            given = {n: self.signature.defaults[n] for n in names} | given
        return given

    def apply(self, *inputs: Any, **params: Any) -> Any:
        """Compute, and record a node if a Tensor takes part."""
        kinds = {*map(type, inputs)}
        only_tensors = kinds == _TENSOR_ONLY
        if only_tensors:
            values, active = [x._value for x in inputs], (True,) * len(inputs)
        else:
            if not kinds <= _PLAIN_KINDS:
                inputs = tuple([operand(self, x) for x in inputs])
            values = [x._value if isinstance(x, Tensor) else x for x in inputs]
            active = tuple([type(x) is Tensor for x in inputs])
        current = MODE.get()
        try:
            if current is None or current.trace is None or not any(type(v) is Abstract for v in values):
                value = self.evaluate(values, params)
            else:
                value = self.abstract([Abstract.of(v) for v in values], params)
        except AdjointError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            raise self.diagnosis(values, params, error) from None
        if not only_tensors and not any(isinstance(x, Tensor) for x in inputs):
            return value
        flows = self.nondiff is None and True in active
        if current is not None and not current.record:
            if current.trace is None:
                return leaf(value, None, Constant)
            flows = False  # a trace must know where it comes from, also what gets no gradient
        if flows and not only_tensors:  # a plain array could be changed by its owner before the backward pass reads it
            inputs = tuple([owned(plain_value(x, self.name)) if type(x) is np.ndarray else x for x in inputs])
        rules = self._scalar_rules if type(value) is float else self._rules
        rule = rules.get(active) or self.rule(active, type(value) is float)
        return record(new(Tensor if flows else Constant), rule, value, inputs, params or NO_PARAMS)

    def diagnosis(self, values: Sequence[Any], params: Mapping[str, Any], error: Exception) -> AdjointError:
        """The error in our words: what the shape rule objects to, else what NumPy said."""
        try:
            self.abstract([Abstract.of(v) for v in values], params)
        except AdjointError as ours:
            return ours
        except Exception:  # the shape rule stumbled over the same input: NumPy's own message is the better one
            pass
        shapes = ", ".join(str(np.shape(v)) for v in values)
        kind = DTypeError if isinstance(error, TypeError) else ShapeError
        kind = IndexRangeError if isinstance(error, IndexError) and not isinstance(error, ValueError) else kind
        return kind(f"{self.name}: {error} (shapes {shapes}){here()}")

    def rule(self, active: tuple[bool, ...], scalar: bool = False) -> Rule:
        """The rule shared by all nodes of this op with this pattern of active inputs."""
        return (self._scalar_rules if scalar else self._rules).setdefault(active, Rule(self, active, self._first_pull))

    def _first_pull(self, node: Tensor, g: Any) -> None:
        """Build the gradient carrier when the first backward pass needs it."""
        rule = node._rule
        rule.pull = ENGINE.build_pull(self, rule.active, type(node._value) is float)
        rule.pull(node, g)


#: Inputs that a node stores as they are; everything else goes through `operand`.
_PLAIN_KINDS: Final = frozenset({Tensor, float})
_TENSOR_ONLY: Final = frozenset({Tensor})


def operand(op: Op, x: Any) -> Any:
    """What a node stores of an input that is neither a plain Tensor nor a Python float nor an array."""
    if isinstance(x, State):
        return x.read()
    if isinstance(x, Tensor):
        return x
    if type(x) in (int, bool):
        return x
    if type(x) in (list, tuple) and any(isinstance(v, Tensor) for v in x):
        raise DTypeError(
            f"{op.name}: expected a tensor, array or number, got a {type(x).__name__} of tensors{here()}; "
            "join them with ad.stack or ad.concatenate first"
        )
    return plain_value(x, op.name)


def shape_error(op: Op, message: str, fix: str = "") -> ShapeError:
    """A ShapeError of an op, with the place and the likely fix."""
    return ShapeError(f"{op.name}: {message}{here()}" + (f"; {fix}" if fix else ""))
