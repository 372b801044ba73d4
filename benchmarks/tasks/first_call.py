"""How long the first call takes in a fresh process, from arrays to the first result: nothing compiled before
("cold"), or by another process that left it in its cache on disk ("cached").

Imports are not in it, but whatever the library starts at its first use is: threads, a device.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from typing import Any

from benchmarks.task import Peer, Target, Task, Work
from benchmarks.tasks import scalar_graph, step_64_100_10, step_784_512_256_10

COLD = {"ADJOINT_CACHE_DIR": "off", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
FOLDERS = ("ADJOINT_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
# jax keeps nothing that is small or quickly compiled unless told to.
KEEP_ALL = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}


def fresh(module: str, label: str, settings: dict[str, str]) -> dict[str, Any]:
    """Seconds and result of the first call, as told by the process that made it."""
    words = [sys.executable, "-m", "benchmarks.first", module, label]
    done = subprocess.run(words, env=os.environ | settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.splitlines() or [f"the process ended with code {done.returncode}"])[-1])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def cold(module: str, label: str) -> dict[str, Any]:
    return fresh(module, label, COLD)


def cached(module: str, label: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        settings = dict.fromkeys(FOLDERS, folder) | KEEP_ALL
        fresh(module, label, settings)
        return fresh(module, label, settings)


def peer(of: Task, label: str, ask: Any) -> Peer:
    def work(_: Any) -> Work:
        return Work(
            lambda: ask(of.module, label)["seconds"],
            lambda: {"result": ask(of.module, label)["result"]},
            own_clock=True,
        )

    return Peer(label, work, of.peers[label].note)


def task_of(variant: str, of: Task, labels: Iterable[str], what: str, ask: Any, target: Target) -> Task:
    how = "a fresh process with an empty cache" if ask is cold else "a fresh process, from the cache on disk"
    return Task(
        module=__name__,
        variant=variant,
        title=f"First call of {what} in {how}",
        unit="ms",
        inputs=dict,
        targets=(target,),
        tolerance=1e-4,
        rounds=3,
        peers={label: peer(of, label, ask) for label in labels},
    )


TWO, THREE = "the 64-100-10 step", "the 784-512-256-10 step"
STEP_PEERS = ("numpy", "adjoint", "jax.jit", "torch.compile")
AT_ONCE = Target("at most 0.25 s", 0.25, "seconds")
FROM_CACHE = Target("at most 0.03 s", 0.03, "seconds")
READY = Target("ready in less than 3 s", 3.0, "seconds")

tasks = [
    task_of("two_layers", step_64_100_10.task, STEP_PEERS, TWO, cold, AT_ONCE),
    task_of("two_layers_cached", step_64_100_10.task, STEP_PEERS, TWO, cached, FROM_CACHE),
    task_of("three_layers", step_784_512_256_10.task, STEP_PEERS, THREE, cold, AT_ONCE),
    task_of("three_layers_cached", step_784_512_256_10.task, STEP_PEERS, THREE, cached, FROM_CACHE),
    task_of("scalar_graph", scalar_graph.task, ("python", "adjoint", "torch"), "the scalar graph", cold, READY),
]
