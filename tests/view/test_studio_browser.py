"""The studio in a real browser: the playground's numbers, a training to its end, the strips by keyboard, a reload."""

import math
import re
import time
from pathlib import Path

import numpy as np
import pytest

import adjoint as ad

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from tests.view.chromium import NEEDED, chromium, sync_api

from adjoint.cli.workshop import tools
from adjoint.view.recorder import Plane, Recorder
from adjoint.view.runs import read_run
from adjoint.view.server import pages
from adjoint.view.server.serving import Serving
from adjoint.view.server.studio import Studio

expect = sync_api.expect

pytestmark = [
    NEEDED,
    pytest.mark.skipif(pages.viewer() is None, reason="the viewer is not built"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture
def served(tmp_path):
    with Serving(Studio(tools(), tmp_path / "runs")).beside() as running:
        yield running


@pytest.fixture
def page(browser, served):
    """A page on the studio; at its end nothing may stand in the console."""
    made, said = browser.new_page(), []
    made.on("console", lambda message: said.append(message.text))
    made.on("pageerror", lambda error: said.append(str(error)))
    made.goto(served.address)
    made.locator(".picture text.gradient").first.wait_for()
    yield made
    made.close()
    assert said == []


def tab(page, name):
    page.get_by_role("tab", name=name).click()


def numbers(page, kind):
    """The numbers in the picture above (value) or below (gradient) the wires."""
    texts = page.locator(f".picture text.{kind}").all_text_contents()
    return sorted(float(text.replace("−", "-")) for text in texts)


def test_the_address_keeps_no_token(page, served):
    page.get_by_label("f =").wait_for()
    assert served.token not in page.url


def test_the_numbers_of_the_playground_follow_what_is_typed_and_dragged(page):
    assert numbers(page, "value") == [-12, -4, -2, 3, 5]
    assert numbers(page, "gradient") == [-4, -4, -4, 1, 3]
    page.get_by_label("value of x").first.fill("1")
    expect(page.locator(".picture")).to_contain_text("-24")
    assert numbers(page, "gradient") == [-4, -4, -4, 1, 6]
    slider = page.get_by_label("value of x").last
    slider.focus()
    slider.press("ArrowRight")
    expect(page.get_by_label("value of x").first).to_have_value("1.01")
    page.get_by_label("f =").fill("sigmoid(a)")
    expect(page.locator(".picture")).to_contain_text("σ")
    assert numbers(page, "value") == [pytest.approx(1 / (1 + math.exp(-1)), abs=1e-2), 1.0]


def test_the_playground_is_stepped_through_by_keys_both_ways(page):
    page.locator(".picture").focus()
    seen = []
    for key in ("Home", ".", ".", ".", ".", ",", ","):
        page.keyboard.press(key)
        seen.append((len(numbers(page, "value")), len(numbers(page, "gradient"))))
    assert seen[:3] == [(3, 0), (4, 0), (5, 0)], "forward: the values one by one"
    assert seen[2][1] < seen[3][1] < seen[4][1] == 5, "backward: the gradients"
    assert seen[5:] == [seen[3], seen[2]]


def start(page, **fields):
    tab(page, "Training")
    for name, value in fields.items():
        field = page.locator(f"[name={name}]")
        field.select_option(value) if name in ("source", "optimizer") else field.fill(value)
    page.get_by_role("button", name="Start").click()


def ended(page, word="finished"):
    expect(page.locator(".controls output")).to_contain_text(word, timeout=30_000)


def resting(session):
    """The number of steps taken, once a paused training takes no more: one may have been under way."""
    step, since = session.recorder.step, time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.02)
        if session.recorder.step != step:
            step, since = session.recorder.step, time.monotonic()
    return step


def drawn(page):
    """The pixels of the boundary."""
    return page.locator(".boundary canvas").evaluate("canvas => canvas.toDataURL()")


def test_the_spiral_is_trained_to_the_end_and_the_boundary_moves(page, tmp_path):
    start(page, epochs="60", lr="0.01", pace="400")
    page.locator(".boundary canvas").wait_for()
    first = drawn(page)
    ended(page)
    assert drawn(page) != first
    shown = page.locator(".series figcaption", has_text="accuracy").inner_text()
    figure = float(re.search(r"[\d.]+$", shown).group())
    run = read_run(tmp_path / "runs" / "spiral-1.run.jsonl")
    assert figure == pytest.approx(run.of("epoch")[-1]["figures"]["accuracy"], rel=1e-3)
    assert figure > 0.95


def test_pause_step_run_and_stop_by_keyboard_alone(page, served):
    start(page, source="moons", epochs="5000", pace="50")
    for name, state in (("Pause", "paused"), ("Step", "paused"), ("Run", "running"), ("Stop", "stopped")):
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_enabled()
        before = resting(served.studio.session) if name == "Step" else None
        button.focus()
        page.keyboard.press("Enter")
        ended(page, state)
        if name == "Step":
            assert resting(served.studio.session) == before + 1


def test_a_cell_of_the_strips_leads_to_the_graph_at_its_layer_and_step(page, tmp_path):
    start(page, source="circles", epochs="3")
    ended(page)
    strips = page.get_by_label("Layers over the steps")
    strips.focus()
    for key in ("Home", "ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    run = read_run(tmp_path / "runs" / "circles-1.run.jsonl")
    step, layer = run.of("strips")[1]["step"], run.head["layers"][2]["path"]
    expect(strips.locator(".at")).to_contain_text(f"{layer} · step {step}")
    assert f"{layer}, step {step}: " in page.locator("[role=status].silent").inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Graph")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".inspector")).to_contain_text(layer)


def test_a_reload_shows_the_same_run(page):
    start(page, source="moons", epochs="3")
    ended(page)
    texts = page.locator(".series figcaption").all_inner_texts()
    boundary = drawn(page)
    page.reload()
    ended(page)
    expect(page.locator(".moment output")).not_to_have_text("step 0")
    assert page.locator(".series figcaption").all_inner_texts() == texts
    assert drawn(page) == boundary


def test_an_earlier_moment_is_looked_at_and_the_latest_again(page):
    start(page, source="moons", epochs="5")
    ended(page)
    last = drawn(page)
    slider = page.get_by_label("moment")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator(".moment output")).to_have_text("step 0")
    assert drawn(page) != last
    page.get_by_role("button", name="Latest").click()
    assert drawn(page) == last


def test_a_table_of_ones_own_is_trained_on(page, tmp_path):
    rows = [f"{i % 7},{i % 5},{'yes' if i % 7 > 3 else 'no'}" for i in range(70)]
    (tmp_path / "own.csv").write_text("\n".join(["a,<b>x</b>,kind", *rows]))
    tab(page, "Training")
    page.locator("[name=source]").select_option("file")
    page.locator("form.wishes [name=path]").fill(str(Path(tmp_path / "own.csv")))
    page.locator("[name=target]").fill("kind")
    page.get_by_role("button", name="Start").click()
    ended(page)
    assert "<b>x</b>" in page.locator(".boundary").inner_text(), "names are text"


def regression(path):
    """A run that learns a saddle over two features."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (150, 2))
    y = x[:, :1] * x[:, 1:] + 0.1
    rng = ad.random.Generator(0)
    net = ad.nn.Sequential(ad.nn.Linear(2, 16, rng=rng), ad.nn.Tanh(), ad.nn.Linear(16, 1, rng=rng))
    adam = ad.optim.Adam(net, lr=0.02)
    plane = Plane(("wide", "<b>tall</b>"), x, y, lambda points: points)
    with Recorder(path, net, ad.nn.squared_loss, x, y, optimizer=adam, plane=plane) as recorder:
        settings = {"optimizer": adam, "epochs": 40, "progress": False, "callbacks": [recorder]}
        ad.train.fit(net, ad.nn.squared_loss, x, y, **settings)


def test_a_regression_shows_its_output_over_the_plane(page, tmp_path):
    regression(tmp_path / "saddle.run.jsonl")
    tab(page, "Training")
    page.get_by_label("Path of a run").fill(str(tmp_path / "saddle.run.jsonl"))
    page.keyboard.press("Enter")
    surface = page.get_by_role("img", name="output over the plane")
    surface.wait_for()
    assert surface.get_attribute("aria-label").startswith("output over the plane: wide × <b>tall</b>, from -")
    assert "lines: equal output" in page.locator(".boundary").inner_text()
    ends = page.locator(".boundary .scale text").all_text_contents()
    assert [float(each.replace("−", "-")) for each in (ends[0], ends[2])] == pytest.approx([-0.98, 0.98], abs=0.15)
    assert ends[1] == "0"
    last = drawn(page)
    page.get_by_label("moment").focus()
    page.keyboard.press("Home")
    expect(page.locator(".moment output")).to_have_text("step 0")
    assert drawn(page) != last


def test_chinese_and_dark(page):
    page.get_by_role("button", name="中文").click()
    tab(page, "训练")
    expect(page.get_by_role("button", name="开始")).to_be_visible()
    page.keyboard.press("d")
    assert page.locator(".adjoint").get_attribute("data-theme") == "dark"
