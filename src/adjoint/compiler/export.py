"""Native export: a compiled function as an object file and a C header, for programs that know nothing of Python.

The function is traced once, every state that it reads becomes a constant of the object, and an entry with C types is
put around the program: it lays out the table of addresses that `schedule` describes, runs the program as its only
part, and returns whether a check failed. What is written keeps nothing between calls and calls nothing but memcpy and
memset, so any number of threads may be in it at once. It is for the CPU that it was made on, as all code of `compile`;
the header says which that is.
"""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np

import adjoint
from adjoint.compiler.compiled import Compiled
from adjoint.compiler.emit import Emitted
from adjoint.compiler.integers import I32, I64, POINTER, i64
from adjoint.compiler.kernels.elements import UnsupportedError
from adjoint.compiler.kernels.loops import at
from adjoint.compiler.llvm import constant, ir, machine, object_code
from adjoint.compiler.lower import lower
from adjoint.compiler.native import stages
from adjoint.compiler.program import Builder, Program, Value
from adjoint.compiler.schedule import HEADER
from adjoint.compiler.segments import split
from adjoint.compiler.simplify import BFLOAT16, simplify
from adjoint.compiler.trace import Traced, trace
from adjoint.errors import AdjointError, DTypeError, TraceError
from adjoint.recording import here
from adjoint.tensor import Tensor

Function = Callable[..., Any]
#: A workspace of at most so many bytes may lie on the stack; threads of some C libraries have 128 KiB in all.
ON_STACK: Final = 1 << 15
LIBRARY_SUFFIX: Final = ".dylib" if sys.platform == "darwin" else ".so"
_LINE: Final = 64
_BYTE: Final = ir.IntType(8)
_NAME: Final = re.compile(r"[A-Za-z]\w*", re.ASCII)
_MARK: Final = "native code exported by adjoint"
_C_TYPES: Final[Mapping[str, str]] = {
    "float32": "float",
    "float64": "double",
    "bool": "uint8_t",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
#: Words of C and C++, and functions that the code or the C library has.
_RESERVED: Final = frozenset(
    (
        *("alignas", "alignof", "and", "asm", "auto", "bool", "break", "case", "catch", "char", "class", "const"),
        *("continue", "default", "delete", "do", "double", "else", "enum", "explicit", "export", "extern", "false"),
        *("float", "for", "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new", "not"),
        *("operator", "or", "private", "protected", "public", "register", "restrict", "return", "short", "signed"),
        *("sizeof", "static", "struct", "switch", "template", "this", "throw", "true", "try", "typedef", "typeid"),
        *("typename", "typeof", "union", "unsigned", "using", "virtual", "void", "volatile", "while", "xor"),
        *("main", "memcpy", "memmove", "memset"),
    )
)


class Exported(NamedTuple):
    """Files that were written; no library where there is no C compiler."""

    object: Path
    header: Path
    library: Path | None


class _Argument(NamedTuple):
    """An array as C sees it."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_output: bool

    @property
    def declared(self) -> str:
        return f"{'' if self.is_output else 'const '}{_C_TYPES[self.dtype.name]} *{self.name}"


def export_native(
    f: Function,
    examples: Sequence[Any],
    folder: str | Path,
    name: str = "predict",
    *,
    about: str = "",
    texts: Mapping[str, Sequence[str]] | None = None,
) -> Exported:
    """Write a function as machine code with a C header: NAME.o, NAME.h and, where there is a C compiler, NAME.so.

    C calls `int NAME(inputs …, outputs …)` with a pointer to the first element of each array; it returns 0, or 1 if an
    index or a label is outside its range. `NAME_in` is the same with a workspace from the caller, as its last argument,
    of `NAME_workspace_bytes` bytes; it alone is there if the workspace is too large for the stack.

    Parameters
    ----------
    f : function
        Of arrays, compiled by `ad.compile` or not; it may read States, whose values of now become part of the code, and
        assigns none.
    examples : sequence of arrays
        Arguments of the shapes and dtypes that the code is for: float32, float64, integers, bool. Values do not matter.
    folder : path of a folder that exists
    name : str
        Of the function in C, and of the files.
    about : str
        Text for the header's comment.
    texts : mapping of name to texts, optional
        Each becomes an array of C strings in the header, `NAME_` before its name: names of classes, say.

    Returns
    -------
    Exported
        The paths of `object`, `header` and `library`, which is None where no `cc` is found.

    Raises
    ------
    TraceError
        If the function assigns states, returns something that is not computed, or uses an op without native code.
    DTypeError
        If an argument or a result has a dtype that C lacks.
    AdjointError
        If `name`, or one in `texts`, is no name in C, or the C compiler fails.
    OSError
        If a file cannot be written.

    Example
    -------
    >>> import pathlib, tempfile, numpy as np
    >>> from adjoint.compiler.export import export_native
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = export_native(lambda x: (x * x).sum(), [np.zeros(3)], folder, "norm")
    ...     text = files.header.read_text()
    >>> print(text[text.index("int norm(") :].splitlines()[0])
    int norm(const double *x, double *out);

    Source: the C application binary interface of the platform; the layout of arrays is NumPy's C order.
    """
    _check_names(name, *(texts or {}))
    function, fast = (f._f, f._fast) if isinstance(f, Compiled) else (f, False)
    program = _closed(trace(function, examples))
    if isinstance(f, Compiled) and f._bfloat16:
        program = simplify(program, BFLOAT16)
    arguments = _arguments(function, program)
    emitted = _emitted(program, fast=fast)
    if name in emitted.module.globals:
        raise AdjointError(f"export_native: {name!r} is a name that the code itself uses{here()}; choose another")
    workspace = max(emitted.schedule.arena, HEADER) + _LINE
    _emit_entries(emitted, name, len(arguments), workspace)
    code = object_code(emitted.module, position_independent=True)
    return _written(code, _header(name, arguments, workspace, about, texts or {}), Path(folder), name)


def _check_names(name: str, *parts: str) -> None:
    """A name for C, and names that will stand behind it."""
    bad = [x for x in (name, *parts) if not _NAME.fullmatch(x)] + [name] * (name in _RESERVED)
    if bad:
        raise AdjointError(f"export_native: expected a name for C (letters, digits, _), got {bad[0]!r}{here()}")


# --- the program ------------------------------------------------------------------------------------------------------


def _closed(traced: Traced) -> Program:
    """The program with the values of all states as constants; what cannot be exported is refused."""
    if traced.assigned:
        names = ", ".join(state.name or "unnamed" for state in traced.assigned)
        raise TraceError(
            f"export_native: expected a function that assigns no state, got one that assigns {names:.80}{here()}; "
            "export the prediction, with net.eval(), not a training step"
        )
    if other := [x for x in traced.outputs if not isinstance(x, Tensor)]:
        raise TraceError(f"export_native: expected results that are computed, got {other[0]!r:.40}{here()}")
    program = lower(traced)
    states = dict(zip(program.inputs[len(program.inputs) - len(traced.states) :], traced.states, strict=True))
    builder, new = Builder(), dict[int, Value]()
    for value in program.values:
        state = states.get(value)
        operands = [new[x.number] for x in value.inputs]
        new[value.number] = builder.copied(value, operands) if state is None else builder.constant(state._value)
    given = [new[x.number] for x in program.inputs if x not in states]
    closed = builder.program(given, [new[x.number] for x in program.outputs])
    _check_native(closed)
    return closed


def _check_native(program: Program) -> None:
    for step in split(program):
        if isinstance(step, Value):
            what = (
                step.params["op"] if step.kind == "eager" else f"{step.kind} of {step.inputs[0].dtype} to {step.dtype}"
            )
            raise TraceError(f"export_native: there is no native code for {what}, which NumPy computes{here()}")


def _emitted(program: Program, *, fast: bool) -> Emitted:
    try:
        return stages(program, {}, 1, fast=fast).emitted
    except UnsupportedError as error:  # a dtype somewhere inside
        raise DTypeError(f"export_native: {error}{here()}") from None


def _arguments(f: Function, program: Program) -> list[_Argument]:
    """Inputs and outputs, with names for C."""
    outputs = _numbered("out", len(program.outputs))
    inputs = list(inspect.signature(f).parameters)
    unfit = {*_RESERVED, *outputs, "workspace"}
    if len(inputs) != len(program.inputs) or any(x in unfit or not _NAME.fullmatch(x) for x in inputs):
        inputs = _numbered("x", len(program.inputs))
    values = (*program.inputs, *program.outputs)
    found = [_Argument(n, x.dtype, x.shape, n in outputs) for n, x in zip([*inputs, *outputs], values, strict=True)]
    for argument in found:
        if argument.dtype.name not in _C_TYPES:
            got = f"{argument.dtype} ({argument.name})"
            raise DTypeError(f"export_native: expected {', '.join(_C_TYPES)}, got {got}{here()}")
    return found


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}{i}" for i in range(1, count + 1)]


# --- the code ---------------------------------------------------------------------------------------------------------


def _emit_entries(emitted: Emitted, name: str, count: int, workspace: int) -> None:
    """`NAME_in`, which runs the program in the caller's memory, and `NAME`, which has its own on the stack."""
    module = emitted.module
    for inner in module.functions:
        if not inner.is_declaration:
            inner.linkage = "internal"  # what nobody calls is not in the object
    inside = ir.Function(module, ir.FunctionType(I32, [POINTER] * (count + 1)), f"{name}_in")
    inside.attributes.add("nounwind")
    builder = ir.IRBuilder(inside.append_basic_block())
    table = _on_stack(builder, POINTER, emitted.schedule.slots)
    *arrays, memory = inside.args
    arena = _aligned(builder, memory)
    constants = [_constant(module, f"constant.{i}", x.content) for i, x in enumerate(emitted.schedule.constants)]
    for slot, address in enumerate([arena, *arrays, *constants]):
        builder.store(address, at(builder, table, i64(slot), POINTER))
    builder.store(i64(0), arena)
    builder.call(module.globals["program"], [table, i64(0), i64(1), constant(POINTER, None)])
    failed = builder.icmp_unsigned("!=", builder.load(arena, typ=I64), i64(0))
    builder.ret(builder.zext(failed, I32))
    if workspace <= ON_STACK:
        _emit_with_stack(module, name, inside, workspace)


def _emit_with_stack(module: Any, name: str, inside: Any, workspace: int) -> None:
    outside = ir.Function(module, ir.FunctionType(I32, [POINTER] * (len(inside.args) - 1)), name)
    outside.attributes.add("nounwind")
    builder = ir.IRBuilder(outside.append_basic_block())
    builder.ret(builder.call(inside, [*outside.args, _on_stack(builder, _BYTE, workspace)]))


def _on_stack(builder: Any, kind: Any, count: int) -> Any:
    memory = builder.alloca(ir.ArrayType(kind, count))
    memory.type = POINTER  # llvmlite's own is a typed pointer, which no other type may be stored to
    return memory


def _aligned(builder: Any, memory: Any) -> Any:
    """The first address in memory that a line of the cache begins at."""
    number = builder.add(builder.ptrtoint(memory, I64), i64(_LINE - 1))
    return builder.inttoptr(builder.and_(number, i64(-_LINE)), POINTER)


def _constant(module: Any, name: str, content: Any) -> Any:
    """An array as bytes of the object, written as escapes by one call: byte by byte, Python would take seconds."""
    data = np.ascontiguousarray(content).tobytes()
    kind = ir.ArrayType(_BYTE, len(data))
    held = ir.GlobalVariable(module, kind, name)
    held.initializer = ir.FormattedConstant(kind, 'c"\\' + data.hex("\\") + '"')
    held.linkage, held.global_constant, held.align, held.type = "internal", True, _LINE, POINTER
    return held


# --- the header -------------------------------------------------------------------------------------------------------


def _header(
    name: str, arguments: Sequence[_Argument], workspace: int, about: str, texts: Mapping[str, Sequence[str]]
) -> str:
    arrays = ", ".join(x.declared for x in arguments)
    sizes = {f"{name}_{x.name}_elements": int(np.prod(x.shape, dtype=np.int64)) for x in arguments}
    sizes[f"{name}_workspace_bytes"] = workspace
    functions = [f"int {name}_in({arrays}, void *workspace);"]
    if workspace <= ON_STACK:
        functions.insert(0, f"int {name}({arrays});")
    guard = f"ADJOINT_{name}_H"
    paragraphs = [f"{name}: {_MARK} {adjoint.__version__}", ""]
    paragraphs += [*([about, ""] if about else []), *_explained(name, arguments, workspace)]
    return "\n".join(
        [
            *_comment(paragraphs),
            f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n",
            *[f"enum {{ {key} = {size} }};" for key, size in sizes.items()],
            *[f"static const char *const {name}_{key}[{len(x)}] = {_strings(x)};" for key, x in texts.items() if x],
            '\n#ifdef __cplusplus\nextern "C" {\n#endif\n',
            *functions,
            "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n",
        ]
    )


def is_exported(header: str | Path) -> bool:
    """Whether a file is a header that `export_native` wrote, of whatever version.

    Parameters
    ----------
    header : path of a file, which need not be there

    Returns
    -------
    bool

    Example
    -------
    >>> is_exported("no-such-header.h")
    False
    """
    try:
        with Path(header).open(errors="replace") as file:
            return _MARK in file.readline(200)
    except OSError:
        return False


def _explained(name: str, arguments: Sequence[_Argument], workspace: int) -> list[str]:
    host = machine()
    needed = " ".join(x[1:] for x in host.features.split(",") if x.startswith("+"))
    memory = (
        f"{name}_in is {name} with memory from the caller instead of {workspace:,} bytes of stack"
        if workspace <= ON_STACK
        else f"{name}_in takes its memory from the caller"
    )
    return [
        *[
            f"{x.name}: {'result' if x.is_output else 'input'}, {x.dtype} of shape {x.shape} in C order"
            f"{', 0 or 1' if x.dtype.kind == 'b' else ''}"
            for x in arguments
        ],
        "",
        "Returns 0, or 1 if an index or a label is outside its range; the results then mean nothing. NaN and "
        "infinities are computed with as IEEE 754 says. A result must not overlap another array.",
        "",
        f"{memory}: {name}_workspace_bytes bytes, any alignment, any content. Nothing is kept between calls, so "
        "threads may call at the same time. No symbols are needed but memcpy and memset.",
        "",
        f"For {host.triple} and a CPU as {host.cpu}, on others it may stop with an illegal instruction: {needed}",
    ]


def _comment(paragraphs: Sequence[str]) -> list[str]:
    """Lines of a C comment that nothing in the text can end."""
    lines: list[str] = []
    for line in "\n".join(paragraphs).splitlines():
        plain = "".join(sign if sign.isprintable() else "�" for sign in line)
        safe = plain.replace("*/", "* /").replace("/*", "/ *")
        hanging = " " * (len(safe) - len(safe.lstrip()) + 2)
        lines += textwrap.wrap(safe, 116, subsequent_indent=hanging, break_on_hyphens=False) or [""]
    return [f"/* {lines[0]}", *[f" * {line}".rstrip() for line in lines[1:]], " */"]


def _strings(texts: Sequence[str]) -> str:
    """An initialiser of C strings, in UTF-8."""
    return "{" + ", ".join(f'"{"".join(map(_letter, text.encode()))}"' for text in texts) + "}"


def _letter(byte: int) -> str:
    sign = chr(byte)
    return sign if sign.isascii() and sign.isprintable() and sign not in '"\\?' else f"\\{byte:03o}"


# --- the files --------------------------------------------------------------------------------------------------------


def _written(code: bytes, header: str, folder: Path, name: str) -> Exported:
    """Each file whole or not at all; a library of an earlier export does not stay beside a newer object."""
    from adjoint.atomic import write_atomically

    paths = Exported(folder / f"{name}.o", folder / f"{name}.h", folder / f"{name}{LIBRARY_SUFFIX}")
    library = _linked(code)
    write_atomically(paths.object, code)
    if library is None:
        (folder / f"{name}{LIBRARY_SUFFIX}").unlink(missing_ok=True)
    else:
        write_atomically(folder / f"{name}{LIBRARY_SUFFIX}", library)
    write_atomically(paths.header, header.encode())
    return paths if library is not None else paths._replace(library=None)


def _linked(code: bytes) -> bytes | None:
    """The object as a shared library; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "code.o"), Path(folder, "library")
        source.write_bytes(code)
        command = [compiler, "-shared", "-o", str(target), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            said = " ".join(done.stderr.split())[:200]
            raise AdjointError(f"export_native: {compiler} cannot make a shared library: {said}{here()}")
        return target.read_bytes()
