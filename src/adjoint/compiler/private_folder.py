"""A folder that only this user can write, and its files: what the object cache trusts.

Invariant: whatever is checked is what is used. The folder is opened first and checked by its descriptor; files are
opened inside that descriptor without following links, checked and then read from their own. A check by path would
leave an instant in which what lies there changes.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shlex
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["FOLDER_VARIABLE", "LARGEST_ENTRY", "MIB", "OTHER_FOLDER", "PrivateFolder", "UnfitError", "make_private"]

FOLDER_VARIABLE: Final = "ADJOINT_CACHE_DIR"
MIB: Final = 2**20
#: A larger file was not written here: code of 100,000 nodes takes some 10 MiB.
LARGEST_ENTRY: Final = 256 * MIB
#: A temporary file that old was left by a process that died.
STALE_AFTER: Final = 3600.0


_TEMPORARY: Final = re.compile(r"\.[0-9a-f]{16}\.[0-9a-f]{16}\.part")
_POSIX: Final = os.name == "posix"
# Not every system has every flag. O_NONBLOCK: a pipe under the name of an entry must not make `open` wait for a writer.
_GUARDED: Final[int] = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_READ: Final[int] = os.O_RDONLY | _GUARDED | getattr(os, "O_NONBLOCK", 0)
_CREATE: Final[int] = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _GUARDED
_LIST: Final[int] = os.O_RDONLY | _GUARDED | getattr(os, "O_DIRECTORY", 0)

OTHER_FOLDER: Final = f"name another folder in {FOLDER_VARIABLE}, or off"


class UnfitError(Exception):
    """Why a folder or a file is not used."""


class PrivateFolder:
    """The folder, open and checked: names are looked up in what was checked, wherever its path leads by now.

    Windows can neither open a folder nor look up names in one; its user folders are closed to others by access lists,
    so paths do there, and owner and mode, which mean nothing, are not asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        try:
            if not _POSIX:
                path.stat()
                return
            self._descriptor = os.open(path, _LIST)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnfitError(_why_not_opened(path, error)) from None
        try:
            _check_ours(os.fstat(self._descriptor))
        except UnfitError as finding:
            self.close()
            raise UnfitError(f"{path} {finding}, so it is not used; {_cure(path, finding)}") from None

    def __enter__(self) -> PrivateFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self, name: str, most: int = LARGEST_ENTRY) -> tuple[bytes, os.stat_result]:
        """Content and status of a file, the first bytes of a longer one; raises UnfitError for what is not ours."""
        try:
            descriptor = os.open(self._at(name), _READ, dir_fd=self._descriptor)
        except OSError as error:
            raise UnfitError("is a symbolic link") if error.errno == errno.ELOOP else error from None
        try:
            status = os.fstat(descriptor)
            _check_file(status)
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(min(most, status.st_size)), status
        finally:
            os.close(descriptor)

    def write(self, name: str, content: bytes) -> None:
        """A file, whole or not at all, on the disk before it has its name.

        The folder itself is not synced: a name that a crash takes away is only compiled again.
        """
        temporary = f".{name[:16]}.{secrets.token_hex(8)}.part"
        descriptor = os.open(self._at(temporary), _CREATE, 0o600, dir_fd=self._descriptor)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            os.replace(self._at(temporary), self._at(name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except BaseException:
            with suppress(OSError):
                os.unlink(self._at(temporary), dir_fd=self._descriptor)
            raise

    def touch(self, name: str) -> None:
        """Note a use; on a read-only disk there is nothing to note."""
        with suppress(OSError):
            os.utime(self._at(name), dir_fd=self._descriptor)

    def remove(self, name: str) -> bool:
        """Remove a file or link of this user, and whether that was done; a folder stays."""
        try:
            status = self._status(name)
            if stat.S_ISDIR(status.st_mode) or _foreign(status):
                return False
            os.unlink(self._at(name), dir_fd=self._descriptor)
        except FileNotFoundError:  # another process was first
            return False
        return True

    def files(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, os.stat_result]]:
        """This user's regular files whose names fit a pattern."""
        for name in os.listdir(self.path if self._descriptor is None else self._descriptor):
            if pattern.fullmatch(name):
                with suppress(FileNotFoundError):
                    status = self._status(name)
                    if stat.S_ISREG(status.st_mode) and not _foreign(status):
                        yield name, status

    def remove_stale(self) -> None:
        """Remove temporary files that a dead process left."""
        for name, status in self.files(_TEMPORARY):
            if time.time() - status.st_mtime > STALE_AFTER:
                self.remove(name)

    def _status(self, name: str) -> os.stat_result:
        return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)

    def _at(self, name: str) -> str:
        return str(self.path / name) if self._descriptor is None else name


# --- who may have written it ----------------------------------------------------------------------------------------


def _foreign(status: os.stat_result) -> bool:
    return _POSIX and status.st_uid != os.geteuid()


def _check_ours(status: os.stat_result) -> None:
    if _foreign(status):
        raise UnfitError(f"belongs to user {status.st_uid}, not to user {os.geteuid()} who runs this")
    if _POSIX and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnfitError(f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})")


def _check_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnfitError("is no regular file")
    _check_ours(status)
    if status.st_size > LARGEST_ENTRY:
        raise UnfitError(f"has {status.st_size:,} bytes, more than any entry")


def _cure(path: Path, finding: UnfitError) -> str:
    """What a person can do about a folder."""
    if "can be written" in str(finding):
        return f"if its files are yours: chmod 700 {shlex.quote(str(path))}; else {OTHER_FOLDER}"
    return OTHER_FOLDER


def _why_not_opened(path: Path, error: OSError) -> str:
    """What stands there instead; only for the message, so a look at the path will do."""
    what = f"cannot be opened ({error.strerror})"
    if path.is_symlink():
        what = "is a symbolic link"
    elif path.is_file():
        what = "is no folder"
    return f"{path} {what}, so it is not used; {OTHER_FOLDER}"


def make_private(folder: Path) -> None:
    """Make a folder and those above it that are missing, for this user alone."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):  # another process was first; whose it is, is checked when it is opened
            each.mkdir(0o700)
