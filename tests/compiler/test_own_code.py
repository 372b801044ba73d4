"""Native code of the compiler itself: compiled once for all processes, and the same without a cache."""

import pytest

from adjoint.compiler import epochs, own_code, pool
from adjoint.compiler.cache import ObjectCache
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
    other = own_code.machine()._replace(cpu="generic")
    monkeypatch.setattr(own_code, "machine", lambda: other)
    own_code.own_code(*own)
    assert len(ObjectCache().entries()) == 3


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
