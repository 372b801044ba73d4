"""Protocols: NumPy's functions and ufuncs, the array API's names, DLPack both ways, ndarrays on either side."""

import re

import numpy as np
import pytest
from scipy import special

import adjoint as ad

M = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def same(function, *arrays):
    """The function on Tensors gives what it gives on arrays, and a Tensor with a history."""
    result = function(*(ad.tensor(a) for a in arrays))
    assert isinstance(result, ad.Tensor)
    assert result.active
    np.testing.assert_allclose(result.value, function(*arrays), rtol=1e-13)
    return result


UFUNCS = [
    *(np.add, np.subtract, np.multiply, np.divide, np.true_divide, np.maximum, np.minimum),
    *(np.negative, np.absolute, np.exp, np.expm1, np.exp2, np.square, np.sin, np.cos, np.tan, np.sinh, np.cosh),
    *(np.tanh, np.arctan, np.sign, np.floor, np.ceil, np.rint, np.fabs, special.erf),
]


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda u: u.__name__)
def test_ufuncs(ufunc):
    same(ufunc, *[M, M[::-1] + 0.1][: ufunc.nin])


@pytest.mark.parametrize(
    "ufunc", [np.sqrt, np.log, np.log2, np.log10, np.log1p, np.reciprocal], ids=lambda u: u.__name__
)
def test_ufuncs_of_positive_numbers(ufunc):
    same(ufunc, np.abs(M))


def test_power_and_matmul_as_ufuncs():
    same(np.power, np.abs(M), M)
    same(np.float_power, np.abs(M), M)
    same(np.matmul, M, M.T)


COMPARISONS = [
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal, np.logical_and, np.logical_or),
    *(np.logical_not, np.isnan, np.isinf, np.isfinite),
]


@pytest.mark.parametrize("ufunc", COMPARISONS, ids=lambda u: u.__name__)
def test_comparisons_are_constants(ufunc):
    arrays = [M, M[::-1]][: ufunc.nin]
    result = ufunc(*map(ad.tensor, arrays))
    assert not result.active
    np.testing.assert_array_equal(result.value, ufunc(*arrays))


FUNCTIONS = {
    "sum": lambda x: np.sum(x),
    "sum of an axis": lambda x: np.sum(x, axis=1),
    "sum keepdims": lambda x: np.sum(x, 0, keepdims=True),
    "mean": lambda x: np.mean(x, axis=(0, 1)),
    "max": lambda x: np.max(x, axis=1),
    "amin": lambda x: np.amin(x, axis=0),
    "var": lambda x: np.var(x, axis=0),
    "std": lambda x: np.std(x),
    "reshape": lambda x: np.reshape(x, (3, -1)),
    "ravel": lambda x: np.ravel(x),
    "transpose": lambda x: np.transpose(x),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "matrix_transpose": lambda x: np.matrix_transpose(x),
    "permute_dims": lambda x: np.permute_dims(x, (1, 0)),
    "broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "concatenate": lambda x: np.concatenate([x, x], axis=1),
    "concat": lambda x: np.concat([x, 2.0 * x]),
    "stack": lambda x: np.stack([x, x], axis=-1),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "squeeze": lambda x: np.squeeze(x[:, :1]),
    "where": lambda x: np.where(x > 0.0, x, 0.1 * x),
    "clip": lambda x: np.clip(x, -0.5, 0.5),
    "clip below": lambda x: np.clip(x, 0.0, None),
    "clip by names": lambda x: np.clip(x, min=0.0, max=1.0),
    "round": lambda x: np.round(x, 1) + x,
    "dot": lambda x: np.dot(x, x.T),
    "outer": lambda x: np.outer(x[0], x[1]),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "take": lambda x: np.take(x, [2, 0], axis=1),
    "astype": lambda x: np.astype(x, np.float32),
    "add.reduce": lambda x: np.add.reduce(x),
    "maximum.reduce": lambda x: np.maximum.reduce(x, axis=1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    same(FUNCTIONS[name], M)


def test_functions_without_a_gradient():
    x = ad.tensor(M)
    for f in (np.argmax, np.argmin):
        np.testing.assert_array_equal(f(x, axis=1).value, f(M, axis=1))
    assert (np.any(x > 1.0).item(), np.all(x > 1.0).item()) == (True, False)
    np.testing.assert_array_equal(np.zeros_like(x).value, np.zeros((2, 3)))
    np.testing.assert_array_equal(np.ones_like(x).value, np.ones((2, 3)))
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 3), 2, 6)


def test_functions_of_numpy_have_gradients():
    x = ad.tensor(M)
    np.sum(np.maximum(np.concatenate([x, x]) ** 2, 1.0)).backward()
    np.testing.assert_allclose(x.grad, np.where(M**2 > 1.0, 4.0 * M, 0.0))


METHODS = {
    "sum": lambda x: x.sum(axis=0),
    "mean": lambda x: x.mean(),
    "max": lambda x: x.max(axis=1, keepdims=True),
    "min": lambda x: x.min(),
    "var": lambda x: x.var(axis=1),
    "std": lambda x: x.std(),
    "reshape": lambda x: x.reshape(3, 2),
    "reshape of a tuple": lambda x: x.reshape((3, -1)),
    "transpose": lambda x: x.transpose(),
    "transpose of axes": lambda x: x.transpose(1, 0),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "flatten": lambda x: x.flatten(),
    "ravel": lambda x: x.ravel(),
    "squeeze": lambda x: x[:, :1].squeeze(),
    "astype": lambda x: x.astype("float32"),
    "clip": lambda x: x.clip(-0.5, 0.5),
    "dot": lambda x: x.dot(x.T),
    "abs": lambda x: abs(x),
    "pos": lambda x: +x,
    "neg": lambda x: -x,
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_those_of_an_ndarray(name):
    same(METHODS[name], M)


@pytest.mark.parametrize(
    "key",
    [
        *(0, -1, slice(None), slice(0, 2), slice(None, None, -1), None, Ellipsis, (0, 1), (slice(None), 2), (None, 0)),
        *(
            [1, 0, 1],
            np.array([0, 0]),
            ([0, 1], [2, 0]),
            (slice(None), [2, 0]),
            M > 0.0,
            (0, np.array([True, False, True])),
        ),
        *((Ellipsis, slice(1, None)), ([[0], [1]], [[0, 2]]), slice(2, 2), (1, slice(None, None, 2), None)),
    ],
    ids=str,
)
def test_indexing_is_numpys_and_its_gradient_counts_the_uses(key):
    chosen = same(lambda x: x[key], M)
    x = ad.tensor(M)
    x[key].sum().backward()
    uses = np.zeros(M.size)
    np.add.at(uses, np.arange(M.size).reshape(M.shape)[key], 1.0)
    np.testing.assert_array_equal(x.grad, uses.reshape(M.shape))
    assert chosen.shape == M[key].shape


def test_indexing_by_tensors():
    x = ad.tensor(M)
    np.testing.assert_array_equal(x[ad.tensor([1, 0])].value, M[[1, 0]])
    np.testing.assert_array_equal(x[x > 0.0].value, M[M > 0])
    np.testing.assert_array_equal(x[ad.argmax(x[:, 0])].value, M[1])


def test_arrays_and_numpy_scalars_on_the_left():
    x = ad.tensor([1.0, 2.0])
    for out, expected in [
        (np.array([3.0, 4.0]) * x, [3.0, 8.0]),
        (np.float64(2.0) - x, [1.0, 0.0]),
        (np.array([[1.0, 1.0]]) @ x, [3.0]),
        (np.array([1.0, 3.0]) > x, [False, True]),
        (2**x, [2.0, 4.0]),
        (1 / x, [1.0, 0.5]),
        (np.int64(3) + x, [4.0, 5.0]),
    ]:
        assert isinstance(out, ad.Tensor)
        np.testing.assert_array_equal(out.value, expected)


# --- outside what is known ------------------------------------------------------------------------------------------


def test_unknown_functions_give_values_in_eager_code():
    x = ad.tensor(M)
    for result, expected in [
        (np.cumsum(x), np.cumsum(M)),
        (np.linalg.norm(x), np.linalg.norm(M)),
        (np.spacing(x), np.spacing(M)),
        (np.histogram(x, bins=2)[0], np.histogram(M, bins=2)[0]),
        (np.add.accumulate(x), np.add.accumulate(M)),
        (special.gammaln(x), special.gammaln(M)),
    ]:
        assert not isinstance(result, ad.Tensor)
        np.testing.assert_array_equal(result, expected)


def test_out_into_an_array_gives_values_in_eager_code():
    out = np.zeros((2, 3))
    np.multiply(ad.tensor(M), 2.0, out=out)
    np.testing.assert_array_equal(out, 2.0 * M)
    array = np.ones((2, 3))
    array += ad.tensor(M)
    np.testing.assert_array_equal(array, 1.0 + M)


def test_out_into_a_tensor_is_refused():
    x = ad.tensor(M)
    with pytest.raises(
        ad.errors.GradientError, match=re.escape("numpy.add: out= cannot be a Tensor, Tensors never change")
    ):
        np.add(x, x, out=x)


# --- array API ------------------------------------------------------------------------------------------------------


def test_the_namespace_is_this_package():
    x = ad.tensor(M)
    assert x.__array_namespace__() is ad
    assert x.__array_namespace__(api_version="2024.12") is ad
    with pytest.raises(ValueError, match=re.escape("expected an array API version up to 2024.12, got '1999.01'")):
        x.__array_namespace__(api_version="1999.01")


ARRAY_API = [
    "abs",
    "add",
    "arange",
    "argmax",
    "argmin",
    "asarray",
    "astype",
    "atan",
    "broadcast_to",
    "ceil",
    "clip",
    "concat",
    "cos",
    "cosh",
    "divide",
    "equal",
    "exp",
    "expand_dims",
    "expm1",
    "eye",
    "floor",
    "full",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "linspace",
    "log",
    "log10",
    "log1p",
    "log2",
    "logical_and",
    "logical_not",
    "logical_or",
    "matmul",
    "matrix_transpose",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "negative",
    "not_equal",
    "ones",
    "ones_like",
    "permute_dims",
    "pow",
    "reciprocal",
    "reshape",
    "round",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "take",
    "tan",
    "tanh",
    "var",
    "where",
    "zeros",
    "zeros_like",
    "from_dlpack",
    "any",
    "all",
]


@pytest.mark.parametrize("name", ARRAY_API)
def test_array_api_names_are_here(name):
    assert callable(getattr(ad, name))


def test_code_written_for_the_array_api_is_differentiable():
    def standardised(x):
        xp = x.__array_namespace__()
        x = xp.reshape(xp.permute_dims(x, (1, 0)), (-1,))
        return xp.sum(xp.pow((x - xp.mean(x)) / xp.std(x), 3.0)) * xp.asarray(2.0)

    value, gradient = ad.value_and_grad(standardised)(M)
    centred = (M - M.mean()) / M.std()
    np.testing.assert_allclose(value, 2.0 * (centred**3).sum())
    expected = 6.0 / M.std() * (centred**2 - 1.0 - centred * (centred**3).mean())
    np.testing.assert_allclose(gradient, expected)


def test_the_cpu_is_the_only_device():
    x = ad.tensor(M)
    assert x.to_device("cpu") is x
    with pytest.raises(ad.AdjointError, match="to_device: expected 'cpu', got 'gpu'"):
        x.to_device("gpu")


# --- DLPack ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "bool"])
def test_dlpack_gives_a_copy_away(dtype):
    x = ad.tensor(np.ones((2, 3), dtype))
    array = np.from_dlpack(x)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, x.value)
    if array.flags.writeable:
        array[...] = 0
    np.testing.assert_array_equal(x.value, np.ones((2, 3), dtype))


def test_dlpack_of_a_scalar():
    assert np.from_dlpack(ad.tensor(2.5)) == 2.5


def test_dlpack_never_shares():
    with pytest.raises(BufferError, match="given away as a copy only"):
        np.from_dlpack(ad.tensor([1.0]), copy=False)


def test_dlpack_takes_a_copy():
    array = np.array([1.0, 2.0])
    c = ad.from_dlpack(array)
    array[:] = 9.0
    assert isinstance(c, ad.Tensor)
    assert not c.active
    assert c.tolist() == [1.0, 2.0]
    assert ad.from_dlpack(ad.tensor([3.0])).tolist() == [3.0]
    assert ad.from_dlpack(c.value).tolist() == [1.0, 2.0]


def test_dlpack_says_cpu():
    assert ad.tensor(1.0).__dlpack_device__() == (1, 0)


# --- asarray --------------------------------------------------------------------------------------------------------


def test_asarray_follows_numpys_protocol():
    x = ad.tensor(M)
    assert not np.asarray(x).flags.writeable
    assert np.array(x).flags.writeable
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert np.shares_memory(np.asarray(x), np.asarray(x))
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(x, dtype=np.float32, copy=False)


# --- settings of NumPy's that ours do not have ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: np.concatenate([x, x], axis=None), [1.0, 2.0, 3.0, 4.0] * 2),
        (lambda x: np.concatenate([x, x]), [[1.0, 2.0], [3.0, 4.0]] * 2),
        (lambda x: np.take(x, 3), 4.0),
        (lambda x: np.take(x, [1], axis=1), [[2.0], [4.0]]),
        (lambda x: np.add.reduce(x, initial=100.0), [104.0, 106.0]),
        (lambda x: np.add.reduce(x, axis=None), 10.0),
        (lambda x: np.var(x, ddof=1), 5.0 / 3.0),
        (lambda x: np.sum(x, where=np.array([True, False])), 4.0),
        (lambda x: np.ravel(x, "F"), [1.0, 3.0, 2.0, 4.0]),
        (lambda x: np.swapaxes(x, axis1=0, axis2=1), [[1.0, 3.0], [2.0, 4.0]]),
        (lambda x: np.dot(a=x, b=x), [[7.0, 10.0], [15.0, 22.0]]),
        (lambda x: np.linalg.norm(x=x), 30.0**0.5),
    ],
)
def test_numpys_own_settings_give_numpys_results(call, expected):
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(np.asarray(call(x)), expected)
    np.testing.assert_allclose(np.asarray(call(ad.tensor(x))), expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x[0] * np.linalg.norm(x=x),
        lambda x: np.sum(x, initial=1.0),
        lambda x: np.add.reduce(x, initial=1.0),
        lambda x: np.var(x, ddof=1),
        lambda x: np.add(x, 1.0, where=np.array([True, False])).sum(),
    ],
)
def test_inside_a_transform_they_are_refused_also_by_keyword(call):
    with pytest.raises(ad.errors.GradientError, match=r"not known to adjoint \(or not with these arguments\)"):
        ad.grad(call)(np.array([3.0, 4.0]))


def test_an_index_out_of_range_is_an_index_error():
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 2"):
        ad.tensor([1.0, 2.0])[3]


def test_assigning_an_active_tensor_inside_a_transform_is_refused():
    p = ad.Parameter([1.0])

    def f(x):
        p.assign(x)
        return p.sum()

    with pytest.raises(ad.errors.GradientError, match="assign: inside grad"):
        ad.grad(f)(np.array([2.0]))
