"""Elementary functions of the compiler against mpmath, NumPy and SciPy: ulps, special values, lane counts, symbols."""

import ctypes
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from scipy import special

from adjoint.compiler.llvm import Library, ir, object_code
from adjoint.compiler.mathematics import FUNCTIONS

INF = float("inf")
FORMATS = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
PAIRS = {"arctan2", "pow", "remainder"}


class Function(NamedTuple):
    """A function's references, and the range in which most of its points lie."""

    numpy: Callable[..., Any]
    mpmath: Callable[..., Any] | None = None
    low: float = -INF
    high: float = INF


TABLE = {
    "abs": Function(np.abs),
    "arccos": Function(np.arccos, mpmath.acos, -1, 1),
    "arcsin": Function(np.arcsin, mpmath.asin, -1, 1),
    "arctan": Function(np.arctan, mpmath.atan),
    "arctan2": Function(np.arctan2, mpmath.atan2),
    "cbrt": Function(np.cbrt, lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x))),
    "ceil": Function(np.ceil),
    "cos": Function(np.cos, mpmath.cos),
    "cosh": Function(np.cosh, mpmath.cosh, -711, 711),
    "erf": Function(special.erf, mpmath.erf, -7, 7),
    "exp": Function(np.exp, mpmath.exp, -750, 712),
    "exp2": Function(np.exp2, lambda x: mpmath.mpf(2) ** x, -1080, 1030),
    "expm1": Function(np.expm1, mpmath.expm1, -50, 712),
    "floor": Function(np.floor),
    "log": Function(np.log, mpmath.log, 0, INF),
    "log10": Function(np.log10, mpmath.log10, 0, INF),
    "log1p": Function(np.log1p, mpmath.log1p, -1, INF),
    "log2": Function(np.log2, lambda x: mpmath.log(x, 2), 0, INF),
    "pow": Function(np.power, mpmath.power),
    "remainder": Function(np.remainder),
    "round": Function(np.round),
    "sigmoid": Function(special.expit, lambda x: 1 / (1 + mpmath.exp(-x)), -750, 50),
    "sin": Function(np.sin, mpmath.sin),
    "sinh": Function(np.sinh, mpmath.sinh, -711, 711),
    "sqrt": Function(np.sqrt, mpmath.sqrt, 0, INF),
    "tan": Function(np.tan, mpmath.tan),
    "tanh": Function(np.tanh, mpmath.tanh, -25, 25),
    "trunc": Function(np.trunc),
}
ACCURATE = pytest.mark.parametrize("name", sorted(name for name, row in TABLE.items() if row.mpmath))
EXACT = sorted(name for name, row in TABLE.items() if not row.mpmath)


def kernel_module(name: str, dtype: Any, lanes: int) -> Any:
    """A module with kernel(n, inputs…, out): the function applied to arrays, so many lanes at a time."""
    element = ir.FloatType() if dtype is np.float32 else ir.DoubleType()
    kind = element if lanes == 1 else ir.VectorType(element, lanes)
    count, pointer = ir.IntType(64), kind.as_pointer()
    module = ir.Module()
    arguments = [count] + [pointer] * (3 if name in PAIRS else 2)
    kernel = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), "kernel")
    entry, head, body, done = (kernel.append_basic_block(label) for label in ("entry", "head", "body", "done"))
    ir.IRBuilder(entry).branch(head)
    builder = ir.IRBuilder(head)
    n, *inputs, out = kernel.args
    i = builder.phi(count)
    i.add_incoming(count(0), entry)
    builder.cbranch(builder.icmp_signed("<", i, n), body, done)
    builder.position_at_end(body)
    values = [builder.load(builder.gep(pointer, [i]), align=dtype().itemsize) for pointer in inputs]
    builder.store(FUNCTIONS[name](builder, *values), builder.gep(out, [i]), align=dtype().itemsize)
    i.add_incoming(builder.add(i, count(1)), builder.block)
    builder.branch(head)
    ir.IRBuilder(done).ret_void()
    return module


@cache
def compiled(name: str, dtype: Any, lanes: int) -> Callable[..., Any]:
    """The function on arrays."""
    library = Library(object_code(kernel_module(name, dtype, lanes)))

    def call(*inputs: Any) -> Any:
        padded = [np.concatenate([x.astype(dtype), np.ones(-x.size % lanes, dtype)]) for x in inputs]
        out = np.empty_like(padded[0])
        kinds = [ctypes.c_int64] + [ctypes.c_void_p] * (len(inputs) + 1)
        kernel = ctypes.CFUNCTYPE(None, *kinds)(library.address("kernel"))
        kernel(out.size // lanes, *(x.ctypes.data for x in padded), out.ctypes.data)
        return out[: inputs[0].size]

    return call


def apply(name: str, *inputs: Any, lanes: int = 8) -> Any:
    """The function by word on arrays of one dtype."""
    return compiled(name, inputs[0].dtype.type, lanes)(*inputs)


def points(name: str, dtype: Any, count: int) -> list[Any]:
    """Inputs in the function's domain: every exponent, the middle of the range, and near 0, 1 and multiples of π/2."""
    row = TABLE[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    integers = np.uint32 if dtype is np.float32 else np.uint64
    low, high = max(row.low, -200.0), min(row.high, 200.0)
    anywhere = rng.integers(0, np.iinfo(integers).max, count // 4, integers, endpoint=True).view(dtype)
    ranges = [
        rng.uniform(max(row.low, -2000.0), min(row.high, 2000.0), count // 8),
        rng.uniform(low, high, count // 8),
        rng.uniform(max(low, -3.0), min(high, 3.0), count // 4),
        rng.integers(-300, 300, count // 8) * (np.pi / 2),
        1 + rng.normal(size=count // 8) * 2.0 ** rng.uniform(-20, -1, count // 8),
    ]
    x = np.concatenate([anywhere, *(part.astype(dtype) for part in ranges)])
    x = x[np.isfinite(x) & (row.low <= x) & (x <= row.high) & (x != 0)]
    if name == "arctan2":
        return [x, rng.permutation(x)]
    if name != "pow":
        return [x]
    x = abs(x[x != 1])
    bits = 1100 if dtype is np.float64 else 160
    return [x, (rng.uniform(-bits, bits, x.size) / np.log2(x.astype(np.float64))).astype(dtype)]


def ulps(got: Any, reference: Any) -> Any:
    """Errors of float32 in its ulps against float64."""
    with np.errstate(over="ignore"):
        rounded = reference.astype(np.float32)
    both = np.isfinite(rounded) & np.isfinite(got)
    assert (both | (got == rounded)).all()
    _, exponent = np.frexp(np.where(both, abs(reference), 1.0))
    ulp = np.ldexp(1.0, np.maximum(exponent - 24, -149))
    return np.where(both, abs(got.astype(np.float64) - np.where(both, reference, 0)), 0) / ulp


def exact_ulps(got: float, reference: Any) -> float:
    """Error of a float64 in its ulps against mpmath."""
    if not np.isfinite(float(reference)) or not np.isfinite(got):
        return 0.0 if got == float(reference) else INF
    ulp = mpmath.mpf(2) ** max(mpmath.frexp(reference)[1] - 53, -1074)
    return float(abs(mpmath.mpf(got) - reference) / ulp)


def test_every_word_has_a_reference():
    assert sorted(TABLE) == sorted(FUNCTIONS)


@ACCURATE
def test_float32_within_2_ulp(name):
    inputs = points(name, np.float32, 160_000)
    assert inputs[0].size > 50_000
    with np.errstate(all="ignore"):
        reference = TABLE[name].numpy(*(x.astype(np.float64) for x in inputs))
    assert ulps(apply(name, *inputs, lanes=16), reference).max() <= 2


@ACCURATE
@FORMATS
def test_within_2_ulp_of_mpmath(name, dtype):
    inputs = points(name, dtype, 2400 if dtype is np.float64 else 240)
    got = apply(name, *inputs)
    single = dtype is np.float32
    with mpmath.workprec(140):
        for value, *x in zip(got, *inputs, strict=True):
            reference = TABLE[name].mpmath(*(mpmath.mpf(float(one)) for one in x))
            error = ulps(value[None], np.array([float(reference)])) if single else exact_ulps(float(value), reference)
            assert error <= 2, x


@FORMATS
@pytest.mark.parametrize("name", EXACT)
def test_exactly_numpys(name, dtype):
    rng = np.random.default_rng(5)
    integers = np.uint32 if dtype is np.float32 else np.uint64
    x, y = rng.integers(0, np.iinfo(integers).max, (2, 20_000), integers, endpoint=True).view(dtype)
    halves = (rng.integers(-9, 9, 4000) / 2).astype(dtype)
    x, y = np.concatenate([x, halves, halves]), np.concatenate([y, halves + 1, rng.normal(size=4000).astype(dtype)])
    inputs = [x, y] if name in PAIRS else [x]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(signed(apply(name, *inputs)), signed(TABLE[name].numpy(*inputs)))


def signed(x: Any) -> Any:
    """Values, and the signs of those that are not NaN."""
    return np.stack([x, np.signbit(x) & ~np.isnan(x)])


@FORMATS
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_special_values_are_numpys(name, dtype):
    about = np.finfo(dtype)
    values = [
        0,
        INF,
        np.nan,
        about.smallest_subnormal,
        about.tiny,
        about.max,
        about.eps,
        0.5,
        1,
        1.5,
        2,
        3,
        4,
        27,
        2.0**60,
    ]
    x = np.array(values, dtype)
    x = np.concatenate([x, -x, np.nextafter(dtype(1), x[[0, 1]])])
    inputs = [part.ravel() for part in np.meshgrid(x, x)] if name in PAIRS else [x]
    got = apply(name, *inputs)
    with np.errstate(all="ignore"):
        wide = TABLE[name].numpy(*(np.float64(x) for x in inputs)).astype(dtype)
        reference = wide if name in {"erf", "sigmoid"} else TABLE[name].numpy(*inputs)
        close = np.isfinite(got) & np.isfinite(reference) & (abs(got - reference) <= 2 * np.spacing(abs(reference)))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(reference))
    known = ~np.isnan(reference)
    np.testing.assert_array_equal(np.signbit(got)[known], np.signbit(reference)[known])
    assert (close | (got == reference))[known].all()
    zero_or_infinite = known & ((reference == 0) | np.isinf(reference))
    np.testing.assert_array_equal(got[zero_or_infinite], reference[zero_or_infinite])


@FORMATS
def test_exact_where_a_reader_expects_it(dtype):
    def one(name: str, *x: float) -> float:
        return float(apply(name, *(np.array([value], dtype) for value in x))[0])

    assert one("exp", 0) == one("cos", 0) == one("cosh", 0) == one("exp2", 0) == 1
    assert one("sigmoid", 0) == 0.5
    assert one("log", 1) == one("log2", 1) == one("log10", 1) == one("arccos", 1) == 0
    assert [one("exp2", k) for k in (-130, -3, 5, 100)] == [2.0**k for k in (-130, -3, 5, 100)]
    assert [one("log2", 2.0**k) for k in (-130, -3, 5, 100)] == [-130, -3, 5, 100]
    assert [one("log10", 10.0**k) for k in range(1, 10)] == [*range(1, 10)]
    assert [one("cbrt", k**3) for k in range(-50, 50)] == [*range(-50, 50)]
    assert [one("pow", k, 2) for k in range(-50, 50)] == [k**2 for k in range(-50, 50)]
    assert one("round", 2.5) == 2
    assert one("round", 3.5) == 4


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_huge_angles_closest_to_a_multiple_of_half_pi(name):
    for dtype, worst in ((np.float64, 6381956970095103 * 2.0**797), (np.float32, 16367173 * 2.0**72)):
        x = np.array([worst, -worst, np.finfo(dtype).max, 1e22, 2.0**30, 2.0**17], dtype)
        got = apply(name, x)
        with mpmath.workprec(1300):
            reference = [TABLE[name].mpmath(mpmath.mpf(float(one))) for one in x]
        if dtype is np.float32:
            assert ulps(got, np.array([float(one) for one in reference])).max() <= 2
        else:
            assert max(exact_ulps(float(a), b) for a, b in zip(got, reference, strict=True)) <= 2


@FORMATS
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_the_same_bits_for_all_lane_counts(name, dtype):
    rng = np.random.default_rng(3)
    integers = np.uint32 if dtype is np.float32 else np.uint64
    anywhere = rng.integers(0, np.iinfo(integers).max, (2, 1200), integers, endpoint=True).view(dtype)
    inputs = np.concatenate([anywhere, rng.normal(size=(2, 2000)).astype(dtype)], axis=1)[: 2 if name in PAIRS else 1]
    first, *others = (apply(name, *inputs, lanes=lanes) for lanes in (1, 4, 16))
    for other in others:
        assert (np.isnan(first) == np.isnan(other)).all()
        known = ~np.isnan(first)
        assert (first[known].view(integers) == other[known].view(integers)).all()


def undefined_symbols(code: bytes) -> list[bytes]:
    """Names that an ELF object file leaves to the linker."""
    (start,) = struct.unpack_from("<Q", code, 40)
    size, count = struct.unpack_from("<HH", code, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, start + k * size) for k in range(count)]
    found = []
    for _, kind, _, _, offset, length, link, _, _, _ in sections:
        for symbol in range(offset, offset + length, 24) if kind == 2 else ():
            name, _, _, section = struct.unpack_from("<IBBH", code, symbol)
            text = sections[link][4] + name
            if name and section == 0:
                found.append(code[text : code.index(b"\0", text)])
    return found


@FORMATS
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_no_function_of_a_library_is_called(name, dtype):
    code = object_code(kernel_module(name, dtype, 8))
    if not code.startswith(b"\x7fELF\x02"):
        pytest.skip("reads 64-bit ELF only")
    assert undefined_symbols(code) == []


def test_several_functions_in_one_kernel():
    module = ir.Module()
    kind = ir.VectorType(ir.DoubleType(), 4)
    kernel = ir.Function(module, ir.FunctionType(ir.VoidType(), [kind.as_pointer()]), "kernel")
    builder = ir.IRBuilder(kernel.append_basic_block())
    value = builder.load(kernel.args[0], align=8)
    for name in ("sin", "cos", "exp", "tan", "abs", "log1p"):
        value = FUNCTIONS[name](builder, value)
    value = FUNCTIONS["remainder"](builder, value, value.type([0.3] * 4))
    builder.store(value, kernel.args[0], align=8)
    builder.ret_void()
    library = Library(object_code(module))
    x = np.array([0.25, -1e300, 3.0, 1e17])
    expected = np.remainder(np.log1p(abs(np.tan(np.exp(np.cos(np.sin(x)))))), 0.3)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("kernel"))(x.ctypes.data)
    np.testing.assert_allclose(x, expected, rtol=1e-13)
