"""Files that are whole or not there, whatever happens in between."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adjoint.formats import write_atomically
from adjoint.formats import atomic

needs_posix = pytest.mark.skipif(os.name != "posix", reason="permissions, links and devices of POSIX")


def fails(*arguments, **settings):
    raise OSError(28, "No space left on device")


def test_a_new_file_and_a_replaced_one(tmp_path):
    path = tmp_path / "a.bin"
    write_atomically(path, b"first")
    write_atomically(str(path), b"second")
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_in_between_leaves_what_was_there(tmp_path, monkeypatch, name, error):
    def fail(*arguments):
        raise error

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(atomic.os, name, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    with pytest.raises(type(error)):
        write_atomically(tmp_path / "b.bin", b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    done = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(atomic.os, "fsync", lambda handle: (done.append("fsync"), sync(handle))[1])
    monkeypatch.setattr(atomic.os, "replace", lambda old, new: (done.append("rename"), rename(old, new))[1])
    write_atomically(tmp_path / "a.bin", b"whole")
    assert done[:2] == ["fsync", "rename"]


KILLED = """
import sys, itertools
from adjoint.formats import write_atomically
print("ready", flush=True)
for letter in itertools.cycle(b"ab"):
    write_atomically(sys.argv[1], bytes([letter]) * 3_000_000)
"""


@needs_posix
def test_a_process_killed_in_between_leaves_a_whole_file(tmp_path):
    """Killed at moments that differ: the name always holds 3 million equal letters."""
    path = tmp_path / "a.bin"
    for pause in (0.005, 0.02, 0.05):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
        process.stdout.readline()
        while not path.exists():
            time.sleep(0.001)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        content = path.read_bytes()
        assert len(content) == 3_000_000
        assert len(set(content)) == 1
    assert all(name == "a.bin" or name.startswith(".a.bin.") for name in os.listdir(tmp_path))


@needs_posix
def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "a.bin", tmp_path / "link.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_atomically(link, b"new")
    assert path.read_bytes() == b"new"
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@needs_posix
def test_a_device_is_written_to_directly():
    write_atomically("/dev/null", b"gone")
    assert not Path("/dev/null").is_file()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "a.bin", b"x")
    assert os.listdir(tmp_path) == []
