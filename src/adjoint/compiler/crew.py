"""How many threads run a program: all that it may have, or one fewer, whichever is faster now.

Where another process keeps a core busy, the thread that shares this core comes late to every barrier, by a slice of the
system's time, 3 ms, and all others wait for it. Without that thread the other process has its core, and nobody waits.
Nobody tells a process which cores are busy, so both are tried: the way that is not taken for a few runs when runs begin
to take longer, and now and then, more seldom as long as it stays the slower one. Results have the same bits for any
number of threads.
"""

from __future__ import annotations

import time
from typing import Final

from adjoint.compiler import pool

#: Runs of a trial; the first is not counted, since workers may have to be woken up for it. It ends with a run that
#: takes so many times what runs take otherwise.
_TRIAL: Final = 4
_SLOWER: Final = 1.3
#: Runs until the first trial, when memory and caches are as they will be.
_START: Final = 8
#: Time between trials, from the shortest to the longest: in seconds, and in runs where these are long.
_PAUSES: Final = (0.05, 1.0)
_PAUSES_IN_RUNS: Final = (100, 1000)
#: What a run counts for in the average, and how many times the average it counts at most: one that was interrupted
#: says little about those to come.
_WEIGHT, _MOST = 0.125, 4.0
#: How many times what they took when they were last compared runs take before they are compared again.
_LONGER: Final = 1.25


class Crew:
    """The threads of one program. Where several threads run it at once, their notes may get mixed up, and a trial be
    worth less; nothing else depends on them.
    """

    def __init__(self) -> None:
        self._average: Final[list[float | None]] = [None, None]  # seconds, with all threads and with one fewer
        self._fewer = 0  # the way that is taken: how many threads are left out
        self._left = _START  # runs until the first trial, then runs of a trial that are left
        self._is_trial = False
        self._next, self._limit = 0.0, 0.0
        self._failed = 0  # trials since the way was last changed

    def run(self, program: int, table: int, threads: int, steps: int = 1) -> float:
        """Run it, as so many steps of the same kind, on at most these threads; the seconds that it took."""
        if threads == 1:
            begin = time.perf_counter()
            pool.run(program, table, 1)
            return time.perf_counter() - begin
        fewer = self._fewer ^ self._is_trial
        begin = time.perf_counter()
        pool.run(program, table, threads - fewer)
        end = time.perf_counter()
        self._note(fewer, (end - begin) / max(steps, 1), end)
        return end - begin

    def _note(self, fewer: int, seconds: float, now: float) -> None:
        if self._left > 0:
            self._left -= 1
        is_first = self._is_trial and self._left == _TRIAL - 1
        before = self._average[fewer]
        if not is_first:
            capped = seconds if before is None else min(seconds, _MOST * before)
            self._average[fewer] = capped if before is None else before + _WEIGHT * (capped - before)
            usual = self._average[1 - fewer]
            if self._is_trial and usual is not None and seconds > _SLOWER * usual:
                self._left = 0
        if self._left > 0:
            return
        if self._is_trial:
            self._decide(now)
        elif now >= self._next or (self._average[fewer] or 0.0) > self._limit:
            self._is_trial, self._left = True, _TRIAL
            self._average[1 - fewer] = None  # as it is now, not as it was

    def _decide(self, now: float) -> None:
        self._is_trial = False
        taken, tried = self._average[self._fewer], self._average[1 - self._fewer]
        self._failed = min(self._failed + 1, 16)
        if taken is not None and tried is not None and tried < taken:
            self._fewer, self._failed = 1 - self._fewer, 0
        usual = self._average[self._fewer] or 0.0
        shortest, longest = (max(s, n * usual) for s, n in zip(_PAUSES, _PAUSES_IN_RUNS, strict=True))
        self._next = now + min(shortest * 2.0**self._failed, longest)
        self._limit = _LONGER * usual
