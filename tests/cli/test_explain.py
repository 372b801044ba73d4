"""`adjoint explain`: data, tables and the command."""

import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import adjoint as ad
from adjoint.cli.explain import Answer, explain, explanation, show
from adjoint.cli.expression import parse
from adjoint.errors import ExpressionError

SUM_TIMES_Z = ("q=x+y; f=q*z", "x=-2", "y=5", "z=-4")
NEURON = ("1/(1+exp(-(w0*x0+w1*x1+w2)))", "w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3")
NORM = ("q=W@x; f=sum(q**2)", "W=[[0.1,0.5],[-0.3,0.8]]", "x=[0.2,0.4]")


def run(*arguments):
    return CliRunner().invoke(explain, arguments)


def gradients(expression, *bindings):
    return {node["name"]: node["gradient"] for node in explanation(expression, bindings)["nodes"] if node["name"]}


# --- data -----------------------------------------------------------------------------------------------------------


def test_the_first_circuit_as_data():
    data = explanation(SUM_TIMES_Z[0], SUM_TIMES_Z[1:])
    assert data["schema"] == "adjoint.explain/1"
    assert data["output"] == 4
    assert data["nodes"][0] == {
        **{"id": 0, "name": "x", "op": None, "operation": None, "inputs": []},
        **{"shape": [], "dtype": "float64", "value": -2.0, "gradient": -4.0},
    }
    assert data["nodes"][3] == {
        **{"id": 3, "name": "q", "op": "add", "operation": "x + y", "inputs": [{"node": 0}, {"node": 1}]},
        **{"shape": [], "dtype": "float64", "value": 3.0, "gradient": -4.0},
    }
    assert data["edges"][0] == {
        **{"node": 4, "input": 3, "position": 0, "rule": None},
        **{"upstream": 1.0, "local": -4.0, "product": -4.0},
    }
    assert data["branches"] == []


def test_the_neuron_has_the_gradients_of_the_slide():
    found = gradients(*NEURON)
    for name, printed in {"w0": -0.2, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.2}.items():
        assert found[name] == pytest.approx(printed, abs=0.005)


def test_the_squared_norm():
    found = gradients(*NORM)
    np.testing.assert_allclose(found["q"], [0.44, 0.52])
    np.testing.assert_allclose(found["W"], [[0.088, 0.176], [0.104, 0.208]])
    np.testing.assert_allclose(found["x"], [-0.112, 0.636])


def test_every_edge_multiplies_and_every_branch_adds_up():
    data = explanation("q=x*y; q*q + exp(q)*x - x/y", ["x=1.5", "y=-0.5"])
    for edge in data["edges"]:
        assert edge["upstream"] * edge["local"] == pytest.approx(edge["product"], rel=1e-15)
        assert edge["upstream"] == data["nodes"][edge["node"]]["gradient"]
    assert {data["nodes"][branch["node"]]["name"] for branch in data["branches"]} == {"x", "y", "q"}
    for branch in data["branches"]:
        assert sum(branch["terms"]) == pytest.approx(branch["sum"], rel=1e-15)
        assert branch["sum"] == data["nodes"][branch["node"]]["gradient"]


def test_constants_and_rules_in_words():
    data = explanation("sum(2*[1,3]*x)", ["x=[1,2]"])
    product = next(node for node in data["nodes"] if node["op"] == "multiply")
    assert product["inputs"] == [{"constant": [2.0, 6.0]}, {"node": 0}]
    total = next(edge for edge in data["edges"] if edge["local"] is None)
    assert total["rule"] == f"∂#{total['node']} to every element"


def test_what_is_not_finite_is_a_string():
    data = explanation("log(x) + 1/y", ["x=0", "y=inf"])
    assert data["nodes"][data["output"]]["value"] == "-inf"
    assert data["nodes"][0]["gradient"] == "inf"
    json.dumps(data, allow_nan=False)
    assert explanation("sqrt(x)", ["x=-1"])["nodes"][1]["value"] == "nan"


def test_data_do_not_depend_on_what_ran_before():
    first = explanation(*NEURON[:1], NEURON[1:])
    ad.tensor(1.0) * 2
    assert explanation(*NEURON[:1], NEURON[1:]) == first


def test_an_output_without_gradients():
    data = explanation("x > 2", ["x=3"])
    assert [node["gradient"] for node in data["nodes"]] == [None, None]
    assert data["nodes"][1]["value"] is True
    assert data["edges"] == []


def test_an_output_of_several_numbers_is_refused():
    with pytest.raises(ExpressionError) as caught:
        Answer.of("W@x", ["W=[[1,2],[3,4]]", "x=[1,2]"])
    assert caught.value.message == "expected one number as the output, got shape (2,)"
    assert caught.value.column == 1
    assert "sum(…)" in caught.value.hint


FUNCTIONS = ["exp", "log", "sqrt", "tanh", "sigmoid", "relu", "abs", "sin", "square", "reciprocal", "softplus", "elu"]


def scalar_expressions():
    """Random expressions of two numbers, domain errors and divisions by zero included."""
    leaves = st.sampled_from(["x", "y", "2", "0", "-1", "0.5", "1e300"])
    operators = st.sampled_from([*"+-*/", "**"])
    return st.recursive(
        leaves,
        lambda inner: (
            st.tuples(inner, operators, inner).map("({0[0]}{0[1]}{0[2]})".format)
            | st.tuples(st.sampled_from(FUNCTIONS), inner).map("{0[0]}({0[1]})".format)
            | st.tuples(st.sampled_from(["max", "min"]), inner, inner).map("{0[0]}({0[1]},{0[2]})".format)
            | st.tuples(inner, inner, inner).map("where({0[0]} > {0[1]}, {0[1]}, {0[2]})".format)
        ),
        max_leaves=8,
    )


@settings(max_examples=150, deadline=None)
@given(scalar_expressions(), st.sampled_from(["-2", "0", "1.5", "inf", "nan"]))
def test_any_expression_of_numbers_can_be_explained(expression, x):
    bindings = [f"{name}={x if name == 'x' else 3}" for name in parse(expression).variables]
    result = run(expression, *bindings)
    assert result.exit_code == 0, (result.stderr, result.exception)
    for edge in json.loads(run(expression, *bindings, "--json").output)["edges"]:
        upstream, local, product = (float(edge[part]) for part in ("upstream", "local", "product"))
        if np.isfinite([upstream, local]).all():
            assert product == pytest.approx(upstream * local)


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_first_circuit_on_paper():
    assert (
        "\n" + run(*SUM_TIMES_Z).output
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
    ∂ 3

node   operation   value   gradient
x      input          -2         -4
y      input           5         -4
z      input          -4          3
q      x + y           3         -4
f      q × z         -12          1

gate wire  upstream × local = downstream
(×)  f → q        1 ×    -4 =         -4
(×)  f → z        1 ×     3 =          3
(+)  q → x       -4 ×     1 =         -4
(+)  q → y       -4 ×     1 =         -4

what each gate does
multiply swaps: each input gets upstream × the other input
add distributes: each input gets the upstream gradient
"""
    )


def test_matrices_and_rules_on_paper():
    assert (
        run(*NORM, "--digits", "3").output.split("\n\n", 1)[1]
        == """\
node   operation            value         gradient
W      input       ⎡ 0.100 0.500⎤    ⎡0.088 0.176⎤
                   ⎣-0.300 0.800⎦    ⎣0.104 0.208⎦
x      input        [0.200 0.400]   [-0.112 0.636]
q      W @ x        [0.220 0.260]    [0.440 0.520]
#3     q²           [0.048 0.068]    [1.000 1.000]
f      sum(#3)              0.116            1.000

gate wire        upstream ×               local =     downstream
(Σ)  f → #3         1.000   ∂f to every element =  [1.000 1.000]
(x²) #3 → q [1.000 1.000] ×       [0.440 0.520] =  [0.440 0.520]
(@)  q → W  [0.440 0.520]               ∂q · xᵀ =  ⎡0.088 0.176⎤
                                                   ⎣0.104 0.208⎦
(@)  q → x  [0.440 0.520]               Wᵀ · ∂q = [-0.112 0.636]

what each gate does
sum distributes: each element gets the upstream gradient
matmul swaps: each side gets the upstream gradient times the other side, transposed
"""
    )


def test_sums_at_branches():
    output = run("q=x*y; q+x", "x=3", "y=2").output
    assert "\nat branches gradients add up\n∂x = 1 + 2 = 3\n\nwhat each gate does\n" in output


def test_patterns_as_data_in_the_order_of_the_backward_pass():
    data = explanation("erf(x*y) + 2", ["x=3", "y=2"])
    assert list(data["patterns"]) == ["add", "multiply"], "nothing short is to be said of erf"
    assert explanation("x > 2", ["x=3"])["patterns"] == {}


def test_products_that_are_only_rounded_say_so():
    output = run(*NEURON, "--digits", "2").output
    assert "(×)   #5 → x0       0.20 ×  2.00 ≈       0.39" in output
    assert "(×)   #5 → w0       0.20 × -1.00 =      -0.20" in output
    assert "≈" not in run(*NEURON).output
    assert "(×)   #5 → x0     0.1966 ×  2.0000 =     0.3932" in run(*NEURON).output


def test_a_broadcast_is_summed():
    assert "Σ" in run("sum(x*[1,2,3])", "x=2").output


def test_in_ascii():
    result = run(*NORM, "--ascii")
    assert result.output.isascii()
    assert "dq @ x.T" in result.output
    assert run(*NEURON, "--ascii", "--digits", "2").output.count("~") == 3


def test_json_is_the_same_as_data():
    result = run(*NEURON, "--json")
    assert json.loads(result.output) == explanation(NEURON[0], NEURON[1:])
    assert result.output == json.dumps(json.loads(result.output), sort_keys=True, indent=2) + "\n"


def test_a_minus_sign_in_front():
    assert run("-x*y", "x=-2", "y=-3").exit_code == 0
    assert json.loads(run("--json", "-x*y", "x=-2", "y=-3").output)["nodes"][-1]["value"] == -6
    assert json.loads(run("--x", "x=-2", "--json").output)["nodes"][-1]["value"] == -2
    assert json.loads(run("-1/x", "x=2", "--json").output)["nodes"][-1]["value"] == -0.5


def test_notes_for_what_has_no_gradient():
    assert "no gradients: greater has none" in run("x > 2", "x=3").output
    assert "no gradients: the output depends on no variable" in run("3*4").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x^2", "x=1"), "got `^`\n  x^2\n   ^\n`^` means power: write **\n"),
        (("x*y", "x=1"), "`y` has no value\n  x*y\n    ^\nadd y=… to the command line\n"),
        (("x", "x=1", "--jsn"), "expected a binding such as x=2 or x=[0.2,0.4]\n  --jsn\n  ^\n"),
        (("x@y", "x=[1,2]", "y=[1,2,3]"), "\n  x@y\n   ^\n"),
        (("-x.real", "x=1"), "expected `.T`, the only attribute of the language, got `real`\n  -x.real\n     ^\n"),
    ],
)
def test_errors_go_to_stderr_with_exit_code_2(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("adjoint explain: ")
    assert message in result.stderr


def test_a_stream_that_cannot_write_our_signs_gets_ascii():
    result = CliRunner(charset="ascii").invoke(explain, SUM_TIMES_Z)
    assert result.exit_code == 0
    assert result.output.isascii()


def test_a_terminal_gets_colors_and_its_own_width():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=70, highlight=False, color_system="truecolor")
    show(Answer.of(NEURON[0], NEURON[1:]), console, digits=2)
    assert "\x1b[36m" in stream.getvalue()
    assert "▸" in stream.getvalue()


def test_help_shows_examples():
    output = run("--help").output
    assert 'adjoint explain "(x+y)*z" x=-2 y=5 z=-4' in output
