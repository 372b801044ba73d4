"""The first call of one peer in this process, timed: `python -m benchmarks.first MODULE LABEL`.

The library is imported beforehand, and so is what it would import at its first use: that is no time of compiling.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

import numpy as np

from benchmarks.tasks import declared

LATE = {
    "adjoint": ("adjoint.nn", "adjoint.optim", "adjoint.compiler.compiled"),
    "jax": ("jax.numpy",),
    "torch": ("torch._dynamo", "torch._inductor.compile_fx"),
}


def main(module: str, label: str) -> None:
    (task,) = declared(module)
    peer, given = task.peers[label], task.inputs()
    for name in (peer.module, *LATE.get(peer.library, ())):
        importlib.import_module(name)
    begin = time.perf_counter()
    result = peer.setup(given).run()
    seconds = time.perf_counter() - begin
    first = result[0] if isinstance(result, tuple) else result
    print(json.dumps({"seconds": seconds, "result": float(np.asarray(first))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
