"""The order within columns: few crossings, by sweeps of barycentres and exchanges of neighbours.

A sweep sorts each column by the mean place of what its members are joined to in the column before (forth) or after
(back). What enters a box at its upper port should come from above, hence places are counted in steps of `STEP`, of
which the ports of one box take their shares. The best order that was met wins; ties keep the earlier one, and sorting
is stable. No recursion.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from typing import Final, NamedTuple

STEP: Final = 1024
MOST_SWEEPS: Final = 8
MOST_EXCHANGES: Final = 4
PATIENCE: Final = 2  # sweeps without an improvement

Order = list[list[int]]


class Piece(NamedTuple):
    """A piece of a wire between members of neighbouring columns."""

    start: int
    end: int
    port: int
    wire: int
    edge: int


class Layers:
    """Boxes and, after them, lanes, with the pieces of wire that join them."""

    def __init__(self, rank: list[int]) -> None:
        self.rank = rank
        self.boxes = len(rank)
        self.pieces: list[Piece] = []
        self.before: list[list[int]] = [[] for _ in rank]
        self.after: list[list[tuple[int, int]]] = [[] for _ in rank]  # with the share of its port, in steps

    @property
    def count(self) -> int:
        """Boxes and lanes together."""
        return len(self.rank)

    def add_lane(self, rank: int) -> int:
        """A place where a wire passes a column."""
        self.rank.append(rank)
        self.before.append([])
        self.after.append([])
        return len(self.rank) - 1

    def join(self, start: int, end: int, port: int, ports: int, wire: int, edge: int) -> None:
        """A piece of wire."""
        self.pieces.append(Piece(start, end, port, wire, edge))
        self.before[end].append(start)
        self.after[start].append((end, (port + 1) * STEP // (ports + 1)))


def ordered(layers: Layers) -> Order:
    """The members of each column from top to bottom."""
    order = _first(layers)
    best, fewest = [list(column) for column in order], crossings(layers, order)
    worse = 0
    for sweep in range(MOST_SWEEPS):
        if fewest == 0 or worse >= PATIENCE:
            break
        (_forth if sweep % 2 else _back)(layers, order)
        count = crossings(layers, order)
        worse = 0 if count < fewest else worse + 1
        if count < fewest:
            best, fewest = [list(column) for column in order], count
    if fewest:
        _exchange(layers, best)
    return best


def _first(layers: Layers) -> Order:
    """Columns as a walk from the last boxes back to the leaves meets their members: a tree has no crossing."""
    order: Order = [[] for _ in range(max(layers.rank, default=-1) + 1)]
    entering: list[list[tuple[int, int]]] = [[] for _ in range(layers.count)]
    for piece in layers.pieces:
        entering[piece.end].append((piece.port, piece.start))
    for each in entering:
        each.sort(reverse=True)
    seen = [False] * layers.count
    for root in range(layers.count):
        stack = [] if layers.after[root] else [root]
        while stack:
            at = stack.pop()
            if not seen[at]:
                seen[at] = True
                order[layers.rank[at]].append(at)
                stack.extend(start for _, start in entering[at])
    return order


def places(layers: Layers, order: Order) -> list[int]:
    """The place of each member in its column."""
    place = [0] * layers.count
    for column in order:
        for index, member in enumerate(column):
            place[member] = index
    return place


def _forth(layers: Layers, order: Order) -> None:
    place = places(layers, order)
    for column in order[1:]:
        keys = {}
        for member in column:
            total, joined = 0, layers.before[member]
            for start in joined:
                total += place[start]
            keys[member] = total / len(joined) if joined else float(place[member])
        _sort(column, keys, place)


def _back(layers: Layers, order: Order) -> None:
    place = places(layers, order)
    for column in reversed(order[:-1]):
        keys = {}
        for member in column:
            total, joined = 0, layers.after[member]
            for end, share in joined:
                total += place[end] * STEP + share
            keys[member] = total / len(joined) if joined else float(place[member] * STEP)
        _sort(column, keys, place)


def _sort(column: list[int], keys: dict[int, float], place: list[int]) -> None:
    column.sort(key=keys.__getitem__)
    for index, member in enumerate(column):
        place[member] = index


def crossings(layers: Layers, order: Order) -> int:
    """How many pairs of pieces cross."""
    place = places(layers, order)
    total = 0
    for column in order[:-1]:
        ends: list[int] = []
        for member in column:
            own = sorted(place[end] * STEP + share for end, share in layers.after[member])
            for end in own:
                total += len(ends) - bisect_right(ends, end)
            for end in own:
                insort(ends, end)
    return total


def _exchange(layers: Layers, order: Order) -> None:
    """Exchange neighbours while that removes crossings."""
    place = places(layers, order)
    for _ in range(MOST_EXCHANGES):
        changed = False
        for column in order:
            for index in range(len(column) - 1):
                upper, lower = column[index], column[index + 1]
                if _gain(layers, place, upper, lower) > 0:
                    column[index], column[index + 1] = lower, upper
                    place[upper], place[lower] = index + 1, index
                    changed = True
        if not changed:
            break


def _gain(layers: Layers, place: Sequence[int], upper: int, lower: int) -> int:
    """Crossings that go away when two neighbours are exchanged, less those that arise."""
    gain = 0
    if layers.before[upper] and layers.before[lower]:
        gain += _balance([place[x] for x in layers.before[upper]], [place[x] for x in layers.before[lower]])
    if layers.after[upper] and layers.after[lower]:
        ends = [[place[end] * STEP + share for end, share in layers.after[each]] for each in (upper, lower)]
        gain += _balance(*ends)
    return gain


def _balance(above: Sequence[int], below: Sequence[int]) -> int:
    """Pairs that cross as they are, less those that would cross the other way round."""
    balance = 0
    for a in above:
        for b in below:
            balance += (a > b) - (a < b)
    return balance
