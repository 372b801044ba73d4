"""Settings of the whole process: how many threads a compiled program runs on.

A setting is read at every call, so a change counts from the next call on. Results do not depend on it. Nothing here
knows what a thread does.
"""

from __future__ import annotations

import math
import operator
import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any, Final

from adjoint.errors import AdjointError, DTypeError
from adjoint.recording import here

_VARIABLE: Final = "ADJOINT_NUM_THREADS"
#: What the user has set, by name; a setting that is not here has its default.
_CHOSEN: Final[dict[str, int]] = {}


def num_threads() -> int:
    """Threads that a compiled program runs on.

    Returns
    -------
    int
        What `set_num_threads` was given last; before that the environment variable ADJOINT_NUM_THREADS; without
        either, the CPUs that this process may use (its affinity mask, limited by the CPU quota of its container).

    Example
    -------
    >>> import adjoint.configuration as configuration
    >>> configuration.num_threads() >= 1
    True
    """
    return _CHOSEN.get("threads") or _default()


def set_num_threads(n: int) -> None:
    """Choose how many threads compiled programs run on, from the next call on.

    Results have the same bits for any number of threads.

    Parameters
    ----------
    n : int
        1 or more; 1 runs everything on the calling thread.

    Raises
    ------
    AdjointError
        If `n` is less than 1 (a `DTypeError` if it is not a whole number).

    Example
    -------
    >>> import adjoint.configuration as configuration
    >>> before = configuration.num_threads()
    >>> configuration.set_num_threads(1)
    >>> configuration.num_threads()
    1
    >>> configuration.set_num_threads(before)
    """
    _CHOSEN["threads"] = _count(n)


def _count(n: Any) -> int:
    wanted = "set_num_threads: expected a whole number of at least 1"
    try:
        count = operator.index(n)
    except TypeError:
        count = None
    if count is None or isinstance(n, bool):  # True is a switch that somebody took this for
        raise DTypeError(f"{wanted}, got {n!r} (n){here()}")
    if count < 1:
        raise AdjointError(f"{wanted}, got {count} (n){here()}")
    return count


@cache
def _default() -> int:
    return _from_environment() or usable_cpus()


def _from_environment() -> int | None:
    text = os.environ.get(_VARIABLE, "").strip()
    if not text:
        return None
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    # A warning and not an error: the variable may have been set for another program, far from this code.
    warnings.warn(
        f"{_VARIABLE}: expected a whole number of at least 1, got {text!r} (environment variable); it is ignored",
        RuntimeWarning,
        stacklevel=4,
    )
    return None


def usable_cpus() -> int:
    """CPUs that this process may use at the same time."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, _quota() or cpus))


def _quota(file: str = "/sys/fs/cgroup/cpu.max") -> int | None:
    """CPUs that a container's quota pays for, rounded up; more threads would be stopped in turns."""
    try:
        allowed, period = Path(file).read_text().split()
        return math.ceil(int(allowed) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max": no quota
        return None
