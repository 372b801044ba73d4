"""What is said about gates: true of the ops, in both languages, and in every place where it is read."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.view import document, svg
from adjoint.view.patterns import _PATTERNS, GROUP, LANGUAGES, pattern, patterns
from adjoint.vocabulary import REGISTRY


def test_every_pattern_is_of_an_op_and_in_both_languages():
    assert _PATTERNS.keys() - REGISTRY.keys() == {GROUP}
    for op in _PATTERNS:
        said = patterns(op)
        assert said.keys() == set(LANGUAGES)
        assert said["en"].isprintable()
        assert not said["en"].endswith(".")
        assert any("\u4e00" <= letter <= "\u9fff" for letter in said["zh"])
    assert pattern("erf") is None
    assert patterns("erf") is None


def test_the_three_of_the_lecture():
    assert pattern("add").startswith("add distributes")
    assert pattern("maximum").startswith("max routes: the winner gets all")
    assert pattern("multiply").startswith("multiply swaps")


def test_the_document_has_the_patterns_by_op():
    made = document(lambda x, y: ad.erf(x) + y, 1.0, 2.0)
    assert {op["name"]: op["pattern"] for op in made["graph"]["ops"]} == {"erf": None, "add": patterns("add")}


@pytest.mark.parametrize("op", ["sign", "floor", "ceil", "round"])
def test_what_is_called_flat_is(op):
    x = ad.tensor(0.3, name="x")
    y = getattr(ad, op)(x)
    assert pattern(op) == f"{op} is flat: no gradient passes"
    if y.active:
        y.backward()
        assert x.grad == 0.0


def test_the_winner_gets_all():
    x, y = ad.tensor([3.0, 1.0], name="x"), ad.tensor([2.0, 2.0], name="y")
    ad.maximum(x, y).sum().backward()
    np.testing.assert_array_equal(x.grad, [1.0, 0.0])
    np.testing.assert_array_equal(y.grad, [0.0, 1.0])


def test_a_gate_of_the_picture_says_its_pattern_and_its_local_gradients():
    x, y = ad.tensor(3.0, name="x"), ad.tensor(-4.0, name="y")
    drawn = svg((x * y).named("f"))
    title = "<title>multiply swaps: each input gets upstream × the other input; ∂f/∂x = -4; ∂f/∂y = 3</title>"
    assert title in drawn, "also before a backward pass"
    assert "Multiply swaps: each input gets upstream × the other input.</desc>" in drawn
