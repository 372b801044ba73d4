"""Native code of the compiler itself, which no program changes: the pool, the driver of many steps.

It is compiled once and kept; without a cache everything works the same. It is known by the compiler's source, so a
kept one is found without making its module again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import adjoint
from adjoint.compiler.cache import CacheWarning, ObjectCache
from adjoint.compiler.llvm import ir, machine, object_code


@cache
def own_digest() -> bytes:
    """Of the compiler's own source: code that another state of it made is never run."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.digest()


def own_code(name: str, module: Callable[[], ir.Module], *about: object) -> bytes:
    """Object code of a module, from the cache if it is there; `about` is what the module depends on beside the source
    and the machine: how this Python lays out its objects.
    """
    key = "\n".join([name, adjoint.__version__, *map(str, (*machine(), *about))]).encode() + own_digest()
    with suppress(CacheWarning, OSError):  # warnings may be errors, and the folder relative to one that is gone
        kept = ObjectCache()
        code = kept.get(key)
        if code is None:
            code = object_code(module())
            kept.put(key, code, {"name": name})
        return code
    return object_code(module())
