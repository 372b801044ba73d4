"""The run log: a training as a file of JSON lines that only grows, so that the file is the replay.

Concepts here: the record (one line, of one of the kinds in `KINDS`), `RunLog`, which writes records, `complete_lines`,
which reads bytes as far as they are whole, and `Run`, a log that was read and checked.

Invariants. A line reaches the system in one write, so that a process that is killed leaves at most one torn line, the
last, and that is left out when the log is read. A record is named by the offset of the byte behind it: whoever knows
the offset goes on from there. Identical trainings give the same bytes: no clock, address or counter of the process is
written. Numbers that are not finite are strings, as in the graph document.

    run        the first record: title, layers (path and type), classes, about (settings), plane (None, or the two
               features of the data with their range and the points, for boundary and surface), network (None, or the
               description from which whoever wrote it can make the network anew, with some rows as sample)
    steps      losses of the steps from `first` on, and the learning rate after them
    epoch      figures of a complete epoch
    strips     per layer: norm of the gradient, update / weight, mean and spread of the activations, shares of dead
               and of saturated units, count of what is not finite; None where a layer has no such thing
    boundary   class and its probability on a grid over the plane, a byte each, in base64, rows from low to high
    surface    the output of a regression on that grid: float32, little-endian, in base64
    weights    parameters after a step by path, bytes in base64; of some steps, ever farther apart
    finding    what is wrong with a layer (−1: with the whole), said once when it begins
    end        why the training ended
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from adjoint.errors import AdjointError
from adjoint.recording import here
from adjoint.view.schema import brief

FORMAT: Final = "adjoint-run"
VERSION: Final = 1
LIMIT: Final = 256 * 2**20  # bytes of a log
STRIPS: Final = ("gradient", "update", "mean", "spread", "dead", "saturated", "infinite")

Record = dict[str, Any]


class RunError(AdjointError, ValueError):
    """A file that is no run log, a damaged one, or a record that a log cannot hold."""


# --- records --------------------------------------------------------------------------------------------------------


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_layer(value: Any) -> bool:
    return type(value) is int and value >= -1


def _is_number(value: Any) -> bool:
    return (type(value) in (int, float) and math.isfinite(value)) or value in ("nan", "inf", "-inf")


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_numbers(value: Any) -> bool:
    return type(value) is list and all(map(_is_number, value))


def _is_entries(value: Any) -> bool:
    return type(value) is list and all(each is None or _is_number(each) for each in value)


def _is_texts(value: Any) -> bool:
    return type(value) is list and all(map(_is_text, value))


def _is_figures(value: Any) -> bool:
    return type(value) is dict and all(map(_is_number, value.values()))


def _is_layers(value: Any) -> bool:
    return type(value) is list and all(
        type(each) is dict and each.keys() == {"path", "type"} and all(map(_is_text, each.values())) for each in value
    )


def _is_object(value: Any) -> bool:
    return type(value) is dict


_PLANE: Final[Mapping[str, Callable[[Any], bool]]] = {
    "names": lambda value: _is_texts(value) and len(value) == 2,
    "low": lambda value: _is_numbers(value) and len(value) == 2,
    "high": lambda value: _is_numbers(value) and len(value) == 2,
    "size": _is_count,
    "points": lambda value: type(value) is list and all(_is_numbers(each) and len(each) == 3 for each in value),
}


def _is_plane(value: Any) -> bool:
    if value is None:
        return True
    return (
        type(value) is dict
        and value.keys() == _PLANE.keys()
        and all(check(value[key]) for key, check in _PLANE.items())
    )


def _is_network(value: Any) -> bool:
    return value is None or (
        type(value) is dict
        and value.keys() == {"description", "x", "y"}
        and type(value["description"]) is dict
        and type(value["x"]) is list
        and type(value["y"]) is list
    )


#: What a record of each kind holds besides its kind; nothing may be missing, and nothing else may be there.
KINDS: Final[Mapping[str, Mapping[str, Callable[[Any], bool]]]] = {
    "run": {
        "format": lambda value: value == FORMAT,
        "version": lambda value: value == VERSION and type(value) is int,
        "title": _is_text,
        "layers": _is_layers,
        "classes": _is_texts,
        "about": _is_object,
        "plane": _is_plane,
        "network": _is_network,
    },
    "steps": {"first": _is_count, "loss": _is_numbers, "rate": _is_number},
    "epoch": {"epoch": _is_count, "step": _is_count, "figures": _is_figures},
    "strips": {"step": _is_count, **dict.fromkeys(STRIPS, _is_entries)},
    "boundary": {"step": _is_count, "winner": _is_text, "share": _is_text},
    "surface": {"step": _is_count, "values": _is_text},
    "weights": {"step": _is_count, "arrays": lambda value: type(value) is dict and all(map(_is_text, value.values()))},
    "finding": {"step": _is_count, "layer": _is_layer, "what": _is_text, "text": _is_text},
    "end": {"step": _is_count, "reason": _is_text},
}


def wrong(record: Any, layers: int | None = None) -> str | None:
    """What is wrong with a record, in words; None if nothing is. With `layers`, strips must have as many entries."""
    if type(record) is not dict:
        return f"expected an object, got {brief(record)}"
    kind = record.get("kind")
    fields = KINDS.get(kind) if type(kind) is str else None
    if fields is None:
        return f"expected a kind of {', '.join(KINDS)}, got {brief(kind)}"
    if odd := sorted(map(str, record.keys() ^ {"kind", *fields})):
        return f"expected exactly {', '.join(fields)} in a record of kind {kind}, got {brief(odd[0])} " + (
            "too" if odd[0] in record else "left out"
        )
    for name, fits in fields.items():
        if not fits(record[name]):
            return f"expected another {name} in a record of kind {kind}, got {brief(record[name])}"
        if kind == "strips" and layers is not None and name in STRIPS and len(record[name]) != layers:
            return f"expected {layers} entries in {name}, got {len(record[name])}"
    return None


def number(value: float) -> float | str:
    """A number as a record holds it."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


# --- writing --------------------------------------------------------------------------------------------------------


class RunLog:
    """A log being written; a context manager.

    Parameters
    ----------
    path : path of a file that is not there yet

    Raises
    ------
    RunError
        There is a file of that name, or it cannot be made; from `write`, a record that is none.

    Example
    -------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.run.jsonl")
    ...     with RunLog(path) as log:
    ...         log.write(head("a line", [{"path": "net.layers.0", "type": "Linear"}]))
    ...         log.write({"kind": "end", "step": 0, "reason": "finished"})
    ...     [record["kind"] for record in read_run(path).records]
    ['run', 'end']
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._file: BinaryIO = self.path.open("xb", buffering=0)
        except FileExistsError:
            raise RunError(f"run: expected a new file, got {self.path.name}, which is there{here()}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RunError(f"run: {self.path.name} cannot be written: {reason}{here()}") from None

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record."""
        if problem := wrong(record):
            raise RunError(f"run: {problem}{here()}")
        line = json.dumps(record, sort_keys=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
        if (written := self._file.write(line)) != len(line):
            raise RunError(f"run: {self.path.name} cannot be written: the disk took {written} of {len(line)} bytes")

    def close(self) -> None:
        """No more records."""
        self._file.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


def head(
    title: str,
    layers: list[dict[str, str]],
    *,
    classes: tuple[str, ...] = (),
    about: Mapping[str, Any] | None = None,
    plane: Mapping[str, Any] | None = None,
    network: Mapping[str, Any] | None = None,
) -> Record:
    """The first record of a log."""
    return {
        "kind": "run",
        "format": FORMAT,
        "version": VERSION,
        "title": title,
        "layers": layers,
        "classes": list(classes),
        "about": dict(about or {}),
        "plane": None if plane is None else dict(plane),
        "network": None if network is None else dict(network),
    }


# --- reading --------------------------------------------------------------------------------------------------------


def complete_lines(content: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a piece of a log that begins at `offset`, each with the offset of the byte behind it.

    Example
    -------
    >>> list(complete_lines(b'{}\\n[]\\n{"torn', 100))
    [(103, b'{}'), (106, b'[]')]
    """
    start = 0
    while (end := content.find(b"\n", start)) >= 0:
        yield offset + end + 1, content[start:end]
        start = end + 1


@dataclass(frozen=True)
class Run:
    """A log that was read: its records, and the offset behind the last whole one."""

    records: tuple[Record, ...]
    size: int

    @property
    def head(self) -> Record:
        """The first record."""
        return self.records[0]

    def of(self, kind: str) -> list[Record]:
        """The records of a kind."""
        return [record for record in self.records if record["kind"] == kind]

    @property
    def losses(self) -> list[float]:
        """The loss of every step."""
        return [float(loss) for record in self.of("steps") for loss in record["loss"]]


def read_run(path: str | os.PathLike[str], *, limit: int = LIMIT) -> Run:
    """Read a log and check every record; a torn last line is left out.

    Parameters
    ----------
    path : path
    limit : int
        Most bytes that the file may have.

    Raises
    ------
    RunError
        The file is no run log of this version, is damaged before its last line, or is larger than the limit.
    OSError
        It cannot be read.

    Example
    -------
    See `RunLog`.
    """
    name = Path(path).name
    with Path(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise RunError(f"run: expected at most {limit:,} bytes, got more ({name})")
    records: list[Record] = []
    end = 0
    for place, (end, line) in enumerate(complete_lines(content), start=1):  # noqa: B007 - the last end is the size
        record = _parsed(line)
        problem = record if isinstance(record, str) else _misplaced(record, records)
        if problem is not None or isinstance(record, str):
            raise RunError(f"run: {problem} (line {place} of {name})")
        records.append(record)
    if not records:
        raise RunError(f"run: expected a run log, got a file without a whole line ({name})")
    return Run(tuple(records), end)


def _parsed(line: bytes) -> Any:
    """The data of a line, or a text that says why it has none."""
    try:
        made = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested too deeply
        return f"expected JSON, got something else: {' '.join(str(error).split())[:100]}"
    return f"expected an object, got {brief(made)}" if isinstance(made, str) else made


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number; non-finite numbers are strings")


def _misplaced(record: Any, before: list[Record]) -> str | None:
    """What is wrong with a record at its place."""
    if problem := wrong(record, len(before[0]["layers"]) if before else None):
        return problem
    if (record["kind"] == "run") != (not before):
        return "expected a record of kind run in the first line, and nowhere else"
    return None
