"""Arrays for results: large ones are used again once nobody holds them, never before."""

import threading

import numpy as np

from adjoint.compiler.buffers import Results
from adjoint.compiler.compiled import compile

LARGE = np.arange(50_000.0)


def test_a_result_that_is_held_is_never_written_again():
    double = compile(lambda x: (x * 2.0, x.sum()))
    first, _ = double(LARGE)
    view, kept = first[10:20], first.copy()
    del first
    second, _ = double(LARGE + 1.0)
    np.testing.assert_array_equal(view, kept[10:20])
    np.testing.assert_array_equal(second, 2.0 * LARGE + 2.0)


def test_a_result_that_nobody_holds_is_used_again():
    double = compile(lambda x: x * 2.0)
    double(LARGE)
    places = {double(LARGE).ctypes.data for _ in range(5)}
    assert len(places) == 1


def test_results_are_used_again_by_turns():
    """A loop holds its last result while the next one is made."""
    double, places = compile(lambda x: x * 2.0), set()
    result = double(LARGE)
    for _ in range(6):
        result = double(LARGE)
        places.add(result.ctypes.data)
    assert len(places) == 2


def test_small_results_are_new_arrays():
    fresh = Results([((3,), np.dtype(float))])
    (first,) = fresh.take()
    fresh.keep([first])
    (second,) = fresh.take()
    assert first is not second


def test_threads_do_not_share_results():
    shift, wrong = compile(lambda x: x + 1.0), []
    double = {k: np.full(20_000, float(k)) for k in range(8)}

    def work(k):
        for _ in range(50):
            found = shift(double[k])
            if not (found == k + 1.0).all():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in double]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
