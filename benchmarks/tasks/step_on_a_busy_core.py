"""A training step while another process keeps one core busy, beside the same step without it ("quiet").

Threads that wait for each other by spinning collapse when one of them is not running. The other process may use the
processors that the peer may use, and the system decides which; it is there only while its peer is timed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.networks import PEERS, step_task
from benchmarks.task import Inputs, Peer, Target, Work

SECONDS = 0.5  # of steps in a row: long enough for the system to move processes about
SPIN = "print(flush=True)\nwhile True: pass"

task = step_task(
    __name__,
    (784, 512, 256, 10),
    128,
    "ms",
    Target("at most 2 times its own time on quiet cores", 2.0, against="adjoint.quiet"),
)
task.title += "; one core is kept busy by another process, but for the peers named quiet"


@contextmanager
def spinning() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


def busy(setup: Callable[[Inputs], Work]) -> Callable[[Inputs], Work]:
    def build(given: Inputs) -> Work:
        quiet = setup(given)

        def run() -> float:
            with spinning():
                begin, passed, steps = time.perf_counter(), 0.0, 0
                while passed < SECONDS:
                    quiet.run()
                    passed, steps = time.perf_counter() - begin, steps + 1
                return passed / steps

        return Work(run, quiet.check, own_clock=True)

    return build


def rows(peer: Peer) -> list[Peer]:
    return [Peer(peer.label, busy(peer.setup), peer.note), Peer(f"{peer.label}.quiet", peer.setup, peer.note)]


task.peers = {row.label: row for peer in PEERS if peer.library != "scikit-learn" for row in rows(peer)}
