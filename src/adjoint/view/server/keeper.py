"""The network as it was at earlier steps, from which a graph at any layer and step is drawn.

Values are never changed in place, so keeping a step costs references to arrays that the next step replaces. When they
fill the budget every other step is let go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from adjoint.errors import DataError
from adjoint.nn import Module
from adjoint.tensor import Array
from adjoint.train.checks import Loss
from adjoint.view.document import Document, document
from adjoint.view.fold import Span, spans
from adjoint.view.recorder import SAMPLE, unpacked
from adjoint.view.runs import read_run
from adjoint.view.server.placeless import placeless
from adjoint.view.strips import forward

BUDGET: Final = 256 * 2**20  # bytes


class Keeper:
    """Parameters by step, and a network of its own to look at them.

    Parameters
    ----------
    net : Module
        Of the same architecture as the one in training; it is loaded with what was kept.
    loss : function (output, y) -> one number
    x, y : arrays
        The first rows are shown.
    """

    def __init__(self, net: Module, loss: Loss, x: Array, y: Array, *, budget: int = BUDGET) -> None:
        self.net, self.loss, self.x, self.y, self.budget = net, loss, x[:SAMPLE], y[:SAMPLE], budget
        self.kept: dict[int, Mapping[str, Array]] = {}
        self._lock = Lock()

    @classmethod
    def of_log(cls, path: Path, rebuilt: Callable[[Mapping[str, Any]], tuple[Module, Loss]]) -> Keeper:
        """The keeper of what a log holds; AdjointError if that is no network, or one that cannot be made anew."""
        run = read_run(path)
        network, records = run.head["network"], run.of("weights")
        if network is None or not records:
            raise DataError("graph: the log of this run holds no networks, only figures")
        net, loss = rebuilt(network["description"])
        made = cls(net, loss, *(_sample(network[name]) for name in ("x", "y")))
        for record in records:
            made.keep(record["step"], unpacked(record["arrays"], net.arrays()))
        return made

    def keep(self, step: int, arrays: Mapping[str, Array]) -> None:
        """Keep the parameters after so many steps."""
        with self._lock:
            self.kept[step] = arrays
            size = sum(array.nbytes for array in arrays.values())
            if len(self.kept) > 2 and size * len(self.kept) > self.budget:
                for old in sorted(self.kept)[1:-1:2]:
                    del self.kept[old]

    def document(self, step: int, layer: str) -> Document:
        """The graph of the loss at the last step kept up to this one, opened at a layer."""
        with self._lock:
            steps = sorted(self.kept)
            if not steps:
                raise DataError("graph: no step has been kept yet")
            found = steps[max(bisect_right(steps, step) - 1, 0)]
            self.net.load_arrays(self.kept[found])
            _, loss = forward(self.net, self.loss, self.x, self.y)
            loss.backward()
            made = placeless(document(loss, detail="histograms"))
        made["traces"][0]["title"] = f"step {found}"
        made["view"] = {"open": list(_keys(spans(made["graph"]), layer))} if layer else {}
        return made


def _sample(rows: list[Any]) -> Array:
    """Rows of a log; whole numbers are labels, all others are in the dtype that networks compute in."""
    try:
        made = np.array(rows)
    except ValueError as error:
        raise DataError(f"graph: expected rows of one length in the log, got {error}") from None
    if made.dtype.kind not in "if":
        raise DataError(f"graph: expected numbers in the log's rows, got {made.dtype}")
    return made.astype(np.float32) if made.dtype.kind == "f" else made


def _keys(root: Span, path: str) -> Iterator[str]:
    """The keys of the groups that must be open to see a layer."""
    stack: list[Any] = [root]
    while stack:
        span = stack.pop()
        stack.extend(item for item in span.items if isinstance(item, Span))
        own = span.key.rpartition("@")[0]
        if own and (path == own or path.startswith(f"{own}.")):
            yield span.key
