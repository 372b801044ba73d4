"""How operations are recorded just now, and where in the user's code.

Concepts here: the `Mode` (recording or not, inside a transform or not, inside which module call), which lives in a
context variable so that threads and coroutines have one each; and the `Origin`, the file and line of user code that
made a node, kept as code object and offset and decoded late. Nothing here knows what a Tensor is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any, ClassVar, Final, NamedTuple, Protocol


class Origin(NamedTuple):
    """File and line of the user's code that made a node."""

    filename: str
    line: int

    def __str__(self) -> str:
        return f"{_relative(self.filename)}:{self.line}"


class Scope:
    """Place of a running module call: the module and the scope around it. The path is spelled when it is read."""

    __slots__ = ("module", "outer")

    def __init__(self, outer: Scope | None, module: Any) -> None:
        self.outer = outer
        self.module = module

    @property
    def path(self) -> str:
        """Dotted path such as `net.layers.0`."""
        name: str = self.module.name if self.outer is None else self.outer.module.path_of(self.module)
        return name if self.outer is None else f"{self.outer.path}.{name}"


class Tracing(Protocol):
    """A running trace, as those see it who read and assign state."""

    def read(self, state: Any) -> Any:
        """The node that stands for the value of a State at this place of the function."""

    def assign(self, state: Any, value: Any) -> None:
        """From here on the State has this value."""

    def restore_later(self, held: dict[Any, Any]) -> None:
        """Put the entries of a dict back when the trace ends."""

    def refuse_setting(self, holder: Any, name: str) -> None:
        """Raise, because an attribute is set while tracing (those of objects made inside the trace may be)."""

    def shortened(self, end: Any, g: Any, stop: Any) -> Any:
        """A big graph of single numbers as one op, if there is one above this node: the nodes inside it, and the
        gradients of those at its border.
        """

    def touch(self, holder: Any) -> None:
        """The function used a module or an optimiser: a change of its settings traces again."""


class Mode(NamedTuple):
    """What an operation does besides computing. The usual state, recording outside any module, is `None`."""

    record: bool = True
    transforms: int = 0
    scope: Scope | None = None
    #: Of each Parameter that an open transform has wrapped: the wrapped value, and the wrapper that reads give.
    reads: Mapping[Any, tuple[Any, Any]] | None = None
    #: The trace that is recording without data, if one is.
    trace: Tracing | None = None


MODE: Final[ContextVar[Mode | None]] = ContextVar("adjoint_mode", default=None)
PLAIN: Final = Mode()


@contextmanager
def mode(**changes: Any) -> Iterator[None]:
    """Run a block with some fields of the mode changed."""
    token = MODE.set((MODE.get() or PLAIN)._replace(**changes))
    try:
        yield
    finally:
        MODE.reset(token)


class no_grad:  # noqa: N801 (a context manager that reads as a statement, like torch.no_grad)
    """Compute without recording: results are constants without a history.

    Example
    -------
    >>> import adjoint as ad
    >>> x = ad.tensor(3.0)
    >>> with ad.no_grad():
    ...     y = x * x
    >>> y.node.op is None
    True
    """

    def __enter__(self) -> None:
        self._block = mode(record=False)
        self._block.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._block.__exit__(*error)


def transforming() -> bool:
    """True inside `grad`, `jvp` and friends, where leaving the graph would lose a gradient in silence."""
    current = MODE.get()
    return current is not None and current.transforms > 0


def tracing() -> Tracing | None:
    """The trace that is running, if one is."""
    current = MODE.get()
    return None if current is None else current.trace


class Settings:
    """Base of what holds settings that a compiled function may have read: setting one is noticed.

    A compiled function remembers `Settings.version`; when it has risen, it looks whether the settings that it read are
    still the same. Inside a trace a setting cannot change: the change would happen once, not at every call.
    """

    #: Rises with every setting of an attribute, of any instance.
    version: ClassVar[int] = 0

    def __setattr__(self, name: str, value: Any) -> None:
        trace = tracing()
        if trace is not None:
            trace.refuse_setting(self, name)
        Settings.version += 1
        object.__setattr__(self, name, value)


# --- where in the user's code ---------------------------------------------------------------------------------------

_PACKAGE: Final = os.path.dirname(os.path.abspath(__file__)) + os.sep


class _LibraryFiles(dict[str, bool]):
    """Whether a file belongs to this library; filled as files are met: a dict is what a node can afford to ask."""

    def __missing__(self, filename: str) -> bool:
        self[filename] = answer = filename.startswith((_PACKAGE, "<adjoint "))
        return answer


IN_LIBRARY: Final = _LibraryFiles()


def caller() -> tuple[CodeType, int]:
    """Code and offset of the innermost frame outside this library (decoded late: finding the line is expensive)."""
    frame = sys._getframe(1)
    while IN_LIBRARY[frame.f_code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def decode_origin(code: CodeType | None, offset: int) -> Origin | None:
    """File and line of an instruction."""
    if code is None:
        return None
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return Origin(code.co_filename, line)
    return Origin(code.co_filename, code.co_firstlineno)


def _relative(filename: str) -> str:
    try:
        path = os.path.relpath(filename)
    except ValueError:  # another drive on Windows
        return filename
    return filename if path.startswith("..") else path


def here() -> str:
    """`, at FILE:LINE in net.layers.1`: the end of an error message about the operation being called."""
    current = MODE.get()
    scope = f" in {current.scope.path}" if current is not None and current.scope is not None else ""
    return f", at {decode_origin(*caller())}{scope}"
