"""The threads that run compiled programs.

A compiled program is a native function `void program(ptr table, i64 part, i64 parts, ptr barrier)`. All parts run the
whole program, each doing its share of every kernel, and meet at barriers in between. Part 0 is the calling thread;
the others are workers: daemon Python threads that stay inside one native function, `work`, without the GIL.

A run is one native call: Python's signal handlers run before or after it and never find a program half started.
Taking the pool never waits: who finds it taken runs the program alone, which gives the same bits.

Elsewhere: `pool_code` emits the native side, and says how callers and workers agree; `entry` adds how Python enters a
program. Their object code is kept in the cache.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any, Final, NamedTuple

from adjoint.compiler.entry import LAYOUT, emit_entry
from adjoint.compiler.llvm import Library, ir
from adjoint.compiler.own_code import own_code
from adjoint.compiler.pool_code import (
    ABSENT,
    BARRIER_BYTES,
    BLOCK_BYTES,
    CPUS,
    LINE,
    LOCK,
    MAX_THREADS,
    SLOTS,
    STATE,
    emit_barrier,
    pool_module,
)
from adjoint.configuration import usable_cpus

__all__ = ["BARRIER_BYTES", "caller", "emit_barrier", "entrance", "run"]

_PATIENCE: Final = 1.0  # seconds that the interpreter's end waits for a running program


class _Native(NamedTuple):
    """The pool's functions, ready to be called. Words are converted by ctypes fastest as pointers."""

    solo: Callable[[int, int], None]
    start: Callable[[int, int, int, int], None]
    stop: Callable[[int], int | None]
    work: Callable[[int, int], None]
    enter: Callable[[int, tuple[Any, ...], tuple[Any, ...]], int]
    place: Callable[[int, tuple[Any, ...]], None]
    library: Library


def _module() -> ir.Module:
    module = pool_module()
    emit_entry(module)
    return module


@cache
def _native() -> _Native:
    library = Library(own_code("adjoint.pool", _module, LAYOUT))
    word, objects = ctypes.c_void_p, ctypes.py_object

    def prepared(name: str, *arguments: Any, returns: Any = None) -> Any:
        return ctypes.CFUNCTYPE(returns, *arguments)(library.address(name))

    return _Native(
        solo=prepared("solo", word, word),
        start=prepared("start", word, word, word, word),
        stop=prepared("stop", word, returns=word),
        work=prepared("work", word, word),
        enter=prepared("enter", word, objects, objects, returns=ctypes.c_int64),
        place=prepared("place", word, objects),
        library=library,
    )


class _Block:
    """The memory that a pool shares with native code, with a lock in each slot."""

    def __init__(self) -> None:
        self._memory: Final = ctypes.create_string_buffer(BLOCK_BYTES + LINE)
        self.address: Final = -(-ctypes.addressof(self._memory) // LINE) * LINE
        ctypes.c_int64.from_address(self.address + CPUS).value = usable_cpus()

    def add_lock(self, index: int) -> None:
        """A lock that its worker can park on: taken, and released by whoever has work for it."""
        if self._word(index, LOCK).value:  # its worker may be parked on it
            return
        api = ctypes.pythonapi
        allocate = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThread_allocate_lock", api))
        acquire = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(("PyThread_acquire_lock", api))
        lock = allocate()
        if lock is None:
            raise MemoryError
        acquire(lock, 1)
        self._word(index, LOCK).value = lock

    def state(self, index: int) -> int:
        """The state of a worker."""
        return self._word(index, STATE).value

    def _word(self, index: int, offset: int) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(self.address + SLOTS + index * LINE + offset)


class _Pool:
    """Workers that run one program at a time. They start when they are first needed and stay."""

    def __init__(self) -> None:
        self.block: Final = _Block()
        self.size = 1  # parts that can run, the caller's among them
        self.limit = MAX_THREADS
        self._growing: Final = threading.Lock()
        self._workers: Final[list[threading.Thread]] = []

    def grow(self, threads: int) -> None:
        """Start workers until `threads` parts can run, or as many as the system lets us."""
        with self._growing:
            try:
                while self.size < min(threads, self.limit):
                    self._add(self.size)
                    self.size += 1
            except (RuntimeError, MemoryError):  # no more threads: any number gives the same results
                self.limit = self.size

    def _add(self, index: int) -> None:
        """Start the worker of a slot. If Ctrl-C came in between, it may exist already; then the new one leaves."""
        self.block.add_lock(index)
        # The arguments keep block and code alive for as long as the thread lives, also past the interpreter's end.
        worker = threading.Thread(target=_work, args=(_native(), self.block, index), daemon=True)
        worker.name = f"adjoint-{index}"
        self._workers.append(worker)
        worker.start()
        while self.block.state(index) == ABSENT and worker.is_alive():
            time.sleep(1e-5)

    def close(self) -> None:
        """Send the workers home and wait for them; programs run on the calling thread from then on."""
        self.limit = 1
        if self.size == 1:
            return
        deadline = time.monotonic() + _PATIENCE
        while not _native().stop(self.block.address):
            if time.monotonic() > deadline:  # a program that runs on in a daemon thread: it keeps what it uses alive
                return
            time.sleep(1e-3)
        for worker in self._workers:
            with suppress(RuntimeError):  # never started
                worker.join(_PATIENCE)


def _work(native: _Native, block: _Block, index: int) -> None:
    native.work(block.address, index)


_POOL = _Pool()


def _rebuild() -> None:
    """A forked child has its parent's memory but none of its threads: a new pool, the old one is never touched."""
    global _POOL  # noqa: PLW0603 (one pool per process is the concept)
    _POOL = _Pool()


def _close() -> None:
    _POOL.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_rebuild)
atexit.register(_close)


def caller(program: int) -> Callable[[int], None]:
    """The program at this address as a function of the table's address, on the calling thread alone."""
    return partial(_native().solo, program)


def entrance() -> tuple[Callable[..., int], Callable[..., None]]:
    """`enter` and `place` of `entry`."""
    return _native().enter, _native().place


def run(program: int, table: int, threads: int) -> None:
    """Run the program at an address on up to `threads` parts.

    Fewer take part if the pool is taken by another program or the system gives no more threads.
    """
    if threads == 1:
        return _native().solo(program, table)
    pool = _POOL
    if threads > pool.size and pool.size < pool.limit:
        pool.grow(threads)
    _native().start(pool.block.address, program, table, threads)
