"""Worker threads and barriers: nobody is lost, nobody is early, and neither Ctrl-C, a fork nor the exit upsets them."""

import ctypes
import inspect
import subprocess
import sys
import threading
import time

import pytest

from adjoint.compiler import pool
from adjoint.compiler.cache import ObjectCache
from adjoint.compiler.llvm import ir, object_code
from adjoint.compiler.pool_code import PARKED

#: Words of a test program's table. `cells` has one word per part.
WORDS = {"errors": 0, "parts": 1, "runs": 2, "started": 3, "go_on": 4, "cells": 8}


def compiled(phases, *, waits=False):
    """A program that counts who is early at a barrier: all parts write the phase, meet, and read what all have written.

    `waits`: before that it says that it has started, and waits for `go_on`.
    """
    from adjoint.compiler.llvm import Library, constant, ir, object_code
    from adjoint.compiler.pool import emit_barrier

    word, pointer = ir.IntType(64), ir.PointerType()
    kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, pointer])
    function = ir.Function(ir.Module("test"), kind, "program")
    b = ir.IRBuilder(function.append_basic_block())
    table, part, parts, barrier = function.args

    def at(index):
        return b.gep(table, [index if isinstance(index, ir.Value) else constant(word, index)], source_etype=word)

    if waits:
        b.atomic_rmw("xchg", at(3), constant(word, 1), "seq_cst")
        loop, after = b.append_basic_block(), b.append_basic_block()
        b.branch(loop)
        b.position_at_end(loop)
        go_on = b.load_atomic(at(4), "acquire", 8, typ=word)
        b.cbranch(b.icmp_unsigned("==", go_on, constant(word, 0)), loop, after)
        b.position_at_end(after)
    for phase in range(1, phases + 1):
        b.store(constant(word, phase), at(b.add(part, constant(word, 8))))
        emit_barrier(b, barrier, parts)
        for other in range(8):
            wrong = b.icmp_unsigned("!=", b.load(at(8 + other), typ=word), constant(word, phase))
            wrong = b.and_(wrong, b.icmp_unsigned("<", constant(word, other), parts))
            b.atomic_rmw("add", at(0), b.zext(wrong, word), "monotonic")
        emit_barrier(b, barrier, parts)
    b.atomic_rmw("add", at(1), constant(word, 1), "monotonic")
    b.atomic_rmw("add", at(2), b.zext(b.icmp_unsigned("==", part, constant(word, 0)), word), "monotonic")
    b.ret_void()
    return Library(object_code(function.module))


class Program:
    """A compiled test program with a table of its own."""

    def __init__(self, phases, **how):
        self.library = compiled(phases, **how)
        self.address = self.library.address("program")
        self.table = (ctypes.c_int64 * 16)()

    def run(self, threads):
        pool.run(self.address, ctypes.addressof(self.table), threads)

    def __getattr__(self, name):
        return self.table[WORDS[name]]


def until(condition):
    """Wait for what must happen, however busy the machine is."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1e-4)


def parked(index):
    return lambda: pool._POOL.block.state(index) == PARKED


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """A cache of the tests' own, also for the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADJOINT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def library_of_phases():
    return Program(12)


@pytest.fixture
def program(library_of_phases):
    ctypes.memset(library_of_phases.table, 0, ctypes.sizeof(library_of_phases.table))
    return library_of_phases


@pytest.mark.parametrize("threads", [1, 2, 4, 8])
def test_no_part_is_early_at_a_barrier_and_all_take_part(program, threads):
    for _ in range(20):
        program.run(threads)
    assert (program.errors, program.runs, program.parts) == (0, 20, 20 * threads)


def test_thousands_of_runs_back_to_back(program):
    for _ in range(3000):
        program.run(2)
    assert (program.errors, program.runs, program.parts) == (0, 3000, 6000)


def test_the_number_of_threads_may_change_from_run_to_run(program):
    counts = [1, 3, 2, 4, 1, 4, 2, 8, 1] * 5
    for threads in counts:
        program.run(threads)
    assert (program.errors, program.runs, program.parts) == (0, len(counts), sum(counts))


def test_a_parked_worker_is_woken(program):
    for _ in range(10):
        program.run(3)
        until(parked(1))
        until(parked(2))
    program.run(3)
    assert (program.errors, program.runs, program.parts) == (0, 11, 33)


def test_no_worker_is_lost_when_work_comes_while_it_parks(program):
    program.run(2)
    until(parked(1))
    started = time.perf_counter()
    program.run(2)
    until(parked(1))
    idle = time.perf_counter() - started
    for step in range(200):  # gaps around the time after which a worker parks
        program.run(2)
        after = time.perf_counter() + min(idle, 0.002) * (0.5 + step / 200)
        while time.perf_counter() < after:
            pass
    assert (program.errors, program.runs, program.parts) == (0, 202, 404)


def test_the_caller_of_one_thread(program):
    call = pool.caller(program.address)
    call(ctypes.addressof(program.table))
    assert (program.errors, program.runs, program.parts) == (0, 1, 1)


def test_a_program_runs_alone_while_another_has_the_pool(program):
    other = Program(3, waits=True)
    thread = threading.Thread(target=other.run, args=(2,))
    thread.start()
    until(lambda: other.started)
    program.run(2)
    assert (program.runs, program.parts) == (1, 1)
    other.table[WORDS["go_on"]] = 1
    thread.join()
    assert (other.errors, other.runs, other.parts) == (0, 1, 2)
    program.run(2)
    assert (program.errors, program.runs, program.parts) == (0, 2, 3)


def test_programs_of_several_python_threads():
    programs = [Program(12) for _ in range(3)]
    threads = [threading.Thread(target=lambda p=p: [p.run(2) for _ in range(200)]) for p in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(p.errors, p.runs) for p in programs] == [(0, 200)] * 3


def test_where_no_more_threads_can_be_had_fewer_run(program, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    own = pool._Pool()
    monkeypatch.setattr(pool, "_POOL", own)
    program.run(2)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    program.run(4)
    program.run(4)
    assert (program.errors, program.runs, program.parts) == (0, 3, 6)
    own.close()
    program.run(2)
    assert (program.errors, program.runs, program.parts) == (0, 4, 7)


def test_a_worker_that_started_although_ctrl_c_came_is_used(program, monkeypatch):
    start = threading.Thread.start

    def interrupted(self):
        start(self)
        raise KeyboardInterrupt

    own = pool._Pool()
    monkeypatch.setattr(pool, "_POOL", own)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            program.run(2)
    for _ in range(3):
        program.run(2)
        until(lambda: own.block.state(1) == PARKED)
    assert (program.errors, program.runs, program.parts) == (0, 3, 6)
    own.close()


def test_barriers_are_one_function_of_a_module_without_addresses():
    module = ir.Module("two")
    word, pointer = ir.IntType(64), ir.PointerType()
    for name in ("a", "b"):
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, word]), name)
        b = ir.IRBuilder(function.append_basic_block())
        pool.emit_barrier(b, *function.args)
        b.ret_void()
    text = str(module)
    assert text.count('define internal void @"adjoint.barrier"') == 1
    assert "inttoptr" not in text
    object_code(module, position_independent=True)


# --- the cache --------------------------------------------------------------------------------------------------------


def test_code_from_the_cache_runs():
    done = [
        python("""
        program = Program(12)
        program.run(3)
        print(program.errors, program.parts)
    """)
        for _ in range(2)
    ]
    assert [(d.stdout, d.stderr, d.returncode) for d in done] == [("0 3\n", "", 0)] * 2
    assert len(ObjectCache().entries()) == 1


# --- in a process of its own ------------------------------------------------------------------------------------------


def python(script):
    """Run a script that has this file's `Program` and `until`."""
    parts = ["import ctypes, os, signal, threading, time\nfrom adjoint.compiler import pool"]
    parts += [f"from adjoint.compiler.pool_code import PARKED\nWORDS = {WORDS}"]
    parts += [inspect.getsource(part) for part in (compiled, Program, until)]
    code = "\n\n".join([*parts, inspect.cleandoc(script)])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_a_forked_child_has_a_pool_of_its_own():
    done = python("""
        program = Program(12)
        program.run(3)
        child = os.fork()
        program.run(3)
        if child == 0:
            os._exit(program.parts - 6)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        program.run(3)
        print(program.errors, program.runs, program.parts)
    """)
    assert (done.stdout, done.returncode) == ("0 3 9\n", 0), done.stderr


def test_ctrl_c_comes_after_the_program_and_the_pool_stays_usable():
    done = python("""
        program = Program(12, waits=True)

        def interrupt():
            until(lambda: program.started)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            program.table[WORDS["go_on"]] = 1

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            program.run(2)
            thread.join()
            print("not interrupted")
        except KeyboardInterrupt:
            print(program.errors, program.runs, program.parts)
        thread.join()
        program.run(2)
        print(program.errors, program.runs, program.parts)
    """)
    assert (done.stdout, done.returncode) == ("0 1 2\n0 2 4\n", 0), done.stderr


@pytest.mark.parametrize("state", ["spinning", "parked", "at work", "called after the pool"])
def test_the_interpreter_leaves_whatever_the_workers_do(state):
    done = python(f"""
        import atexit
        state = {state!r}
        program, last = Program(12), Program(3, waits=True)
        if state == "called after the pool":
            atexit.unregister(pool._close)
            atexit.register(lambda: (program.run(3), print(program.errors, program.parts)))
            atexit.register(pool._close)
        else:
            program.run(3)
            print(program.errors, program.parts)
        if state == "parked":
            until(lambda: {{pool._POOL.block.state(i) for i in (1, 2)}} == {{PARKED}})
        if state == "at work":
            pool._PATIENCE = 0.05
            threading.Thread(target=last.run, args=(3,), daemon=True).start()
            until(lambda: last.started)
    """)
    parts = 1 if state == "called after the pool" else 3
    assert (done.stdout, done.stderr, done.returncode) == (f"0 {parts}\n", "", 0)
