"""Graphs as text: exact pictures of the lecture's circuits, the four states of a gradient, and large graphs."""

import functools
import re

import numpy as np
import pytest

import adjoint as ad
from adjoint import Graph
from adjoint.compiler.trace import trace
from adjoint.view import text
from adjoint.view.text import LARGEST_PICTURE


def scalars(**values):
    return [ad.tensor(value, name=name) for name, value in values.items()]


def drawn(output, **settings):
    """The picture after a backward pass, behind a newline so that tests can show it on lines of its own."""
    return "\n" + text(output.graph, ledger=ad.ledger(output), **settings)


def neuron():
    w0, x0, w1, x1, w2 = scalars(w0=2.0, x0=-1.0, w1=-3.0, x1=-2.0, w2=-3.0)
    return 1 / (1 + ad.exp(-(w0 * x0 + w1 * x1 + w2)))


# --- the lecture's circuits -----------------------------------------------------------------------------------------


def test_sum_times_z():
    x, y, z = scalars(x=-2.0, y=5.0, z=-4.0)
    assert (
        drawn(((x + y).named("q") * z).named("f"))
        == """
     -2
x ────────╮
   ∂ -4   │         3
         (+)─ q ────────╮
      5   │      ∂ -4   │
y ────────╯             │      -12
   ∂ -4                (×)─ f ──────
                        │      ∂ 1
     -4                 │
z ──────────────────────╯
    ∂ 3"""
    )


def test_the_sigmoid_neuron_with_the_two_decimals_of_the_slide():
    assert (
        drawn(neuron(), digits=2)
        == """
       2.00
w0 ───────────╮
    ∂ -0.20   │   -2.00
             (×)──────────╮
      -1.00   │  ∂ 0.20   │
x0 ───────────╯           │
     ∂ 0.39               │    4.00
                         (+)──────────╮
      -3.00               │  ∂ 0.20   │
w1 ───────────╮           │           │
    ∂ -0.39   │    6.00   │           │
             (×)──────────╯           │    1.00          -1.00           0.37          1.37          0.73
      -2.00   │  ∂ 0.20              (+)─────────(×−1)──────────(exp)──────────(+1)──────────(1/x)─────────
x1 ───────────╯                       │  ∂ 0.20        ∂ -0.20        ∂ -0.53       ∂ -0.53        ∂ 1.00
    ∂ -0.59                           │
                                      │
      -3.00                           │
w2 ───────────────────────────────────╯
     ∂ 0.20"""
    )


def test_the_sigmoid_neuron_with_as_many_digits_as_are_true():
    picture = drawn(neuron())
    assert re.findall(r"∂ (\S+)", picture.split("\n")[3]) == ["-0.1966"]
    assert "∂ 0.3932" in picture
    assert "∂ 1.0000" in picture


def test_the_max_gate_circuit():
    x, y, z, w = scalars(x=3.0, y=-4.0, z=2.0, w=-1.0)
    assert (
        drawn(2 * (x * y + ad.maximum(z, w)))
        == """
      3
x ─────────╮
   ∂ -8    │   -12
          (×)────────╮
     -4    │   ∂ 2   │
y ─────────╯         │
    ∂ 6              │  -10       -20
                    (+)──────(×2)──────
      2              │  ∂ 2       ∂ 1
z ─────────╮         │
    ∂ 2    │     2   │
         (max)───────╯
     -1    │   ∂ 2
w ─────────╯
    ∂ 0"""
    )


def test_the_squared_norm_of_a_product():
    W = ad.tensor([[0.1, 0.5], [-0.3, 0.8]], name="W")
    x = ad.tensor([0.2, 0.4], name="x")
    q = (W @ x).named("q")
    assert (
        drawn((q**2).sum().named("f"), digits=3)
        == """
     ⎡ 0.100 0.500⎤
     ⎣-0.300 0.800⎦
W ────────────────────╮
    ∂ ⎡0.088 0.176⎤   │        [0.220 0.260]         [0.048 0.068]            0.116
      ⎣0.104 0.208⎦  (@)─ q ──────────────────(x²)──────────────────(Σ)─ f ──────────
                      │      ∂ [0.440 0.520]       ∂ [1.000 1.000]          ∂ 1.000
      [0.200 0.400]   │
x ────────────────────╯
   ∂ [-0.112 0.636]"""
    )


def test_a_branch_shows_its_terms_and_their_sum():
    x, y = scalars(x=3.0, y=2.0)
    assert (
        drawn((x * y).named("p") + x)
        == """
      3
x ──────●───────╮
    ∂ 3   ∂ 2   │        6
               (×)─ p ───────╮
      2         │      ∂ 1   │
y ──────────────╯            │    9
    ∂ 3                     (+)──────
                             │  ∂ 1
      3                      │
x ●──────────────────────────╯
    ∂ 1"""
    )


def test_without_a_ledger_arms_say_nothing():
    (x,) = scalars(x=3.0)
    f = x * x
    f.backward()
    assert (
        "\n" + text(f.graph)
        == """
      3
x ──────●─────╮
    ∂ 6       │    9
             (×)──────
      3       │  ∂ 1
x ●───────────╯"""
    )


def test_in_ascii():
    picture = drawn(neuron(), ascii=True, digits=2)
    assert picture.isascii()
    assert "(*-1)----------(exp)----------(+1)----------(1/x)" in picture
    assert "d 0.20" in picture


def test_colors_only_color():
    colored = drawn(neuron(), color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == drawn(neuron())


def test_a_narrow_page():
    assert all(len(line) <= 80 for line in drawn(neuron(), width=80).split("\n"))


def test_the_same_graph_gives_the_same_text():
    assert drawn(neuron()) == drawn(neuron())


# --- four states of a gradient --------------------------------------------------------------------------------------


def test_before_the_backward_pass_there_is_no_gradient():
    (x,) = scalars(x=3.0)
    assert (
        "\n" + text((2 * x).graph)
        == """
   3       6
x ────(×2)────"""
    )


def test_no_path_is_not_zero():
    x, y = scalars(x=3.0, y=2.0)
    c = ad.constant(5.0, name="c")
    picture = drawn(ad.maximum(x, y) * c)
    assert (
        picture
        == """
     3
x ────────╮
   ∂ 5    │     3
        (max)───────╮
     2    │   ∂ 5   │
y ────────╯         │   15
   ∂ 0             (×)──────
                    │  ∂ 1
     5              │
c ──────────────────╯
   ∂ —"""
    )


def test_stopped_is_not_zero():
    x, y = scalars(x=2.0, y=3.0)
    assert (
        drawn(ad.stop_gradient(x) * y)
        == """
           2           2
x ───────────┤(stop)───────╮
   ∂ stopped         ∂ —   │    6
                          (×)──────
           3               │  ∂ 1
y ─────────────────────────╯
         ∂ 2"""
    )


def test_an_arm_without_a_path():
    (x,) = scalars(x=3.0)
    assert (
        drawn(ad.where(x > 1, x, 0.0))
        == """
      3             true
x ──────●──────(>1)───────────╮
    ∂ 1   ∂ —        ∂ —      │       3
                          (where 0)──────
      3                       │     ∂ 1
x ●───────────────────────────╯
    ∂ 1"""
    )


def test_gradients_of_leaves_only():
    x, y = scalars(x=2.0, y=3.0)
    f = (x + 1) * y
    f.backward(keep="leaves")
    assert (
        "\n" + text(f.graph)
        == """
     2       3
x ──────(+1)─────╮
   ∂ 3           │  9
                (×)────
     3           │
y ───────────────╯
   ∂ 3"""
    )


def test_without_values_or_gradients():
    x, y = scalars(x=2.0, y=3.0)
    f = x + y
    f.backward()
    assert text(f.graph, values=False, gradients=False) == "x ─────╮\n      (+)────\ny ─────╯"
    assert "∂" not in text(f.graph, gradients=False)
    assert "5" not in text(f.graph, values=False)


# --- gates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "symbol", "ascii"),
    [
        (lambda x: x + 1, "(+1)", "(+1)"),
        (lambda x: 1 + x, "(+1)", "(+1)"),
        (lambda x: x - 2, "(−2)", "(-2)"),
        (lambda x: 2 - x, "(2−x)", "(2-x)"),
        (lambda x: x * -1, "(×−1)", "(*-1)"),
        (lambda x: -x, "(×−1)", "(*-1)"),
        (lambda x: 0.5 * x, "(×0.5)", "(*0.5)"),
        (lambda x: x / 4, "(/4)", "(/4)"),
        (lambda x: 1 / x, "(1/x)", "(1/x)"),
        (ad.reciprocal, "(1/x)", "(1/x)"),
        (lambda x: x**2, "(x²)", "(x^2)"),
        (ad.square, "(x²)", "(x^2)"),
        (lambda x: x**-12, "(x⁻¹²)", "(x^-12)"),
        (lambda x: x**0.5, "(x^0.5)", "(x^0.5)"),
        (lambda x: 2**x, "(2^x)", "(2^x)"),
        (lambda x: ad.maximum(0, x), "(max 0)", "(max 0)"),
        (lambda x: x >= 1, "(≥1)", "(>=1)"),
        (lambda x: ad.less(1, x), "(1<x)", "(1<x)"),
        (ad.exp, "(exp)", "(exp)"),
        (ad.sigmoid, "(σ)", "(sigmoid)"),
        (ad.sqrt, "(√)", "(sqrt)"),
        (lambda x: ad.leaky_relu(x, 0.1), "(leaky relu 0.1)", "(leaky relu 0.1)"),
        (lambda x: x + np.array([1.0, 2.0]), "(+[1 2])", "(+[1 2])"),
        (lambda x: x * np.ones((2, 3)), "(×(2, 3))", "(*(2, 3))"),
        (lambda x: ad.tensor([1.0, 2.0]).sum(axis=0), "(Σ axis 0)", "(sum axis 0)"),
        (lambda x: ad.tensor([1.0, 2.0])[1], "([1])", "([1])"),
        (lambda x: ad.tensor([[1.0, 2.0]])[:, 1:], "([:, 1:])", "([:, 1:])"),
        (lambda x: ad.tensor([1.0, 2.0])[None, ..., ::-1], "([None, ..., ::-1])", "([None, ..., ::-1])"),
        (lambda x: ad.tensor([1.0, 2.0])[[1, 0]], "([[1 0]])", "([[1 0]])"),
    ],
)
def test_gates(build, symbol, ascii):
    graph = build(ad.tensor(2.0, name="x")).graph
    assert symbol in text(graph)
    assert ascii in text(graph, ascii=True)
    assert text(graph, ascii=True).isascii()


def test_names_that_two_nodes_share_are_told_apart():
    x, y = ad.tensor(1.0, name="x"), ad.tensor(2.0, name="x")
    picture = text((x * y).graph)
    assert "x#0 ─" in picture
    assert "x#1 ─" in picture


# --- tensors and large graphs ---------------------------------------------------------------------------------------


def test_large_tensors_show_shape_and_range():
    x = ad.tensor(np.linspace(-1.0, 1.0, 640).reshape(64, 10), name="x")
    assert (
        drawn((x * 2 + 1).mean(), digits=2)
        == """
       (64, 10)           (64, 10)           (64, 10)
   -1.00 … 1.00       -2.00 … 2.00       -1.00 … 3.00           1.00
x ───────────────(×2)───────────────(+1)───────────────(mean)─────────
     ∂ (64, 10)         ∂ (64, 10)         ∂ (64, 10)         ∂ 1.00
         3.1e-3             1.6e-3             1.6e-3"""
    )


def test_a_large_graph_is_a_table():
    x = ad.tensor(1.0, name="x")
    y = x
    for _ in range(LARGEST_PICTURE):
        y = y + 1
    y.backward()
    lines = text(y.named("y").graph).split("\n")
    assert lines[:5] == [
        "41 nodes",
        "",
        "node  operation  inputs  shape  value  gradient",
        "x     input              ()     1.00   1.00",
        "#1    add        x       ()     2.00   1.00",
    ]
    assert lines[-2:] == [
        "#39   add        #38     ()     40.00  1.00",
        "y     add        #39     ()     41.00  1.00",
    ]
    assert "… 1 more" in lines


def test_a_large_graph_of_modules_is_folded():
    rng = ad.random.Generator(0)
    layers = [ad.nn.Linear(2, 2, rng=rng) for _ in range(12)]
    net = ad.nn.Sequential(*(module for layer in layers for module in (layer, ad.nn.ReLU())))
    output = net(ad.tensor(np.ones((3, 2), np.float32), name="x")).sum()
    lines = text(output.graph).split("\n")
    assert len(lines) < 40
    assert any(re.search(r"nodes: .*matmul, add", line) for line in lines)


def test_a_very_large_graph_shows_both_ends():
    x = ad.tensor(1.0, name="x")
    y = x
    for _ in range(20_000):
        y = y + 1
    lines = text(y.graph, width=60).split("\n")
    assert lines[0] == "20,001 nodes"
    assert len(lines) == 44
    assert all(len(line) <= 60 for line in lines)


def test_a_graph_without_data_shows_shapes():
    """A function that was traced has shapes and dtypes, and no values yet."""
    traced = trace(lambda x, w: ad.exp(x @ w), (np.ones((2, 3)), np.ones(3, np.float32)))
    picture = Graph(traced.outputs[0]).text()
    assert all(shape in picture for shape in ("float64[2, 3]", "float32[3]", "float64[2]"))
    deep = trace(lambda x: functools.reduce(lambda y, _: ad.exp(y), range(60), x), (np.ones(4),))
    assert Graph(deep.outputs[0]).text().startswith("61 nodes\n")
    assert Graph(deep.outputs[0]).text().count("float64[4]") >= 30
