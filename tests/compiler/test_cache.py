"""The cache of object code: what was put is had again, and nothing that anybody else could have written."""

import ast
import errno
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import adjoint
from adjoint.compiler import cache as module
from adjoint.compiler import private_folder
from adjoint.compiler.cache import MIB, CacheWarning, ObjectCache

KEY, CODE, ABOUT = b"trace of step, avx512", b"\x7fELF" + bytes(range(256)) * 4, {"name": "step"}
posix = pytest.mark.skipif(os.name != "posix", reason="owner and mode mean nothing on Windows")


@pytest.fixture
def cache(tmp_path):
    return ObjectCache(tmp_path)


@pytest.fixture
def file(cache):
    """The one entry of the cache."""
    cache.put(KEY, CODE, ABOUT)
    return only(cache)


def only(cache):
    (path,) = cache.folder.iterdir()
    return path


def put_all(cache):
    for key in (KEY, b"a", b"b"):
        cache.put(key, CODE, ABOUT)


def refused(cache, finding, fate="it was removed and is compiled anew", key=KEY):
    """A get that warns exactly once, also when it is asked again."""
    with pytest.warns(CacheWarning) as said:
        assert cache.get(key) is None
    assert [str(w.message).partition(".object ")[2] for w in said] == [f"{finding}; {fate}"]
    assert cache.get(key) is None  # warnings are errors here


def aged(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


# --- hits and misses ------------------------------------------------------------------------------------------------


def test_what_was_put_is_had_again_also_by_another_cache(cache, tmp_path):
    assert cache.get(KEY) is None
    cache.put(KEY, CODE, ABOUT)
    assert cache.get(KEY) == CODE
    assert ObjectCache(tmp_path).get(KEY) == CODE
    assert cache.get(KEY + b"!") is None
    assert cache.get(b"") is None


def test_a_miss_makes_no_folder(tmp_path):
    assert ObjectCache(tmp_path / "a").get(KEY) is None
    assert ObjectCache(tmp_path / "a").entries() == []
    assert ObjectCache(tmp_path / "a").clear() == 0
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("code", [b"", b"\n", b"\n\n\n", b"\0" * 5000])
def test_any_bytes_are_code(cache, code):
    cache.put(b"\xff\0\n", code, {})
    assert cache.get(b"\xff\0\n") == code


def test_a_second_put_replaces(cache):
    cache.put(KEY, b"old", ABOUT)
    cache.put(KEY, b"new", ABOUT)
    assert cache.get(KEY) == b"new"
    assert len(cache.entries()) == 1


def test_the_file(file):
    magic, digest, header, code = file.read_bytes().split(b"\n", 3)
    assert magic == b"adjoint object code, format 1"
    assert len(digest) == 64
    about = json.loads(header)
    assert abs(about.pop("created") - time.time()) < 60
    assert about == {"name": "step", "adjoint": adjoint.__version__, "code_bytes": len(CODE)}
    assert code == CODE


@posix
def test_nobody_else_may_write_or_read(file, tmp_path, monkeypatch):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    before = os.umask(0)
    try:
        cache = ObjectCache(tmp_path / "deep" / "er")
        cache.put(KEY, CODE, ABOUT)
    finally:
        os.umask(before)
    assert stat.S_IMODE(only(cache).stat().st_mode) == 0o600
    for folder in (cache.folder, cache.folder.parent, cache.folder.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_descriptor_stays_open(cache, file):
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else pytest.skip("no /proc")
    for _ in range(5):
        cache.get(KEY)
        cache.get(b"other")
        cache.put(KEY, CODE, ABOUT)
        cache.entries()
        cache.problem()
    file.write_bytes(b"")
    with pytest.warns(CacheWarning):
        cache.get(KEY)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_module_imports_nothing_of_the_compiler():
    imported = {
        name
        for file in (module.__file__, private_folder.__file__)
        for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8")))
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
        )
    }
    assert [name for name in imported if name.startswith(("llvmlite", "adjoint.", "pickle"))] == [
        "adjoint.compiler.private_folder"
    ]


# --- entries that cannot be trusted -----------------------------------------------------------------------------------


def test_a_changed_byte_anywhere_is_found(cache, file):
    whole = file.read_bytes()
    parts = whole.split(b"\n", 3)
    starts = [0, *(sum(len(p) + 1 for p in parts[: i + 1]) for i in range(3))]
    places = {s + d for s in starts for d in (-1, 0, 1, 7)} | {starts[2] - 2, len(whole) // 2, len(whole) - 1}
    for place in sorted(p for p in places if p >= 0):
        for change in (0x01, 0x80):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
            with pytest.warns(CacheWarning, match="is damaged|is no entry"):
                assert ObjectCache(cache.folder.parent).get(KEY) is None
            assert not file.exists()


@pytest.mark.parametrize("kept", [0, 1, 29, 30, 31, 60, 95, 96, 150, -1])
def test_a_truncated_entry(cache, file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    finding = (
        "is no entry of this format" if 0 <= kept < 30 else "is damaged: it does not have the digest that it names"
    )
    refused(cache, finding)
    cache.put(KEY, CODE, ABOUT)
    assert cache.get(KEY) == CODE


def test_a_longer_entry(cache, file):
    file.write_bytes(file.read_bytes() + b"\x90")
    refused(cache, "is damaged: it does not have the digest that it names")


def test_an_older_format(cache, file):
    file.write_bytes(file.read_bytes().replace(b"format 1", b"format 0", 1))
    refused(cache, "is no entry of this format")
    assert not file.exists()


def test_a_renamed_entry_is_not_what_its_new_name_asks_for(cache, file):
    cache.put(b"other", b"other code", {})
    os.replace(file, cache.folder / module._file_name(b"other"))
    refused(cache, "is damaged: it does not have the digest that it names", key=b"other")


def test_a_hostile_file_that_has_a_digest_but_of_itself_alone(cache, file):
    import hashlib

    rest = b"{}\n" + b"\xcc" * 100
    file.write_bytes(module.FORMAT + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
    refused(cache, "is damaged: it does not have the digest that it names")


@posix
def test_a_link_is_not_followed_and_its_target_not_touched(cache, file, tmp_path):
    target = tmp_path / "target"
    os.replace(file, target)
    file.symlink_to(target)
    refused(cache, "is a symbolic link")
    assert not file.is_symlink()
    assert target.exists()


@posix
def test_put_replaces_a_link_and_does_not_write_through_it(cache, file, tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    file.unlink()
    file.symlink_to(target)
    cache.put(KEY, CODE, ABOUT)
    assert target.read_bytes() == b"precious"
    assert cache.get(KEY) == CODE


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_entry_that_others_may_write(cache, file, mode):
    file.chmod(mode)
    refused(cache, f"can be written by others (mode {mode:04o})")
    assert not file.exists()


@posix
def test_a_pipe_does_not_hang(cache, file):
    file.unlink()
    os.mkfifo(file)
    refused(cache, "is no regular file")
    assert not file.exists()


def test_a_folder_in_place_of_an_entry(cache, file):
    file.unlink()
    file.mkdir()
    refused(cache, "is no regular file", "it was left there and is not used")
    assert file.is_dir()
    assert cache.clear() == 0
    with pytest.warns(CacheWarning, match="cannot be written: Is a directory"):
        cache.put(KEY, CODE, ABOUT)
    assert list(cache.folder.iterdir()) == [file]


def test_a_file_too_large_to_be_ours_is_not_read(cache, file, monkeypatch):
    monkeypatch.setattr(private_folder, "LARGEST_ENTRY", 1000)
    refused(cache, f"has {file.stat().st_size:,} bytes, more than any entry")


@posix
def test_an_entry_of_somebody_else(cache, file, monkeypatch):
    of_others(monkeypatch, stat.S_ISREG)
    me = os.geteuid()
    refused(cache, f"belongs to user {me + 1}, not to user {me} who runs this", "it was left there and is not used")
    assert file.exists()
    assert cache.entries() == []
    assert cache.clear() == 0


def of_others(monkeypatch, kind):
    """Everything of a kind belongs to the next user."""

    def foreign(status):
        fields = list(status)
        fields[4] += bool(kind(status.st_mode))
        return os.stat_result(fields)

    real_fstat, real_stat = os.fstat, os.stat
    monkeypatch.setattr(os, "fstat", lambda descriptor: foreign(real_fstat(descriptor)))
    monkeypatch.setattr(os, "stat", lambda *path, **how: foreign(real_stat(*path, **how)))


def test_an_entry_that_cannot_be_read_now_stays(cache, file, monkeypatch):
    def fails(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(private_folder, "_check_file", fails)
    with pytest.warns(CacheWarning, match="cannot be read: Input/output error"):
        assert cache.get(KEY) is None
    monkeypatch.undo()
    assert cache.get(KEY) == CODE


# --- folders that cannot be trusted -----------------------------------------------------------------------------------


def unused(cache, message):
    """Neither read nor written, and said once in all."""
    before = sorted(cache.folder.iterdir()) if cache.folder.is_dir() else []
    with pytest.warns(CacheWarning) as said:
        assert asked(cache) == (None, None, [], 0)
    assert [str(w.message) for w in said] == [f"object cache: {message}"]
    assert cache.problem() == message
    assert (sorted(cache.folder.iterdir()) if cache.folder.is_dir() else []) == before


def asked(cache):
    """Everything that a cache can be asked for, writing first and last."""
    put_all(cache)
    found = (cache.get(KEY), cache.get(b"a"), cache.entries(), cache.clear())
    put_all(cache)
    return found


OTHER = "name another folder in ADJOINT_CACHE_DIR, or off"


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_a_folder_that_others_may_write(cache, file, mode):
    folder = cache.folder
    folder.chmod(mode)
    cure = f"if its files are yours: chmod 700 {folder}; else {OTHER}"
    unused(cache, f"{folder} can be written by others (mode {mode:04o}), so it is not used; {cure}")
    folder.chmod(0o700)
    assert cache.get(KEY) == CODE


@posix
def test_a_folder_of_somebody_else(cache, file, monkeypatch):
    of_others(monkeypatch, stat.S_ISDIR)
    me = os.geteuid()
    unused(
        cache, f"{cache.folder} belongs to user {me + 1}, not to user {me} who runs this, so it is not used; {OTHER}"
    )


@posix
def test_a_folder_that_is_a_link(cache, file, tmp_path):
    os.replace(cache.folder, tmp_path / "elsewhere")
    cache.folder.symlink_to(tmp_path / "elsewhere")
    unused(cache, f"{cache.folder} is a symbolic link, so it is not used; {OTHER}")


@posix
def test_a_folder_that_is_a_file(tmp_path):
    cache = ObjectCache(tmp_path)
    cache.folder.write_text("no folder")
    unused(cache, f"{cache.folder} is no folder, so it is not used; {OTHER}")


@posix
def test_a_folder_below_a_file(tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = ObjectCache(tmp_path / "file")
    unused(cache, f"{cache.folder} cannot be opened (Not a directory), so it is not used; {OTHER}")


def test_the_folder_is_checked_and_read_by_one_descriptor(cache, file, tmp_path, monkeypatch):
    """Somebody who exchanges the folder after the check gains nothing."""
    real = private_folder._check_ours
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / file.name).write_bytes(b"evil")

    def exchanged(status):
        real(status)
        if cache.folder.exists() and trap.exists():
            os.replace(cache.folder, tmp_path / "aside")
            os.replace(trap, cache.folder)

    monkeypatch.setattr(private_folder, "_check_ours", exchanged)
    assert cache.get(KEY) == CODE


# --- a disk that does not play along ----------------------------------------------------------------------------------


def failing(code):
    def fails(*arguments, **settings):
        raise OSError(code, os.strerror(code))

    return fails


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("fsync", errno.ENOSPC, "No space left on device"),
        ("replace", errno.EACCES, "Permission denied"),
        ("fsync", errno.EIO, "Input/output error"),
    ],
)
def test_a_full_or_failing_disk_is_said_once_and_leaves_nothing(cache, monkeypatch, function, code, words):
    monkeypatch.setattr(os, function, failing(code))
    with pytest.warns(CacheWarning) as said:
        put_all(cache)
    assert [str(w.message) for w in said] == [f"object cache: {cache.folder} cannot be written: {words}; {OTHER}"]
    assert list(cache.folder.iterdir()) == []
    monkeypatch.undo()
    cache.put(KEY, CODE, ABOUT)
    assert cache.get(KEY) == CODE


def test_a_read_only_folder(cache, file, monkeypatch):
    """Simulated, since root may write everywhere: nothing can be made, nothing can be touched."""
    real = os.open

    def read_only(path, flags, *rest, **how):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *rest, **how)

    aged(file, 100_000)
    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(os, "utime", failing(errno.EROFS))
    with pytest.warns(CacheWarning, match="cannot be written: Read-only file system"):
        cache.put(b"new", CODE, ABOUT)
    assert cache.get(KEY) == CODE
    assert cache.get(b"new") is None


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    cache = ObjectCache(tmp_path / "a")
    monkeypatch.setattr(Path, "mkdir", failing(errno.EACCES))
    with pytest.warns(CacheWarning, match="cannot be written: Permission denied"):
        cache.put(KEY, CODE, ABOUT)
    cache.put(KEY, CODE, ABOUT)
    assert cache.get(KEY) is None


def test_an_interrupted_write_leaves_nothing(cache, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.put(KEY, CODE, ABOUT)
    assert list(cache.folder.iterdir()) == []


# --- where, and whether at all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "0", "off", "OFF", " off "])
def test_switched_off(monkeypatch, tmp_path, value):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ADJOINT_CACHE_DIR", value)
    cache = ObjectCache()
    cache.put(KEY, CODE, ABOUT)
    assert cache.folder is None
    assert cache.get(KEY) is None
    assert cache.entries() == []
    assert cache.clear() == 0
    assert cache.problem() == "the cache is off, since ADJOINT_CACHE_DIR is empty, 0 or off"
    assert list(tmp_path.iterdir()) == []


def test_a_chosen_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for value, folder in {"/x/y": "/x/y", "near": str(tmp_path / "near"), "~/c": str(tmp_path / "home" / "c")}.items():
        monkeypatch.setenv("ADJOINT_CACHE_DIR", value)
        assert ObjectCache().folder == Path(folder, "objects")
    assert ObjectCache(Path("given")).folder == tmp_path / "given" / "objects"


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, "/home/me/.cache/adjoint"),
        ("linux", {"XDG_CACHE_HOME": "/scratch"}, "/scratch/adjoint"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/adjoint"),
        ("darwin", {"XDG_CACHE_HOME": "/scratch"}, "/home/me/Library/Caches/adjoint"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/adjoint/cache"),
        ("win32", {}, "/home/me/AppData/Local/adjoint/cache"),
    ],
)
@posix
def test_folders_of_systems(monkeypatch, platform, environment, folder):
    monkeypatch.setenv("HOME", "/home/me")
    assert module._default_folder(environment, platform) == Path(folder)


def test_a_user_without_a_home(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for name in ("ADJOINT_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    cache = ObjectCache()
    assert cache.get(KEY) is None
    with pytest.warns(CacheWarning) as said:
        put_all(cache)
    message = "no home folder is known, so there is no cache; name a folder in ADJOINT_CACHE_DIR"
    assert [str(w.message) for w in said] == [f"object cache: {message}"]
    assert cache.problem() == message


@pytest.mark.parametrize("value", ["many", "-1", "nan", "inf", ""])
def test_a_limit_that_is_none(monkeypatch, tmp_path, value):
    monkeypatch.setenv("ADJOINT_CACHE_MB", value)
    cache = ObjectCache(tmp_path)
    assert cache.limit == 256 * MIB
    with pytest.warns(CacheWarning) as said:
        put_all(cache)
    wrong = f"ADJOINT_CACHE_MB: expected a number of MiB from 0, got {value!r}; 256 is taken"
    assert [str(w.message) for w in said] == [f"object cache: {wrong}"]
    assert cache.get(KEY) == CODE


def test_limits(monkeypatch, tmp_path):
    for value, limit in {"1": MIB, "0.5": MIB // 2, "0": 0}.items():
        monkeypatch.setenv("ADJOINT_CACHE_MB", value)
        assert ObjectCache(tmp_path).limit == limit
    ObjectCache(tmp_path).put(KEY, CODE, ABOUT)  # the limit is 0
    assert list(tmp_path.iterdir()) == []


# --- room -------------------------------------------------------------------------------------------------------------


def filled(cache, count, size=1000):
    """Entries 0, 1, ..., each used an hour after the one before."""
    for i in range(count):
        cache.put(b"%d" % i, bytes(size), {"name": f"f{i}"})
        aged(cache.folder / module._file_name(b"%d" % i), 3600 * (count - i))


def names(cache):
    return sorted(entry.name for entry in cache.entries())


def test_those_unused_for_longest_go_first(cache):
    filled(cache, 8)
    size = only_size(cache)
    assert cache.get(b"0") is not None  # used now, so it stays
    cache.limit = 6 * size
    cache._room = None
    cache.put(b"new", bytes(1000), {"name": "f9"})
    assert names(cache) == ["f0", "f5", "f6", "f7", "f9"]  # a tenth below the limit


def only_size(cache):
    (size,) = {entry.size for entry in cache.entries()}
    return size


def test_the_folder_is_looked_through_once_and_when_the_limit_is_reached(cache, monkeypatch):
    filled(cache, 1)
    size, looks = only_size(cache), []
    real = private_folder.PrivateFolder.remove_stale
    monkeypatch.setattr(private_folder.PrivateFolder, "remove_stale", lambda folder: (looks.append(1), real(folder)))
    fresh = ObjectCache(cache.folder.parent)
    fresh.limit = 10 * size
    for i in range(1, 10):
        fresh.put(b"%d" % i, bytes(1000), {"name": f"f{i}"})
    assert (len(looks), len(fresh.entries())) == (1, 10)
    fresh.put(b"10", bytes(1000), {"name": "g0"})
    assert (len(looks), len(fresh.entries())) == (2, 9)
    assert fresh.get(b"10") is not None


def test_an_entry_beyond_the_limit_is_not_kept_and_removes_nothing(cache):
    filled(cache, 3)
    cache.limit = 3 * only_size(cache)
    cache.put(b"large", bytes(cache.limit), {})
    assert len(cache.entries()) == 3
    assert cache.get(b"large") is None


def test_a_large_entry_stays_where_it_was_just_written(cache):
    cache.limit = 1100
    cache.put(KEY, bytes(850), {})
    assert cache.get(KEY) == bytes(850)


def test_a_use_is_noted_but_not_every_time(cache, file):
    aged(file, 1800)
    before = file.stat().st_mtime
    cache.get(KEY)
    assert file.stat().st_mtime == before
    aged(file, 4000)
    cache.get(KEY)
    assert time.time() - file.stat().st_mtime < 60


def test_files_that_dead_processes_left(cache, file):
    old, young = (cache.folder / f".{'a' * 16}.{c * 16}.part" for c in "01")
    other = cache.folder / ".other.part"
    for path in (old, young, other):
        path.write_bytes(b"half")
    aged(old, 4000)
    aged(other, 4000)
    ObjectCache(cache.folder.parent).put(KEY, CODE, ABOUT)
    assert sorted(cache.folder.iterdir()) == sorted([young, other, file])


# --- lists and clearing -----------------------------------------------------------------------------------------------


def test_entries(cache):
    filled(cache, 3)
    now = time.time()
    assert [entry.name for entry in cache.entries()] == ["f2", "f1", "f0"]
    last = cache.entries()[-1]
    assert last.path == cache.folder / module._file_name(b"0")
    assert last.size == last.path.stat().st_size
    assert abs(last.created - now) < 60
    assert abs(last.last_used - (now - 3 * 3600)) < 60


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b'{"name": 3, "created": "x"}',
        b'{"created": NaN}',
        b'{"created": -1}',
        b'{"created": 1e400}',
        b"[" * 15_000,
        b"\xff",
        b'{"name": ""}',
    ],
)
def test_an_entry_whose_header_says_nothing_is_listed_all_the_same(cache, file, header):
    magic, digest, _, code = file.read_bytes().split(b"\n", 3)
    file.write_bytes(b"\n".join([magic, digest, header, code]))
    (entry,) = cache.entries()
    assert (entry.name, entry.created) == ("?", file.stat().st_mtime)
    file.write_bytes(b"")
    assert cache.entries()[0].name == "?"


def test_long_names_are_cut(cache):
    cache.put(KEY, CODE, {"name": "π" * 1000, "nodes": 7, "seconds": 0.5})
    assert cache.entries()[0].name == "π" * 200


def test_clear_leaves_what_is_not_ours(cache, file):
    foreign = [cache.folder / name for name in ("notes.txt", "a.object", file.name + ".bak", file.name.upper())]
    for path in foreign:
        path.write_text("keep")
    (cache.folder / ("b" * 64 + ".object")).mkdir()
    cache.put(b"second", CODE, ABOUT)
    assert cache.clear() == 2
    assert cache.clear() == 0
    assert sorted(cache.folder.iterdir()) == sorted([*foreign, cache.folder / ("b" * 64 + ".object")])
    cache.put(KEY, CODE, ABOUT)
    assert cache.get(KEY) == CODE


# --- eight processes --------------------------------------------------------------------------------------------------

WORKER = """
import hashlib, sys, warnings
from pathlib import Path
from adjoint.compiler.cache import ObjectCache
warnings.simplefilter("error")
cache, me, hits = ObjectCache(Path(sys.argv[1])), sys.argv[2], 0
cache.limit = int(sys.argv[3])
for turn in range(15):
    for key in (b"shared%d" % (turn % 5), f"own{me}.{turn}".encode()):
        code = hashlib.sha256(key).digest() * 500
        found = cache.get(key)
        assert found is None or found == code, "a part of an entry, or another's"
        hits += found is not None
        cache.put(key, code, {"name": key.decode()})
        found = cache.get(key)
        assert found is None or found == code
print(hits)
"""


@pytest.mark.parametrize("limit", [256 * MIB, 400_000])
def test_eight_processes_at_once(tmp_path, limit):
    """Same keys and different ones, with room for all or with each removing what others write."""
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    workers = [
        subprocess.Popen([*command, str(i), str(limit)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for i in range(8)
    ]
    told = [worker.communicate(timeout=60) for worker in workers]
    assert [errors for _, errors in told] == [""] * 8
    assert [worker.returncode for worker in workers] == [0] * 8
    cache = ObjectCache(tmp_path)
    found = cache.entries()
    assert [path for path in cache.folder.iterdir() if path.suffix != ".object"] == []
    if limit == 256 * MIB:
        assert sum(int(hits) for hits, _ in told) >= 8 * 10  # each finds at least what itself wrote
        assert len(found) == 5 + 8 * 15
    assert all(cache.get(entry.name.encode()) is not None for entry in found)


# --- cost -------------------------------------------------------------------------------------------------------------


@pytest.mark.timing
def test_a_hit_is_cheap(cache):
    key, code = bytes(5000), bytes(100_000)
    cache.put(key, code, ABOUT)
    times = []
    for _ in range(100):
        start = time.perf_counter()
        cache.get(key)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5e-3
