"""What a release has in it: no wheel and no sdist without the viewer."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytest.importorskip("hatchling", reason="the build backend is not installed here")


def hook(root):
    spec = importlib.util.spec_from_file_location("build_hook", ROOT / "scripts/build_hook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ViewerHook(str(root), {}, None, None, str(root), "wheel")


def test_the_bundle_is_there():
    hook(ROOT).initialize("standard", {})
    assert (ROOT / "src/adjoint/view/viewer.js").stat().st_size > 50_000


def test_a_build_without_the_bundle_fails(tmp_path):
    with pytest.raises(RuntimeError, match="npm ci && npm run build"):
        hook(tmp_path).initialize("standard", {})
    hook(tmp_path).initialize("editable", {})
