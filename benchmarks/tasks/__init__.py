"""The tasks in the order of the report, one file each; a file's `task` is what is loaded."""

from __future__ import annotations

import importlib

from benchmarks.task import Task

NAMES = (
    "circuit_add_mul",
    "circuit_sigmoid",
    "circuit_max",
    "chain",
    "chain_shared",
    "two_layer_step",
    "digits_training",
    "import_time",
)


def load() -> list[Task]:
    """Every task; their files import no peer, so this is quick."""
    return [importlib.import_module(f"{__name__}.{name}").task for name in NAMES]
