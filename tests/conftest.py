"""Fixtures for all tests: nothing that a test changes globally may outlive it."""

from collections.abc import Iterator

import numpy as np
import pytest

from adjoint.recording import MODE
from adjoint.vocabulary import REGISTRY


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled code goes to a folder of this session, where each program is compiled once, and not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADJOINT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def _user_ops() -> dict[str, object]:
    """Ops that were not registered by the library itself, whose folders may be imported late."""
    return {name: op for name, op in REGISTRY.items() if not (op.__module__ or "").startswith("adjoint.")}


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves an op in the registry, a recording mode open, or NumPy's error state changed."""
    ops, errors = _user_ops(), np.geterr()
    yield
    assert _user_ops() == ops, "the test left an op in the registry: use the fixture own_ops"
    assert MODE.get() is None, "the test left a recording mode open"
    assert np.geterr() == errors, "the test left NumPy's error state changed"


@pytest.fixture
def own_ops() -> Iterator[None]:
    """The registry as it was, after a test that registers ops of its own."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)
