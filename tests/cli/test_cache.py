"""`adjoint cache`: what is kept, where, and how to be rid of it."""

import os
import stat
import time

import pytest
from click.testing import CliRunner

from adjoint.cli import commands
from adjoint.compiler.cache import ObjectCache

THEN = 1_700_000_000  # 2023-11-14 22:13:20 UTC


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of the test's own, in a time zone that is known."""
    monkeypatch.setenv("ADJOINT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ADJOINT_CACHE_MB", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield tmp_path / "cache" / "objects"
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def two(monkeypatch):
    """Two entries, 1,024 and 2,560 bytes long: a list does not ask whether they are whole."""
    monkeypatch.setattr(time, "time", lambda: float(THEN))
    kept = ObjectCache()
    for name, size, used in (("step", 1024, THEN + 90), ("a function with a rather long name", 2560, THEN + 7200)):
        kept.put(name.encode(), b"code", {"name": name})
        path = next(entry.path for entry in kept.entries() if entry.name == name)
        os.truncate(path, size)
        os.utime(path, (used, used))
    return kept


def run(*arguments, **settings):
    return CliRunner().invoke(commands, ["cache", *arguments], prog_name="adjoint", **settings)


def printed(*arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def mistake(*arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr.strip()


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


def test_the_list(folder, two):
    assert lines(printed()) == [
        f"folder:  {folder}",
        "kept:    2 entries, 3.5 KiB of at most 256.0 MiB (ADJOINT_CACHE_MB)",
        "",
        "function                                size   created            last used",
        "a function with a rather long name   2.5 KiB   2023-11-14 22:13   2023-11-15 00:13",
        "step                                 1.0 KiB   2023-11-14 22:13   2023-11-14 22:14",
    ]


def test_an_empty_list_makes_no_folder(folder):
    assert printed() == f"folder:  {folder}\nkept:    0 entries, 0 bytes of at most 256.0 MiB (ADJOINT_CACHE_MB)\n"
    assert not folder.exists()


def test_the_limit(monkeypatch):
    monkeypatch.setenv("ADJOINT_CACHE_MB", "2000")
    assert "of at most 2,000.0 MiB" in printed()


def test_clear(folder, two):
    (folder / "notes.txt").write_text("keep")
    assert printed("--clear") == "2 entries removed, 3.5 KiB\n"
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert printed("--clear") == f"nothing to remove: no entries in {folder}\n"


def test_clear_of_one():
    ObjectCache().put(b"k", b"", {})
    assert printed("--clear").startswith("1 entry removed, ")


def test_clear_of_a_missing_folder(folder):
    assert printed("--clear") == f"nothing to remove: no entries in {folder}\n"
    assert not folder.exists()


def test_clear_that_is_refused(folder, two, monkeypatch):
    def refuses(*path, **how):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "unlink", refuses)
    assert mistake("--clear") == f"adjoint cache: {folder} cannot be cleared: Permission denied"


def test_path(folder):
    assert printed("--path") == f"{folder}\n"


def test_both():
    assert mistake("--clear", "--path") == "adjoint cache: --clear and --path exclude each other; give one"


def test_switched_off(monkeypatch):
    monkeypatch.setenv("ADJOINT_CACHE_DIR", "off")
    said = "the cache is off, since ADJOINT_CACHE_DIR is empty, 0 or off"
    assert printed() == f"{said}\n"
    assert printed("--clear") == f"{said}\n"
    assert mistake("--path") == f"adjoint cache: --path: {said}"


@pytest.mark.skipif(os.name != "posix", reason="modes mean nothing on Windows")
def test_a_folder_that_others_may_write(folder, two):
    folder.chmod(0o777)
    said = f"{folder} can be written by others (mode 0777), so it is not used; if its files are yours: chmod 700"
    for arguments in ((), ("--clear",)):
        assert mistake(*arguments).startswith(f"adjoint cache: {said}")
    assert printed("--path") == f"{folder}\n"
    assert len(list(folder.iterdir())) == 2
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777


def test_a_name_cannot_command_the_terminal():
    ObjectCache().put(b"k", b"", {"name": "\x1b]0;owned\x07\x1b[31m[red]x\n"})
    text = printed()
    assert "\x1b" not in text
    assert "�]0;owned��[31m[red]x�" in text


def test_a_long_name_is_one_line_in_a_pipe():
    ObjectCache().put(b"k", b"", {"name": "n" * 300})
    assert len(lines(printed())) == 5


def test_colours_and_none(monkeypatch, two):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    assert "\x1b[" in run(color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any(f"\x1b[{code}" in run(color=True).stdout for code in (31, 32, 33, 34, 35, 36, 38))
