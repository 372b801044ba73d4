"""Machine code of programs: kept on disk, run by any number of threads and processes, always with the same bytes."""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from tests.compiler.agreement import assert_bits

import adjoint as ad
from adjoint import configuration, nn, optim
from adjoint.compiler import native as module
from adjoint.compiler.buffers import Held
from adjoint.compiler.compiled import compile as compiled
from adjoint.compiler.entry import MISFIT
from adjoint.compiler.lower import lower
from adjoint.compiler.native import native
from adjoint.compiler.segments import runnable
from adjoint.compiler.trace import trace
from adjoint.compiler.turns import TURNS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(256, 16)).astype(np.float32)
LABELS = RNG.integers(0, 4, 256)


def program_of(f, *args):
    return lower(trace(f, args))


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ADJOINT_CACHE_DIR", str(tmp_path))
    return tmp_path / "objects"


@pytest.fixture
def threads():
    """Sets the number of threads, which is as before afterwards."""
    before = dict(configuration._CHOSEN)
    yield configuration.set_num_threads
    configuration._CHOSEN.clear()
    configuration._CHOSEN.update(before)


# --- a run ----------------------------------------------------------------------------------------------------------


def test_a_run_on_arrays():
    run = native(program_of(lambda x, y: (x + y, x * y), X, X), {}, "f").run
    made = [np.empty_like(X), np.empty_like(X)]
    assert run([X, X], made) == 0
    assert_bits(made[0], X + X)
    assert_bits(made[1], X * X)


def test_arrays_of_states_stay_in_the_table():
    state = ad.State(np.zeros(3))
    program = program_of(lambda x: state.assign(state + x), np.ones(3))
    ready = native(program, {0: 1}, "f", lasting=1)
    first, second = np.zeros(3), np.full(3, 5.0)
    one, other = Held(10**9, (first,), (first,)), Held(10**9 + 1, (second,), (second,))
    for held in (one, one, other, one, other, other):
        assert ready.run([np.ones(3)], [], held) == 0
    assert_bits(first, np.full(3, 3.0))
    assert_bits(second, np.full(3, 8.0))


def test_a_failed_check_is_told_once():
    program = program_of(lambda x, i: ad.take(x, i, axis=0), np.ones(3), np.array([0]))
    run, made = native(program, {}, "f").run, [np.empty(1)]
    for index, fails in ((0, False), (3, True), (1, False), (-4, True), (2, False)):
        assert (run([np.ones(3), np.array([index])], made) != 0) == fails


def test_a_status_that_nobody_has_read_is_forgotten():
    """Ctrl-C right after a run with a failed check: the next run is none of it."""
    ready = native(program_of(lambda x: ad.exp(x), np.ones(3)), {}, "f")
    made = [np.empty(3)]
    ready._memory.status.value = 1
    assert ready.run([np.ones(3)], made) == 0
    assert ready.run([np.zeros(3)], made) == 0
    assert_bits(made[0], np.ones(3))


# --- the cache ------------------------------------------------------------------------------------------------------


def test_what_was_compiled_is_not_compiled_again(own_folder, monkeypatch):
    def f(x):
        return ad.tanh(x) @ np.arange(16.0 * 3).reshape(16, 3)

    wanted = compiled(f)(X)
    entries = sorted(own_folder.iterdir())
    assert len(entries) >= 1
    monkeypatch.setattr(module, "object_code", _refuse)
    assert_bits(compiled(f)(X), wanted)
    assert sorted(own_folder.iterdir()) == entries
    with pytest.raises(AssertionError, match="it compiles"):
        compiled(f)(X[:1])


def _refuse(*_, **__):
    raise AssertionError("it compiles")


_SECOND = """
import numpy as np, adjoint as ad
from adjoint.compiler import native, own_code
from adjoint.compiler.compiled import compile as compiled
from adjoint.compiler.entry import MISFIT

def refuse(*_):
    raise AssertionError("it compiles")

if {second}:
    native.object_code = own_code.object_code = refuse
net = ad.nn.Sequential(ad.nn.Linear(4, 5), ad.nn.ReLU(), ad.nn.Linear(5, 3))
opt = ad.optim.Adam(net, lr=0.01)

@compiled
def step(x, y):
    loss = ad.nn.cross_entropy(net(x), y)
    loss.backward()
    opt.step()
    return loss

x, y = np.ones((6, 4), np.float32), np.arange(6) % 3
print(step.epoch(np.arange(6).reshape(3, 2), x, y).tobytes().hex(), step(x, y).value.tobytes().hex())
"""


def test_a_second_process_compiles_nothing(tmp_path):
    environment = {**os.environ, "ADJOINT_CACHE_DIR": str(tmp_path)}
    said = []
    for second in (False, True):
        code = _SECOND.format(second=second)
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == said[1] != ""


def test_the_key_is_all_that_code_depends_on(threads):
    state = ad.State(np.zeros(16, np.float32))

    def key(f=lambda x: x * 2.0 + state, x=X, *, states=None, fast=False, lasting=1):
        return module._key(program_of(f, x), states or {}, configuration.num_threads(), fast, lasting)

    base = key()
    assert key() == base
    others = [
        key(lambda x: x * 3.0 + state),
        key(lambda x: x * np.float32(2.0) + state + X[0]),
        key(lambda x: x * np.float32(2.0) + state + X[1]),
        key(lambda x: x + 2.0 * state),
        key(x=X[:1]),
        key(x=X.astype(float)),
        key(states={0: 1}),
        key(fast=True),
        key(lasting=0),
    ]
    threads(configuration.num_threads() + 1)
    assert len({base, *others, key()}) == len(others) + 2


def test_constants_come_back_from_the_cache(own_folder):
    table = RNG.normal(size=(16, 40))
    odd = np.arange(7, dtype=np.int8)

    def f(x):
        return x @ table, ad.take(ad.constant(odd), np.array([6, 0]), axis=0), x[:, :7] * odd

    first, second = compiled(f), compiled(f)
    for got, wanted in zip(second(X), first(X), strict=True):
        assert_bits(got, wanted)
    constants = second.variants[0].native.constants
    assert constants
    assert all(c.flags.aligned and c.flags.c_contiguous for c in constants)


def test_no_cache_at_all(monkeypatch):
    monkeypatch.setenv("ADJOINT_CACHE_DIR", "off")
    assert_bits(compiled(lambda x: x + 41.5)(X), X + np.float32(41.5))


def test_programs_without_code_for_one_part_are_compiled_for_the_other(own_folder):
    rng = ad.random.Generator(0)
    program = program_of(lambda x: ad.exp(x * rng.normal((16,))), X)
    runnable(program, {}, "f")
    assert len(list(own_folder.iterdir())) >= 1


# --- threads and processes ------------------------------------------------------------------------------------------


def networks():
    """Name, network, optimiser, loss: each made anew."""
    rng = ad.random.Generator(3)
    plain = nn.Sequential(nn.Linear(16, 64, rng=rng), nn.ReLU(), nn.Linear(64, 4, rng=rng))
    smooth = nn.Sequential(nn.Linear(16, 64, rng=rng), nn.Tanh(), nn.Linear(64, 4, rng=rng))
    layers = [nn.Linear(16, 64, rng=rng), nn.ReLU(), nn.Dropout(0.4, rng=rng), nn.Linear(64, 4, rng=rng)]
    dropping = nn.Sequential(*layers)
    return [
        (plain, optim.SGD(plain, lr=0.05, momentum=0.9), nn.cross_entropy),
        (smooth, optim.Adam(smooth, lr=0.01), nn.cross_entropy),
        (dropping, optim.SGD(dropping, lr=0.02), nn.hinge_loss),
    ]


def trained():
    """A digest of losses and parameters of the three networks after 200 steps each: half of them one by one."""
    digest = hashlib.sha256()
    for net, optimizer, loss in networks():
        step = compiled(_step(net, optimizer, loss))
        order = np.random.default_rng(1).permutation(np.tile(np.arange(256), 100)).reshape(-1, 128)
        losses = [step(X[rows], LABELS[rows]).value for rows in order[:100]]
        digest.update(np.array(losses).tobytes() + step.epoch(order[100:], X, LABELS).tobytes())
        for p in net.parameters().values():
            digest.update(p.value.tobytes())
        assert len(order) == 200
    return digest.hexdigest()


def _step(net, optimizer, loss):
    def step(x, y):
        value = loss(net(x), y)
        value.backward()
        optimizer.step()
        return value

    return step


def _trained_on(count, queue):
    configuration.set_num_threads(count)
    queue.put(trained())


def test_the_same_bytes_on_any_number_of_threads_and_in_five_processes(threads):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_trained_on, args=(count, queue)) for count in (1, 2, 4, 3, 2)]
    for process in processes:
        process.start()
    digests = set()
    for count in (1, 2, 4):
        threads(count)
        digests.add(trained())
    digests |= {queue.get(timeout=300) for _ in processes}
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(digests) == 1


def _in_threads(count, work):
    """Run a function of the thread's number in so many threads at once; their results in order."""
    results, errors, barrier = [None] * count, [], threading.Barrier(count)

    def run(i):
        try:
            barrier.wait()
            results[i] = work(i)
        except BaseException as error:  # told by the thread that waits
            errors.append(error)

    workers = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    return results


def test_one_function_from_eight_threads():
    f = compiled(lambda x, k: ad.tanh(x @ x.T * k).sum(axis=0))
    wanted = [compiled(f.__wrapped__)(X, float(i)) for i in range(8)]

    def work(i):
        return [f(X, float(i)) for _ in range(20)]

    for results, one in zip(_in_threads(8, work), wanted, strict=True):
        for result in results:
            assert_bits(result, one)
    assert len(f.variants) == 1


def test_steps_from_eight_threads_are_all_taken():
    """Each thread adds to the same states: nothing is lost, and every result is that of some whole step."""
    total = ad.State(np.zeros(1000))

    @compiled
    def add(x):
        total.assign(total + x)
        return total.min(), total.max()

    def work(i):
        return [[float(x) for x in add(np.ones(1000))] for _ in range(100)]

    seen = sorted(least for results in _in_threads(8, work) for least, most in results if least == most)
    assert seen == [float(i) for i in range(1, 801)]
    assert_bits(total.value, np.full(1000, 800.0))


def test_who_reads_while_others_step_sees_whole_steps():
    total = ad.State(np.zeros(200_000))
    add = compiled(lambda x: total.assign(total + x))
    spread = compiled(lambda: total.max() - total.min())

    def work(i):
        return [add(1.0) if i % 2 else spread().item() for _ in range(100)]

    results = _in_threads(4, work)
    assert set(results[0]) == set(results[2]) == {0.0}
    assert_bits(total.value, np.full(200_000, 200.0))


def test_who_reads_waits_for_a_step_that_is_half_done(monkeypatch):
    """A step whose native code has written half of a state when another thread wants to read it."""
    total = ad.State(np.zeros(10))
    add, read = compiled(lambda x: total.assign(total + x)), compiled(lambda: total * 1.0)
    add(1.0)
    read()
    add(1.0)
    assert set(read().value) == {2.0}
    halfway, seen = threading.Event(), []

    def half_done(given, results, held, **settings):
        (written,) = held.written
        written[:5] += given[0]
        halfway.set()
        reader.join(0.2)
        written[5:] += given[0]
        return 0

    def look():
        halfway.wait()
        seen.append(set(read().value))

    monkeypatch.setattr(add.variants[0].native, "run", half_done)
    reader = threading.Thread(target=look)
    reader.start()
    add(1.0)
    reader.join()
    assert seen == [{3.0}]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_goes_on(threads):
    threads(2)
    f = compiled(lambda x: ad.tanh(x @ x.T).sum())
    wanted = f(X)
    count = ad.State(np.zeros(3))
    tick = compiled(lambda: count.assign(count + 1.0))
    tick()
    with TURNS.assigning, TURNS.tracing:  # as if another thread were in the middle of its turn
        held = threading.Thread(target=_fork_and_check, args=(f, wanted, tick, count))
        held.start()
        held.join(60)
    assert not held.is_alive()
    assert _CHILDREN.pop() == 0
    assert_bits(count.value, np.ones(3))


_CHILDREN: list[int] = []


def _fork_and_check(f, wanted, tick, count):
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a child that waits for a lock that nobody holds would wait for ever
        try:
            tick()
            fine = f(X) == wanted and count.value[0] == 2.0 and compiled(lambda x: x - 1.0)(2.0) == 1.0
            os._exit(0 if fine else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    _CHILDREN.append(status)


# --- entering -------------------------------------------------------------------------------------------------------


class Sub(np.ndarray):
    """An array of another class."""


FITTING = np.arange(6.0).reshape(2, 3)
MISFITS = {
    "rows": FITTING[:1],
    "axes": FITTING.ravel(),
    "dtype": FITTING.astype(np.float32),
    "order": np.asfortranarray(FITTING),
    "steps": np.arange(12.0).reshape(2, 6)[:, ::2],
    "alignment": np.zeros(49, np.uint8)[1:].view(np.float64).reshape(2, 3),
    "byte order": FITTING.astype(FITTING.dtype.newbyteorder()),
    "class": FITTING.view(Sub),
    "number": 1.0,
    "nothing": None,
    "list": FITTING.tolist(),
}


@pytest.fixture(params=[True, False], ids=["natively", "in Python"])
def ready(request, monkeypatch):
    """A program that is entered by native code, or as where array objects cannot be read."""
    monkeypatch.setattr(module, "IS_READABLE", request.param and module.IS_READABLE)
    return native(program_of(lambda x, y: x + y, FITTING, np.ones(())), {}, "f")


def test_arrays_that_fit_are_entered(ready):
    made = np.empty((2, 3))
    assert ready.run((FITTING, np.ones(())), (made,), if_fit=True) == 0
    assert_bits(made, FITTING + 1.0)


@pytest.mark.parametrize("what", MISFITS)
def test_nothing_runs_on_what_does_not_fit(ready, what):
    made = np.zeros((2, 3))
    assert ready.run((MISFITS[what], np.ones(())), (made,), if_fit=True) == MISFIT
    assert_bits(made, np.zeros((2, 3)))


def test_the_number_of_arrays_must_fit(ready):
    for given in ((), (FITTING,), (FITTING, np.ones(()), FITTING)):
        assert ready.run(given, (np.zeros((2, 3)),), if_fit=True) == MISFIT


def test_empty_arrays_are_entered():
    x = np.zeros((2, 0, 3))
    program, made = native(program_of(lambda x: x + 1.0, x), {}, "f"), np.empty((2, 0, 3))
    assert program.run((x,), (made,), if_fit=True) == 0
    assert program.run((np.zeros((2, 3, 0)),), (made,), if_fit=True) == MISFIT


def test_integers_of_one_size_and_two_names():
    """NumPy has two dtypes for 64-bit integers, which are equal."""
    f = ad.compile(lambda x: x * 2)
    for dtype in ("l", "q", "l", "q"):
        assert_bits(f(np.arange(3, dtype=dtype)), np.arange(3) * 2)
