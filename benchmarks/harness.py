"""Runs one task: a process for each peer, agreement first, then samples in turn, then the targets.

Invariant: nothing is timed that was not checked against the reference. What a worker does when asked is in
`worker`.
"""

from __future__ import annotations

import json
import math
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.task import Figure, Peer, Task

ROOT = Path(__file__).resolve().parent.parent
THREADS = 2

THREAD_VARIABLES = (
    "ADJOINT_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class PeerError(Exception):
    """A peer gives no figure; the text says why, in one line."""


class Worker:
    """The process of one peer, seen from outside: one question, one answer."""

    def __init__(self, task: Task, peer: Peer, threads: int) -> None:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        # Not a pipe: nobody reads it while the worker runs, and a full one would stop the worker.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process; `close` closes it
        self._patience = task.patience
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", task.module, task.name, peer.label],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )

    def read(self) -> dict[str, Any]:
        """The next answer, or PeerError when there is none to come."""
        stream = self._process.stdout
        assert stream is not None
        if not select.select([stream], [], [], self._patience)[0]:
            raise PeerError(f"gave no answer within {self._patience:g} s")
        line = stream.readline()
        if not line:
            raise PeerError(f"its process ended with code {self._process.wait()}{self._last_words()}")
        message: dict[str, Any] = json.loads(line)
        if "missing" in message or "error" in message:
            raise PeerError(message.get("missing") or f"failed: {message['error']}")
        return message

    def _last_words(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ""

    def ask(self, op: str, **settings: Any) -> Any:
        stream = self._process.stdin
        assert stream is not None
        try:
            stream.write(json.dumps({"op": op, **settings}).encode() + b"\n")
            stream.flush()
        except BrokenPipeError:
            pass  # `read` then says how it ended
        return self.read()["result"]

    def close(self) -> None:
        self._process.kill()  # it has nothing to save, and may be at work still
        self._process.communicate()
        self._complaints.close()


@dataclass
class Row:
    """What came of one peer: seconds for one unit of work in each round, bytes where asked for."""

    label: str
    version: str
    note: str
    runs_per_sample: int = 0
    seconds: list[float] = field(default_factory=list)
    bytes_peak: float | None = None
    bytes_held: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        low, high = np.quantile(self.seconds, [0.25, 0.75])
        return float(low), float(high)


@dataclass
class Verdict:
    """A target and what was measured for it; None where adjoint or the peer is missing."""

    text: str
    at_most: float
    measure: str
    measured: float | None
    against: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.measured is None else self.measured <= self.at_most


@dataclass
class Outcome:
    """All that came of one task."""

    task: Task
    processors: int = 0
    others: float | None = None  # how many processors all else on the machine kept busy meanwhile
    rows: list[Row] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def row(self, label: str) -> Row | None:
        return next((row for row in self.rows if row.label == label), None)

    @property
    def verdicts(self) -> list[Verdict]:
        figures = {row.label: Figure(row.median, row.bytes_peak) for row in self.rows}
        return [
            Verdict(t.text, t.at_most, t.measure, t.measured(figures), t.opponent(figures)) for t in self.task.targets
        ]


def disagreement(results: dict[str, Any], reference: dict[str, Any], tolerance: float) -> str | None:
    """The first number in which a peer differs from the reference, in words; None when they agree."""
    if not results and reference:
        return "gives no results to compare"
    for name, value in results.items():
        if name not in reference:
            return f"gives {name}, which the reference does not"
        ours, theirs = np.asarray(value), np.asarray(reference[name])
        if ours.shape != theirs.shape:
            return f"{name} has shape {ours.shape}, expected {theirs.shape}"
        if not np.allclose(ours, theirs, rtol=tolerance, atol=tolerance):
            worst = np.nanargmax(np.where(np.isnan(ours), math.inf, abs(ours - theirs)))
            return f"{name} is {ours.flat[worst]:.6g}, expected {theirs.flat[worst]:.6g}"
    return None


class Run:
    """One task under way: the workers that are still in it, and the outcome as far as it is known."""

    def __init__(self, task: Task, *, threads: int, say: Callable[[str], None]) -> None:
        self.outcome = Outcome(task)
        self.workers: dict[str, Worker] = {}
        self._task, self._threads, self._say = task, threads, say

    def skip(self, label: str, reason: str) -> None:
        self.outcome.skipped[label] = reason
        self.outcome.rows = [row for row in self.outcome.rows if row.label != label]
        if label in self.workers:
            self.workers.pop(label).close()
        self._say(f"{label}: skipped, {reason}")

    def attempt(self, label: str, do: Callable[..., None], *settings: Any) -> None:
        try:
            do(*settings)
        except PeerError as error:
            self.skip(label, str(error))

    def start(self, peer: Peer) -> None:
        worker = self.workers[peer.label] = Worker(self._task, peer, self._threads)
        hello = worker.read()
        self.outcome.processors = hello["processors"]
        row = Row(peer.label, hello["version"], peer.note)
        if self._task.memory:
            self._weigh(peer, row)
        self.outcome.rows.append(row)

    def _weigh(self, peer: Peer, row: Row) -> None:
        # A process of its own: one that has worked before has memory to reuse, and would seem to need none.
        worker = Worker(self._task, peer, self._threads)
        try:
            worker.read()
            found = worker.ask("memory") or {}
        finally:
            worker.close()
        row.bytes_peak, row.bytes_held = found.get("peak"), found.get("held")

    def agree(self, label: str, reference: dict[str, Any]) -> None:
        reason = disagreement(self.workers[label].ask("check"), reference, self._task.tolerance)
        if reason:
            raise PeerError(f"disagrees with {self._task.reference.label}: {reason}")

    def calibrate(self, row: Row) -> None:
        row.runs_per_sample = self.workers[row.label].ask("calibrate")

    def sample(self, row: Row) -> None:
        row.seconds.append(self.workers[row.label].ask("sample", number=row.runs_per_sample))

    def time(self, rounds: int) -> None:
        for row in list(self.outcome.rows):
            self.attempt(row.label, self.calibrate, row)
        for turn in range(rounds):
            rows = list(self.outcome.rows)
            first = turn % max(len(rows), 1)  # so that no peer always follows the same one
            for row in rows[first:] + rows[:first]:
                self.attempt(row.label, self.sample, row)

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()


def expected(task: Task, threads: int) -> dict[str, Any]:
    """The reference's results, from a process of its own, whether or not it is timed too."""
    worker = Worker(task, task.reference, threads)
    try:
        worker.read()
        results: dict[str, Any] = worker.ask("check")
        return results
    finally:
        worker.close()


class Bystanders:
    """How much the rest of the machine works: peers whose threads wait by spinning suffer most from it."""

    def __init__(self) -> None:
        self._machine, self._own, self._begin = self._busy(), self._used(), time.monotonic()

    @staticmethod
    def _busy() -> float | None:
        """Seconds that the machine's processors have worked since it started; Linux only."""
        try:
            fields = Path("/proc/stat").read_text().splitlines()[0].split()
        except OSError:
            return None
        user, nice, system, _idle, _wait, irq, softirq = map(int, fields[1:8])
        return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _used() -> float:
        """Seconds that this process and those it has waited for have worked."""
        return sum(os.times()[:4])

    def processors(self) -> float | None:
        """Processors that others kept busy on average; right once all workers are closed."""
        machine = self._busy()
        if machine is None or self._machine is None:
            return None
        foreign = machine - self._machine - (self._used() - self._own)
        return max(0.0, foreign / (time.monotonic() - self._begin))


def chosen(task: Task, peers: Iterable[str] | None) -> list[Peer]:
    """The peers of a task that are asked for, by label or library; adjoint always is one."""
    wanted = None if peers is None else {"adjoint", *peers}
    return [p for p in task.peers.values() if wanted is None or {p.label, p.library} & wanted]


def run_task(
    task: Task,
    *,
    peers: Iterable[str] | None = None,
    rounds: int | None = None,
    threads: int = THREADS,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Check, then time, the peers of one task."""
    run, bystanders = Run(task, threads=threads, say=say), Bystanders()
    try:
        reference = expected(task, threads)
        for peer in chosen(task, peers):
            run.attempt(peer.label, run.start, peer)
        for label in list(run.workers):
            run.attempt(label, run.agree, label, reference)
        run.time(rounds or task.rounds)
    except PeerError as error:
        run.skip(task.reference.label, f"and with it the task: {error}")
        run.outcome.rows.clear()
    finally:
        run.close()
    run.outcome.others = bystanders.processors()
    return run.outcome
