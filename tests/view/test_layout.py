"""The layout: nothing overlaps, wires run left to right, the same input gives the same places; and it is fast."""

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.view.places import overlaps

from adjoint.view.layout import VERSION, Edge, Size, layout, ranks
from adjoint.view.ordering import Layers, crossings, ordered
from adjoint.view.tokens import tokens


@st.composite
def graphs(draw, most=40):
    """Sizes and edges of a graph whose edges go from lower boxes to higher."""
    count = draw(st.integers(1, most))
    sizes, edges = [], []
    extent = st.integers(1, 60)
    for box in range(count):
        sources = draw(st.lists(st.integers(0, box - 1), max_size=4)) if box else []
        edges += [Edge(source, box, port) for port, source in enumerate(sources)]
        reach = 8 * len(sources)
        ports = tuple(range(-reach, reach, 16))
        sizes.append(Size(draw(extent), draw(extent), reach + draw(extent), reach + draw(extent), ports))
    return sizes, edges, [draw(st.booleans())] * count


def placed(drawn):
    sizes, edges, near = drawn
    return layout(sizes, edges, ranks(len(sizes), edges, near))


@given(graphs())
def test_no_box_lies_on_another(drawn):
    done = placed(drawn)
    assert overlaps(done, drawn[0]) == []
    for left, right in pairwise(done.columns):
        assert left.right + tokens()["space"]["channel"] <= right.left


@given(graphs())
def test_every_box_is_in_its_column_and_in_the_picture(drawn):
    done = placed(drawn)
    for size, rank, y in zip(drawn[0], done.rank, done.y, strict=True):
        column = done.columns[rank]
        assert column.left <= column.axis - size.left
        assert column.axis + size.right <= column.right <= done.width
        assert size.above <= y <= done.height - size.below


@given(graphs())
def test_wires_run_from_left_to_right_from_gate_to_port(drawn):
    sizes, edges, _ = drawn
    done = placed(drawn)
    links = {}
    for link in done.links:
        links.setdefault(link.wire, []).append(link)
    arrived = [link.edge for link in done.links if link.edge >= 0]
    assert sorted(arrived) == list(range(len(edges)))
    for wire, pieces in links.items():
        reached = {(done.rank[wire], done.y[wire])}
        for piece in pieces:
            assert (piece.rank, piece.start) in reached
            reached.add((piece.rank + 1, piece.end))
            if piece.edge >= 0:
                edge = edges[piece.edge]
                assert edge.source == wire
                assert done.rank[edge.target] == piece.rank + 1
                assert piece.end == done.y[edge.target] + sizes[edge.target].ports[edge.port]


@given(graphs())
def test_a_wire_that_passes_a_column_touches_no_box_of_it(drawn):
    done = placed(drawn)
    for link in done.links:
        if link.edge < 0:
            for box, size in enumerate(drawn[0]):
                if done.rank[box] == link.rank + 1:
                    assert not done.y[box] - size.above < link.end < done.y[box] + size.below


@given(graphs())
def test_the_same_graph_has_the_same_places(drawn):
    assert placed(drawn) == placed(drawn)


@given(graphs(most=25))
def test_columns_keep_their_members_and_crossings_are_counted_right(drawn):
    sizes, edges, near = drawn
    layers = Layers(ranks(len(sizes), edges, near))
    for edge in edges:
        if layers.rank[edge.target] == layers.rank[edge.source] + 1:
            layers.join(edge.source, edge.target, edge.port, len(sizes[edge.target].ports), edge.source, 0)
    columns = [[b for b in range(len(sizes)) if layers.rank[b] == r] for r in range(max(layers.rank) + 1)]
    order = ordered(layers)
    assert [sorted(column) for column in order] == columns
    place = {box: index for column in order for index, box in enumerate(column)}
    ends = [(layers.rank[p.start], place[p.start], (place[p.end], p.port)) for p in layers.pieces]
    crossed = sum(a[0] == b[0] and a[1] < b[1] and a[2] > b[2] for a in ends for b in ends)
    assert crossings(layers, order) == crossed


def test_a_tree_is_drawn_without_a_crossing():
    size = Size(10, 10, 10, 10, (-5, 5))
    edges = [Edge(2 * i + side, 8 + i, side) for i in range(4) for side in (0, 1)]
    edges += [Edge(8 + 2 * i + side, 12 + i, side) for i in range(2) for side in (0, 1)]
    edges += [Edge(12, 14, 0), Edge(13, 14, 1)]
    done = layout([size] * 15, edges, ranks(15, edges, [False] * 15))
    assert done.y[:8] == sorted(done.y[:8])
    assert done.y[14] == (done.y[12] + done.y[13]) // 2


def test_a_chain_is_straight_and_a_leaf_stands_where_it_is_asked_for():
    size = Size(10, 10, 10, 10, (0, 10))
    edges = [Edge(0, 2, 0), Edge(2, 3, 0), Edge(3, 4, 0), Edge(1, 4, 1)]
    assert ranks(5, edges, [False] * 5) == [0, 0, 1, 2, 3]
    assert ranks(5, edges, [True] * 5) == [0, 2, 1, 2, 3]
    done = layout([size] * 5, edges, [0, 2, 1, 2, 3])
    assert len({done.y[box] for box in (0, 2, 3)}) == 1


CASES = json.loads(Path(__file__).with_name("layout.json").read_text("utf-8"))


@pytest.mark.parametrize("name", CASES["graphs"])
def test_places_are_those_of_the_fixture(name):
    """Another language and a later version must give these places; a change of them is a change of the version."""
    assert CASES["version"] == VERSION
    case = CASES["graphs"][name]
    sizes = [Size(*size[:4], tuple(size[4])) for size in case["sizes"]]
    edges = [Edge(*edge) for edge in case["edges"]]
    done = layout(sizes, edges, ranks(len(sizes), edges, case["near"]))
    assert json.loads(json.dumps(done._asdict())) == case["layout"]


@pytest.mark.timing
def test_a_thousand_boxes_take_less_than_a_quarter_of_a_second():
    edges, count = [], 1
    for _ in range(333):
        edges += [Edge(count - 1, count + 1, 0), Edge(count, count + 1, 1), Edge(count + 1, count + 2, 0)]
        edges += [Edge(max(count - 12, 0), count + 2, 1)]
        count += 3
    entering = [0] * count
    for edge in edges:
        entering[edge.target] += 1
    sizes = [Size(20, 40, 20, 20, tuple(range(0, 16 * each, 16))) for each in entering]
    rank = ranks(count, edges, [True] * count)
    best = min(_seconds(lambda: layout(sizes, edges, rank)) for _ in range(3))
    assert best < 0.25


def _seconds(action):
    start = time.process_time()
    action()
    return time.process_time() - start
