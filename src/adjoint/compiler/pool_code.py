"""The pool's native code: the barrier inside compiled programs, and what callers and workers run.

What a pool shares with this code is one block of memory: a word that says whether the pool is taken, the number of
CPUs, the barrier, and one slot per worker. The first word of a slot is the worker's state, and each change has one
author:

    ABSENT -> IDLE                  the worker, when it enters `work`; only one thread can win a slot
    IDLE -> PARKED                  the worker, by compare-exchange, after about 1 ms; then it waits on its lock
    IDLE, PARKED -> WORK or STOP    who holds the pool, by exchange; finding PARKED, it releases that lock
    WORK -> IDLE                    the worker, when its part is done, which is what the caller waits for
    STOP -> ABSENT                  the worker, as it leaves

So each PARKED is followed by exactly one release and no wake-up can be lost. The lock is CPython's own `PyThread` lock:
native code can take and release it without the GIL, and a wake-up does not wait for a thread that holds the GIL.

Waiting threads first spin, then yield, then sleep: threads that only spin come to a standstill on a busy core.

Elsewhere: `pool` has the memory, the threads and the calls. Nothing here has an address of this process, so the code
can be kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from adjoint.compiler.llvm import constant, ir, machine

__all__ = [
    "ABSENT",
    "BARRIER_BYTES",
    "BLOCK_BYTES",
    "CPUS",
    "LINE",
    "LOCK",
    "MAX_THREADS",
    "PARKED",
    "SLOTS",
    "STATE",
    "emit_barrier",
    "pool_module",
]

#: Memory that a barrier needs, all zero before its first use: the counter, and 128 bytes on the generation. Two cache
#: lines each, since CPUs fetch lines in pairs.
BARRIER_BYTES: Final = 256
#: More parts than this are run as this many.
MAX_THREADS: Final = 1024

LINE: Final = 128
#: Turns of a waiting thread. `pause` takes 25 ns on Zen 4, 45 ns on newer Intel CPUs, an undisturbed yield 0.4 µs.
#: Fewer spins are worse where another process keeps a CPU busy: a yield gives it a whole slice, 3 ms, and with 100
#: spins more than one in ten runs of 200 barriers lost one. Naps come after about 8 ms, since their length is added to
#: waiting for an uneven part.
_SPINS: Final = 1000
_YIELDS: Final = 20_000
_NAP: Final = 50  # µs
_IDLE_YIELDS: Final = 2500  # then, or after _IDLE_TIME, a worker parks
_IDLE_TIME: Final = 1_000_000  # ns

ABSENT, IDLE, PARKED, WORK, STOP = range(5)
#: Byte offsets in a block and in a slot; slot 0, the caller's, is unused.
TAKEN, CPUS, BARRIER, SLOTS = 0, 8, LINE, LINE + BARRIER_BYTES
STATE, PROGRAM, TABLE, PARTS, FIRST, CPU, LOCK = range(0, 56, 8)
#: Byte offsets in a barrier. The first turn of its waits is 0, or _SPINS where more threads run than there are CPUs:
#: those wait for one that cannot run before they yield. It is beside the counter, whose line an arriving thread has.
_COUNTER, _FIRST_TURN, _GENERATION = 0, 8, LINE
BLOCK_BYTES: Final = SLOTS + MAX_THREADS * LINE

_I64: Final = ir.IntType(64)
_I32: Final = ir.IntType(32)
_PTR: Final = ir.PointerType()
_VOID: Final = ir.VoidType()


# --- the barrier, inside compiled programs ----------------------------------------------------------------------------


def emit_barrier(builder: ir.IRBuilder, barrier: ir.Value, parts: ir.Value) -> None:
    """Wait until all parts are here; what they wrote before is then seen by all. `barrier` may be null for one part."""
    builder.call(_barrier(builder.module), [barrier, parts])


def _barrier(module: ir.Module) -> ir.Function:
    """`adjoint.barrier(ptr, i64)`: the last to arrive resets the counter and starts the next generation."""
    if "adjoint.barrier" in module.globals:
        found: ir.Function = module.globals["adjoint.barrier"]
        return found
    backoff = _backoff(module)
    function, b = _function(module, "adjoint.barrier", _VOID, [_PTR, _I64], internal=True)
    memory, parts = function.args
    with b.if_then(b.icmp_unsigned("<=", parts, _i64(1))):
        b.ret_void()
    generation = _at(b, memory, _GENERATION)
    mine = _load(b, generation, "monotonic")  # before arriving: afterwards the others may already have moved on
    arrived = b.atomic_rmw("add", _at(b, memory, _COUNTER), _i64(1), "acq_rel")
    with b.if_else(b.icmp_unsigned("==", b.add(arrived, _i64(1)), parts)) as (last, others):
        with last:
            b.store(_i64(0), _at(b, memory, _COUNTER))  # nobody else touches it before the next generation is published
            _publish(b, generation, b.add(mine, _i64(1)))
        with others:
            first = _load(b, _at(b, memory, _FIRST_TURN), "monotonic")
            _wait(b, backoff, first, lambda: b.icmp_unsigned("==", _load(b, generation, "acquire"), mine))
    b.ret_void()
    return function


def _backoff(module: ir.Module) -> ir.Function:
    """`adjoint.backoff(i64 turn)`: what a waiting thread does in its turn-th turn: spin, then yield, then sleep."""
    if "adjoint.backoff" in module.globals:
        found: ir.Function = module.globals["adjoint.backoff"]
        return found
    function, b = _function(module, "adjoint.backoff", _VOID, [_I64], internal=True)
    (turn,) = function.args
    with b.if_then(b.icmp_unsigned("<", turn, _i64(_SPINS)), likely=True):
        _pause(b)
        b.ret_void()
    windows = "windows" in machine().triple
    with b.if_then(b.icmp_unsigned("<", turn, _i64(_SPINS + _YIELDS))):
        b.call(_external(module, "SwitchToThread" if windows else "sched_yield", _I32, []), [])
        b.ret_void()
    if windows:
        b.call(_external(module, "Sleep", _VOID, [_I32]), [constant(_I32, 1)])  # ms, the shortest there is
    else:
        b.call(_external(module, "usleep", _I32, [_I32]), [constant(_I32, _NAP)])
    b.ret_void()
    return function


def _pause(b: ir.IRBuilder) -> None:
    """Tell the CPU that this is a spin; by intrinsic, since inline assembly needs a parser that may not be loaded."""
    architecture = machine().triple.split("-")[0]
    if architecture in {"x86_64", "i686", "i386"}:
        b.call(_external(b.module, "llvm.x86.sse2.pause", _VOID, []), [])
    elif architecture in {"aarch64", "arm64"}:
        b.call(_external(b.module, "llvm.aarch64.hint", _VOID, [_I32]), [constant(_I32, 1)])  # 1 is `yield`


# --- the native side of the pool --------------------------------------------------------------------------------------


def pool_module() -> ir.Module:
    """A module with `solo`, `start`, `stop` and `work`."""
    module = ir.Module("adjoint.pool")
    for emit in (_emit_solo, _emit_move_away, _emit_start, _emit_stop, _emit_work):
        emit(module)
    return module


def _emit_solo(module: ir.Module) -> None:
    """`solo(program, table)`: the program as its only part."""
    function, b = _function(module, "solo", _VOID, [_I64, _PTR])
    program, table = function.args
    _call_program(b, program, table, _i64(0), _i64(1), constant(_PTR, None))
    b.ret_void()


def _emit_start(module: ir.Module) -> None:
    """`start(block, program, table, threads)`: give work to the workers, run part 0, wait until all are done."""
    function, b = _function(module, "start", _VOID, [_PTR, _I64, _PTR, _I64])
    block, program, table, threads = function.args
    taken = b.cmpxchg(_at(b, block, TAKEN), _i64(0), _i64(1), "acquire", "monotonic")
    with b.if_then(b.not_(b.extract_value(taken, 1))):
        b.call(module.globals["solo"], [program, table])
        b.ret_void()
    parts = _count_present(b, block, threads)
    crowded = b.icmp_unsigned(">", parts, b.load(_at(b, block, CPUS), typ=_I64))
    first = b.select(crowded, _i64(_SPINS), _i64(0))
    b.store(first, _at(b, block, BARRIER + _FIRST_TURN))
    cpu = b.select(crowded, _i64(-1), _current_cpu(b))
    job = ((program, PROGRAM), (table, TABLE), (parts, PARTS), (first, FIRST), (cpu, CPU))
    with _each_worker(b, block, parts) as slot:
        for value, offset in job:
            b.store(value, _at(b, slot, offset))
        _hand_over(b, slot, WORK)
    _call_program(b, program, table, _i64(0), parts, _at(b, block, BARRIER))
    with _each_worker(b, block, parts) as slot:
        state = _at(b, slot, STATE)
        _wait(b, _backoff(module), first, lambda: b.icmp_unsigned("==", _load(b, state, "acquire"), _i64(WORK)))
    _publish(b, _at(b, block, TAKEN), _i64(0))
    b.ret_void()


def _emit_stop(module: ir.Module) -> None:
    """`stop(block) -> i64`: send all workers home and keep the pool taken for ever; 0 if it is taken already."""
    function, b = _function(module, "stop", _I64, [_PTR])
    (block,) = function.args
    taken = b.cmpxchg(_at(b, block, TAKEN), _i64(0), _i64(1), "acquire", "monotonic")
    with b.if_then(b.not_(b.extract_value(taken, 1))):
        b.ret(_i64(0))
    with _each_worker(b, block, _count_present(b, block, _i64(MAX_THREADS))) as slot:
        _hand_over(b, slot, STOP)
    b.ret(_i64(1))


def _emit_work(module: ir.Module) -> None:
    """`work(block, index)`: the life of a worker."""
    function, b = _function(module, "work", _VOID, [_PTR, _I64])
    block, index = function.args
    slot = _slot(b, block, index)
    state = _at(b, slot, STATE)
    entered = b.cmpxchg(state, _i64(ABSENT), _i64(IDLE), "acq_rel", "monotonic")
    with b.if_then(b.not_(b.extract_value(entered, 1))):
        b.ret_void()
    with _while(b, lambda: b.icmp_unsigned("!=", _await_order(b, slot, state), _i64(STOP))):
        program, parts = (b.load(_at(b, slot, offset), typ=_I64) for offset in (PROGRAM, PARTS))
        table = b.load(_at(b, slot, TABLE), typ=_PTR)
        if "move_away" in module.globals:
            cpu = b.load(_at(b, slot, CPU), typ=_I64)
            with b.if_then(b.icmp_unsigned("==", cpu, _current_cpu(b)), likely=False):
                b.call(module.globals["move_away"], [cpu])
        _call_program(b, program, table, index, parts, _at(b, block, BARRIER))
        _publish(b, state, _i64(IDLE))
    _publish(b, state, _i64(ABSENT))
    b.ret_void()


def _await_order(b: ir.IRBuilder, slot: ir.Value, state: ir.Value) -> ir.Value:
    """WORK or STOP, once the state is one of them. Spins and yields, then parks."""
    turn, since = _variable(b, _load(b, _at(b, slot, FIRST), "monotonic")), _clock(b)
    limit = _i64(_SPINS + _IDLE_YIELDS)
    with _while(b, lambda: b.icmp_unsigned("==", _load(b, state, "acquire"), _i64(IDLE))):
        now = b.load(turn, typ=_I64)
        with b.if_else(b.icmp_unsigned("<", now, limit)) as (early, late):
            with early:  # no naps: an idle worker that yields for long enough parks instead
                b.call(_backoff(b.module), [_smaller(b, now, _i64(_SPINS + _YIELDS - 1))])
                b.store(b.add(now, _i64(1)), turn)
                with b.if_then(b.icmp_unsigned(">=", now, _i64(_SPINS))):  # beside a busy process a yield takes 3 ms
                    long = b.icmp_unsigned(">", b.sub(_clock(b), since), _i64(_IDLE_TIME))
                    b.store(b.select(long, limit, b.load(turn, typ=_I64)), turn)
            with late:
                parked = b.cmpxchg(state, _i64(IDLE), _i64(PARKED), "acq_rel", "monotonic")
                with b.if_then(b.extract_value(parked, 1)):
                    lock = b.load(_at(b, slot, LOCK), typ=_PTR)
                    acquire = _external(b.module, "PyThread_acquire_lock", _I32, [_PTR, _I32])
                    b.call(acquire, [lock, constant(_I32, 1)])
    return _load(b, state, "acquire")


def _emit_move_away(module: ir.Module) -> None:
    """`move_away(cpu)`: leave this CPU if there is another one, then be free again to run on any.

    A scheduler may wake a worker on its caller's CPU and leave both there for seconds while another CPU is idle (Linux
    in a virtual machine takes a halted CPU for a busy one); each barrier then costs two switches, 4 µs.
    """
    if "linux" not in machine().triple:
        return
    function, b = _function(module, "move_away", _VOID, [_I64])
    (cpu,) = function.args
    size = MAX_THREADS // 8
    mask = b.alloca(_I64, size // 8)
    get, put = (_external(module, f"sched_{verb}affinity", _I32, [_I32, _I64, _PTR]) for verb in ("get", "set"))
    arguments = [constant(_I32, 0), _i64(size), mask]
    got = b.icmp_signed("==", b.call(get, arguments), constant(_I32, 0))
    with b.if_then(b.and_(got, b.icmp_unsigned("<", cpu, _i64(MAX_THREADS)))):
        word = b.gep(mask, [b.lshr(cpu, _i64(6))], source_etype=_I64)
        before = b.load(word, typ=_I64)
        b.store(b.and_(before, b.not_(b.shl(_i64(1), b.and_(cpu, _i64(63))))), word)
        b.call(put, arguments)  # fails, and changes nothing, if no CPU is left
        b.store(before, word)
        b.call(put, arguments)
    b.ret_void()


def _clock(b: ir.IRBuilder) -> ir.Value:
    """Nanoseconds of a steady clock, where it can be read in a few; else 0."""
    if "linux" not in machine().triple:
        return _i64(0)
    with b.goto_entry_block():
        moment = b.alloca(_I64, 2)
    clock = _external(b.module, "clock_gettime", _I32, [_I32, _PTR])
    b.call(clock, [constant(_I32, 1), moment])  # 1 is CLOCK_MONOTONIC
    seconds, nanoseconds = (b.load(_at(b, moment, offset), typ=_I64) for offset in (0, 8))
    return b.add(b.mul(seconds, _i64(10**9)), nanoseconds)


def _current_cpu(b: ir.IRBuilder) -> ir.Value:
    """Number of the CPU that this thread is on, where that can be asked in a few nanoseconds; else 0."""
    if "linux" not in machine().triple:
        return _i64(0)
    return b.zext(b.call(_external(b.module, "sched_getcpu", _I32, []), []), _I64)


def _hand_over(b: ir.IRBuilder, slot: ir.Value, order: int) -> None:
    """Put WORK or STOP into a worker's state, and wake it if it was parked."""
    found = b.atomic_rmw("xchg", _at(b, slot, STATE), _i64(order), "acq_rel")
    with b.if_then(b.icmp_unsigned("==", found, _i64(PARKED))):
        release = _external(b.module, "PyThread_release_lock", _VOID, [_PTR])
        b.call(release, [b.load(_at(b, slot, LOCK), typ=_PTR)])


def _count_present(b: ir.IRBuilder, block: ir.Value, threads: ir.Value) -> ir.Value:
    """Parts to run: at most `threads`, and only workers that have entered `work`, which a new thread may not yet."""
    parts = _variable(b, _i64(1))

    def more() -> ir.Value:
        now = b.load(parts, typ=_I64)
        state = _load(b, _slot(b, block, _smaller(b, now, _i64(MAX_THREADS - 1))), "monotonic")
        enough = b.icmp_unsigned(">=", now, _smaller(b, threads, _i64(MAX_THREADS)))
        return b.not_(b.or_(enough, b.icmp_unsigned("==", state, _i64(ABSENT))))

    with _while(b, more):
        b.store(b.add(b.load(parts, typ=_I64), _i64(1)), parts)
    return b.load(parts, typ=_I64)


# --- words for emitting -----------------------------------------------------------------------------------------------


def _function(
    module: ir.Module, name: str, returns: ir.Type, kinds: list[ir.Type], *, internal: bool = False
) -> tuple[ir.Function, ir.IRBuilder]:
    function = ir.Function(module, ir.FunctionType(returns, kinds), name)
    if internal:
        function.linkage = "internal"
        function.attributes.add("noinline")  # a program has hundreds of barriers
    return function, ir.IRBuilder(function.append_basic_block())


def _external(module: ir.Module, name: str, returns: ir.Type, kinds: list[ir.Type]) -> ir.Function:
    """A function of the process or an intrinsic, found by name when the code is loaded: code holds no addresses."""
    if name in module.globals:
        found: ir.Function = module.globals[name]
        return found
    return ir.Function(module, ir.FunctionType(returns, kinds), name)


def _call_program(b: ir.IRBuilder, program: ir.Value, table: ir.Value, *rest: ir.Value) -> None:
    """Call an address. It comes as a number: llvmlite takes a function's type from the pointer it is cast to."""
    kind = ir.FunctionType(_VOID, [_PTR, _I64, _I64, _PTR])
    b.call(b.inttoptr(program, kind.as_pointer()), [table, *rest])


def _i64(value: int) -> Any:
    return constant(_I64, value)


def _at(b: ir.IRBuilder, pointer: ir.Value, offset: int) -> ir.Value:
    return b.gep(pointer, [_i64(offset)], source_etype=ir.IntType(8))


def _slot(b: ir.IRBuilder, block: ir.Value, index: ir.Value) -> ir.Value:
    return b.gep(_at(b, block, SLOTS), [b.mul(index, _i64(LINE))], source_etype=ir.IntType(8))


def _load(b: ir.IRBuilder, pointer: ir.Value, ordering: str) -> ir.Value:
    return b.load_atomic(pointer, ordering, 8, typ=_I64)


def _publish(b: ir.IRBuilder, pointer: ir.Value, value: ir.Value) -> None:
    """Store with release order; as an exchange, since llvmlite's atomic store refuses pointers without a type."""
    b.atomic_rmw("xchg", pointer, value, "release")


def _smaller(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return b.select(b.icmp_unsigned("<", x, y), x, y)


def _variable(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A variable with a first value; its memory is taken in the entry block, since in a loop the stack would grow."""
    with b.goto_entry_block():
        memory = b.alloca(value.type)
    b.store(value, memory)
    return memory


@contextmanager
def _while(b: ir.IRBuilder, condition: Callable[[], ir.Value]) -> Iterator[None]:
    head, body, after = (b.append_basic_block() for _ in range(3))
    b.branch(head)
    b.position_at_end(head)
    b.cbranch(condition(), body, after)
    b.position_at_end(body)
    yield
    b.branch(head)
    b.position_at_end(after)


def _wait(b: ir.IRBuilder, backoff: ir.Function, first: ir.Value, condition: Callable[[], ir.Value]) -> None:
    """Back off more and more, from a first turn on, for as long as the condition holds."""
    turn = _variable(b, first)
    with _while(b, condition):
        now = b.load(turn, typ=_I64)
        b.call(backoff, [now])
        b.store(b.add(now, _i64(1)), turn)


@contextmanager
def _each_worker(b: ir.IRBuilder, block: ir.Value, parts: ir.Value) -> Iterator[ir.Value]:
    """The slots of workers 1 to parts − 1."""
    index = _variable(b, _i64(1))
    with _while(b, lambda: b.icmp_unsigned("<", b.load(index, typ=_I64), parts)):
        yield _slot(b, block, b.load(index, typ=_I64))
        b.store(b.add(b.load(index, typ=_I64), _i64(1)), index)
