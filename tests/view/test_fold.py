"""Folding: budgets are kept, what is folded stays in order, modules and repeats are found, wires become stubs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.view.places import overlaps

import adjoint as ad
from adjoint.nn import Module
from adjoint.view import document
from adjoint.view.document import from_bytes, to_bytes
from adjoint.view.fold import boxes_of
from adjoint.view.picture import measured, picture
from adjoint.view.stubs import scene


class Block(Module):
    """Two layers and a wire around them."""

    def __init__(self):
        self.first, self.second = ad.nn.Linear(4, 4), ad.nn.Linear(4, 4)

    def forward(self, x):
        return x + self.second(ad.relu(self.first(x)))


def network(blocks):
    return ad.nn.Sequential(ad.nn.Linear(3, 4), *(Block() for _ in range(blocks)), ad.nn.Linear(4, 2))


def shown(made, **view):
    return boxes_of({**made, "view": view})


def titles(boxes):
    return [f"{box.title} ×{box.repeats}" if box.repeats > 1 else box.title for box in boxes if box.kind == "fold"]


def test_a_small_graph_is_all_gates():
    boxes, arrows = shown(document(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0))
    assert [box.kind for box in boxes] == ["leaf", "leaf", "leaf", "gate", "gate"]
    assert [(a.source, a.target, a.port) for a in arrows] == [(0, 3, 0), (1, 3, 1), (3, 4, 0), (2, 4, 1)]


def test_modules_fold_with_their_parameters_when_the_budget_is_small():
    made = document(network(1), np.ones((2, 3)))
    boxes, arrows = shown(made, budget=4)
    assert titles(boxes) == ["layers.0", "layers.1", "layers.2"]
    assert [box.about for box in boxes if box.kind == "fold"] == ["Linear", "Block", "Linear"]
    assert [box.kind for box in boxes] == ["leaf", "fold", "fold", "fold"]
    assert [(a.source, a.target) for a in arrows] == [(0, 1), (1, 2), (2, 3)]


def test_siblings_that_repeat_are_one_box():
    made = document(network(24), np.ones((2, 3)))
    boxes, _ = shown(made, budget=5)
    assert titles(boxes) == ["layers.0", "layers.1 … layers.24 ×24", "layers.25"]
    assert "×24" in "".join(picture({**made, "view": {"budget": 5}}).parts[2].lines)


def test_a_group_opens_and_closes_by_its_key():
    made = document(network(24), np.ones((2, 3)))
    boxes, _ = shown(made, budget=5)
    repeats = next(box.key for box in boxes if box.repeats > 1)
    opened, _ = shown(made, budget=5, open=[repeats])
    assert titles(opened)[:3] == ["layers.0", "layers.1", "layers.2"]
    everything, _ = shown(made, budget=500)
    key = next(box.key for box in boxes if box.title == "layers.0")
    assert titles(shown(made, budget=500, closed=[key])[0])[0] == "layers.0"
    assert titles(everything) == ["layers.1 … layers.24 ×24"]


def test_what_went_wrong_is_opened_first():
    net = network(2)
    net.layers[3].bias.assign([np.inf, 0.0])
    made = document(net, np.ones((2, 3)))
    (troubled,) = {finding["node"] for finding in made["findings"]}
    boxes, _ = shown(made, budget=8)
    assert troubled in {box.node for box in boxes if box.kind in ("gate", "leaf")}


def test_a_hundred_thousand_gates_without_modules_are_cut_into_pieces():
    made = chain(20_000)
    boxes, arrows = shown(made)
    assert len(boxes) <= 250
    assert sum(len(box.members) for box in boxes) == made["graph"]["count"]
    assert all(arrow.source < arrow.target for arrow in arrows)
    piece = next(box for box in boxes if box.kind == "fold")
    inside, _ = shown(made, open=[piece.key])
    assert piece.key not in {box.key for box in inside}


def chain(length):
    x = y = ad.tensor(0.5, name="x")
    for i in range(length):
        y = y + x if i % 100 == 0 else y * 1.5
    return document(y, detail="structure")


def test_a_value_that_is_used_everywhere_is_named_where_it_is_used():
    made = document(lambda x: sum((ad.sin(x) for _ in range(16)), start=ad.cos(x)), 0.5)
    boxes, arrows = boxes_of(made)
    drawn = scene(boxes, arrows)
    stubs = [index for index, box in enumerate(drawn.boxes) if box.kind == "stub"]
    assert len(stubs) == 17
    assert drawn.named == {0}
    assert all(drawn.rank[a.target] == drawn.rank[a.source] + 1 for a in drawn.arrows if a.source in stubs)
    few = document(lambda x: sum((ad.sin(x) for _ in range(15)), start=ad.cos(x)), 0.5)
    assert not scene(*boxes_of(few)).named


def test_a_wire_over_more_than_24_columns_is_named_at_its_end():
    def long(steps):
        x = y = ad.tensor(0.5, name="x")
        for _ in range(steps):
            y = ad.tanh(y)
        return document(y * x)

    short, far = (scene(*boxes_of(long(steps))) for steps in (23, 24))
    assert not short.named
    assert [box.kind for box in far.boxes].count("stub") == 1


@st.composite
def programs(draw):
    """A recorded graph of scalar gates, some of them inside of modules."""
    length = draw(st.integers(1, 60))
    choices = draw(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10**6), st.integers(0, 10**6)), min_size=length)
    )
    pool = [ad.tensor(0.5, name="a"), ad.tensor(0.25, name="b")]
    layer = Cell()
    for kind, first, second in choices:
        x, y = pool[first % len(pool)], pool[second % len(pool)]
        pool.append(_made(kind, x, y, layer))
    total = pool[-1]
    for each in pool[2:-1]:
        total = total + each
    return total


def _made(kind, x, y, layer):
    made = (lambda: x + y, lambda: x * y, lambda: ad.tanh(x), lambda: ad.maximum(x, 0.0), lambda: layer(x))
    return made[kind]()


class Cell(Module):
    """A module that is called again and again."""

    def __init__(self):
        self.weight = ad.Parameter(0.5, name="w")

    def forward(self, x):
        return ad.tanh(x * self.weight) + self.weight


@settings(max_examples=60, deadline=None)
@given(programs(), st.integers(1, 80))
def test_whatever_is_folded_everything_is_there_in_order_and_nothing_overlaps(output, budget):
    output.backward()
    made = from_bytes(to_bytes({**document(output), "view": {"budget": budget}}))
    boxes, arrows = boxes_of(made)
    assert sorted(node for box in boxes for node in box.members) == list(range(made["graph"]["count"]))
    owner = {node: index for index, box in enumerate(boxes) for node in box.members}
    ends = zip(made["graph"]["edges"]["source"], made["graph"]["edges"]["target"], strict=True)
    wires = {(owner[a], owner[b]) for a, b in ends if owner[a] != owner[b]}
    assert {(arrow.source, arrow.target) for arrow in arrows} == wires
    assert all(a < b for a, b in wires)
    drawn = picture(made)
    sizes = [measured(part) for part in drawn.parts]
    assert overlaps(drawn.layout, sizes) == []
    assert all(drawn.scene.rank[a.source] < drawn.scene.rank[a.target] for a in drawn.scene.arrows)
