"""What a release has in it: nothing is built without the viewer, and the studio of the wheel works without Node."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
import zipfile
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VIEWER = "src/adjoint/view/viewer.js"

pytest.importorskip("hatchling", reason="the build backend is not installed here")


def hook(root):
    spec = importlib.util.spec_from_file_location("build_hook", ROOT / "scripts/build_hook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ViewerHook(str(root), {}, None, None, str(root), "wheel")


def test_the_bundle_is_there():
    hook(ROOT).initialize("standard", {})
    assert (ROOT / VIEWER).stat().st_size > 50_000


def test_a_build_without_the_bundle_fails(tmp_path):
    with pytest.raises(RuntimeError, match="npm ci && npm run build"):
        hook(tmp_path).initialize("standard", {})
    hook(tmp_path).initialize("editable", {})


# --- what is built --------------------------------------------------------------------------------------------------


def built(kind, root, folder):
    """What the backend makes of a source tree, in a process of its own: a wheel or an sdist."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The tree that an sdist of this one unpacks to."""
    folder = tmp_path_factory.mktemp("sdist")
    assert built("sdist", ROOT, folder).returncode == 0
    (archive,) = folder.glob("adjoint-*.tar.gz")
    # Of the command's versions each knows its default; as a function, some require a filter and others have none.
    subprocess.run([sys.executable, "-m", "tarfile", "-e", str(archive), str(folder)], check=True)
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


@pytest.fixture(scope="module")
def installed(source, tmp_path_factory):
    """The wheel that is made from the sdist, unpacked: what an installation puts beside its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    assert built("wheel", source, folder).returncode == 0
    (archive,) = folder.glob("adjoint-*.whl")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_from_the_sdist_has_every_file_of_the_package(source, installed):
    def package(root):
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"}

    here = package(ROOT / "src/adjoint")
    assert package(source / "src/adjoint") == here
    assert package(installed / "adjoint") == here
    assert {"view/viewer.js", "view/tokens.json", "view/schema.json", "data/digits.csv.gz", "py.typed"} <= here
    assert (installed / "adjoint/view/viewer.js").read_bytes() == (ROOT / VIEWER).read_bytes()


def test_the_sdist_has_the_sources_of_the_viewer_and_nothing_that_was_made_from_them(source):
    assert (source / "viewer/src/strings.ts").is_file()
    assert (source / "viewer/package-lock.json").is_file()
    assert (source / "scripts/build_hook.py").is_file()
    assert not (source / "viewer/node_modules").exists()
    assert not (source / ".venv").exists()


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_the_backend_builds_nothing_without_the_bundle(kind, source, tmp_path):
    shutil.copytree(source, tmp_path / "tree")
    (tmp_path / "tree" / VIEWER).unlink()
    done = built(kind, tmp_path / "tree", tmp_path / "made")
    assert done.returncode != 0
    assert "npm ci && npm run build" in done.stderr
    assert list(tmp_path.glob("made/*.whl")) + list(tmp_path.glob("made/*.tar.gz")) == []


# --- what the wheel does --------------------------------------------------------------------------------------------


@contextmanager
def adjoint(installed, folder, *arguments):
    """A command of the wheel, with no program beside it on the path, Node among them, until the block ends."""
    (folder / "empty").mkdir(exist_ok=True)
    private = {name: text for name, text in os.environ.items() if name not in ("PATH", "PYTHONPATH")}
    private |= {"PATH": str(folder / "empty"), "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "adjoint", *arguments]
    running = subprocess.Popen(command, cwd=folder, env=private, stdout=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode == 0


def browse(address):
    """Pages of a server as a browser gets them that was given the address: it keeps the cookie for the token."""
    base = address.partition("?")[0]
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(path):
        with browser.open(base + path, timeout=30) as answer:
            return answer.read()

    browser.open(address, timeout=30).close()
    return get


SAVED = """
import adjoint as ad
print(ad.__file__)
f = (ad.tensor(3.0, name="x") * ad.tensor(-4.0, name="y")).named("f")
f.backward()
ad.view.save(ad.view.document(f), "f.json")
"""


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C as a signal")
@pytest.mark.parametrize("command", [("studio",), ("view", "f.json")])
def test_from_the_wheel_the_studio_serves_its_page_without_node(command, installed, tmp_path):
    for extra in ("starlette", "uvicorn"):
        pytest.importorskip(extra, reason="the extra studio is not installed")
    private = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", SAVED], cwd=tmp_path, env=private, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(installed)
    with adjoint(installed, tmp_path, *command, "--no-browser") as running:
        said = running.stdout.readline()
        assert said.startswith("studio: http://127.0.0.1:")
        get = browse(said.split()[1])
        assert b'<script type="module" src="/studio.js">' in get("")
        assert get("viewer.js") == (ROOT / VIEWER).read_bytes()
        shown = json.loads(get("api/status"))["first"]
        assert shown.get("kind") == {"studio": None, "view": "document"}[command[0]]
