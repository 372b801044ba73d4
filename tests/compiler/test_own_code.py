"""Native code of the compiler itself: compiled once for all processes, and the same without a cache."""

import pytest

from adjoint.compiler import epochs, own_code, pool
from adjoint.compiler.cache import ObjectCache
from adjoint.compiler.entry import LAYOUT
from adjoint.compiler.llvm import object_code

MODULES = {"adjoint.pool": pool._module, "adjoint.epochs": epochs._driver_module}


@pytest.fixture(params=MODULES)
def own(request):
    """A name, and what makes the module."""
    return request.param, MODULES[request.param]


def refuse(*_):
    raise AssertionError("it is compiled again")


def test_the_native_code_is_compiled_once_for_all_processes(own, tmp_path, monkeypatch):
    monkeypatch.setenv("ADJOINT_CACHE_DIR", str(tmp_path))
    code = own_code.own_code(*own)
    assert [entry.name for entry in ObjectCache().entries()] == [own[0]]
    with monkeypatch.context() as patch:
        patch.setattr(own_code, "object_code", refuse)
        assert own_code.own_code(own[0], refuse) == code
    with monkeypatch.context() as patch:
        patch.setattr(own_code, "own_digest", lambda: b"of another state")
        own_code.own_code(*own)
        assert len(ObjectCache().entries()) == 2
    own_code.own_code(*own, (32, 40))  # of a Python with other places
    assert len(ObjectCache().entries()) == 3
    other = own_code.machine()._replace(cpu="generic")
    monkeypatch.setattr(own_code, "machine", lambda: other)
    own_code.own_code(*own)
    assert len(ObjectCache().entries()) == 4


def test_code_that_reads_objects_is_kept_for_their_layout(monkeypatch):
    """Other versions of Python may share the folder."""
    asked = []

    def told(name, module, *about):
        asked.append((name, about))
        return real(name, module, *about)

    real = own_code.own_code
    monkeypatch.setattr(pool, "own_code", told)
    pool._native.__wrapped__()
    assert asked == [("adjoint.pool", (LAYOUT,))]
    assert (object.__basicsize__, tuple.__basicsize__) == LAYOUT


def test_no_cache_is_needed(own, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_bytes(b"")
    for folder in (file, file / "inside", "off"):
        monkeypatch.setenv("ADJOINT_CACHE_DIR", str(folder))
        assert own_code.own_code(*own).startswith(object_code(own[1]())[:4])


def test_a_relative_cache_whose_folder_is_gone(own, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setenv("ADJOINT_CACHE_DIR", "relative")
    gone.rmdir()
    assert len(own_code.own_code(*own)) > 1000
