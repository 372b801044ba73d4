"""A file that is written whole or not at all.

The bytes go to a new file in the same folder, which takes the name only when it is complete and on the disk. Whoever
reads the name sees the old file or the new one, never a part; a crash leaves at most a file that begins with a dot.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all; an existing one is replaced in one instant and keeps its permissions.

    Parameters
    ----------
    path : path
        A link is followed. What is no regular file, such as /dev/stdout, is written to directly.
    content : bytes

    Raises
    ------
    OSError
        The folder does not exist, is read-only, is full, and so on; what was there is still there.

    Example
    -------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(pathlib.Path(folder, "a.txt"), b"whole")
    ...     [(file.name, file.read_bytes()) for file in pathlib.Path(folder).iterdir()]
    [('a.txt', b'whole')]

    Source: POSIX `rename`, which replaces a name atomically.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        Path(path).write_bytes(content)
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:32]}.{secrets.token_hex(4)}")  # a name holds 255 bytes, not letters
    try:
        _write_through(temporary, content)
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _write_through(path: Path, content: bytes) -> None:
    """Write a new file to the disk, not only to the system's memory."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Let the new name reach the disk too, where the system offers that.

    A folder that may not be read, or that lies on some network, refuses; the file has its name all the same, so an
    error here would say of a written file that it was not.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
