"""The arrays behind states, as programs read and write them.

Concepts here: the `Buffers` of a program, which stay the same from call to call as long as nothing is assigned from
outside; and what they are at one moment, `Held`, which a running program keeps.

Invariants. An array is written in place only if nobody holds it but its state and the `Buffers` that writes: what a
user has in hand (`param.value`, a recorded node) never changes, nor does what another program is reading. An array that
is held elsewhere is left to its holders, and the state gets a new one. Programs that assign the same states share their
`Buffers`; others forget the arrays of states that a program begins to assign, so that taking turns copies nothing.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections import deque
from collections.abc import Sequence
from operator import setitem
from typing import Any, Final, NamedTuple
from weakref import WeakSet, WeakValueDictionary

import numpy as np

from adjoint.compiler.turns import TURNS
from adjoint.leaves import State

_references: Final = sys.getrefcount
_empty: Final = np.empty
#: Results of one place that are remembered: who keeps the last one while the next is made needs two.
_SPARE: Final = 2
#: Bytes of a result that is worth using again.
_LARGE: Final = 64 * 1024
_next_number: Final = itertools.count(1).__next__


class Held(NamedTuple):
    """Arrays of all states, and of those that are assigned; the number is another one for other arrays."""

    number: int
    read: tuple[Any, ...]
    written: tuple[Any, ...]


class _Bound(NamedTuple):
    """What the states held when they were looked at last, and its arrays."""

    values: list[Any]
    held: Held


#: For a program without states.
NOTHING: Final = Held(0, (), ())


class Buffers:
    """The arrays behind the states of a program, `assigned` being the places of those that it assigns."""

    def __init__(self, states: Sequence[State], assigned: Sequence[int]) -> None:
        self.states: Final = tuple(states)
        self.assigned: Final = tuple(assigned)
        self._known: Final = frozenset(self.states)
        self._forget()

    @classmethod
    def of(cls, states: Sequence[State], assigned: Sequence[int]) -> Buffers:
        """Those of all programs that read and assign these states, one at a time."""
        made = cls(states, assigned)
        with TURNS.registering:
            if assigned:
                return _ASSIGNING.setdefault((made.states, made.assigned), made)
            _READING.add(made)  # programs that only read run at the same time
        return made

    def held(self) -> Held:
        """The arrays as of now."""
        held = self._unchanged()
        return self._bind() if held is None else held

    def _unchanged(self) -> Held | None:
        """The arrays that are bound, if nothing was assigned since, and nobody else holds what will be."""
        values, held = self._bound
        if _most_holders(held.written) > _ALONE:  # before the loop, whose variable is one holder more
            return None
        for state, value in zip(self.states, values, strict=True):
            if state._value is not value:
                return None
        return held

    def is_apart(self, held: Held, more: int) -> bool:
        """Whether these arrays can be written again: they are those of now, and nobody else holds one.

        The caller itself may hold each of those that are assigned so many times `more`.
        """
        values, now = self._bound
        is_now = now is held and all(s._value is v for s, v in zip(self.states, values, strict=True))
        return is_now and _most_holders(held.written) <= _ALONE + more

    def finish(self) -> None:
        """Give states that hold Python numbers what the program has written for them."""
        values, held = self._bound
        for place, x in zip(self.assigned, held.written, strict=True):
            if type(values[place]) is float:
                state = self.states[place]
                state._read = None
                state._value = values[place] = x.item()

    def _forget(self) -> None:
        self._bound = _Bound([None] * len(self.states), NOTHING)

    def _bind(self) -> Held:
        self._forget()
        changing = [self.states[place] for place in self.assigned]
        if changing:
            with TURNS.registering:
                others = [x for x in (*_READING, *_ASSIGNING.values()) if not x._known.isdisjoint(changing)]
            for other in others:
                other._forget()
        for state in changing:
            _own(state)
        values = [state._value for state in self.states]
        read = tuple(map(_array_of, values))
        held = Held(_next_number(), read, tuple(read[place] for place in self.assigned))
        self._bound = _Bound(values, held)
        return held


_READING: Final[WeakSet[Buffers]] = WeakSet()
_ASSIGNING: Final[WeakValueDictionary[Any, Buffers]] = WeakValueDictionary()


class Results:
    """Arrays for results. Large ones that nobody holds any more are used again: new memory costs a page fault for every
    4 kB, which can take longer than computing what stands there.
    """

    def __init__(self, kinds: Sequence[tuple[tuple[int, ...], Any]]) -> None:
        self._kinds: Final = tuple(kinds)
        self._spare: Final[dict[int, list[Any]]] = {
            i: [] for i, (shape, dtype) in enumerate(kinds) if math.prod(shape) * dtype.itemsize >= _LARGE
        }

    @property
    def has_large(self) -> bool:
        """Whether any is worth using again."""
        return bool(self._spare)

    def take(self) -> list[Any]:
        """An array for each result."""
        if not self._spare:
            return [_empty(shape, dtype) for shape, dtype in self._kinds]
        outputs = [None if i in self._spare else _empty(*kind) for i, kind in enumerate(self._kinds)]
        for i, spare in self._spare.items():
            for _ in range(len(spare)):
                try:
                    outputs[i] = spare.pop(0)
                except IndexError:  # another thread has it
                    break
                if _holders_at(outputs, i) <= _ALONE_IN_LIST:
                    break
                spare.append(outputs[i])  # still held: it may be free the next time
                outputs[i] = None
            if outputs[i] is None:
                outputs[i] = _empty(*self._kinds[i])
        return outputs

    def keep(self, outputs: Sequence[Any]) -> None:
        """Remember large results, for when their holders have let go of them; the oldest are forgotten."""
        for i, spare in self._spare.items():
            spare.append(outputs[i])
            if len(spare) > _SPARE:
                del spare[0]


def _holders_at(arrays: list[Any], place: int) -> int:
    return _references(arrays[place])


def _most_holders(arrays: Sequence[Any]) -> int:
    most = 0
    for x in arrays:
        count = _references(x)
        if count > most:  # noqa: PLR1730 (max takes twice the time, in every step of a training)
            most = count
    return most


def _holders_in(state: State) -> int:
    return _references(state._value)


def _own(state: State) -> None:
    """Make the value of a state that will be assigned an array that nobody else holds."""
    value = state._value
    if type(value) is float:
        return
    is_fit = type(value) is np.ndarray and value.flags.owndata and value.flags.carray and value.dtype.isnative
    del value  # not to be counted
    if not is_fit or _holders_in(state) > _ALONE_IN_STATE:
        state._value = np.array(state._value, state.dtype.newbyteorder("="), order="C")
        state._read = None  # a node that still stands for the old array


def _array_of(value: Any) -> Any:
    """An array for a value that a state holds: as it is, if native code can read it."""
    return plain_array(value) if type(value) is np.ndarray else np.array(value)


def plain_array(x: Any) -> Any:
    """The array as native code reads it: in C order, aligned, in the machine's byte order."""
    flags = x.flags
    if flags.c_contiguous and flags.aligned and x.dtype.isnative:
        return x
    return np.array(x, x.dtype.newbyteorder("="), order="C")


def store(targets: Sequence[Any], contents: Sequence[Any]) -> None:
    """Write contents into arrays, all of them in one call of C: Ctrl-C comes before or after, never in between."""
    deque(map(setitem, targets, itertools.repeat(...), contents), maxlen=0)


# How many references Python counts for an array that nobody else holds is measured, since it differs between versions.


def _alone_with_buffers() -> int:
    buffers = Buffers((State(np.zeros(2)),), (0,))
    return _most_holders(buffers._bind().written)


_ALONE_IN_LIST: Final = _holders_at([np.zeros(2)], 0)
_ALONE_IN_STATE: Final = _holders_in(State(np.zeros(2)))
_ALONE: Final = _alone_with_buffers()
