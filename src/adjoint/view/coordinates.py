"""Heights: long wires straight and boxes between what they are joined to, by the method of Brandes and Köpf.

Four times, for each of up and down, forth and back, members are put into blocks of one height, along the medians of
what they are joined to, and the blocks are pushed together. A member gets the middle of its four heights; since all
four keep the distances, their middle does. All numbers are whole.

Source: U. Brandes, B. Köpf, "Fast and simple horizontal coordinate assignment", 2002; the compaction by two passes
over the graph of blocks, which mends that of the paper, is the one of dagre.
"""

from __future__ import annotations

from collections.abc import Sequence

from adjoint.view.ordering import Layers, Order, places


def heights(layers: Layers, order: Order, above: Sequence[int], below: Sequence[int], row: int) -> list[int]:
    """The height of every box and lane, so that all in a column are `row` apart."""
    if not order:
        return []
    before, after = _alignable(layers)
    place = places(layers, order)
    conflicts = _conflicts(layers, order, place)
    four = []
    for back in (False, True):
        for upward in (False, True):
            columns = [column[::-1] if upward else column for column in (reversed(order) if back else order)]
            sign = -1 if upward else 1
            keyed = [sign * each for each in place]
            root = _blocks(columns, after if back else before, keyed, conflicts)
            upper, lower = (below, above) if upward else (above, below)
            four.append([sign * y for y in _compacted(columns, root, upper, lower, row)])
    return _middle(four)


def _alignable(layers: Layers) -> tuple[list[list[int]], list[list[int]]]:
    """Along which pieces members may stand on one height: not with a leaf where a computed value comes in, too.

    Else a chain of gates that each take a leaf, which is what most networks are, would run down as a staircase.
    """
    before: list[list[int]] = [
        [start for start in starts if layers.before[start]] or starts for starts in layers.before
    ]
    after: list[list[int]] = [[] for _ in before]
    for end, starts in enumerate(before):
        for start in starts:
            after[start].append(end)
    return before, after


def _conflicts(layers: Layers, order: Order, place: Sequence[int]) -> set[tuple[int, int]]:
    """Pieces that cross a piece between two lanes: they give way, so that long wires stay straight."""
    conflicts: set[tuple[int, int]] = set()
    for column in order[1:]:
        inner = [(place[start], place[lane]) for lane in column if lane >= layers.boxes for start in layers.before[lane]
                 if start >= layers.boxes]  # fmt: skip
        if inner:
            _mark(layers, column, place, inner, conflicts)
    return conflicts


def _mark(
    layers: Layers,
    column: Sequence[int],
    place: Sequence[int],
    inner: Sequence[tuple[int, int]],
    conflicts: set[tuple[int, int]],
) -> None:
    """Mark the pieces into one column that cross an inner one; inner ones are met from top to bottom."""
    passed, low = 0, -1
    for end in column:
        while passed < len(inner) and inner[passed][1] < place[end]:
            low = max(low, inner[passed][0])
            passed += 1
        own = passed < len(inner) and inner[passed][1] == place[end]
        high = inner[passed][0] if passed < len(inner) else -1
        for start in layers.before[end]:
            crosses = place[start] < low or (high >= 0 and place[start] > high)
            if crosses and not (own and start >= layers.boxes):
                conflicts.add((start, end))


def _blocks(
    columns: Sequence[Sequence[int]],
    joined: Sequence[Sequence[int]],
    place: Sequence[int],
    conflicts: set[tuple[int, int]],
) -> list[int]:
    """For every member the root of its block: the median of what it is joined to, where nothing is in the way."""
    root = list(range(len(place)))
    taken = [False] * len(place)
    for column in columns:
        last: int | None = None
        for member in column:
            neighbours = sorted(set(joined[member]), key=place.__getitem__)
            half = len(neighbours) // 2
            for other in neighbours[(len(neighbours) - 1) // 2 : half + 1] if neighbours else ():
                free = not taken[other] and (last is None or last < place[other])
                if free and (other, member) not in conflicts and (member, other) not in conflicts:
                    taken[other] = True
                    root[member] = root[other]
                    last = place[other]
                    break
    return root


def _compacted(
    columns: Sequence[Sequence[int]], root: Sequence[int], above: Sequence[int], below: Sequence[int], row: int
) -> list[int]:
    """Heights of the blocks: each as high as it can stand, then each as low as those below it let it."""
    apart: dict[tuple[int, int], int] = {}
    for column in columns:
        for index in range(1, len(column)):
            upper, lower = column[index - 1], column[index]
            pair = root[upper], root[lower]
            apart[pair] = max(apart.get(pair, 0), below[upper] + row + above[lower])
    follows: dict[int, list[tuple[int, int]]] = {
        block: [] for column in columns for block in map(root.__getitem__, column)
    }
    waiting = dict.fromkeys(follows, 0)
    for (upper, lower), distance in apart.items():
        follows[upper].append((lower, distance))
        waiting[lower] += 1
    y = dict.fromkeys(follows, 0)
    ready = [block for block, count in waiting.items() if not count]
    for block in ready:  # grows while it is read
        for lower, distance in follows[block]:
            y[lower] = max(y[lower], y[block] + distance)
            waiting[lower] -= 1
            if not waiting[lower]:
                ready.append(lower)
    for block in reversed(ready):
        if follows[block]:
            y[block] = max(y[block], min(y[lower] - distance for lower, distance in follows[block]))
    return [y[each] for each in root]


def _middle(four: Sequence[Sequence[int]]) -> list[int]:
    """The middle of four heights, after all are moved to the least extent: two by their top, two by their bottom."""
    narrow = min(four, key=lambda ys: max(ys) - min(ys))
    low, high = min(narrow), max(narrow)
    moved = []
    for index, ys in enumerate(four):
        shift = high - max(ys) if index % 2 else low - min(ys)
        moved.append([y + shift for y in ys])
    return [(sum(sorted(each)[1:3])) // 2 for each in zip(*moved, strict=True)]
