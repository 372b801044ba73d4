"""Who may run what at the same time, where several threads call compiled functions.

Functions are traced one at a time, because a trace sets aside the gradients of what it meets. Programs that assign
states run one at a time. Those that only read states need not wait for each other: they hold the arrays that they read,
which a program that assigns sees, and then it writes into new ones (`buffers`).
"""

from __future__ import annotations

import os
import threading
from typing import Any, Final


class Turns:
    """The locks of this process. A thread that has its turn may call again, as finalizers and signal handlers do."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Locks that nobody holds: in a forked child the threads that held them are gone."""
        self.tracing = threading.RLock()
        self.assigning = threading.RLock()
        self.registering = threading.RLock()
        #: Not empty while a program that assigns runs: who reads looks here after having taken its arrays, who assigns
        #: counts holders after having written here, so one of the two sees the other.
        self.writers: list[Any] = []


TURNS: Final = Turns()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=TURNS.renew)
