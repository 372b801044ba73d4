"""Seeing a graph: one document of plain data, and pure functions from it, or from the graph, to text and pictures."""

from adjoint.view.document import DocumentError, document, load, save
from adjoint.view.show import mimebundle, show
from adjoint.view.svg import svg
from adjoint.view.text import text

__all__ = ["DocumentError", "document", "load", "mimebundle", "save", "show", "svg", "text"]
