"""Seeing a graph: pure functions from a graph to text."""

from adjoint.view.text import text

__all__ = ["text"]
