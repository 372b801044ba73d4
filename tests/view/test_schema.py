"""The published schema: valid as such, met by what is written, and read as another implementation reads it."""

import copy
import json

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import adjoint as ad
from adjoint.view import DocumentError, document, svg
from adjoint.view.document import from_bytes
from adjoint.view.schema import problem, published

VALIDATOR = jsonschema.Draft202012Validator(published())


def samples():
    x = ad.tensor(np.linspace(-1.0, 1.0, 80).reshape(8, 10), name="x")
    f = (ad.maximum(x, 0.0) @ ad.tensor(np.ones(10), name="w")).sum() * ad.stop_gradient(ad.tensor(np.inf))
    f.backward()
    net = ad.nn.Sequential(ad.nn.Linear(3, 2), ad.nn.Tanh())
    yield document(f, detail="histograms", view={"budget": 9, "digits": 2, "open": ["a"], "closed": []})
    yield document(f, detail="full", runs={"first": {"loss": [1.0, float("nan")]}})
    yield document(net, [[1.0, 2.0, 3.0]], detail="structure")


SAMPLES = list(samples())


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(published())


@pytest.mark.parametrize("made", SAMPLES)
def test_what_is_written_fits(made):
    VALIDATOR.validate(made)
    assert problem(made) is None


def _places(data, path=()):
    yield path
    for key, each in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from _places(each, (*path, key))


WRONG = (None, True, -2, 0.5, "text", "nan", "12", [], {}, [None], {"data": []}, {"extra": 1}, 10**30)


@st.composite
def changed(draw):
    """A document with one thing in it replaced, renamed or added."""
    made = copy.deepcopy(draw(st.sampled_from(SAMPLES)))
    *steps, last = draw(st.sampled_from([path for path in _places(made) if path]))
    holder = made
    for step in steps:
        holder = holder[step]
    if draw(st.booleans()):
        holder[last] = draw(st.sampled_from(WRONG))
    elif isinstance(holder, dict):
        holder[f"{last}x"] = holder.pop(last)
    else:
        holder.append({"extra": 1})
    return made


@given(changed())
def test_both_readers_agree_on_changed_documents(made):
    assert (problem(made) is None) == VALIDATOR.is_valid(made)


@given(changed())
def test_a_changed_document_is_refused_or_can_be_drawn(made):
    try:
        read = from_bytes(json.dumps(made))
    except DocumentError:
        return
    assert svg(read).startswith("<svg ")


def test_a_number_as_text_ends_where_the_text_ends():
    made = copy.deepcopy(SAMPLES[1])
    made["runs"][0]["series"]["loss"][1] = "12\n"  # Python's $ would let it pass, that of JavaScript does not
    assert problem(made) == "expected a number at runs[0].series['loss'][1], got '12\\n'"
