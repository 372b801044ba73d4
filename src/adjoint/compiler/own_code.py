"""Native code of the compiler itself, which no program changes: the pool, the driver of many steps.

It is compiled once and kept; without a cache everything works the same.
"""

from __future__ import annotations

from contextlib import suppress

import adjoint
from adjoint.compiler.cache import CacheWarning, ObjectCache
from adjoint.compiler.llvm import ir, machine, object_code


def own_code(module: ir.Module) -> bytes:
    """Object code of a module, from the cache if it is there."""
    text = str(module)
    key = "\n".join([adjoint.__version__, *map(str, machine()), text]).encode()
    with suppress(CacheWarning, OSError):  # warnings may be errors, and the folder relative to one that is gone
        kept = ObjectCache()
        code = kept.get(key)
        if code is None:
            code = object_code(text)
            kept.put(key, code, {"name": module.name})
        return code
    return object_code(text)
