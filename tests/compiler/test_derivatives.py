"""Derivatives taken inside a compiled function: their numbers, and whether they are arrays or Tensors."""

import numpy as np
import pytest
from tests.compiler.agreement import assert_agree

import adjoint as ad
from adjoint.compiler.compiled import compile as compiled

KNOWN = ad.constant(np.arange(4.0))
INSIDE = {
    "of a sum": lambda x: ad.grad(lambda x: ad.sum(x))(x),
    "of something linear": lambda x: ad.grad(lambda x: (x * KNOWN).sum())(x),
    "changed afterwards": lambda x: 3.0 * ad.grad(lambda x: ad.sum(2.0 * x))(x),
    "of a square": lambda x: ad.grad(lambda x: (x * x).sum())(x),
    "by vjp": lambda x: ad.vjp(lambda x: 2.0 * x, x)[1](np.ones(4))[0],
    "by jvp": lambda x: ad.jvp(lambda x: 2.0 * x, (x,), (np.ones(4),)),
    "hvp": lambda x: ad.hvp(lambda x: (x * x).sum(), (x,), (np.ones(4),)),
    "jacobian": lambda x: ad.jacobian(lambda x: x**3)(x).todense(),
    "hessian": lambda x: ad.hessian(lambda x: (x**3).sum())(x).todense(),
    "a constant": lambda x: ad.constant(np.ones(4)),
}


@pytest.mark.parametrize("kind", [np.asarray, ad.constant, ad.tensor])
@pytest.mark.parametrize("name", INSIDE)
def test_derivatives_inside_are_of_the_kind_that_eager_ones_are(name, kind):
    """Also those that do not depend on data, which a trace knows."""
    f, x = INSIDE[name], kind(np.arange(4.0))
    wanted, got = f(x), compiled(f)(x)
    assert isinstance(got, ad.Tensor) == isinstance(wanted, ad.Tensor)
    assert_agree(got, wanted)


def test_a_jacobian_leaves_a_compiled_function_as_an_array():
    got = compiled(ad.jacobian(lambda x: x * x))(np.arange(3.0))
    assert_agree(got, np.diag(2.0 * np.arange(3.0)))
