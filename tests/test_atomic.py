"""A file is written whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from adjoint import atomic
from adjoint.atomic import write_atomically


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_a_new_file_and_one_that_is_replaced(tmp_path):
    file = tmp_path / "a.bin"
    write_atomically(file, b"one")
    write_atomically(file, b"two")
    assert file.read_bytes() == b"two"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("step", ["_write_through", "replace", "fsync"])
def test_a_failure_at_any_step_leaves_the_old_file(tmp_path, monkeypatch, step):
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")

    def fails(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((atomic, step) if step.startswith("_") else (os, step)), fails)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")

    def interrupted(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, b"new")
    assert (file.read_bytes(), names(tmp_path)) == (b"old", ["a.bin"])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_process_that_is_killed_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")
    program = (
        "import os, signal, sys\n"
        "from adjoint.formats import write_atomically\n"
        "os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(sys.argv[1], b'new' * 100_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert file.read_bytes() == b"old"
    left = [name for name in names(tmp_path) if name != "a.bin"]
    assert all(name.startswith(".a.bin.") for name in left)


ENDLESS = """
import itertools, sys
from adjoint.formats import write_atomically
for letter in itertools.cycle(b"ab"):
    write_atomically(sys.argv[1], bytes([letter]) * 3_000_000)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_process_that_is_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    """The name always holds three million equal letters."""
    file = tmp_path / "a.bin"
    for pause in (0.005, 0.02, 0.05):
        with subprocess.Popen([sys.executable, "-c", ENDLESS, str(file)]) as process:
            while not file.exists() and process.poll() is None:
                time.sleep(0.001)
            time.sleep(pause)
            process.kill()
        content = file.read_bytes()
        assert (len(content), len(set(content))) == (3_000_000, 1)


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    done = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("fsync"), sync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append("rename"), rename(old, new))[1])
    write_atomically(tmp_path / "a.bin", b"whole")
    assert done[:2] == ["fsync", "rename"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links_are_kept(tmp_path):
    file, link = tmp_path / "a.bin", tmp_path / "link"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    fresh = tmp_path / "fresh"
    write_atomically(fresh, b"")
    other = tmp_path / "other"
    other.touch()
    assert fresh.stat().st_mode == other.stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="devices of POSIX")
def test_what_is_no_regular_file_is_written_to():
    write_atomically(os.devnull, b"gone")
    assert not os.path.isfile(os.devnull)


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "a.bin", b"")


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="folders are not synced here")
def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    """Some network folders refuse; the file is whole and has its name."""
    real = os.fsync

    def only_files(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_a_name_as_long_as_a_name_may_be(tmp_path):
    """255 bytes of letters that take three each: the name of the file in between must not be longer."""
    file = tmp_path / ("字" * 85)
    write_atomically(file, b"new")
    assert file.read_bytes() == b"new"
