"""Compiled object code on disk: what was compiled once is not compiled again by the next process.

An entry is one file, whose name is the SHA-256 of the format and the key:

    adjoint object code, format 1
    SHA-256 of the format, the file's name and everything below, in hexadecimal
    {"created": ..., "name": ..., ...}       JSON in one line, for people; nothing is decided by it
    the code

Invariants. Code that comes from here is run, so `get` gives it away only if nobody but this user can have written it,
which is the business of `private_folder`. The digest finds damage and renamed entries; against a person who can write
here no digest would help. What does not pass is removed and compiled anew, never trusted. And a program runs the same
without a cache: `get` and `put` raise nothing for what they find on the disk, they warn once.

Elsewhere: what the key consists of, and the machine that the code is for.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import adjoint
from adjoint.compiler.private_folder import (
    FOLDER_VARIABLE,
    LARGEST_ENTRY,
    MIB,
    OTHER_FOLDER,
    PrivateFolder,
    UnfitError,
    make_private,
)

__all__ = ["LIMIT_VARIABLE", "MIB", "CacheWarning", "Entry", "ObjectCache"]

FORMAT: Final = b"adjoint object code, format 1\n"
LIMIT_VARIABLE: Final = "ADJOINT_CACHE_MB"
OFF: Final = ("", "0", "off")
DEFAULT_MIB: Final = 256
LONGEST_TEXT: Final = 200
#: How much of a file is read to list it: the longest header has less.
HEAD: Final = 16 * 1024
#: Last use is known to the hour, so that most hits write nothing.
TOUCH_AFTER: Final = 3600.0
_ENTRY: Final = re.compile(r"[0-9a-f]{64}\.object")
_NO_DATE: Final = 2**37  # seconds since 1970 of which no calendar has the year


class CacheWarning(UserWarning):
    """The cache of compiled code, or an entry of it, cannot be used; the program runs without it.

    Example
    -------
    >>> import warnings
    >>> warnings.simplefilter("ignore", CacheWarning)  # a program that is content without a cache
    """


@dataclass(frozen=True)
class Entry:
    """One entry, as its header tells it: for people, unverified.

    Parameters
    ----------
    name : str
        Of the compiled function; "?" where the header cannot be read.
    size : int
        Bytes of the file.
    created, last_used : float
        Whole seconds since 1970; seconds since 1970, known to the hour.
    path : Path
    """

    name: str
    size: int
    created: float
    last_used: float
    path: Path


class ObjectCache:
    """Object code by key, in a folder that only this user can write.

    Parameters
    ----------
    folder : Path, optional
        The entries lie in its subfolder `objects`, which is made at the first `put`. Default: the environment variable
        ADJOINT_CACHE_DIR (empty, `0` or `off`: no cache), else the user's cache folder of the system.

    Attributes
    ----------
    folder : Path or None
        Where the entries lie; None without a cache.
    limit : int
        Bytes of all entries together, from ADJOINT_CACHE_MB (default 256). Those unused for longest go first.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = ObjectCache(Path(folder))
    ...     before = cache.get(b"trace of f, CPU")
    ...     cache.put(b"trace of f, CPU", b"object code", {"name": "f"})
    ...     before, cache.get(b"trace of f, CPU"), [entry.name for entry in cache.entries()]
    (None, b'object code', ['f'])
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._said: set[str] = set()
        self._room: int | None = None  # bytes that fit before the folder is looked through; None: not looked yet
        self._why_none: str | None = None
        self.limit, self._bad_limit = _limit(os.environ.get(LIMIT_VARIABLE))
        base = folder or self._wanted_folder()
        self.folder = None if base is None else Path(os.path.abspath(base)) / "objects"

    def get(self, key: bytes) -> bytes | None:
        """The code that was put under a key, or None: not there, or not to be trusted.

        Parameters
        ----------
        key : bytes
            Everything that the code depends on: canonical trace, configuration, CPU features.

        Returns
        -------
        bytes or None
            None also for what is planted, damaged or truncated, with one CacheWarning for the entry; it is removed if
            it is this user's.
        """
        folder = self._open()
        if folder is None:
            return None
        name = _file_name(key)
        with folder:
            try:
                content, status = folder.read(name)
                code = _unpacked(name, content)
            except FileNotFoundError:
                return None
            except UnfitError as finding:
                self._refuse(folder, name, finding)
                return None
            except OSError as error:  # no fault of the entry, such as too many open files
                self._warn(name, f"{folder.path / name} cannot be read: {error.strerror}; it is compiled anew")
                return None
            if time.time() - status.st_mtime > TOUCH_AFTER:
                folder.touch(name)
            return code

    def put(self, key: bytes, code: bytes, about: Mapping[str, str | int | float]) -> None:
        """Keep code under a key; where that is impossible, warn once and go on.

        Parameters
        ----------
        key : bytes
            As for `get`.
        code : bytes
        about : mapping
            What `adjoint cache` shows: "name" of the function, and what else helps a reader of the file. Time of
            creation, version of adjoint and size of the code are added.
        """
        self._explain_environment()
        name = _file_name(key)
        content = _packed(name, code, about)
        if self.folder is None or len(content) > min(self.limit, LARGEST_ENTRY):
            return
        try:
            folder = self._open(create=True)
            if folder is not None:
                with folder:
                    folder.write(name, content)
                    self._make_room(folder, len(content))
        except OSError as error:
            self._warn("put", f"{self.folder} cannot be written: {error.strerror}; {OTHER_FOLDER}")

    def entries(self) -> list[Entry]:
        """All entries, the last used first; none where the folder is missing or cannot be used."""
        folder = self._open()
        if folder is None:
            return []
        with folder:
            found = [_described(folder, name, status) for name, status in folder.files(_ENTRY)]
        return sorted(found, key=lambda entry: (-entry.last_used, entry.path.name))

    def clear(self) -> int:
        """Remove all entries and nothing else, and say how many there were.

        Raises
        ------
        OSError
            The system refuses to remove one.
        """
        folder = self._open()
        if folder is None:
            return 0
        with folder:
            folder.remove_stale()
            self._room = None
            return sum(folder.remove(name) for name, _ in folder.files(_ENTRY))

    def problem(self) -> str | None:
        """Why there is no cache, in words, or None; a folder that does not exist yet is no problem."""
        if self.folder is None:
            return self._why_none or f"the cache is off, since {FOLDER_VARIABLE} is empty, 0 or off"
        try:
            PrivateFolder(self.folder).close()
        except FileNotFoundError:
            return None
        except UnfitError as finding:
            return str(finding)
        return None

    def _wanted_folder(self) -> Path | None:
        try:
            return _default_folder(os.environ, sys.platform)
        except RuntimeError:  # of Path.home: a user without a home, as in some containers
            self._why_none = f"no home folder is known, so there is no cache; name a folder in {FOLDER_VARIABLE}"
            return None

    def _explain_environment(self) -> None:
        """Say what is wrong with the environment when somebody first wants to keep code."""
        if self._why_none is not None:
            self._warn("home", self._why_none)
        if self._bad_limit is not None:
            self._warn("limit", self._bad_limit)

    def _open(self, *, create: bool = False) -> PrivateFolder | None:
        """The folder if it can be used; None after a warning, or where it is missing and is not to be made."""
        if self.folder is None:
            return None
        try:
            try:
                return PrivateFolder(self.folder)
            except FileNotFoundError:
                if not create:
                    return None
            make_private(self.folder)
            return PrivateFolder(self.folder)
        except UnfitError as finding:
            self._warn("folder", str(finding))
            return None

    def _refuse(self, folder: PrivateFolder, name: str, finding: UnfitError) -> None:
        """Remove an entry that cannot be trusted, and say so."""
        removed = False
        with suppress(OSError):
            removed = folder.remove(name)
        fate = "it was removed and is compiled anew" if removed else "it was left there and is not used"
        self._warn(name, f"{folder.path / name} {finding}; {fate}")

    def _make_room(self, folder: PrivateFolder, added: int) -> None:
        """Remove the entries unused for longest when all exceed the limit.

        The folder is looked through at the first call and when what this process added since does not fit any more;
        what other processes add meanwhile is seen then. A tenth is freed beyond need, or each later `put` would look.
        """
        if self._room is not None and added <= self._room:
            self._room -= added
            return
        folder.remove_stale()
        files = sorted(folder.files(_ENTRY), key=lambda file: file[1].st_mtime_ns)
        total = sum(status.st_size for _, status in files)
        goal = self.limit if total <= self.limit else self.limit * 9 // 10
        for name, status in files[:-1]:  # the last is the one that was just written
            if total <= goal:
                break
            folder.remove(name)
            total -= status.st_size
        self._room = self.limit - total

    def _warn(self, about: str, message: str) -> None:
        """Say a thing once in the life of this cache."""
        if about not in self._said:
            self._said.add(about)
            warnings.warn(f"object cache: {message}", CacheWarning, stacklevel=3)


# --- the format -----------------------------------------------------------------------------------------------------


def _file_name(key: bytes) -> str:
    return f"{hashlib.sha256(FORMAT + key).hexdigest()}.object"


def _digest(name: str, rest: bytes) -> bytes:
    """Of all that a file says, and of the name: an entry that was renamed is not what its key asks for."""
    digest = hashlib.sha256(FORMAT + name.encode() + b"\n")
    digest.update(rest)
    return digest.hexdigest().encode()


def _packed(name: str, code: bytes, about: Mapping[str, str | int | float]) -> bytes:
    short = {key: value[:LONGEST_TEXT] if isinstance(value, str) else value for key, value in about.items()}
    header = {**short, "created": int(time.time()), "adjoint": adjoint.__version__, "code_bytes": len(code)}
    rest = (
        json.dumps(header, sort_keys=True, default=str).encode() + b"\n" + code
    )  # JSON as written here has no line break
    return FORMAT + _digest(name, rest) + b"\n" + rest


def _unpacked(name: str, content: bytes) -> bytes:
    """The code of an entry, once every byte has been vouched for."""
    if not content.startswith(FORMAT):
        raise UnfitError("is no entry of this format")
    digest, _, rest = content[len(FORMAT) :].partition(b"\n")
    if digest != _digest(name, rest):
        raise UnfitError("is damaged: it does not have the digest that it names")
    return rest.partition(b"\n")[2]


def _described(folder: PrivateFolder, name: str, status: os.stat_result) -> Entry:
    """An entry as its header tells it, as far as that can be read."""
    header: Any = None
    with suppress(OSError, UnfitError, ValueError, IndexError, RecursionError):
        content, _ = folder.read(name, HEAD)
        header = json.loads(content.split(b"\n", 3)[2])
    header = header if isinstance(header, dict) else {}
    function, created = header.get("name"), header.get("created")
    return Entry(
        name=function if isinstance(function, str) and function else "?",
        size=status.st_size,
        created=created if isinstance(created, int) and 0 <= created < _NO_DATE else status.st_mtime,
        last_used=status.st_mtime,
        path=folder.path / name,
    )


# --- the environment ------------------------------------------------------------------------------------------------


def _default_folder(environment: Mapping[str, str], platform: str) -> Path | None:
    """The folder that the environment names, or the user's cache folder of the system; None: no cache is wanted."""
    chosen = environment.get(FOLDER_VARIABLE)
    if chosen is not None:
        return None if chosen.strip().lower() in OFF else Path(chosen).expanduser()
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return Path(local or Path.home() / "AppData" / "Local") / "adjoint" / "cache"
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / "adjoint"
    named = environment.get("XDG_CACHE_HOME", "")
    # The XDG rule: a path that is not absolute is ignored.
    return (Path(named) if os.path.isabs(named) else Path.home() / ".cache") / "adjoint"


def _limit(text: str | None) -> tuple[int, str | None]:
    """Bytes of all entries together, and what is wrong with the variable."""
    try:
        size = DEFAULT_MIB if text is None else float(text)
        if not 0 <= size < math.inf:
            raise ValueError
    except ValueError:
        wrong = f"{LIMIT_VARIABLE}: expected a number of MiB from 0, got {text!r}; {DEFAULT_MIB} is taken"
        return DEFAULT_MIB * MIB, wrong
    return int(size * MIB), None
