"""Settings of the process: what is taken for the number of threads, and what is refused."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from adjoint import configuration
from adjoint.configuration import num_threads, set_num_threads
from adjoint.errors import AdjointError, DTypeError


@pytest.fixture(autouse=True)
def untouched(monkeypatch):
    """No setting, and all as it was after the test."""
    chosen = dict(configuration._CHOSEN)
    monkeypatch.delenv("ADJOINT_NUM_THREADS", raising=False)
    configuration._CHOSEN.clear()
    configuration._default.cache_clear()
    yield
    configuration._CHOSEN.update(chosen)
    configuration._default.cache_clear()


def test_the_default_is_the_cpus_that_this_process_may_use():
    assert 1 <= num_threads() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity masks on this system")
def test_the_affinity_mask_limits_the_default(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert num_threads() == 1


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", None), ("", None), ("1 0", None)],
)
def test_the_quota_of_a_container(tmp_path: Path, text, cpus):
    file = tmp_path / "cpu.max"
    file.write_text(text + "\n")
    assert configuration._quota(str(file)) == cpus
    assert configuration._quota(str(tmp_path / "none")) is None


def test_a_quota_limits_the_default(monkeypatch):
    monkeypatch.setattr(configuration, "_quota", lambda: 1)
    assert num_threads() == 1


@pytest.mark.parametrize(("text", "threads"), [("3", 3), (" 7 ", 7)])
def test_the_environment_variable_goes_before_the_cpus(monkeypatch, text, threads):
    monkeypatch.setenv("ADJOINT_NUM_THREADS", text)
    assert num_threads() == threads


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "²"])
def test_a_bad_environment_variable_warns_and_is_ignored(monkeypatch, text):
    monkeypatch.setenv("ADJOINT_NUM_THREADS", text)
    says = (
        f"ADJOINT_NUM_THREADS: expected a whole number of at least 1, got '{text}' (environment variable); "
        "it is ignored"
    )
    with pytest.warns(RuntimeWarning, match=f"^{re.escape(says)}$") as caught:
        assert num_threads() >= 1
    assert caught[0].filename == __file__
    assert num_threads() >= 1  # warned once


@pytest.mark.parametrize("n", [1, 5, np.int32(5)])
def test_what_was_set_last_counts(monkeypatch, n):
    monkeypatch.setenv("ADJOINT_NUM_THREADS", "3")
    set_num_threads(2)
    set_num_threads(n)
    assert num_threads() == n
    assert type(num_threads()) is int


@pytest.mark.parametrize(
    ("n", "error", "got"),
    [
        (0, AdjointError, "0"),
        (-2, AdjointError, "-2"),
        (1.5, DTypeError, "1.5"),
        ("2", DTypeError, "'2'"),
        (None, DTypeError, "None"),
        (True, DTypeError, "True"),
    ],
)
def test_what_is_refused(n, error, got):
    with pytest.raises(error) as caught:
        set_num_threads(n)
    place = r", at tests/test_configuration\.py:\d+"
    says = f"set_num_threads: expected a whole number of at least 1, got {got} (n)"
    assert re.fullmatch(re.escape(says) + place, str(caught.value))
    assert not configuration._CHOSEN
