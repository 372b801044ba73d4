"""One peer of one task in a process of its own: answers the harness, a line of JSON each, until input ends.

`python -m benchmarks.worker MODULE TASK LABEL`. Operations: `check`, `calibrate`, `sample`, `memory`. What a
library prints goes to stderr, so that only answers travel on the pipe. The collector of cycles stays on: the
graphs of some peers need it, and their users pay for it.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.task import Peer, Work
from benchmarks.tasks import declared

SAMPLE_SECONDS = 0.05  # a sample repeats short work until it lasts this long: far above the clock's grain
WARM_UP_SECONDS = 0.2
SETTLE_SECONDS = 0.15  # threads of the peer before spin for a while: those of OpenBLAS were seen to for 70 ms


def sample(work: Work, number: int) -> float:
    """Seconds for one unit of work, over `number` runs in a row."""
    gc.collect()
    time.sleep(SETTLE_SECONDS)
    begin, own = time.perf_counter(), 0.0
    for _ in range(number):
        result = work.run()
        if work.own_clock:
            own += result
    return (own if work.own_clock else time.perf_counter() - begin) / number / work.units


def calibrate(work: Work) -> int:
    """How many runs make a sample, found after the work is warm; one with a clock of its own is a sample."""
    if work.own_clock:
        return 1
    number, spent = 1, 0.0
    while True:
        seconds = sample(work, number) * number * work.units
        spent += seconds
        if spent >= WARM_UP_SECONDS and seconds >= SAMPLE_SECONDS:
            return number
        number = max(number, min(10 * number, int(1.3 * number * SAMPLE_SECONDS / max(seconds, 1e-9)) + 1))


def _status(key: str) -> int:
    """A size in bytes out of this process's status; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])
    raise OSError(f"memory: {key} is not in the status of this process")


def memory(work: Work) -> dict[str, float] | None:
    """Bytes for one unit that a first run adds to the process: at its peak, and while its result is held."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        before = _status("VmRSS")
        held = work.run()
        after, peak = _status("VmRSS"), _status("VmHWM")
    except OSError:  # no such file system, or not writable
        return None
    del held
    return {"peak": (peak - before) / work.units, "held": (after - before) / work.units}


def version(peer: Peer) -> str:
    """The version of a peer's library, however it was put in place."""
    if peer.module in sys.stdlib_module_names:
        return sys.version.split()[0]
    try:
        return importlib.metadata.version(peer.library)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules[peer.module], "__version__", "unknown"))


def prepare(module: str, name: str, label: str) -> tuple[dict[str, Any], Work | None]:
    """Import the library and build the work; a library that is not there is said, not raised."""
    task = next(task for task in declared(module) if task.name == name)
    peer = task.peers[label]
    try:
        importlib.import_module(peer.module)
    except ModuleNotFoundError as error:
        if error.name != peer.module:
            raise
        return {"missing": f"{peer.library} is not installed"}, None
    work = peer.setup(task.inputs())
    return {"ready": True, "version": version(peer), "processors": _processors()}, work


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_processors(count: int) -> None:
    """Stay on `count` processors: some libraries size their pool by these and read no variable."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _plain(results: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(value, dtype=np.float64).tolist() for name, value in results.items()}


def answer(work: Work, request: dict[str, Any]) -> dict[str, Any]:
    """Do what one line asks for."""
    operations: dict[str, Callable[[], Any]] = {
        "check": lambda: _plain(work.check()),
        "calibrate": lambda: calibrate(work),
        "sample": lambda: sample(work, request["number"]),
        "memory": lambda: memory(work),
    }
    return {"result": operations[request["op"]]()}


def guarded(do: Callable[..., Any], *settings: Any) -> Any:
    """What `do` returns, or in one line why it could not: a peer that fails must not end the run."""
    try:
        return do(*settings)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}


def main(module: str, name: str, label: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    limit_processors(int(os.environ["OMP_NUM_THREADS"]))
    prepared = guarded(prepare, module, name, label)
    message, work = prepared if isinstance(prepared, tuple) else (prepared, None)
    send(message)
    if work is None:
        return
    for line in sys.stdin:
        send(guarded(answer, work, json.loads(line)))


if __name__ == "__main__":
    main(*sys.argv[1:])
