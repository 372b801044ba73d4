"""The tasks in the order of the report, one file each; a file's `task` is what is loaded, or its `tasks`."""

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
    "step_4_10_3",
    "step_64_100_10",
    "step_3072_100_10",
    "step_784_500_10",
    "step_784_512_256_10",
    "step_4096_4096_1000",
    "step_on_a_busy_core",
    "hinge_gradient",
    "relu_both_ways",
    "elementwise_chain",
    "digits_compiled",
    "taps",
    "predict_one_row",
    "scalar_graph",
    "first_call",
    "products",
    "bfloat16",
)


def declared(module: str) -> list[Task]:
    """The tasks of one file."""
    file = importlib.import_module(module)
    return list(getattr(file, "tasks", None) or [file.task])


def load() -> list[Task]:
    """Every task; their files import no peer, so this is quick."""
    return [task for name in NAMES for task in declared(f"{__name__}.{name}")]
