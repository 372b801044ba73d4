"""Showing a graph where somebody sits: as a picture in a notebook, as text in a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from adjoint.view.document import document
from adjoint.view.recorded import ledger_of
from adjoint.view.subjects import graph_of
from adjoint.view.svg import svg
from adjoint.view.text import LARGEST_PICTURE, text

if TYPE_CHECKING:
    from adjoint.graph import Graph


def show(subject: Any, *args: Any, digits: int | None = None) -> None:
    """Show a graph: in a notebook as a picture, elsewhere as text on the standard output.

    Parameters
    ----------
    subject : Graph, Tensor, Trace, Module or function
        A module or function is run on the arguments, to record it.
    *args : numbers, arrays or Tensors
    digits : int, optional
        Decimals; without it as many as make the printed products true.

    Raises
    ------
    GradientError
        The subject has no graph.

    Example
    -------
    >>> import adjoint as ad
    >>> show(lambda x, y: x * y, 3.0, -4.0)
        3
    x ──────╮  -12
           (×)──────
       -4   │
    y ──────╯
    """
    graph = graph_of(subject, *args)
    if (display := _notebook_display()) is not None:
        display(mimebundle(graph, digits=digits), raw=True)
    elif (cell := _marimo_cell()) is not None:
        cell.output.append(cell.Html(svg(document(graph), digits=digits)))
    else:
        print(_drawn(graph, digits, shutil.get_terminal_size().columns))


def mimebundle(
    graph: Graph, include: Collection[str] | None = None, exclude: Collection[str] = (), *, digits: int | None = None
) -> dict[str, str]:
    """The forms in which a notebook can show a graph, by MIME type: SVG and text.

    Parameters
    ----------
    graph : Graph
    include, exclude : collections of MIME types, optional
        Which forms are wanted, as IPython asks.

    Returns
    -------
    dict of str to str

    Example
    -------
    >>> import adjoint as ad
    >>> sorted(mimebundle((ad.tensor(2.0, name="x") ** 2).graph))
    ['image/svg+xml', 'text/plain']
    """
    forms = {
        "text/plain": lambda: _drawn(graph, digits, None),
        "image/svg+xml": lambda: svg(document(graph), digits=digits),
    }
    wanted = [name for name in forms if (include is None or name in include) and name not in (exclude or ())]
    return {name: forms[name]() for name in wanted}


def _drawn(graph: Graph, digits: int | None, columns: int | None) -> str:
    """The text of a graph; with the terms of its branches where it is a picture."""
    ledger = ledger_of(graph) if len(graph.nodes) <= LARGEST_PICTURE else ()
    return text(graph, digits=digits, width=columns, ledger=ledger)


def _notebook_display() -> Any:
    """IPython's `display`, if this process is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return sys.modules["IPython"].display.display


def _marimo_cell() -> Any:
    """marimo, if this runs in a cell of it."""
    marimo = sys.modules.get("marimo")
    return marimo if marimo is not None and marimo.running_in_notebook() else None
