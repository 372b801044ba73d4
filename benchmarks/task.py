"""What a benchmark is: inputs, one implementation for each peer, and the targets that adjoint has to meet.

Invariant: every implementation of a task does the same work on the same inputs, and shows it by the numbers
that its `check` returns. How they are run and timed is in `worker` and `harness`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Inputs = dict[str, Any]
Results = dict[str, Any]

# A peer's label is its library's name, and after a dot the way it is used: "jax.jit". These differ from the
# name that is imported.
MODULES = {"scikit-learn": "sklearn", "python": "math"}

SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}


@dataclass(frozen=True)
class Work:
    """What a peer has prepared: `run` is timed, `check` does it as well and gives named numbers to compare.

    `units` is how many units of work one `run` does; time and memory are given for one unit. A `run` returns
    what keeps its graph alive, so that memory can be read while it is held; with `own_clock` it returns its
    seconds, because only a part of what it does is meant to be timed, and is not repeated.
    """

    run: Callable[[], Any]
    check: Callable[[], Results]
    units: int = 1
    own_clock: bool = False


def library(label: str) -> str:
    return label.partition(".")[0]


@dataclass(frozen=True)
class Peer:
    """One library, used in one way, and what a reader must know to read its figure."""

    label: str
    setup: Callable[[Inputs], Work]
    note: str

    @property
    def library(self) -> str:
        return library(self.label)

    @property
    def module(self) -> str:
        return MODULES.get(self.library, self.library)


@dataclass(frozen=True)
class Figure:
    """What was measured of one peer, for one unit of work: seconds, and bytes where asked for."""

    seconds: float
    bytes: float | None = None


@dataclass(frozen=True)
class Target:
    """A limit on adjoint: its time over a peer's ("ratio") or less a peer's, its own time, its own memory.

    "best" is the ratio to the fastest of all peers that were measured, whichever that is. A peer may be adjoint
    itself in other circumstances ("adjoint.quiet"); such a one is never the best.
    """

    text: str
    at_most: float
    measure: Literal["ratio", "best", "difference", "seconds", "bytes"] = "ratio"
    against: str = ""

    def opponent(self, figures: Mapping[str, Figure]) -> str:
        """The label of the peer that adjoint is held against; empty for none."""
        if self.measure != "best":
            return self.against
        others = [label for label in figures if library(label) != "adjoint"]
        return min(others, key=lambda label: figures[label].seconds, default="")

    def measured(self, figures: Mapping[str, Figure]) -> float | None:
        """The number that is held against `at_most`; None when a peer that it needs was not measured."""
        ours, theirs = figures.get("adjoint"), figures.get(self.opponent(figures))
        if ours is None:
            return None
        if self.measure == "bytes":
            return ours.bytes
        if self.measure == "seconds":
            return ours.seconds
        if theirs is None:
            return None
        return ours.seconds - theirs.seconds if self.measure == "difference" else ours.seconds / theirs.seconds


def faster(times: float) -> Target:
    """The target of being at least so many times faster than the best peer."""
    return Target(f"at least {times:g} times faster than the best peer", 1 / times, "best")


@dataclass
class Task:
    """One benchmark. The first peer declared is the reference that the others have to agree with.

    A file that declares several tells them apart by their `variant`. A peer that gives no answer within
    `patience` seconds is given up.
    """

    module: str
    title: str
    unit: Literal["s", "ms", "µs"]
    inputs: Callable[[], Inputs]
    targets: tuple[Target, ...] = ()
    tolerance: float = 1e-9  # absolute and relative, as in numpy.allclose
    rounds: int = 15
    memory: bool = False
    variant: str = ""
    patience: float = 600.0
    peers: dict[str, Peer] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "_".join(filter(None, (self.module.rpartition(".")[2], self.variant)))

    @property
    def reference(self) -> Peer:
        return next(iter(self.peers.values()))

    def peer(self, label: str, *, note: str = "") -> Callable[[Callable[[Inputs], Work]], Callable[[Inputs], Work]]:
        """Declare the implementation under it as the one of peer `label`."""

        def declare(setup: Callable[[Inputs], Work]) -> Callable[[Inputs], Work]:
            self.peers[label] = Peer(label, setup, note)
            return setup

        return declare
