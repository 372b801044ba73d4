"""Products of bfloat16 numbers, alone and in training steps, beside the same in float32: adjoint and PyTorch.

adjoint rounds the operands of products and keeps everything else in float32; PyTorch's autocast also rounds what comes
out of a product. All are held against NumPy in float32, so the tolerance is what rounding moves a result by: in steps
mostly by relus that it decides the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from benchmarks import networks
from benchmarks.networks import RATE, scores
from benchmarks.task import Inputs, Peer, Task, Work
from benchmarks.tasks import products

SQUARES = (512, 1024, 2048)
NETWORKS = (((784, 512, 256, 10), 128, 15), ((4096, 4096, 1000), 1024, 5))  # layers, rows, rounds


def autocast(*, narrow: bool) -> AbstractContextManager[Any]:
    import torch

    return torch.autocast("cpu", torch.bfloat16) if narrow else nullcontext()


# ---------------------------------------------------------------------------------------------------------- products


def adjoint_product(given: Inputs, *, narrow: bool) -> Work:
    import adjoint as ad

    shape, ((a, b),) = given.values()
    compiled = ad.compile(lambda a, b: products.product(shape, a, b), bfloat16=narrow)
    return products.work(given, lambda: [compiled(a, b)])


def torch_product(given: Inputs, *, narrow: bool) -> Work:
    import torch

    shape, ((a, b),) = given.values()
    a, b = torch.from_numpy(a), torch.from_numpy(b)

    def run() -> Any:
        with torch.no_grad(), autocast(narrow=narrow):
            return [products.product(shape, a, b)]

    work = products.work(given, lambda: [x.float() for x in run()])
    return Work(run, work.check)


# ------------------------------------------------------------------------------------------------------------- steps


def adjoint_step(given: Inputs, *, narrow: bool) -> Work:
    import adjoint as ad

    x, y = given["x"], given["y"]
    parameters = [ad.Parameter(p, name=f"p{i}") for i, p in enumerate(given["parameters"])]
    optimizer = ad.optim.SGD(parameters, lr=RATE)

    @ad.compile(bfloat16=narrow)
    def step(x: Any, y: Any) -> Any:
        loss = ad.nn.cross_entropy(scores(x, parameters, ad.relu), y)
        loss.backward()
        optimizer.step()
        return loss

    return networks.work(given, lambda: step(x, y), lambda: [p.value for p in parameters])


def torch_loss(parameters: Any, x: Any, y: Any, *, narrow: bool) -> Any:
    import torch

    with autocast(narrow=narrow):
        found = scores(x, parameters, torch.relu, lambda x, weight, bias: torch.addmm(bias, x, weight))
    return torch.nn.functional.cross_entropy(found.float(), y)


def torch_step(given: Inputs, *, narrow: bool) -> Work:
    return networks.torch(given, partial(torch_loss, narrow=narrow))


def torch_compiled_step(given: Inputs, *, narrow: bool) -> Work:
    return networks.torch_compile(given, partial(torch_loss, narrow=narrow))


# ------------------------------------------------------------------------------------------------------------- tasks


def peers(
    numpy: Callable[[Inputs], Work], adjoint: Callable[..., Work], **torch: Callable[..., Work]
) -> dict[str, Peer]:
    """Each library in float32 and in bfloat16, after the one that they are held against."""

    def peer(label: str, setup: Callable[..., Work], narrow: bool, note: str) -> Peer:
        return Peer(label, lambda given: setup(given, narrow=narrow), note)

    found = [
        Peer("numpy", numpy, "float32"),
        peer("adjoint.float32", adjoint, False, "ad.compile"),
        peer("adjoint", adjoint, True, "ad.compile(bfloat16=True)"),
    ]
    for way, setup in torch.items():
        label = "torch" if way == "eager" else f"torch.{way}"
        found.append(peer(f"{label}.float32", setup, False, way))
        found.append(peer(label, setup, True, f"{way}, torch.autocast to bfloat16"))
    return {peer.label: peer for peer in found}


def product_task(size: int) -> Task:
    return Task(
        module=__name__,
        variant=f"{size}",
        title=f"The product a b, {size} x {size} x {size}, of bfloat16 numbers and of float32",
        unit="ms",
        inputs=lambda: products.inputs((size, size, size, "")),
        tolerance=0.03,
        peers=peers(products.numpy, adjoint_product, eager=torch_product),
    )


def step_task(sizes: Sequence[int], rows: int, rounds: int) -> Task:
    return Task(
        module=__name__,
        variant="_".join(map(str, sizes)),
        title=f"One training step, {'-'.join(map(str, sizes))} relu, softmax cross-entropy, SGD, batch {rows}, "
        "products of bfloat16 numbers and of float32",
        unit="ms",
        inputs=lambda: networks.inputs(sizes, rows),
        tolerance=0.3,
        rounds=rounds,
        patience=60.0,
        peers=peers(networks.numpy, adjoint_step, eager=torch_step, compile=torch_compiled_step),
    )


tasks = [*map(product_task, SQUARES), *(step_task(*network) for network in NETWORKS)]
