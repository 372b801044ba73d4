"""Step by step: the order, what is known after each step, and what each says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as ad
from adjoint.view import document, group, quiz, text
from adjoint.view.formulas import local, rule
from adjoint.view.steps import Moment, Timeline, callout, pages


def circuit():
    x, y, z = (ad.tensor(v, name=n) for v, n in ((-2.0, "x"), (5.0, "y"), (-4.0, "z")))
    return ((x + y).named("q") * z).named("f")


def branch():
    x, y = ad.tensor(3.0, name="x"), ad.tensor(2.0, name="y")
    f = ((x * y).named("p") + x).named("f")
    f.backward()
    return f


def swept(f):
    f.backward()
    return document(f)


def known(line, at):
    """Labels of the nodes whose value and gradient are known after a step."""
    moment, labels = Moment(line, at), line.document["graph"]["nodes"]["label"]
    values = [label for node, label in enumerate(labels) if moment.value(node).lines]
    return values, [label for node, label in enumerate(labels) if moment.gradient(node).lines]


# --- order ----------------------------------------------------------------------------------------------------------


def test_forward_then_backward_a_gate_at_a_time():
    line = Timeline(swept(circuit()))
    assert [(step.phase, step.number, step.node) for step in line.steps] == [
        *(("before", 0, -1), ("forward", 1, 3), ("forward", 2, 4), ("backward", 1, 4), ("backward", 2, 3)),
    ]
    assert [known(line, at) for at in range(5)] == [
        (["x", "y", "z"], []),
        (["x", "y", "z", "q"], []),
        (["x", "y", "z", "q", "f"], []),
        (["x", "y", "z", "q", "f"], ["z", "q", "f"]),
        (["x", "y", "z", "q", "f"], ["x", "y", "z", "q", "f"]),
    ]


def test_a_branch_waits_for_all_its_arms_but_shows_each():
    line = Timeline(document(branch()))
    before, after = Moment(line, 3), Moment(line, 4)
    x_to_p, x_to_f = (line.document["graph"]["edges"]["source"].index(0, start) for start in (0, 1))
    assert before.gradient(0).lines == ()
    assert (before.term(x_to_f).lines, before.term(x_to_p).lines) == (("1",), ())
    assert (after.gradient(0).lines, after.term(x_to_p).lines) == (("3",), ("2",))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("+*m"), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12))
def test_every_gate_that_hands_back_has_its_gradient(gates):
    made = [ad.tensor(1.5, name="x"), ad.tensor(-0.5, name="y")]
    for kind, first, second in gates:
        a, b = made[first % len(made)], made[second % len(made)]
        made.append(a + b if kind == "+" else a * b if kind == "*" else ad.maximum(a, b))
    f = made[-1]
    f.backward()
    line = Timeline(document(f))
    for at, step in enumerate(line.steps):
        moment = Moment(line, at)
        if step.phase == "forward":
            assert all(
                moment.value(line.document["graph"]["edges"]["source"][e]).lines for e in moment.entering[step.node]
            )
        if step.phase == "backward":
            assert moment.is_complete(step.node)
    assert text(line.document) in pages(line.document)[-1]


def test_without_a_backward_pass_there_is_only_a_forward_half():
    line = Timeline(document(circuit()))
    assert [step.phase for step in line.steps] == ["before", "forward", "forward"]
    assert callout(Moment(line, 2)) == ["(×) f = q × z = -12", "    ∂f/∂q = z = -4", "    ∂f/∂z = q = 3"]


# --- callouts -------------------------------------------------------------------------------------------------------


def said(made, at):
    return callout(Moment(Timeline(made), at))


def test_the_formula_comes_first_then_the_numbers():
    assert said(swept(circuit()), 3) == [
        "(×) f = q × z: multiply swaps: each input gets upstream × the other input",
        "    ∂q = ∂f × z = 1 × -4 = -4",
        "    ∂z = ∂f × q = 1 × 3 = 3",
    ]


def test_what_a_branch_gets_and_its_sum():
    made = document(branch())
    assert said(made, 3)[2] == "    ∂x gets ∂f × 1 = 1 × 1 = 1"
    assert said(made, 4)[1] == "    ∂x gets ∂p × y = 1 × 2 = 2, in all 3"


def test_rules_where_there_is_no_local_gradient_per_element():
    W, x = ad.tensor([[1.0, 2.0], [3.0, 4.0]], name="W"), ad.tensor([1.0, -1.0], name="x")
    made = swept((W @ x).named("q").sum().named("f"))
    assert said(made, 3) == [
        "(Σ) f = sum(q): sum distributes: each element gets the upstream gradient",
        "    ∂q = ∂f to every element = [1 1]",
    ]
    assert said(made, 4)[1:] == ["    ∂W = ∂q · xᵀ = (2, 2)", "    ∂x = Wᵀ · ∂q = [4 6]"]
    ascii_page = pages(made, ascii=True)[4]
    assert ascii_page.isascii()
    assert "    dW = dq @ x.T = (2, 2)" in ascii_page


def test_a_plain_number_leaves_the_numbers_alone():
    assert said(swept((ad.tensor(3.0, name="x") * 2.0).named("f")), 2)[1] == "    ∂x = 1 × 2 = 2"


def test_groups_and_quizzes_have_steps_as_well():
    grouped = group(document(branch()), ["p", "f"], "both")
    assert said(grouped, 2)[1:] == ["    ∂x = 1 × 3 = 3", "    ∂y = 1 × 3 = 3"]
    asked = quiz(quiz(swept(circuit()), hide=["q"], what="value"), hide=["q"])
    assert said(asked, 1) == ["(+) q = x + y = [ ? ]"]
    assert said(asked, 3)[1:] == ["    ∂q = ∂f × z = [ ? ]", "    ∂z = ∂f × q = 3"]


# --- formulas -------------------------------------------------------------------------------------------------------

NAMES = {"x": 0.7, "y": -1.3, "out": None}


@pytest.mark.parametrize("op", ["multiply", "divide", "subtract", "add", "square", "reciprocal", "exp", "log", "sqrt"])
def test_a_formula_is_the_local_gradient_of_its_op(op):
    function = getattr(ad, op)
    values = [0.7, 1.3] if op in ("multiply", "divide", "subtract", "add") else [0.7]
    inputs = [ad.tensor(value, name=name) for value, name in zip(values, "xy", strict=False)]
    edges = ad.ledger(function(*inputs))
    out = function(*values)
    assert len(edges) == len(values)
    for edge in edges:
        formula = local(op, edge.position, [t.name for t in inputs], "out")
        assert formula
        assert _number(formula, dict(zip("xy", values, strict=False)) | {"out": float(out)}) == pytest.approx(
            edge.local
        )


def _number(formula, names):
    """The number of a formula of products, quotients and squares."""
    from adjoint.cli.evaluation import build

    plain = formula.replace("−", "-").replace("·", "*").replace("²", "**2")
    return build(plain, [f"{name}={value}" for name, value in names.items() if name in plain]).item()


def test_no_formula_names_a_plain_number():
    assert local("divide", 0, ["x", ""], "f") == ""
    assert local("divide", 1, ["", "x"], "f") == ""
    assert local("add", 0, ["x", ""], "f") == "1"
    assert local("isnan", 0, ["x"], "f") == ""
    assert rule("matmul", 1, ["", "x"], "∂q", 2) == "constantᵀ · ∂q"


def test_large_arrays_are_told_by_shape():
    x = ad.tensor(np.ones(90), name="x")
    f = (x * x).sum().named("f")
    f.backward()
    assert said(document(f), 4)[1:] == [
        "    ∂x gets ∂#1 × x = (90,) × (90,) = (90,)",
        "    ∂x gets ∂#1 × x = (90,) × (90,) = (90,), in all (90,)",
    ]
