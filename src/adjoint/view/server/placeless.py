"""A document without places in the code: of what the studio itself records they would name the web server's lines."""

from __future__ import annotations

from adjoint.view.document import Document


def placeless(made: Document) -> Document:
    """The same document without files and lines.

    Example
    -------
    >>> import adjoint as ad
    >>> from adjoint.view import document
    >>> graph = placeless(document(ad.tensor(2.0, name="x") ** 2))["graph"]
    >>> graph["files"], graph["nodes"]["file"], graph["nodes"]["line"]
    ([], [-1, -1], [0, 0])
    """
    graph = made["graph"]
    nodes = {**graph["nodes"], "file": [-1] * graph["count"], "line": [0] * graph["count"]}
    return {**made, "graph": {**graph, "files": [], "nodes": nodes}}
