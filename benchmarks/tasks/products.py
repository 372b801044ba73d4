"""Matrix products alone beside NumPy, whose products are OpenBLAS: squares, and those of the steps measured here.

A layer of a network has three: forward x w, gradient of the weights xᵀ g, and of its input g wᵀ. Small ones stand
sixteen to a call, on operands of their own, as a step has several to a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.task import Inputs, Target, Task, Work

SQUARES = (512, 1024, 2048, 4096)
NETWORKS = (
    (32, (64, 100, 10)),
    (200, (3072, 100, 10)),
    (128, (784, 500, 10)),
    (128, (784, 512, 256, 10)),
    (1024, (4096, 4096, 1000)),
)
SMALL, TOGETHER = 20e6, 16  # floating-point operations below which so many stand in a call

Shape = tuple[int, int, int, str]  # rows, inner, columns, and what is transposed: "", "a" or "b"


def of_network(rows: int, sizes: Sequence[int]) -> Iterator[Shape]:
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        yield rows, n_in, n_out, ""
        yield n_in, rows, n_out, "a"
        if layer:
            yield rows, n_out, n_in, "b"


def shapes() -> list[Shape]:
    """Each once, in the order of the report."""
    squares: list[Shape] = [(n, n, n, "") for n in SQUARES]
    return list(dict.fromkeys([*squares, *(shape for network in NETWORKS for shape in of_network(*network))]))


def product(shape: Shape, a: Any, b: Any) -> Any:
    transposed = shape[-1]
    return (a.T if transposed == "a" else a) @ (b.T if transposed == "b" else b)


def inputs(shape: Shape) -> Inputs:
    rows, inner, columns, transposed = shape
    rng = np.random.default_rng(0)
    a = (inner, rows) if transposed == "a" else (rows, inner)
    b = (columns, inner) if transposed == "b" else (inner, columns)
    count = TOGETHER if 2 * rows * inner * columns < SMALL else 1
    pairs = [(rng.standard_normal(a, np.float32), rng.standard_normal(b, np.float32)) for _ in range(count)]
    return {"shape": shape, "pairs": pairs}


def work(given: Inputs, run: Any) -> Work:
    def check() -> dict[str, Any]:
        """Sums over rows and over columns, scaled to numbers around 1: one wrong element shows in both."""
        rows, inner, columns, _ = given["shape"]
        results = {}
        for i, c in enumerate(np.asarray(c, np.float64) for c in run()):
            results[f"product {i}, rows"] = c.sum(axis=1) / (inner * columns) ** 0.5
            results[f"product {i}, columns"] = c.sum(axis=0) / (inner * rows) ** 0.5
        return results

    return Work(run, check, units=len(given["pairs"]))


def numpy(given: Inputs) -> Work:
    shape, pairs = given.values()
    return work(given, lambda: [product(shape, a, b) for a, b in pairs])


def adjoint(given: Inputs) -> Work:
    import adjoint as ad

    shape, pairs = given.values()
    flat = [x for pair in pairs for x in pair]  # a container is taken apart at every call
    compiled = ad.compile(lambda *xs: [product(shape, a, b) for a, b in zip(xs[::2], xs[1::2], strict=True)])
    return work(given, lambda: compiled(*flat))


def task_of(shape: Shape) -> Task:
    rows, inner, columns, transposed = shape
    form = {"": "a b", "a": "aᵀ b", "b": "a bᵀ"}[transposed]
    small = 2 * rows * inner * columns < SMALL
    task = Task(
        module=__name__,
        variant=f"{rows}_{inner}_{columns}" + (f"_{transposed}" if transposed else ""),
        title=f"The product {form}, {rows} x {inner} x {columns}, float32" + (f", {TOGETHER} a call" if small else ""),
        unit="µs" if rows * inner * columns < 1e9 else "ms",
        inputs=lambda: inputs(shape),
        targets=(Target("at least 95 % of the speed of OpenBLAS", 1 / 0.95, against="numpy"),),
        tolerance=1e-3,
    )
    task.peer("numpy")(numpy)
    task.peer("adjoint", note="ad.compile")(adjoint)
    return task


tasks = [task_of(shape) for shape in shapes()]
