"""Quizzes: what is blank, that it is blank everywhere, and what is right."""

import re

import numpy as np
import pytest

import adjoint as ad
from adjoint.view import DocumentError, document, quiz, svg, text
from adjoint.view.document import from_bytes, to_bytes


def circuit():
    x, y, z = (ad.tensor(v, name=n) for v, n in ((-2.0, "x"), (5.0, "y"), (-4.0, "z")))
    f = ((x + y).named("q") * z).named("f")
    f.backward()
    return f


def test_a_blank_is_blank_in_text_picture_and_description():
    made = quiz(circuit(), hide=["q"], what="value")
    assert text(made).count("[ ? ]") == 1
    assert "3\n" not in text(made).replace("∂ 3", "")
    drawn = svg(made)
    assert drawn.count(">[ ? ]</text>") == 1
    assert "q = x + y is [ ? ], gradient -4." in drawn
    assert "∂f/∂z" not in drawn, "a local gradient would tell the value"


def test_the_terms_of_a_hidden_gradient_are_hidden():
    x = ad.tensor(3.0, name="x")
    f = (x * x).named("f")
    f.backward()
    made = quiz(f, hide=[x])
    assert text(made).count("[ ? ]") == 3
    assert svg(made).count(">[ ? ]</text>") == 3


def test_questions_say_how_far_off_an_answer_may_be_and_the_rule():
    made = quiz(circuit(), hide=["x", "q"])
    assert [question["node"] for question in made["view"]["quiz"]] == [0, 3]
    assert made["view"]["quiz"][1] == {
        **{"node": 3, "what": "gradient", "tolerance": 0.04},
        "rule": {
            "en": "f = q × z: multiply swaps: each input gets upstream × the other input",
            "zh": "f = q × z: 乘法门交换:每个输入得到 上游梯度 × 另一个输入",
        },
    }
    assert from_bytes(to_bytes(made)) == made


@pytest.mark.parametrize(
    ("value", "tolerance"), [(0.1966, 0.005), (0.0, 0.0), (100.0, 1.0), (-0.01, 0.001), ([0.5, -3.0], 0.03)]
)
def test_the_number_of_the_slide_is_right_and_zero_is_not_nearly_zero(value, tolerance):
    (question,) = quiz(ad.tensor(value, name="x"), hide=["x"], what="value")["view"]["quiz"]
    assert question["tolerance"] == pytest.approx(tolerance)


def test_quizzes_add_up_and_the_last_tolerance_counts():
    made = quiz(quiz(circuit(), hide=["f"]), hide=["q", 4], what="value", tolerance=0.5)
    asked = [(question["node"], question["what"], question["tolerance"]) for question in made["view"]["quiz"]]
    assert asked == [(3, "value", 0.5), (4, "gradient", 0.01), (4, "value", 0.5)]
    rules = [question["rule"]["en"] for question in made["view"]["quiz"]]
    assert rules == ["q = x + y", "the gradient of the output is 1", "f = q × z"]


def test_the_rule_at_a_branch_and_of_what_is_given():
    x = ad.tensor(3.0, name="x")
    f = (ad.exp(x).named("e") + x).named("f")
    f.backward()
    (question,) = quiz(f, hide=["x"])["view"]["quiz"]
    assert re.fullmatch("e = .*; f = .*; at a branch gradients add up", question["rule"]["en"])
    assert quiz(f, hide=["x"], what="value")["view"]["quiz"][0]["rule"]["zh"] == "已知"


def test_a_quiz_does_not_change_the_document_that_it_is_made_of():
    made = document(circuit())
    quiz(made, hide=["x"])
    assert made["view"] == {}


@pytest.mark.parametrize(
    ("hide", "what", "message"),
    [
        (["x"], "gradient", "expected a gradient at x, which has none.*; call backward first"),
        (["nobody"], "value", "expected a node of this graph"),
        (["x"], "shape", "expected gradient or value, got 'shape'"),
        ([2], "value", "expected a value at #2, which has none"),
    ],
)
def test_what_cannot_be_asked_is_refused(hide, what, message):
    made = document(ad.tensor([1.0, 2.0], name="x").reshape(2, 1) * np.ones((1, 300)), detail="statistics")
    with pytest.raises(DocumentError, match=f"quiz: {message}"):
        quiz(made, hide=hide, what=what)
