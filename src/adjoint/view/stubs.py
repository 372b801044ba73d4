"""Wires that make a picture unreadable, as named stubs: very long ones, and those of a box that is used everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from adjoint.view.fold import Arrow, Box
from adjoint.view.layout import Edge, ranks

LONGEST: Final = 24  # columns
MOST_USES: Final = 16
FEW: Final = 40  # boxes; up to here all leaves stand in the first column, as on the lecture's slides


class Scene(NamedTuple):
    """What is drawn: boxes with their columns, and wires; `named` are boxes that return elsewhere as stubs."""

    boxes: list[Box]
    arrows: list[Arrow]
    rank: list[int]
    named: set[int]


def scene(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> Scene:
    """Boxes in columns, with stubs in place of the wires that are too long or too many."""
    near = [len(boxes) > FEW] * len(boxes)
    rank = ranks(len(boxes), [Edge(*arrow[:3]) for arrow in arrows], near)
    uses = Counter(arrow.source for arrow in arrows)
    drawn, all_boxes, named = [], list(boxes), set()
    for arrow in arrows:
        span = rank[arrow.target] - rank[arrow.source]
        if uses[arrow.source] > MOST_USES or span > LONGEST:
            named.add(arrow.source)
            rank.append(rank[arrow.target] - 1)
            all_boxes.append(boxes[arrow.source]._replace(kind="stub"))
            drawn.append(arrow._replace(source=len(all_boxes) - 1))
        else:
            drawn.append(arrow)
    return Scene(all_boxes, drawn, rank, named)
