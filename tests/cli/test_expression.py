"""The language of `adjoint explain`: what it means, and that nothing else gets through."""

import ast
import math
import operator
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import adjoint as ad
from adjoint.cli.evaluation import MOST_NUMBERS, bind, build
from adjoint.cli.expression import DEEPEST, parse
from adjoint.cli.words import FUNCTIONS, LONGEST_TEXT
from adjoint.errors import ExpressionError


def value(expression, *bindings):
    return build(expression, bindings).value


def refused(expression, *bindings):
    """The error of a text that is not in the language."""
    with pytest.raises(ExpressionError) as caught:
        build(expression, bindings)
    return caught.value


# --- meaning --------------------------------------------------------------------------------------------------------


def test_the_lectures_circuits():
    assert value("(x+y)*z", "x=-2", "y=5", "z=-4") == -12
    assert value("2*(x*y+max(z,w))", "x=3", "y=-4", "z=2", "w=-1") == -20
    neuron = value("1/(1+exp(-(w0*x0+w1*x1+w2)))", "w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3")
    assert neuron == pytest.approx(0.7310585786300049, rel=1e-15)
    assert value("sum((W@x)**2)", "W=[[0.1,0.5],[-0.3,0.8]]", "x=[0.2,0.4]") == pytest.approx(0.116)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x**2", -9),
        ("(-x)**2", 9),
        ("2**x**2", 512),
        ("2**-x", 0.125),
        ("-2**-x", -0.125),
        ("x-1-1", 1),
        ("x/2/2", 0.75),
        ("x-2*x+1", -2),
        ("+-+x", -3),
        ("1e2*x", 300),
        (".5*x", 1.5),
        ("3.*x", 9),
        ("x*pi", 3 * math.pi),
        ("abs(-x)", 3),
        ("max(x,5)", 5),
        ("min(x, 5)", 3),
        ("clip(x, -1, 1)", 1),
        ("where(x > 2, x, 0)", 3),
        ("where(x <= 2, x, 7)", 7),
        ("where(x == 3, x, 7)", 3),
        ("where(x != 3, x, 7)", 7),
        ("leaky_relu(-x, 0.1)", -0.3),
        ("elu(-x)", math.expm1(-3)),
        ("a=2; a*x", 6),
        ("q=x; q*q", 9),
        ("q = x + 1 ; f = q * q ;", 16),
    ],
)
def test_as_in_python(text, expected):
    assert value(text, "x=3") == pytest.approx(expected)


@pytest.mark.parametrize("text", ["x × y − 1", "x · y − 1", "x ⋅ y - 1", "x*y-1"])
def test_the_lectures_signs(text):
    assert value(text, "x=3", "y=4") == 11
    assert value("x ÷ y", "x=3", "y=4") == 0.75
    assert value("where(x ≤ y, x, y)", "x=3", "y=4") == 3


def test_arrays():
    W, x = np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4])
    given = ("W=[[0.1,0.5],[-0.3,0.8]]", "x=[0.2,0.4]")
    np.testing.assert_allclose(value("W@x", *given), W @ x)
    np.testing.assert_allclose(value("W.T@x", *given), W.T @ x)
    np.testing.assert_allclose(value("x@W", *given), x @ W)
    np.testing.assert_allclose(value("dot(x,x) + W[1,0]", *given), x @ x + W[1, 0])
    np.testing.assert_allclose(value("W[:,1] + x[::-1]", *given), W[:, 1] + x[::-1])
    np.testing.assert_allclose(value("x[1:] * W[-1]", *given), x[1:] * W[-1])
    reductions = np.log(np.exp(x).sum()) + x.max() + W.mean()
    np.testing.assert_allclose(value("logsumexp(x) + max(x) + mean(W)", *given), reductions)
    np.testing.assert_allclose(value("x*[1,2] + [[3],[4]]", "x=2"), [[5, 7], [6, 8]])
    np.testing.assert_allclose(value("[x, 2*x]", "x=3"), [3, 6])


def test_names_are_on_the_nodes():
    f = build("q=x+y; f=q*z", ["x=-2", "y=5", "z=-4"])
    assert [t.name for t in f.graph.nodes] == ["x", "y", "z", "q", "f"]
    assert build("a=x; b=a; b*2", ["x=1"]).graph.nodes[0].name == "x"
    assert [t.name for t in build("a=2; a*x", ["x=3"]).graph.nodes] == ["x", "a", None]


def test_numbers_alone_leave_no_node():
    assert [t.node.op and t.node.op.name for t in build("x**-(1/2)", ["x=4"]).graph.nodes] == [None, "power"]


def test_an_expression_without_variables_is_its_value():
    assert value("3*4") == 12
    assert value("[1,2]@[3,4]") == 11


def test_every_function_of_the_language_exists():
    for function in FUNCTIONS.values():
        assert callable(getattr(ad, function.name))


# --- bindings -------------------------------------------------------------------------------------------------------


def test_bindings():
    values = bind(["x=-2", "y = 1/4", "W=[[1,2],[3,4]]", "e=-1e-3", "n=nan", "σ=2"])
    assert (values["x"], values["y"], values["e"], values["σ"]) == (-2.0, 0.25, -0.001, 2.0)
    assert isinstance(values["x"], float)
    assert math.isnan(values["n"])
    np.testing.assert_array_equal(values["W"], [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("bindings", "message", "text", "column"),
    [
        (["x=1", "x=2"], "`x` is bound twice", "x=2", 0),
        (["x"], "expected a binding such as x=2", "x", 0),
        (["2=x"], "expected a binding such as x=2", "2=x", 0),
        (["--jsn"], "expected a binding such as x=2", "--jsn", 0),
        (["x="], "expected a value, got the end of the text", "x=", 2),
        (["x=abc"], "expected numbers, got the name `abc`", "x=abc", 2),
        (["x=1<2"], "expected numbers, got a comparison", "x=1<2", 2),
        (["x=[1,[2]]"], "ragged list: expected an element of shape (), got shape (1,)", "x=[1,[2]]", 5),
        (["x=[[1,2],[3]]"], "ragged list: expected an element of shape (2,), got shape (1,)", "x=[[1,2],[3]]", 9),
        (["x=[1 2]"], "expected an operator or `]`, got `2`", "x=[1 2]", 5),
        (["x=[1,2"], "expected `]` to close `[`, got the end of the text", "x=[1,2", 6),
        (["x=[]"], "expected a value, got `]`", "x=[]", 3),
        (["x=1 y=2"], "expected an operator or the end after `1`, got `y`", "x=1 y=2", 4),
        (["x='1'"], "expected a name, a number or an operator, got `'`", "x='1'", 2),
        (["x=1e999"], "expected a number below 1.8e308", "x=1e999", 2),
        (["exp=1"], "`exp` is the name of a function", "exp=1", 0),
        (["pi=3"], "`pi` is the name of a constant", "pi=3", 0),
        (["__class__=1"], "expected a name that begins with a letter, got `__class__`", "__class__=1", 0),
        (["x=1,5"], "expected an operator or the end after `1`, got `,`", "x=1,5", 3),
    ],
)
def test_bindings_that_are_refused(bindings, message, text, column):
    with pytest.raises(ExpressionError) as caught:
        bind(bindings)
    assert caught.value.message.startswith(message)
    assert (caught.value.text, caught.value.column) == (text, column)


def test_a_variable_without_a_value():
    error = refused("x*wieght", "x=1")
    assert (error.message, error.column) == ("`wieght` has no value", 2)
    assert error.hint == "add wieght=… to the command line"


def test_a_value_without_a_variable():
    error = refused("x*y", "x=1", "y=2", "z=3")
    assert (error.message, error.text) == ("`z` does not occur in the expression", "z=3")
    assert error.hint == "the expression uses x, y"


def test_a_name_that_is_bound_and_computed():
    assert refused("q=x+1; q*q", "x=1", "q=2").message == "`q` is computed by the expression and cannot be bound too"


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "column", "hint"),
    [
        ("", "expected a value, got the end of the text", 0, ""),
        ("   ", "expected a value, got the end of the text", 3, ""),
        ("x+", "expected a value, got the end of the text", 2, ""),
        ("x*/y", "expected a value, got `/`", 2, ""),
        ("x^2", "expected a name, a number or an operator, got `^`", 1, "`^` means power: write **"),
        ("x²", "expected a name, a number or an operator, got `²`", 1, "write **2"),
        ("x//2", "expected an operator or the end after `x`, got `//`", 1, "write floor(x/y)"),
        ("2x", "expected an operator or the end after `2`, got `x`", 1, "for a product write 2*x"),
        ("x y", "expected an operator or the end after `x`, got `y`", 2, "for a product write x*y"),
        ("(x+y", "expected `)` to close `(`, got the end of the text", 4, ""),
        ("x+y)", "expected an operator or the end after `y`, got `)`", 3, ""),
        ("(x,y)", "expected `)` to close `(`, got `,`", 2, ""),
        ("x(y)", "there is no function `x`", 0, None),
        ("sigmod(x)", "there is no function `sigmod`", 0, "did you mean `sigmoid`?"),
        ("ln(x)", "there is no function `ln`", 0, "did you mean `log`?"),
        ("norm(x)", "there is no function `norm`", 0, "write sqrt(sum(x**2))"),
        ("exp", "expected `(` after the function `exp`, got the end of the text", 3, "write exp(…)"),
        ("exp()", "exp: expected 1 argument, got 0", 0, ""),
        ("sum(x,0)", "sum: expected 1 argument, got 2", 0, ""),
        ("where(x,y)", "where: expected 3 arguments, got 2", 0, ""),
        ("elu(x,y)", "elu: expected a plain number here", 6, ""),
        ("sum(x,axis=0)", "arguments are given by place, got `=`", 10, "leave out the name and the ="),
        ("x=1=2", "expected an operator or the end after `1`, got `=`", 3, None),
        ("x+y=2", "expected an operator or the end after `y`, got `=`", 3, None),
        ("x<y<z", "expected one comparison, got `<`", 3, "put parentheses around the first one"),
        ("x+y; x", "only the last statement may be without a name, got `;`", 3, "write name = expression;"),
        ("q=x+y; x*y", "`q` is computed but never used", 0, ""),
        ("q=x; q=y", "`q` has a value already", 5, "choose another name"),
        ("q=q+1", "`q` cannot be part of its own value", 0, "choose another name"),
        ("x=x+1", "`x` cannot be part of its own value", 0, "choose another name"),
        ("exp=x", "`exp` is the name of a function", 0, "choose another name"),
        (";x", "expected a value, got `;`", 0, ""),
        ("x;;y", "only the last statement may be without a name, got `;`", 1, "write name = expression;"),
        ("q=x;;q", "expected a value, got `;`", 4, ""),
        ("x.real", "expected `.T`, the only attribute of the language, got `real`", 2, ""),
        ("x.__class__", "expected a name that begins with a letter, got `__class__`", 2, ""),
        ("__import__('os')", "expected a name that begins with a letter, got `__import__`", 0, ""),
        ("lambda: 1", "`lambda` cannot be used here", 0, "it is a word of Python; for a rate write lam"),
        ("[i for i in x]", "`for` cannot be used here", 3, None),
        ("x if y else z", "`if` cannot be used here", 2, None),
        ("x and y", "`and` cannot be used here", 2, None),
        ("f'{x}'", "expected a name, a number or an operator, got `'`", 1, None),
        ('"x"', 'expected a name, a number or an operator, got `"`', 0, None),
        ("{x}", "expected a name, a number or an operator, got `{`", 0, None),
        ("(y:=x)", "expected `)` to close `(`, got `:=`", 2, None),
        ("x[y]", "expected a whole number as index, got `y`", 2, None),
        ("x[0.5]", "expected a whole number as index, got `0.5`", 2, ""),
        ("x[1e3]", "expected a whole number as index, got `1e3`", 2, ""),
        ("x[-]", "expected a whole number as index, got `]`", 3, ""),
        ("x[]", "expected a whole number as index, got `]`", 2, None),
        ("x[::0]", "expected a step other than 0, got `0`", 4, ""),
        ("x[9999999999]", "expected a whole number as index, got `9999999999`", 2, ""),
        ("x\x00y", "expected a name, a number or an operator, got `\ufffd`", 1, ""),
    ],
)
def test_refused(text, message, column, hint):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    error = caught.value
    assert (error.message, error.text, error.column) == (message, text, column)
    assert hint is None or error.hint == hint


def test_what_only_shows_when_it_runs_points_at_its_operator():
    error = refused("x + y*y", "x=[1,2]", "y=[1,2,3]")
    assert error.column == 2
    assert "(2,)" in error.message
    assert "(3,)" in error.message
    assert ".py" not in error.message
    assert refused("sum(x[5])", "x=[1,2]").column == 5
    assert refused("x[0]", "x=1").message == "expected at most 0 indices, got 1"
    assert refused("x*where(x, 1, 2)", "x=1").column == 2
    assert refused("[x, [y]]", "x=1", "y=2").message == "ragged list: expected an element of shape (), got shape (1,)"


def test_the_caret_stands_under_the_column():
    assert str(refused("x + sigmod(y)", "x=1")) == (
        "there is no function `sigmod`\n  x + sigmod(y)\n      ^\ndid you mean `sigmoid`?"
    )


def test_the_caret_of_a_long_or_wide_or_broken_line():
    long = str(refused("x+" * 2000 + "^"))
    assert long.split("\n")[1].startswith("  …x+x+")
    assert long.split("\n")[2].index("^") == long.split("\n")[1].index("^")
    assert str(refused("値+^")).split("\n")[2] == "     ^"  # a wide character takes two columns
    assert "\x1b" not in str(refused("x\x1b[31m"))
    assert str(refused("x\n+\n^")).split("\n")[1] == "  x + ^"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "(" * 4_000 + "x" + ")" * 4_000,
        "[" * 9_000,
        "-" * 9_000 + "x",
        "2**" * 3_000 + "x",
        "exp(" * 2_000 + "x",
        "x" * (LONGEST_TEXT + 1),
        "9" * 9_999,
        "9**9**9**9**9**9",
        "1e308*1e308*x",
    ],
)
def test_nothing_hangs_or_overflows(text):
    started = time.perf_counter()
    try:
        build(text, ["x=1"])
    except ExpressionError as error:
        check_error(error)
    assert time.perf_counter() - started < 2


def test_long_expressions_are_no_deep_ones():
    assert value("+".join(["x"] * 4_000), "x=1") == 4_000
    assert value("(" * (DEEPEST - 1) + "x" + ")" * (DEEPEST - 1), "x=1") == 1


def test_nothing_fills_the_memory():
    n = 1_200
    column, row = "[" + ",".join(["[1]"] * n) + "]", "[" + ",".join("1" * n) + "]"
    for text in (f"sum(x*{column}*{row})", f"sum((x*{column})@[{row}])"):
        assert f"at most {MOST_NUMBERS:,} numbers" in refused(text, "x=1").message
    assert value(f"sum({row}@{row} + x)", "x=1") == n + 1


# --- any text -------------------------------------------------------------------------------------------------------

PIECES = (
    *("x", "y", "q", "W", "0", "1", "2.5", "1e3", "9", "(", ")", "[", "]", "+", "-", "*", "/", "**", "@", "<", ">="),
    *("=", "==", ";", ",", ".", ".T", ":", " ", "exp(", "max(", "where(", "sum(", "log(", "lambda", "__", "^", "'"),
    *("[1,2]", "[[1,2],[3,4]]", "×", "−", "·", "\n", "\t", "\x00", "é", "if", "0:", "-1]", "sqrt(", "dot(", "inf"),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@example("x**y**W")
def test_any_pieces_give_a_result_or_an_expression_error(text):
    check_any(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_a_result_or_an_expression_error(text):
    check_any(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_binding_gives_a_result_or_an_expression_error(anything, pieces):
    for text in (anything, f"x={anything}", pieces, f"x={pieces}"):
        try:
            bind([text])
        except ExpressionError as error:
            check_error(error)


def texts():
    """Random texts of the whole grammar; whether shapes and kinds fit is left to chance."""
    leaves = st.sampled_from(["x", "y", "W", "v", "2", "0", "-1.5", "1e200", "pi", "inf", "nan", "[1,2]", "[[1],[2]]"])
    return st.recursive(leaves, _compound, max_leaves=10)


def _compound(inner):
    operator = st.sampled_from([*"+-*/@<>", "**", "<=", ">=", "==", "!="])
    index = st.sampled_from(["0", "1", "-1", "0,1", ":", "1:", ":,0", "::-1", "5", "7:", "0,0,0"])
    name = st.sampled_from(sorted(FUNCTIONS))
    return st.one_of(
        st.tuples(inner, operator, inner).map("({0[0]} {0[1]} {0[2]})".format),
        st.tuples(inner, index).map("({0[0]})[{0[1]}]".format),
        st.tuples(name, st.lists(inner, min_size=1, max_size=3).map(", ".join)).map("{0[0]}({0[1]})".format),
        st.lists(inner, min_size=1, max_size=3).map(lambda elements: f"[{', '.join(elements)}]"),
        st.tuples(st.sampled_from(["-", "+"]), inner).map("".join),
        inner.map("({}).T".format),
    ).map(str)


@settings(max_examples=500, deadline=None)
@given(texts())
def test_any_sentence_gives_a_result_or_an_expression_error(text):
    check_any(text)


VALUES_OF_ANY = {"W": "[[0.5,-1],[2,3]]", "v": "[1.5,-2]"}


def check_any(text):
    try:
        variables = parse(text).variables
        result = build(text, [f"{name}={VALUES_OF_ANY.get(name, '2')}" for name in variables])
    except ExpressionError as error:
        check_error(error)
    else:
        assert isinstance(result, ad.Tensor)


def check_error(error):
    assert error.message
    assert 0 <= error.column <= len(error.text)
    assert str(error).split("\n")[2].strip() == "^"


# --- an independent evaluator ---------------------------------------------------------------------------------------

BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
UNARY = {"exp": math.exp, "tanh": math.tanh, "sin": math.sin, "abs": abs, "square": lambda a: a * a}
VALUES = {"x": 1.5, "y": -0.75, "z": 2.0}


def trees():
    """Random expressions, each as a text and the float that Python's own arithmetic gives for it."""
    numbers = st.integers(0, 9).map(lambda n: (str(n), float(n)))
    leaves = st.sampled_from(list(VALUES.items())) | numbers
    return st.recursive(leaves, lambda inner: binary(inner) | unary(inner) | powers(inner), max_leaves=12)


def binary(inner):
    return (
        st.tuples(inner, st.sampled_from(sorted(BINARY)), inner)
        .filter(lambda t: t[1] != "/" or t[2][1] != 0)
        .map(lambda t: (f"({t[0][0]}{t[1]}{t[2][0]})", BINARY[t[1]](t[0][1], t[2][1])))
    )


def unary(inner):
    calls = st.tuples(st.sampled_from(sorted(UNARY)), inner.filter(lambda t: abs(t[1]) < 50))
    return calls.map(lambda t: (f"{t[0]}({t[1][0]})", UNARY[t[0]](t[1][1]))) | inner.map(
        lambda t: (f"(-{t[0]})", -t[1])
    )


def powers(inner):
    small = inner.filter(lambda t: abs(t[1]) < 1e6)
    return st.tuples(small, st.integers(0, 3)).map(lambda t: (f"({t[0][0]})**{t[1]}", t[0][1] ** t[1]))


@settings(max_examples=300, deadline=None)
@given(trees())
def test_agrees_with_pythons_own_floats(tree):
    text, expected = tree
    variables = parse(text).variables
    result = value(text, *(f"{name}={VALUES[name]}" for name in variables))
    assert float(result) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["2", "3", "0.5", "x", "y"]), min_size=2, max_size=7),
    st.lists(st.sampled_from(["+", "-", "*", "/", "**", "-", "**-", "*-"]), min_size=6, max_size=6),
    st.sampled_from(["", "-"]),
)
def test_precedence_is_pythons(operands, operators, sign):
    text = sign + operands[0] + "".join(o + v for o, v in zip(operators, operands[1:], strict=False))
    names = {"x": np.float64(1.25), "y": np.float64(2.0)}
    with np.errstate(all="ignore"):  # 1/0 is inf here, as in NumPy
        expected = python_value(text, names)
    result = value(text, *(f"{name}={names[name]}" for name in parse(text).variables))
    assert float(result) == pytest.approx(expected, rel=1e-9, nan_ok=True)


OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def python_value(text, names):
    """What Python's own grammar makes of a text: its tree, computed by hand on floats."""

    def visit(node):
        match node:
            case ast.Constant(value=number):
                return np.float64(number)
            case ast.Name(id=name):
                return names[name]
            case ast.UnaryOp(operand=inner):
                return -visit(inner)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return visit(left) ** visit(right)
            case ast.BinOp(left=left, op=op, right=right):
                return OPERATIONS[type(op)](visit(left), visit(right))
        raise AssertionError(ast.dump(node))

    return visit(ast.parse(text, mode="eval").body)
