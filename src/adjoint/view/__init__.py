"""Seeing a graph: one document of plain data, and pure functions from it, or from the graph, to text and pictures."""

from adjoint.errors import DocumentError
from adjoint.view.activation import activation
from adjoint.view.document import document, load, save
from adjoint.view.group import group
from adjoint.view.html import to_html
from adjoint.view.network import network
from adjoint.view.neuron import neuron
from adjoint.view.quiz import quiz
from adjoint.view.show import mimebundle, show
from adjoint.view.svg import svg
from adjoint.view.text import text
from adjoint.view.widget import widget

__all__ = [
    "DocumentError",
    "activation",
    "document",
    "group",
    "load",
    "mimebundle",
    "network",
    "neuron",
    "quiz",
    "save",
    "show",
    "svg",
    "text",
    "to_html",
    "widget",
]
