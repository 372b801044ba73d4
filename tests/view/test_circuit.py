"""Layout: exact pictures of plain descriptions, without a graph."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjoint.view.circuit import ASCII, BOX, Wire, draw


def leaf(name, value="", gradient=""):
    return Wire(name=name, value=(value,) if value else (), gradient=(gradient,) if gradient else ())


def gate(symbol, inputs, value="", gradient="", **more):
    return Wire(
        gate=f"({symbol})",
        inputs=inputs,
        value=(value,) if value else (),
        gradient=(gradient,) if gradient else (),
        **more,
    )


SUM_TIMES_Z = [
    leaf("x", "-2", "-4"),
    leaf("y", "5", "-4"),
    leaf("z", "-4", "3"),
    gate("+", (0, 1), "3", "-4", name="q"),
    gate("×", (3, 2), "-12", "1", name="f"),
]

NEURON = [
    leaf("w0", "2.00", "-0.20"),
    leaf("x0", "-1.00", "0.39"),
    leaf("w1", "-3.00", "-0.39"),
    leaf("x1", "-2.00", "-0.59"),
    leaf("w2", "-3.00", "0.20"),
    gate("×", (0, 1), "-2.00", "0.20", tag="#5"),
    gate("×", (2, 3), "6.00", "0.20", tag="#6"),
    gate("+", (5, 6), "4.00", "0.20", tag="#7"),
    gate("+", (7, 4), "1.00", "0.20", tag="#8"),
    gate("×−1", (8,), "-1.00", "-0.20", tag="#9"),
    gate("exp", (9,), "0.37", "-0.53", tag="#10"),
    gate("+1", (10,), "1.37", "-0.53", tag="#11"),
    gate("1/x", (11,), "0.73", "1.00", tag="#12"),
]


def test_sum_times_z():
    assert (
        "\n" + draw(SUM_TIMES_Z)
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


def test_the_neuron_of_the_slide():
    assert (
        "\n" + draw(NEURON)
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


def test_a_wide_picture_goes_on_below():
    assert (
        "\n" + draw(NEURON, width=80)
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
             (×)──────────╯           │    1.00               -1.00
      -2.00   │  ∂ 0.20              (+)─────────(×−1)─ #9 ──────────▸
x1 ───────────╯                       │  ∂ 0.20             ∂ -0.20
    ∂ -0.59                           │
                                      │
      -3.00                           │
w2 ───────────────────────────────────╯
     ∂ 0.20

       -1.00           0.37          1.37          0.73
#9 ▸──────────(exp)──────────(+1)──────────(1/x)─────────
     ∂ -0.20        ∂ -0.53       ∂ -0.53        ∂ 1.00"""
    )


def test_a_branch_is_a_dot_its_arms_carry_terms_and_its_trunk_the_sum():
    wires = [
        leaf("x", "-2", "-3"),
        leaf("y", "5", "-3"),
        leaf("z", "-4", "3"),
        gate("+", (0, 1), "3", "-3", name="q"),
        gate("×", (3, 2), "-12", "1", terms=(("-4",), ("3",))),
        gate("+", (4, 3), "-9", "1", name="f", terms=(("1",), ("1",))),
    ]
    assert (
        "\n" + draw(wires)
        == """
      -2
x ─────────╮
    ∂ -3   │         3
          (+)─ q ──────●────────╮
       5   │      ∂ -3   ∂ -4   │
y ─────────╯                    │  -12
    ∂ -3                       (×)───────╮
                                │  ∂ 1   │
      -4                        │        │       -9
z ──────────────────────────────╯       (+)─ f ──────
     ∂ 3                                 │      ∂ 1
                                         │
       3                                 │
q ●──────────────────────────────────────╯
     ∂ 1"""
    )


def test_a_value_squared_by_itself():
    assert (
        "\n" + draw([leaf("x", "3", "6"), gate("×", (0, 0), "9", "1", terms=(("3",), ("3",)))])
        == """
      3
x ──────●───────╮
    ∂ 6   ∂ 3   │    9
               (×)──────
      3         │  ∂ 1
x ●─────────────╯
    ∂ 3"""
    )


def test_matrices_take_several_lines():
    wires = [
        Wire(name="W", value=("⎡ 0.100 0.500⎤", "⎣-0.300 0.800⎦"), gradient=("⎡0.088 0.176⎤", "⎣0.104 0.208⎦")),
        leaf("x", "[0.200 0.400]", "[-0.112 0.636]"),
        gate("@", (0, 1), "[0.220 0.260]", "[0.440 0.520]", name="q"),
        gate("x²", (2,), "[0.048 0.068]", "[1.000 1.000]"),
        gate("sum", (3,), "0.116", "1.000", name="f"),
    ]
    assert (
        "\n" + draw(wires)
        == """
     ⎡ 0.100 0.500⎤
     ⎣-0.300 0.800⎦
W ────────────────────╮
    ∂ ⎡0.088 0.176⎤   │        [0.220 0.260]         [0.048 0.068]              0.116
      ⎣0.104 0.208⎦  (@)─ q ──────────────────(x²)──────────────────(sum)─ f ──────────
                      │      ∂ [0.440 0.520]       ∂ [1.000 1.000]            ∂ 1.000
      [0.200 0.400]   │
x ────────────────────╯
   ∂ [-0.112 0.636]"""
    )


def test_three_inputs_meet_on_the_middle_one():
    wires = [leaf("c", "true", "—"), leaf("a", "1", "2"), leaf("b", "5", "0"), gate("where", (0, 1, 2), "1", "2")]
    assert (
        "\n" + draw(wires)
        == """
   true
c ──────────╮
    ∂ —     │
            │
      1     │      1
a ───────(where)──────
    ∂ 2     │    ∂ 2
            │
      5     │
b ──────────╯
    ∂ 0"""
    )


def test_four_inputs():
    wires = [*(leaf(name) for name in "abcd"), gate("stack", (0, 1, 2, 3))]
    assert (
        "\n" + draw(wires)
        == """
a ───────╮
         │
b ───────┤
      (stack)────
c ───────┤
         │
d ───────╯"""
    )


def test_a_stopped_wire_is_barred():
    wires = [leaf("x", "2", "stopped"), gate("stop", (0,), "2", "—", stops=True), leaf("y", "3", "2")]
    assert (
        "\n" + draw([*wires, gate("×", (1, 2), "6", "1")])
        == """
           2           2
x ───────────┤(stop)───────╮
   ∂ stopped         ∂ —   │    6
                          (×)──────
           3               │  ∂ 1
y ─────────────────────────╯
         ∂ 2"""
    )


def test_without_values_and_gradients():
    assert (
        "\n" + draw([leaf("x"), leaf("y"), gate("+", (0, 1))])
        == """
x ─────╮
      (+)────
y ─────╯"""
    )


def test_a_single_leaf():
    assert draw([leaf("x", "2", "1")]) == "     2\nx ──────\n   ∂ 1"


def test_in_ascii():
    assert (
        "\n" + draw([*SUM_TIMES_Z[:4], gate("*", (3, 2), "-12", "1", name="f")], style=ASCII)
        == """
     -2
x --------.
   d -4   |         3
         (+)- q --------.
      5   |      d -4   |
y --------'             |      -12
   d -4                (*)- f ------
                        |      d 1
     -4                 |
z ----------------------'
    d 3"""
    )


def test_colors_change_nothing_but_colors():
    colored = draw(NEURON, color=True)
    assert "\x1b[36m2.00\x1b[0m" in colored
    assert "\x1b[3;31m∂ -0.20\x1b[0m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == draw(NEURON)


@st.composite
def circuits(draw_from):
    """Random circuits of up to 12 wires, later wires using earlier ones."""
    wires = [leaf(f"x{index}", draw_from(st.sampled_from(["1", "-0.25", ""])), "2") for index in range(2)]
    for index in range(2, draw_from(st.integers(3, 12))):
        inputs = tuple(draw_from(st.lists(st.integers(0, index - 1), min_size=1, max_size=4)))
        symbol = draw_from(st.sampled_from(["+", "max", "long name"]))
        value, gradient = draw_from(st.sampled_from([("1", "2"), ("", ""), ("-3.25", "")]))
        wires.append(gate(symbol, inputs, value, gradient, tag=f"#{index}", terms=(("7",),) * len(inputs)))
    return wires


def reachable(wires):
    seen, stack = set(), [len(wires) - 1]
    while stack:
        index = stack.pop()
        if index not in seen:
            seen.add(index)
            stack.extend(wires[index].inputs)
    return seen


@given(circuits(), st.sampled_from([BOX, ASCII]), st.sampled_from([None, 40, 100]))
def test_every_gate_is_drawn_once_and_nothing_overwrites_it(wires, style, width):
    text = draw(wires, style=style, width=width)
    drawn = [wires[index].gate for index in reachable(wires) if wires[index].gate]
    for symbol in set(drawn):
        assert text.count(symbol) == drawn.count(symbol)
    assert not any(line != line.rstrip() for line in text.split("\n"))


@given(circuits())
def test_a_branch_has_as_many_arms_as_uses(wires):
    used = [index for wire in (wires[i] for i in reachable(wires)) for index in wire.inputs]
    dots = sum(used.count(index) for index in set(used) if used.count(index) > 1)
    assert draw(wires).count(BOX.dot) == dots


@pytest.mark.parametrize("width", [1, 5, 20])
def test_a_page_that_is_too_narrow_still_shows_everything(width):
    text = draw(NEURON, width=width)
    assert all(wire.gate in text for wire in NEURON)
