"""`adjoint view`: a graph document, a run, a model, or what a function of the user's own returns, in the browser.

A function is the only thing here that runs code, and it is code that the user names: MODULE:FUNCTION, looked for in the
current folder first, as `python -m` does.
"""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from adjoint.cli import HELP
from adjoint.cli.evaluation import bind
from adjoint.cli.studio import RUNS, new_studio, no_browser, port, serve
from adjoint.errors import AdjointError, DataError
from adjoint.graph import Graph, Trace
from adjoint.leaves import tensor
from adjoint.tensor import Tensor
from adjoint.view.document import Document, document

_FUNCTION: Final = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")


@click.command(context_settings=HELP | {"ignore_unknown_options": True})
@click.argument("subject", metavar="FILE|MODEL|MODULE:FUNCTION")
@click.argument("bindings", nargs=-1, type=click.UNPROCESSED)
@port
@no_browser
def view(subject: str, bindings: tuple[str, ...], port: int, no_browser: bool) -> None:
    """Look at a graph in the browser.

    FILE is a graph document or the log of a run, MODEL a model file, and MODULE:FUNCTION a function that returns a
    Tensor; BINDINGS give its parameters values:

    \b
      adjoint view iris.adjoint.safetensors
      adjoint view lesson:circuit x=-2 y=5
    """
    made = new_studio("view", RUNS)
    if _FUNCTION.fullmatch(subject) and not Path(subject).exists():
        made.first = made.add_document(function_document(subject, bindings))
    elif bindings:
        raise DataError(f"{subject}: expected values for the parameters of a function only, got {bindings[0]!r:.40}")
    else:
        made.first = made.open(subject)
    serve(made, port, not no_browser)


def function_document(subject: str, bindings: Sequence[str]) -> Document:
    """The document of what MODULE:FUNCTION returns; a gradient is sent back if none was and there is one number."""
    made = _called(subject, _found(subject), bind(bindings))
    if isinstance(made, Graph | Trace):
        return document(made)
    if not isinstance(made, Tensor):
        raise DataError(f"{subject}: expected a function that returns a Tensor, got a {type(made).__name__}")
    if made.active and made.size == 1 and made.grad is None:
        made.backward()
    return document(made)


def _found(subject: str) -> Callable[..., Any]:
    module, _, name = subject.partition(":")
    sys.path.insert(0, "")
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise DataError(f"{subject}: expected a module, got no module named {error.name!r}") from None
    except Exception as error:
        raise _fault(subject, error) from None
    finally:
        sys.path.remove("")
    if not callable(found):
        raise DataError(f"{subject}: expected a function {name!r} in {module}, got none")
    return found  # type: ignore[no-any-return]


def _called(subject: str, function: Callable[..., Any], values: dict[str, Any]) -> Any:
    """What the function returns; a mistake in its code is told with its line, as one of the user's."""
    try:
        inspect.signature(function).bind(**values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{subject}: {error}; give values as in x=2") from None
    try:
        return function(**{name: tensor(value, name=name) for name, value in values.items()})
    except AdjointError:
        raise
    except Exception as error:
        raise _fault(subject, error) from None


def _fault(subject: str, error: Exception) -> DataError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return DataError(f"{subject}: {type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})")
