"""The graph document: a graph, and what it computed, as plain JSON data from which every surface draws.

Concepts here: `document` makes one, `to_bytes` and `save` write it, `from_bytes` and `load` read one back. The format
is `schema.json`; what a schema cannot say (columns of one length, edges that rise, as many numbers as a shape has) is
checked here.

Invariants. A node is named by its place in recording order. Two identical runs give the same bytes: keys are sorted,
and no clock, address or counter of the process is written. Reading runs nothing and trusts nothing.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from adjoint.atomic import write_atomically
from adjoint.errors import DocumentError
from adjoint.graph import Graph
from adjoint.recording import here
from adjoint.view.arrays import DETAILS, INLINE, entry_problem
from adjoint.view.columns import Columns
from adjoint.view.findings import findings
from adjoint.view.recorded import trace_of
from adjoint.view.schema import brief, problem
from adjoint.view.subjects import graph_of

Document = dict[str, Any]

VERSION: Final = 2
LIMIT: Final = 128 * 2**20  # bytes of a document
_PER_ELEMENT: Final = 20  # bytes of a number, on average
_EASY: Final = 100_000  # elements up to which everything is written unless told otherwise


def document(
    subject: Any,
    *args: Any,
    detail: str | None = None,
    limit: int = LIMIT,
    runs: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    view: Mapping[str, Any] | None = None,
) -> Document:
    """The graph document of anything that has a graph.

    Parameters
    ----------
    subject : Graph, Tensor, Trace, Module, function or compiled function
        A module or function is run on the arguments, to record it; a compiled function shows its program.
    *args : numbers, arrays or Tensors
        Sample of a module, arguments of a function; named as its parameters.
    detail : "structure", "statistics", "histograms" or "full", optional
        How much of an array of more than 64 elements is written. "structure" writes no number at all. Without it
        "full" up to 100,000 elements, else "histograms".
    limit : int
        Most bytes that the document may have.
    runs : mapping of title to mapping of name to numbers, optional
        Series of trainings, such as `history.columns`; "seconds" is left out, so that identical runs are equal.
    view : mapping, optional
        What is shown: "budget", "open", "closed", "digits".

    Returns
    -------
    dict
        Plain JSON data, as `schema.json` describes them.

    Raises
    ------
    DocumentError
        It would be larger than the limit, or the view has an unknown entry.
    GradientError
        The subject has no graph.

    Example
    -------
    >>> import adjoint as ad
    >>> made = document(lambda x, y: x * y, 3.0, -4.0)
    >>> made["graph"]["nodes"]["formula"], made["traces"][0]["values"]
    (['', '', 'x × y'], [3.0, -4.0, -12.0])
    """
    graph = graph_of(subject, *args)
    level = detail or ("full" if _elements(graph) <= _EASY else "histograms")
    if level not in DETAILS:
        raise DocumentError(f"document: expected a detail of {', '.join(DETAILS)}, got {level!r}{here()}")
    wrong = problem(dict(view or {}), "view")
    if wrong is not None:
        raise DocumentError(f"document: {wrong}{here()}")
    _check_size(graph, level, limit)
    columns = Columns(graph)
    trace = None if level == "structure" else trace_of(graph, columns, level)
    made = {
        "format": "adjoint-graph",
        "version": VERSION,
        "detail": level,
        "graph": columns.to_json(),
        "traces": [] if trace is None else [trace],
        "runs": [_run(title, series) for title, series in (runs or {}).items()],
        "findings": [] if trace is None else [finding.to_json() for finding in findings(columns)],
        "view": dict(view or {}),
    }
    return made


def _elements(graph: Graph) -> int:
    return sum(t.size for t in graph.nodes)


def _check_size(graph: Graph, detail: str, limit: int) -> None:
    """Refuse before anything of that size is made."""
    written = sum(t.size for t in graph.nodes if detail == "full" or t.size <= INLINE) if detail != "structure" else 0
    expected = 100 * len(graph.nodes) + 2 * _PER_ELEMENT * written
    if expected > limit:
        fix = "detail='histograms', or a higher limit" if detail == "full" else "a higher limit, or a part of the graph"
        raise DocumentError(
            f"document: expected at most {limit:,} bytes, got about {expected:,} ({len(graph.nodes):,} nodes, "
            f"{written:,} numbers){here()}; try {fix}"
        )


def _run(title: str, series: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """A training as series of numbers, without the one that is another at every run."""
    return {
        "title": title,
        "series": {
            name: [float(x) if math.isfinite(x) else str(float(x)) for x in column]
            for name, column in series.items()
            if name != "seconds"
        },
    }


# --- files ----------------------------------------------------------------------------------------------------------


def to_bytes(made: Mapping[str, Any]) -> bytes:
    """A document as it is written: ASCII, keys sorted, no NaN, a newline at the end."""
    return json.dumps(made, sort_keys=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def save(made: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a document to a file, whole or not at all.

    Parameters
    ----------
    made : dict, as `document` makes it
    path : path

    Raises
    ------
    OSError
        The folder does not exist, is read-only, is full, and so on.

    Example
    -------
    >>> import adjoint as ad, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "f.adjoint.json")
    ...     save(document(ad.tensor(2.0, name="x") ** 2), path)
    ...     load(path)["graph"]["nodes"]["label"]
    ['x', '#1']
    """
    write_atomically(path, to_bytes(made))


def load(path: str | os.PathLike[str], *, limit: int = LIMIT) -> Document:
    """Read a document from a file and check all of it.

    Parameters
    ----------
    path : path
    limit : int
        Most bytes that the file may have.

    Returns
    -------
    dict

    Raises
    ------
    DocumentError
        The file is no graph document of this version, is damaged, or is larger than the limit.
    OSError
        It cannot be read.

    Example
    -------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "f.json")
    ...     _ = path.write_text('{"format": "adjoint-graph"}')
    ...     try:
    ...         load(path)
    ...     except DocumentError as error:
    ...         print(error)
    document: expected 'detail' in the document, which is missing
    """
    with Path(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise DocumentError(f"document: expected at most {limit:,} bytes, got more ({Path(path).name})")
    return from_bytes(content)


def from_bytes(content: bytes | str) -> Document:
    """A document from its text, checked; DocumentError if there is anything wrong with it."""
    try:
        made = json.loads(content, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object)
    except RecursionError:
        raise DocumentError("document: expected a graph document, got JSON that is nested too deeply") from None
    except ValueError as error:  # no JSON, no UTF-8, or one of the hooks
        raise DocumentError(f"document: expected JSON, got something else: {error}") from None
    return checked(made)


def checked(made: Any) -> Document:
    """Data, if they are a document that does not contradict itself; else DocumentError. An older one is brought up."""
    current = _current(made)
    wrong = problem(current) or _inconsistency(current)
    if wrong is not None:
        raise DocumentError(f"document: {wrong}")
    return current  # type: ignore[no-any-return]  # an object, as the schema says


def _current(made: Any) -> Any:
    """A document of version 1 as one of version 2: what its gates carry was not written. All else as it is."""
    graph = made.get("graph") if type(made) is dict else None
    if type(graph) is not dict or type(made.get("version")) is not int or made["version"] != 1:
        return made
    ops = graph.get("ops")
    rows = [{**row, "parts": None} if type(row) is dict else row for row in ops] if type(ops) is list else ops
    constants: dict[str, list[Any]] = {"node": [], "position": [], "value": []}
    return {**made, "version": VERSION, "graph": {"constants": constants, **graph, "ops": rows}}


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number; non-finite numbers are strings")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{brief(text)} is beyond the range of float64")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has the same name twice")
    return made


def _inconsistency(made: Document) -> str | None:
    """What contradicts itself in a document that fits the schema."""
    graph = made["graph"]
    count, edges = graph["count"], graph["edges"]
    lengths = [("graph.nodes", name, column, count) for name, column in graph["nodes"].items()]
    lengths += [("graph.edges", name, column, len(edges["source"])) for name, column in edges.items()]
    constants = graph["constants"]
    lengths += [("graph.constants", name, column, len(constants["node"])) for name, column in constants.items()]
    for place, trace in enumerate(made["traces"]):
        lengths += [(f"traces[{place}]", name, trace[name], count) for name in ("values", "gradients", "states")]
        lengths += [
            (f"traces[{place}]", name, trace[name], len(edges["source"])) for name in ("contributions", "locals")
        ]
    for where, name, column, wanted in lengths:
        if len(column) != wanted:
            return f"expected {wanted:,} entries in {where}.{name}, got {len(column):,}"
    return _bad_reference(graph) or _bad_module(graph) or _bad_edge(graph) or _bad_gate(graph) or _bad_entry(made)


def _bad_reference(graph: Mapping[str, Any]) -> str | None:
    nodes = graph["nodes"]
    for name, table in (("op", "ops"), ("module", "modules"), ("file", "files")):
        highest = max(nodes[name], default=-1)
        if highest >= len(graph[table]):
            return f"expected a place among {len(graph[table]):,} {table} in graph.nodes.{name}, got {highest}"
    if graph["output"] >= graph["count"]:
        return f"expected graph.output among {graph['count']:,} nodes, got {graph['output']}"
    wrong = [
        i for i, (kind, op) in enumerate(zip(nodes["kind"], nodes["op"], strict=True)) if (kind == "op") != (op >= 0)
    ]
    return f"expected an op for node {wrong[0]} exactly if its kind is op" if wrong else None


def _bad_module(graph: Mapping[str, Any]) -> str | None:
    for place, module in enumerate(graph["modules"]):
        if module["parent"] >= place:
            return f"expected a module before itself as parent of graph.modules[{place}], got {module['parent']}"
    return None


def _bad_edge(graph: Mapping[str, Any]) -> str | None:
    count, kinds, edges = graph["count"], graph["nodes"]["kind"], graph["edges"]
    for place, (source, target) in enumerate(zip(edges["source"], edges["target"], strict=True)):
        if not source < target < count:
            return f"expected edge {place} from a lower node to a higher below {count:,}, got {source} to {target}"
        if kinds[target] != "op":
            return f"expected edge {place} to end in an op, got node {target}, a leaf"
    return None


def _bad_gate(graph: Mapping[str, Any]) -> str | None:
    """A constant that stands in no gate, or a part that is given what no earlier part has made."""
    kinds, carriers = graph["nodes"]["kind"], graph["constants"]["node"]
    if carriers != sorted(carriers):
        return "expected graph.constants.node in rising order"
    for place, node in enumerate(carriers):
        if node >= graph["count"] or kinds[node] != "op":
            return f"expected constant {place} to stand in an op, got node {node}"
    for row, op in enumerate(graph["ops"]):
        for place, part in enumerate(op["parts"] or ()):
            for given in part["inputs"]:
                if len(given) != 1 or given.get("part", -1) >= place:
                    return f"expected one input or one earlier part at graph.ops[{row}].parts[{place}]"
    return None


def _bad_entry(made: Document) -> str | None:
    """An array that is not one of its shape and dtype, or a summary that cannot be drawn."""
    nodes, edges = made["graph"]["nodes"], made["graph"]["edges"]
    own = range(made["graph"]["count"])
    of = {"values": own, "gradients": own, "contributions": edges["source"], "locals": edges["target"]}
    for place, trace in enumerate(made["traces"]):
        for name, owners in of.items():
            for index, (entry, node) in enumerate(zip(trace[name], owners, strict=True)):
                if name == "values" and entry is None:
                    return f"expected a value at traces[{place}].values[{index}], got None"
                if name == "gradients" and (entry is None) == (trace["states"][index] in ("zero", "value")):
                    return f"expected a gradient at traces[{place}].gradients[{index}] exactly if its state says so"
                wrong = entry_problem(entry, tuple(nodes["shape"][node]), nodes["dtype"][node])
                if wrong is not None:
                    return f"{wrong} at traces[{place}].{name}[{index}]"
    return None
