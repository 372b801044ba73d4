"""Machine code of a program, with the memory that it runs in.

`native` builds it, or takes it from the cache: the key is the text of the program as it was lowered, its constants, the
machine, the version and the compiler's own source, so that a hit skips every pass. `Native.run` is one call with a
table of addresses; those of states stay in it from run to run.

Arrays are passed in tuples, and native code looks at them and reads their addresses (`entry`).
"""

from __future__ import annotations

import ctypes
import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

import adjoint
from adjoint.compiler import pool
from adjoint.compiler.buffers import NOTHING, Held
from adjoint.compiler.cache import ObjectCache
from adjoint.compiler.crew import Crew
from adjoint.compiler.emit import Emitted, emit
from adjoint.compiler.entry import IS_READABLE, MISFIT, Kind, desk, fits, place_slowly
from adjoint.compiler.fuse import Groups
from adjoint.compiler.llvm import Library, machine, object_code
from adjoint.compiler.own_code import own_digest
from adjoint.compiler.prepare import NORMAL, with_own_results
from adjoint.compiler.program import Program
from adjoint.compiler.schedule import HEADER
from adjoint.compiler.simplify import EXACT, FAST, simplify
from adjoint.configuration import num_threads

_FORMAT: Final = "adjoint program, format 1"
_LINE: Final = 64
_WORD: Final = ctypes.sizeof(ctypes.c_void_p)


class Layout(NamedTuple):
    """What a caller must know of the code: bytes of the arena, threads that it was made for, whether it shares work."""

    arena: int
    threads: int
    is_shared: bool


class Places(NamedTuple):
    """Which arrays of a table are what: given ones, those of states, results, and those of states that are written."""

    given: int
    read: int
    results: int
    written: int

    @classmethod
    def of(cls, program: Program, states: Mapping[int, int], lasting: int) -> Places:
        """Of a program whose last inputs, so many, are states, and whose last outputs their new values."""
        inputs, outputs = len(program.inputs), len(program.outputs)
        return cls(inputs - lasting, lasting, outputs - len(states), len(states))


class Stages(NamedTuple):
    """The forms of a program on its way to machine code, for people to look at."""

    lowered: Program
    simplified: Program
    groups: Groups
    emitted: Emitted


def stages(
    program: Program, states: Mapping[int, int], threads: int, *, fast: bool = False, lasting: int = 0
) -> Stages:
    """Every form of a program; `states` has for outputs that are new values of states which input the old one is.

    The last inputs, `lasting` of them, are arrays that stay the same from call to call.
    """
    simple = with_own_results(simplify(program, (*(FAST if fast else EXACT), *NORMAL)))
    groups = Groups(simple)
    emitted = emit(groups, dict(states), threads)
    return Stages(program, simple, groups, emitted)


class Native:
    """A program ready to run.

    Invariant: the arena and the table belong to one run at a time; a run takes others if they are in use.
    """

    def __init__(
        self, code: bytes, layout: Layout, constants: Sequence[Any], places: Places, kinds: Sequence[Kind]
    ) -> None:
        """Of object code; `kinds` are those of the arrays that are given."""
        self.code: Final = code
        self.layout: Final = layout
        self.constants: Final = tuple(np.require(c, requirements=("C", "A")) for c in constants)
        self.places: Final = places
        self.kinds: Final = tuple(kinds)
        self._library: Final = Library(code)
        self.program: Final = self._library.address("program")
        enter, place = pool.entrance()
        self._enter: Final = enter if IS_READABLE else self._enter_slowly
        self.place: Final = place if IS_READABLE else place_slowly
        self.crew: Final = Crew()
        #: Whether to enter the program is to run it.
        self.is_entered: Final = IS_READABLE and not layout.is_shared
        #: Steps that take about one turn of `epochs`, as far as is known.
        self.steps_a_turn = 1
        self._lock: Final = threading.Lock()
        self._memory: Final = Memory(self)

    @property
    def threads(self) -> int:
        """Threads that a run takes now."""
        return min(self.layout.threads, num_threads()) if self.layout.is_shared else 1

    def memory(self, arrays: Sequence[Any]) -> Memory:
        """Memory of one's own for runs on these arrays, whose addresses are in the table."""
        memory = Memory(self)
        self.place(memory.slot(0), tuple(arrays))
        return memory

    def run(
        self, given: Sequence[Any], results: Sequence[Any] = (), held: Held = NOTHING, *, if_fit: bool = False
    ) -> int:
        """Run on the arrays of all inputs and outputs, each C-contiguous and of its dtype.

        Not 0 if a check failed: then nothing was assigned. `if_fit`: nothing is known about the arrays that are given;
        `MISFIT` if they are other ones than the program was made for, which then does not run.
        """
        if not self._lock.acquire(False):
            return self._run_in(Memory(self), tuple(given), tuple(results), held, if_fit)
        try:
            return self._run_in(self._memory, tuple(given), tuple(results), held, if_fit)
        finally:
            self._lock.release()

    def _run_in(
        self, memory: Memory, given: tuple[Any, ...], results: tuple[Any, ...], held: Held, if_fit: bool
    ) -> int:
        if memory.filled != held.number:
            self._fill(memory, held)
        status = self._enter(memory.desk, given, results)
        if status != MISFIT:
            if self.is_entered:
                return status
        elif if_fit:
            return status
        else:  # they fit all the same: another class of arrays, another name of the dtype
            self.place(memory.slot(0), given)
            self.place(memory.slot(self.places.given + self.places.read), results)
        memory.status.value = 0  # Ctrl-C may have kept the last run's from being read
        self.crew.run(self.program, memory.address, self.threads)
        return memory.status.value

    def _fill(self, memory: Memory, held: Held) -> None:
        memory.filled = -1
        given, read, results, _ = self.places
        self.place(memory.slot(given), held.read)
        self.place(memory.slot(given + read + results), held.written)
        memory.filled = held.number

    def _enter_slowly(self, words: int, given: tuple[Any, ...], results: tuple[Any, ...]) -> int:
        """`enter` of a program that shares its work, in Python."""
        if not fits(given, self.kinds):
            return MISFIT
        table, _, first, *_ = (ctypes.c_int64 * 3).from_address(words)
        place_slowly(table + _WORD, given)
        place_slowly(first, results)
        return 0


class Memory:
    """What one run of a program needs: the arena, the table of addresses that starts with it, and the desk."""

    def __init__(self, native: Native) -> None:
        places, constants = native.places, native.constants
        self._arena: Final = np.zeros(max(native.layout.arena, HEADER) + _LINE, np.uint8)
        start = -(-self._arena.ctypes.data // _LINE) * _LINE
        self._table: Final = (ctypes.c_void_p * (1 + sum(places) + len(constants)))()
        self._table[0] = start
        for slot, constant in enumerate(constants, 1 + sum(places)):
            self._table[slot] = constant.ctypes.data
        self.address: Final = ctypes.addressof(self._table)
        self.status: Final = ctypes.c_int64.from_address(start)
        program = native.program if native.is_entered else 0
        self._desk: Final = desk(self.address, program, self.slot(places.given + places.read), native.kinds)
        self.desk: Final = ctypes.addressof(self._desk)
        #: Number of the states' arrays whose addresses the table has; none yet.
        self.filled = -1

    def slot(self, number: int) -> int:
        """Where the address of an array stands."""
        return self.address + (1 + number) * _WORD


# --- building ---------------------------------------------------------------------------------------------------------


def native(program: Program, states: Mapping[int, int], name: str, *, fast: bool = False, lasting: int = 0) -> Native:
    """Machine code of a program, from the cache if it was made before; the arguments are those of `stages`."""
    threads = num_threads()
    places = Places.of(program, states, lasting)
    kinds = [(x.dtype, x.shape) for x in program.inputs[: places.given]]
    key = _key(program, states, threads, fast, lasting)
    objects = ObjectCache()
    kept = objects.get(key)
    if kept is not None:
        return Native(*_unpacked(kept), places, kinds)
    begin = time.perf_counter()
    emitted = stages(program, states, threads, fast=fast, lasting=lasting).emitted
    code = object_code(emitted.module, quick=True)
    layout = Layout(emitted.schedule.arena, threads, emitted.is_shared)
    constants = [c.content for c in emitted.schedule.constants]
    objects.put(key, _packed(code, layout, constants), {"name": name, "seconds": round(time.perf_counter() - begin, 3)})
    return Native(code, layout, constants, places, kinds)


def _key(program: Program, states: Mapping[int, int], threads: int, fast: bool, lasting: int) -> bytes:
    """Everything that the code depends on."""
    about = (_FORMAT, adjoint.__version__, *machine(), threads, fast, lasting, sorted(states.items()))
    digest = hashlib.sha256("\n".join(map(str, about)).encode())
    digest.update(own_digest())
    digest.update(str(program).encode())
    for value in program.every():
        if value.content is not None:
            digest.update(np.ascontiguousarray(value.content).data)
    return digest.digest()


def _packed(code: bytes, layout: Layout, constants: Sequence[Any]) -> bytes:
    from safetensors.numpy import save

    arrays: dict[str, Any] = {"code": np.frombuffer(code, np.uint8), "layout": np.array(layout, np.int64)}
    return save(arrays | {f"constant {i}": np.ascontiguousarray(c) for i, c in enumerate(constants)})


def _unpacked(kept: bytes) -> tuple[bytes, Layout, list[Any]]:
    from safetensors.numpy import load

    arrays = load(kept)
    arena, threads, is_shared = arrays["layout"].tolist()
    constants = [arrays[f"constant {i}"] for i in range(len(arrays) - 2)]
    return arrays["code"].tobytes(), Layout(arena, threads, bool(is_shared)), constants
