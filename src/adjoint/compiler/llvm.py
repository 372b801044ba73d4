"""LLVM at arm's length: the only module that imports llvmlite.

Concepts here: the `Machine` (vector width and registers of the CPU this process runs on), from IR text to object code,
and from object code to a `Library` of functions that can be called. Nothing here knows what a kernel computes.

The loop and the SLP vectoriser are off: kernels are written with vectors already, and the wheel's SLP vectoriser took
3.5 s for 1,000 scalar nodes.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Final, NamedTuple

from llvmlite import binding, ir

__all__ = ["Library", "Machine", "constant", "ir", "machine", "object_code"]


class Machine(NamedTuple):
    """What kernels are shaped by: the CPU's name and features, bytes of a vector register, and how many there are."""

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int

    def lanes(self, itemsize: int) -> int:
        """Elements of this size in a vector register."""
        return self.vector_bytes // itemsize


@cache
def machine() -> Machine:
    """The CPU of this process."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features()
    triple = binding.get_process_triple()
    has = {name for name, yes in features.items() if yes}
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= has:
        width, registers = 64, 32
    elif "avx2" in has:
        width, registers = 32, 16
    else:  # NEON has 32 registers of 16 bytes, SSE2 16
        width, registers = 16, 32 if triple.startswith(("aarch64", "arm64")) else 16
    return Machine(triple, binding.get_host_cpu_name(), features.flatten(), width, registers)


@cache
def _target(position_independent: bool, effort: int = 2) -> Any:
    host = machine()
    target = binding.Target.from_triple(host.triple)
    if position_independent:
        return target.create_target_machine(host.cpu, host.features, opt=effort, reloc="pic", codemodel="small")
    return target.create_target_machine(host.cpu, host.features, opt=effort, jit=True)


def constant(kind: Any, value: Any) -> Any:
    """A constant of an IR type; for a vector the same in every lane."""
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [value] * kind.count)
    return ir.Constant(kind, value)


def parsed(module: ir.Module | str) -> Any:
    """IR text parsed and verified, for this machine."""
    found = binding.parse_assembly(str(module))
    found.triple = machine().triple
    found.data_layout = str(_target(False).target_data)
    found.verify()
    return found


def optimised(module: ir.Module | str) -> Any:
    """The same, simplified by LLVM's own passes."""
    found = parsed(module)
    options = binding.create_pipeline_tuning_options(speed_level=1)
    options.slp_vectorization = options.loop_vectorization = options.loop_interleaving = False
    options.loop_unrolling = False
    builder = binding.create_pass_builder(_target(False), options)
    builder.getModulePassManager().run(found, builder)
    return found


def object_code(module: ir.Module | str, *, position_independent: bool = False, quick: bool = False) -> bytes:
    """Machine code of a module as a relocatable object file.

    Quick: without LLVM's own passes. Kernels have nothing that these would find (each value is computed once, at the
    outermost loop where it can be), and compile in half the time to code as fast.
    """
    made = parsed(module) if quick else optimised(module)
    code: bytes = _target(position_independent, 1 if quick else 2).emit_object(made)
    return code


class Library:
    """Object code loaded into this process; it stays loaded as long as this object lives."""

    def __init__(self, code: bytes) -> None:
        machine()
        empty = binding.parse_assembly("")
        empty.triple = machine().triple
        self._engine: Final = binding.create_mcjit_compiler(empty, _new_target())
        self._engine.add_object_file(binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Address of a function."""
        found: int = self._engine.get_function_address(name)
        if not found:
            raise KeyError(name)
        return found


def _new_target() -> Any:
    """A target machine of its own: an engine takes ownership of the one it is given."""
    host = machine()
    return binding.Target.from_triple(host.triple).create_target_machine(host.cpu, host.features, opt=2, jit=True)


#: Vectors go through registers of this width in memory order, so little-endian machines only.
assert sys.byteorder == "little"
