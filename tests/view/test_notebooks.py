"""The widget where it lives: in JupyterLab and in marimo, each a server of its own with a real kernel behind it.

What is asked of both: the viewer mounts, its texts are those of Python's picture, it is stepped through, another
document takes its place, and the console has no error. What stands beside the widget is asked of a notebook's export.
These tests need `chromium` and the packages playwright, anywidget, and jupyterlab or marimo; without one they are
skipped.
"""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec
from urllib.parse import unquote

import pytest
from tests.view.chromium import NEEDED, chromium, drawn, labels, sync_api, written

import adjoint as ad
from adjoint.view import svg

pytestmark = [
    NEEDED,
    pytest.mark.skipif(find_spec("anywidget") is None, reason="the extra notebook is not installed"),
    pytest.mark.skipif(not files("adjoint.view").joinpath("viewer.js").is_file(), reason="the viewer is not built"),
]

TOKEN = "letters-of-a-test"
PATIENCE = 60_000  # milliseconds: a kernel that starts on a busy machine

CIRCUIT = """\
import adjoint as ad
x, y, z = (ad.tensor(v, name=n) for n, v in {"x": -2.0, "y": 5.0, "z": -4.0}.items())
f = ((x + y).named("q") * z).named("f")
f.backward()
"""
OTHER = 'shown.document = ad.view.document((ad.tensor(3.0, name="a") * ad.tensor(5.0, name="b")).named("g"))'


def circuit(z=-4.0):
    x, y, z = (ad.tensor(v, name=n) for n, v in {"x": -2.0, "y": 5.0, "z": z}.items())
    f = ((x + y).named("q") * z).named("f")
    f.backward()
    return f


# --- servers and pages ----------------------------------------------------------------------------------------------


@contextmanager
def serving(command, folder, address):
    """A notebook server in a process of its own, with a home of its own, until the block ends."""
    private = {name: text for name, text in os.environ.items() if not name.startswith(("JUPYTER", "MARIMO", "XDG_"))}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, env=private | {"HOME": str(folder)}, stdout=log, stderr=log
        )
        try:
            wait_for(address, server, folder / "server.log")
            yield
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_for(address, server, log):
    """Return when the server answers, whatever it says."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"{address} does not answer: {log.read_text(errors='replace')[-2000:]}")


def free_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile"), height=1600) as context:
        context.set_default_timeout(PATIENCE)
        yield context


@contextmanager
def opened(browser, address):
    """A page, in whose console no error may stand in the end."""
    page, told = browser.new_page(), []
    page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(address)
    yield page
    page.close()
    assert told == []


def pictures(page):
    """The texts of every SVG that the page shows as an image, once it is loaded."""
    sources = page.locator("img[src^='data:image/svg+xml']").evaluate_all(
        "async all => { await Promise.all(all.map(i => i.decode())); return all.map(i => i.src); }"
    )
    parts = [source.partition(",")[::2] for source in sources]
    texts = [base64.b64decode(data).decode() if "base64" in kind else unquote(data) for kind, data in parts]
    return [drawn(text) for text in texts if "wire" in text]


def assert_steps_by_keys(page):
    """From the inputs alone to every gradient, and one step back."""
    page.locator("svg.picture").click(position={"x": 5, "y": 5})
    page.keyboard.press("Home")
    seen = [(labels(page, "value"), labels(page, "gradient"))]
    for key in (".", ".", ".", ".", ","):
        page.keyboard.press(key)
        seen.append((labels(page, "value"), labels(page, "gradient")))
    inputs = ["-2", "5", "-4"]
    assert seen == [
        (inputs, []),
        ([*inputs, "3"], []),
        ([*inputs, "3", "-12"], []),
        ([*inputs, "3", "-12"], ["3", "-4", "1"]),
        ([*inputs, "3", "-12"], ["-4", "-4", "3", "-4", "1"]),
        ([*inputs, "3", "-12"], ["3", "-4", "1"]),
    ]
    page.keyboard.press("End")


# --- JupyterLab -----------------------------------------------------------------------------------------------------

CELLS = (CIRCUIT, "f.graph", "ad.show(f)", "shown = ad.view.widget(f)\nshown", OTHER)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The folder and the address of a JupyterLab with one notebook in it."""
    if find_spec("jupyterlab") is None:
        pytest.skip("jupyterlab is not installed")
    folder, port = tmp_path_factory.mktemp("lab"), free_port()
    cell = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    cells = [cell | {"id": f"cell-{place}", "source": source} for place, source in enumerate(CELLS)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}
    (folder / "graph.ipynb").write_text(json.dumps(notebook))
    settings = (
        *("--no-browser", "--allow-root", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        # Nothing outside this machine is asked for.
        *("--LabApp.extension_manager=readonly", "--LabApp.news_url="),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    )
    with serving(["jupyterlab", *settings], folder, f"http://127.0.0.1:{port}/api"):
        yield folder, f"http://127.0.0.1:{port}/lab/tree/graph.ipynb?token={TOKEN}"


@pytest.fixture(scope="module")
def notebook(browser, lab):
    """The notebook with all its cells run but the last."""
    with opened(browser, lab[1]) as page:
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # a cell that is run earlier is forgotten
        last = page.locator(".jp-Notebook .jp-CodeCell").nth(len(CELLS) - 1)
        last.click()
        sync_api.expect(last).to_have_class(re.compile("jp-mod-active"))
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Above Selected Cell", exact=True).click()
        page.locator("svg.picture .part").first.wait_for(state="attached")
        yield page


def test_jupyterlab_shows_pythons_picture_as_widget_and_as_svg(notebook):
    assert written(notebook) == drawn(svg(circuit(), legend=False))
    assert pictures(notebook) == [drawn(svg(circuit()))] * 2


def test_jupyterlab_leaves_the_keys_to_the_widget(notebook):
    assert_steps_by_keys(notebook)
    for key in ("d", "d", "0", "0"):  # which outside delete the cell and restart the kernel
        notebook.keyboard.press(key)
    assert notebook.locator(".jp-Notebook .jp-CodeCell").count() == len(CELLS)
    notebook.locator("input.search").fill("")
    notebook.keyboard.type("xab")
    assert notebook.locator("input.search").input_value() == "xab"
    assert notebook.locator(".jp-Notebook .jp-CodeCell").count() == len(CELLS)
    assert notebook.locator(".jp-Dialog").count() == 0


def test_jupyterlab_changes_a_leaf_and_all_that_depends_on_it(notebook):
    leaf = notebook.locator("svg.picture .part", has=notebook.locator("text", has_text="z")).first
    box = leaf.locator("text", has_text="z").first.bounding_box()
    notebook.mouse.move(box["x"] + 4, box["y"] + 8)
    notebook.mouse.down()
    notebook.mouse.move(box["x"] + 4 + 25, box["y"] + 8, steps=5)
    notebook.mouse.up()
    assert written(notebook) == drawn(svg(circuit(z=-3.0), legend=False, digits=2))


def test_an_export_of_the_notebook_shows_the_svg_in_place_of_the_widget(notebook, lab, browser):
    folder, _ = lab
    notebook.get_by_role("menuitem", name="File", exact=True).click()
    notebook.get_by_text("Save Notebook", exact=True).click()
    notebook.locator(".lm-TabBar-tab.jp-mod-dirty").wait_for(state="detached")
    saved = json.loads((folder / "graph.ipynb").read_text())["cells"][3]["outputs"][0]["data"]
    assert {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "text/plain"} == saved.keys()
    convert = [sys.executable, "-m", "nbconvert", "--to", "html", "--output", "graph.html", str(folder / "graph.ipynb")]
    subprocess.run(convert, check=True, capture_output=True, env=os.environ | {"HOME": str(folder)}, timeout=120)
    page = browser.new_page()
    page.goto((folder / "graph.html").as_uri())
    assert pictures(page) == [drawn(svg(circuit()))] * 3
    page.close()


def test_jupyterlab_shows_another_document_in_the_same_place(notebook):
    notebook.locator(".jp-Notebook .jp-CodeCell .cm-content").nth(len(CELLS) - 1).click()
    notebook.keyboard.press("Shift+Enter")
    sync_api.expect(notebook.locator("svg.picture")).to_contain_text("15")
    assert labels(notebook, "value") == ["3", "5", "15"]
    assert notebook.locator("svg.picture").count() == 1


# --- marimo ---------------------------------------------------------------------------------------------------------

APP = f"""\
import marimo

app = marimo.App()


@app.cell
def _():
    {CIRCUIT.strip().replace(chr(10), chr(10) + "    ")}
    return ad, f


@app.cell
def _(f):
    f.graph
    return


@app.cell
def _(ad, f):
    ad.show(f, digits=2)
    return


@app.cell
def _(ad, f):
    shown = ad.view.widget(f)
    shown
    return (shown,)


@app.cell
def _():
    import marimo as mo
    button = mo.ui.run_button(label="another")
    button
    return button, mo


@app.cell
def _(ad, button, mo, shown):
    mo.stop(not button.value)
    {OTHER}
    return


if __name__ == "__main__":
    app.run()
"""


@pytest.fixture(scope="module", params=[("run",), ("edit", "--skip-update-check")], ids=["run", "edit"])
def marimo(request, tmp_path_factory, browser):
    """The page of a marimo that runs an app, or edits it, where its cells run at once too."""
    if find_spec("marimo") is None:
        pytest.skip("marimo is not installed")
    folder, port = tmp_path_factory.mktemp("marimo"), free_port()
    (folder / "graph.py").write_text(APP)
    (folder / "pyproject.toml").write_text("[tool.marimo.runtime]\nauto_instantiate = true\n")
    settings = ("--headless", "--host", "127.0.0.1", "--port", str(port), "--token-password", TOKEN)
    command = ["marimo", *request.param, *settings, "graph.py"]
    address = f"http://127.0.0.1:{port}"
    with serving(command, folder, f"{address}/health"), opened(browser, f"{address}/?access_token={TOKEN}") as page:
        page.locator("svg.picture .part").first.wait_for(state="attached")
        yield page


def test_marimo_shows_pythons_picture_steps_and_changes_its_document(marimo):
    assert written(marimo) == drawn(svg(circuit(), legend=False))
    both = drawn(svg(circuit())) + drawn(svg(circuit(), digits=2))
    assert written(marimo, "svg:has(path.wire):not(.picture)") == sorted(both)
    assert_steps_by_keys(marimo)
    marimo.get_by_role("button", name="another").click()
    sync_api.expect(marimo.locator("svg.picture")).to_contain_text("15")
    assert labels(marimo, "value") == ["3", "5", "15"]
