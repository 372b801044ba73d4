"""Numbers for the page to find again: every elementwise op at several points, beside constants and within groups.

`recomputed.json` holds what the library computes; the page's own tests read it and compute it anew. Here the file is
held to the library. `python -m tests.view.test_recomputed` writes it.
"""

import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import adjoint as ad
from adjoint.cli.workshop import tools
from adjoint.view import document, group
from adjoint.view.document import from_bytes, to_bytes
from adjoint.view.formulas import formulas
from adjoint.vocabulary import REGISTRY

FILE = Path(__file__).with_name("recomputed.json")
OPS = sorted((op for op in REGISTRY.values() if op.scalar), key=lambda op: op.name)
FIRST = 0.7
SAME = {"tie": 0.5, "zero": 0.0, "negative": -0.75, "infinite": np.inf, "nan": np.nan}


def _inside(op, position, share):
    """A number within the domain of an input."""
    low, high = op.domain[position] if op.domain else (-1.5, 2.0)
    return low + share * (high - low)


def _points(op):
    """Inputs of an op: two in its domain, then the same number everywhere, also where it is not defined."""
    count = len(op.signature.inputs)
    yield [_inside(op, position, FIRST - 0.15 * position) for position in range(count)]
    yield [_inside(op, position, 0.2 + 0.15 * position) for position in range(count)]
    yield from ([value] * count for value in SAME.values())


def _constants(op):
    """Constants that its gates carry: an op that compares has a tie with one of the points."""
    compares = op.domain is None and len(op.signature.inputs) == 2
    return [SAME["tie"] if compares else _inside(op, position, 0.4) for position in range(len(op.signature.inputs))]


def gates(point):
    """A sum of every op, with leaves at all inputs, and with constants at some."""
    total = ad.constant(0.0, name="start")
    for op in OPS:
        names = op.signature.inputs
        leaves = [
            ad.tensor(float(value), name=f"{op.name}.{name}")
            for name, value in zip(names, list(_points(op))[point], strict=True)
        ]
        for count in range(len(names)):
            for fixed in combinations(range(len(names)), count):
                given = [c if at in fixed else x for at, (x, c) in enumerate(zip(leaves, _constants(op), strict=True))]
                total = total + op(*given)
    return total.named("total")


def groups(point):
    """Gates drawn as one: ties, a stop, a constant; one of them of a group."""
    x, y, z = (
        ad.tensor(value, name=name)
        for name, value in zip("xyz", [(0.5, -1.5, 2.0), (2.0, 2.0, -1.0), (0.0, 0.0, 0.0)][point], strict=True)
    )
    product, held = (x * y).named("product"), (ad.stop_gradient(y).named("stop") * 2.0).named("held")
    inner = ad.maximum(product, held).named("inner")
    outer = ad.clip((inner * z).named("scaled") + ad.maximum(x, y).named("larger"), -1.0, 3.0).named("outer")
    f = (1.0 / (1.0 + ad.exp(-outer)) + ad.leaky_relu(z, 0.2)).named("f")
    f.backward()
    once = group(f, ["product", "stop", "held", "inner"], "inner")
    between = next(each for each in once["graph"]["nodes"]["label"] if each.startswith("#"))
    return group(once, ["inner", "scaled", "larger", between, "outer"], "outer")


def _united(documents):
    """One document with the traces of all: their graph is one, wherever it was written."""
    first = documents[0]
    nodes, count = first["graph"]["nodes"], first["graph"]["count"]
    graph = first["graph"] | {"files": [], "nodes": nodes | {"file": [-1] * count, "line": [0] * count}}
    return first | {"graph": graph, "findings": [], "traces": [made["traces"][0] for made in documents]}


def _backward(f):
    with np.errstate(all="ignore"):
        f.backward()
    return document(f)


def made():
    with np.errstate(all="ignore"):
        return {
            "gates": _united([_backward(gates(point)) for point in range(2 + len(SAME))]),
            "groups": _united([groups(point) for point in range(3)]),
        }


def _compare(found, wanted, at):
    """Numbers up to the last digits, in which one machine differs from another; all else exactly."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), at
        for key in wanted:
            _compare(found[key], wanted[key], f"{at}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), at
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            _compare(one, other, f"{at}[{place}]")
    else:
        assert found == (pytest.approx(wanted, rel=1e-13) if isinstance(wanted, float) else wanted), at


def test_the_file_is_what_the_library_computes():
    _compare(made(), json.loads(FILE.read_text("utf-8")), "")


@pytest.mark.parametrize("name", ["gates", "groups"])
def test_its_documents_are_sound(name):
    written = json.loads(FILE.read_text("utf-8"))[name]
    assert from_bytes(to_bytes(written)) == written


def test_every_op_with_a_gradient_has_a_formula_for_each_input():
    wanted = {op.name: len(op.signature.inputs) for op in OPS if not op.nondiff}
    assert {name: len(each) for name, each in formulas()["locals"].items()} == wanted | {"stop_gradient": 1}


# --- formulas say what the library computes -------------------------------------------------------------------------

_SIGNS = {"·": "*", "−": "-", "²": "**2", "^": "**", "√π": "sqrt(3.141592653589793)", "σ": "sigmoid"}
_HOLDS = {"<": float.__lt__, ">": float.__gt__, "≤": float.__le__}


def _evaluated(formula, inputs, out):
    """A formula as a number, by the language of `adjoint explain`; conditions in brackets are 1 or 0."""
    text = formula.format(*(f"({x!r})" for x in inputs), out=f"({out!r})")
    text = re.sub(r"\[(.+?)\]", lambda found: str(_holds(found.group(1))), text)
    text = re.sub(r"e\^(\((?:[^()]|\([^()]*\))*\))", r"exp\1", text)
    text = re.sub(r"\b(sign|cosh?|sinh?|log) (\([^()]*\)|\d+)", r"\1(\2)", text)
    for sign, plain in _SIGNS.items():
        text = text.replace(sign, plain)
    return float(tools().evaluate(text, []).value)


def _holds(condition):
    """Whether 1 < 2 < 3 and the like hold; a single number holds if it is not 0."""
    if condition.startswith("not "):
        return 1 - _holds(condition.removeprefix("not "))
    parts = re.split(r" ([<>≤]) ", condition.replace("(", "").replace(")", ""))
    numbers, signs = [float(part) for part in parts[::2]], parts[1::2]
    if not signs:
        return int(numbers[0] != 0.0)
    return int(all(_HOLDS[sign](a, b) for a, sign, b in zip(numbers[:-1], signs, numbers[1:], strict=True)))


@pytest.mark.parametrize("name", sorted(formulas()["locals"].keys() - {"stop_gradient"}))
def test_formulas_are_the_local_gradients(name):
    op = REGISTRY[name]
    for point in list(_points(op))[:2]:
        leaves = [ad.tensor(float(x)) for x in point]
        out = op(*leaves)
        out.backward()
        for x, formula in zip(leaves, formulas()["locals"][name], strict=True):
            assert _evaluated(formula, [float(x) for x in point], out.item()) == pytest.approx(x.grad, rel=1e-12)


if __name__ == "__main__":
    FILE.write_text(json.dumps(made(), sort_keys=True, allow_nan=False, separators=(",", ":")) + "\n", "utf-8")
