"""Nodes of a document as a person names them: by number, by label, or by the Tensor itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adjoint.errors import DocumentError
from adjoint.recording import here
from adjoint.tensor import Tensor
from adjoint.view.document import Document, checked, document
from adjoint.view.subjects import graph_of


def document_of(subject: Any) -> Document:
    """The document of a subject; one that is a document already is checked and returned."""
    return checked(subject) if isinstance(subject, dict) else document(subject)


def places(subject: Any, made: Mapping[str, Any], wanted: Iterable[Any], who: str) -> list[int]:
    """The numbers of nodes, in rising order.

    Parameters
    ----------
    subject : what the document was made of
    made : its document
    wanted : numbers, labels or, of a graph that is no document, Tensors
    who : str
        Whose arguments these are, for the message.

    Raises
    ------
    DocumentError
        There is no such node.
    """
    labels = {label: place for place, label in enumerate(made["graph"]["nodes"]["label"])}
    tensors = {} if isinstance(subject, dict) else {id(t): place for place, t in enumerate(graph_of(subject).nodes)}
    return sorted({_place(each, made["graph"]["count"], labels, tensors, who) for each in wanted})


def _place(wanted: Any, count: int, labels: Mapping[str, int], tensors: Mapping[int, int], who: str) -> int:
    if isinstance(wanted, Tensor):
        found = tensors.get(id(wanted))
    elif isinstance(wanted, str):
        found = labels.get(wanted)
    else:
        found = wanted if type(wanted) is int and 0 <= wanted < count else None
    if found is None:
        known = ", ".join(list(labels)[:8]) + (" …" if len(labels) > 8 else "")
        called = wanted.name or "a Tensor of another graph" if isinstance(wanted, Tensor) else repr(wanted)
        raise DocumentError(f"{who}: expected a node of this graph ({known}), got {called}{here()}")
    return found
