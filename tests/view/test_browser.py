"""The viewer in a real browser: its numbers are Python's, keys and drags work, no request is made, names do nothing."""

import re
import statistics
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from tests.view.chromium import NEEDED, SPACE, chromium, drawn, labels, written

import adjoint as ad
from adjoint.view import document, group, svg
from adjoint.view.html import to_html
from adjoint.view.quiz import quiz
from adjoint.view.tokens import tokens

pytestmark = NEEDED


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture
def show(browser, tmp_path):
    """Open a graph in a page; in the end the console must be empty and nothing requested but the file."""
    pages, told, requested, allowed = [], [], [], ["data:,"]

    def open_page(subject, hash="", **settings):
        path = tmp_path / f"{len(pages)}.html"
        allowed.append(path.as_uri())
        to_html(subject, path, **settings)
        page = browser.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: requested.append(request.url.partition("#")[0]))
        page.goto(path.as_uri() + hash)
        page.locator("svg.picture .part").first.wait_for(state="attached")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert told == []
    assert set(requested) <= set(allowed)


def scalars(**values):
    return [ad.tensor(value, name=name) for name, value in values.items()]


def product(x=-2.0, y=5.0, z=-4.0):
    x, y, z = scalars(x=x, y=y, z=z)
    f = ((x + y).named("q") * z).named("f")
    f.backward()
    return f


def neuron(w0=2.0):
    w0, x0, w1, x1, w2 = scalars(w0=w0, x0=-1.0, w1=-3.0, x1=-2.0, w2=-3.0)
    f = (1 / (1 + ad.exp(-(w0 * x0 + w1 * x1 + w2)))).named("f")
    f.backward()
    return f


def branches():
    x, y, z = scalars(x=3.0, y=2.0, z=1.0)
    f = (x * y).named("p") + x * ad.stop_gradient(y) + ad.constant(2.0, name="c") * ad.maximum(z, x)
    f.backward()
    return f


def network():
    net = ad.nn.Sequential(ad.nn.Linear(6, 12), ad.nn.ReLU(), ad.nn.Linear(12, 3))
    x = ad.tensor(np.arange(48.0).reshape(8, 6) % 7 - 3, name="x")
    loss = ad.nn.cross_entropy(net(x), np.arange(8) % 3).named("loss")
    loss.backward()
    return loss


def deep(blocks=60):
    layers = [layer for _ in range(blocks) for layer in (ad.nn.Linear(4, 4), ad.nn.Tanh())]
    loss = ad.nn.Sequential(*layers)(ad.tensor(np.ones((2, 4)), name="x")).sum().named("loss")
    loss.backward()
    return loss


# --- the same picture -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [product, neuron, branches, network, deep])
def test_every_text_of_the_page_stands_where_python_puts_it(show, make):
    f = make()
    assert written(show(f)) == drawn(svg(f, legend=False))


@pytest.mark.parametrize("make", [neuron, branches, network])
def test_every_wire_of_the_page_is_drawn_as_python_draws_it(show, make):
    f = make()
    page = show(f)
    paths = page.locator("svg.picture path.wire").evaluate_all("all => all.map(p => p.getAttribute('d'))")
    root = ET.fromstring(svg(f, legend=False))
    assert paths == [p.get("d") for p in root.iter(f"{SPACE}path") if p.get("class") == "wire"]


@pytest.mark.parametrize("make", [product, neuron, branches, network])
def test_no_text_lies_on_another_in_the_fonts_of_the_browser(show, make):
    overlapping = """all => {
        const box = t => {
            const { x, y, width, height } = t.getBBox();
            const { e, f } = t.closest('.place').transform.baseVal[0].matrix;
            return { x: x + e, y: y + f, width, height };
        };
        const boxes = all.map(t => [box(t), t.textContent]);
        const lies = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width
            && a.y + 3 < b.y + b.height - 3 && b.y + 3 < a.y + a.height - 3;
        return boxes.flatMap(([a, s], i) => boxes.slice(i + 1).filter(([b]) => lies(a, b)).map(([, t]) => [s, t]));
    }"""
    assert show(make()).locator("svg.picture text").evaluate_all(overlapping) == []


# --- steps ----------------------------------------------------------------------------------------------------------


def test_steps_forward_and_back_show_what_is_known(show):
    page = show(product(), "#step=0")
    seen = [(labels(page, "value"), labels(page, "gradient"))]
    for _ in range(4):
        page.keyboard.press(".")
        seen.append((labels(page, "value"), labels(page, "gradient")))
    inputs = ["-2", "5", "-4"]
    assert seen == [
        (inputs, []),
        ([*inputs, "3"], []),
        ([*inputs, "3", "-12"], []),
        ([*inputs, "3", "-12"], ["3", "-4", "1"]),
        ([*inputs, "3", "-12"], ["-4", "-4", "3", "-4", "1"]),
    ]
    for known in seen[-2::-1]:
        page.keyboard.press(",")
        assert (labels(page, "value"), labels(page, "gradient")) == known


def test_the_callout_says_formula_numbers_and_pattern(show):
    page = show(product(), "#step=0")
    callout = page.locator(".callout")
    page.keyboard.press(".")
    assert "add distributes" in callout.inner_text()
    assert "∂q/∂x = 1" in callout.inner_text()
    page.keyboard.press(".")
    page.keyboard.press(".")
    text = callout.inner_text()
    assert "multiply swaps" in text
    assert "∂f/∂q = ∂f/∂f × ∂f/∂q = ∂f/∂f × (z)" in text.replace("\t", " ").replace("\n", " ")
    assert "1 × -4 = -4" in text
    assert "Backward 1 of 2" in page.locator(".transport output").inner_text()
    assert "multiply swaps" in page.locator("[role=status]").inner_text()


def test_a_gate_is_ready_when_all_that_use_it_are_done(show):
    page = show(neuron(), "#step=8")
    ready = page.locator(".part:has(.ring.ready)")
    for gate in ("1/x", "+1", "exp", "×−1", "+"):
        assert ready.locator("text.middle").first.text_content() == gate
        assert ready.count() == 1
        page.keyboard.press(".")
    page.keyboard.press(".")
    assert ready.count() == 2


def test_a_branch_says_that_its_gradient_is_a_sum(show):
    page = show(branches(), "#node=0")
    assert "x is used 3 times: its gradient is the sum 2 + 2 + 2" in page.locator(".callout").inner_text()


def test_before_backward_no_gradient_is_drawn(show):
    x = ad.tensor(3.0, name="x")
    page = show(x * x)
    assert labels(page, "gradient") == []
    assert "No backward pass has been run." in page.locator(".transport").inner_text()


# --- the keyboard ---------------------------------------------------------------------------------------------------


def test_everything_can_be_done_with_the_keyboard(show):
    page = show(neuron())
    selected = page.locator(".part.selected")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert "1 + #10" in page.locator(".inspector").inner_text()
    page.keyboard.press("/")
    page.keyboard.type("grad:<-0.5")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert selected.get_attribute("data-node") == "10"
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    page.keyboard.press("d")
    color = "getComputedStyle(document.getElementById('adjoint').shadowRoot.firstElementChild).backgroundColor"
    dark = tokens()["dark"]["background"]
    assert page.evaluate(color) == "rgb({}, {}, {})".format(*bytes.fromhex(dark[1:]))
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.locator("output", has_text="Forward 2 of 8").wait_for()
    page.keyboard.press("Space")
    page.keyboard.press("End")
    assert "Backward 8 of 8" in page.locator(".transport output").inner_text()
    page.wait_for_url("**theme=dark**")


def test_the_state_is_in_the_address(show):
    f = neuron()
    page = show(f, "#view=graph&node=5&step=9&language=zh")
    page.locator(".part.selected[data-node='5']").wait_for()
    assert "反向 1 / 8" in page.locator(".transport output").inner_text()
    page.keyboard.press(",")
    page.wait_for_url("**step=8**")
    assert page.get_by_role("tab", name="图", exact=True).get_attribute("aria-selected") == "true"


def test_findings_are_gone_to_one_after_the_other(show):
    x = ad.tensor(0.0, name="x")
    with np.errstate(all="ignore"):
        f = (ad.log(x).named("l") * 0.0).named("f")
        f.backward()
    made = document(f)
    assert len(made["findings"]) > 1
    page = show(made)
    for finding in made["findings"]:
        page.keyboard.press("]")
        page.locator(f".part.selected[data-node='{finding['node']}']").wait_for()  # drawn in the next frame
    page.keyboard.press("[")
    page.locator(f".part.selected[data-node='{made['findings'][-2]['node']}']").wait_for()


def test_the_picture_takes_the_focus_and_names_what_is_selected(show):
    page = show(product(), "#node=3")
    picture = page.locator("svg.picture")
    picture.focus()
    assert picture.evaluate("picture => picture.getRootNode().activeElement === picture")
    selected = picture.get_attribute("aria-activedescendant")
    assert page.locator(f"#{selected}").get_attribute("data-node") == "3"


def test_a_folded_box_opens_with_enter_and_folds_with_backspace(show):
    page = show(deep())
    folds = page.locator(".part:has(.gate.fold)")
    node = folds.first.get_attribute("data-node")
    page.evaluate(f"location.hash = 'node={node}'")
    fold = page.locator(f".part.selected[data-node='{node}'] .gate.fold")
    fold.wait_for()
    page.keyboard.press("Enter")
    fold.wait_for(state="detached")
    page.keyboard.press("Backspace")
    fold.wait_for()


# --- what if --------------------------------------------------------------------------------------------------------


def test_dragging_a_leaf_computes_everything_anew(show):
    page = show(neuron())
    box = page.locator(".part[data-node='0'] text.end").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=5)
    page.mouse.up()
    text = page.locator(".edited").inner_text()
    assert text.startswith("Changed: w0 = ")
    wanted = neuron(w0=float(re.search(r"w0 = (-?[\d.]+)", text).group(1)))
    assert wanted.graph.nodes[0].numpy() != 2.0
    digits = len(labels(page, "value")[0].split(".")[1])
    made = ET.fromstring(svg(wanted, digits=digits, legend=False))
    for kind in ("value", "gradient"):
        assert labels(page, kind) == [t.text for t in made.iter(f"{SPACE}text") if kind in t.get("class")]
    page.get_by_role("button", name="As recorded").click()
    assert written(page) == drawn(svg(neuron(), legend=False))


def gated(x=0.8):
    x, y = scalars(x=x, y=-1.2)
    f = (ad.clip(x * 3.0, -1.0, 2.0) + ad.leaky_relu(y, 0.1) * ad.elu(x - 1.5)).named("f")
    f.backward()
    return f


def grouped(w0=2.0):
    f = neuron(w0)
    return group(f, f.graph.nodes[-4:], "sigmoid")


@pytest.mark.parametrize(("make", "name"), [(gated, "x"), (grouped, "w0")])
def test_a_leaf_of_gates_with_constants_and_of_groups_can_be_changed(show, make, name):
    page = show(make(), "#node=0")
    page.get_by_role("spinbutton", name=f"value of {name}").fill("0.3")
    page.keyboard.press("Enter")
    page.locator(".edited", has_text=f"{name} = 0.3").wait_for()
    digits = len(labels(page, "value")[0].split(".")[1])
    made = ET.fromstring(svg(make(0.3), digits=digits, legend=False))
    for kind in ("value", "gradient"):
        assert labels(page, kind) == [t.text for t in made.iter(f"{SPACE}text") if kind in t.get("class")]


def test_the_inspector_says_where_a_node_comes_from(show):
    made = document(neuron())
    made["traces"] = [made["traces"][0] | {"title": "before"}, document(neuron(w0=-1.0))["traces"][0]]
    page = show(made, "#node=7")
    history = page.locator(".history").inner_text()
    assert "gates on the way: 3; from w0" in " ".join(history.split())
    rows = [row.split("\t") for row in page.locator(".history tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == ["before", "2"]
    assert [float(row[1]) for row in rows] == pytest.approx([4.0, 7.0])
    page.locator(".history").get_by_role("button", name="x1").click()
    assert page.locator(".inspector h2").inner_text() == "x1"


def test_a_wiggle_shows_the_change_beside_what_the_gradient_says(show):
    page = show(branches(), "#node=0")
    rows = page.locator(".wiggle tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [
        ["x", "0.006000", "0.006000"],
        ["via p", "0.002000", "0.002000"],
        ["via #5", "0.002000", "0.002000"],
        ["via #8", "0.002000", "0.002000"],
    ]


def test_a_selected_leaf_changes_with_shift_and_an_arrow(show):
    page = show(product(), "#node=0")
    page.keyboard.press("Shift+ArrowUp")
    assert "x = -1.9" in page.locator(".edited").inner_text()
    assert labels(page, "value")[-1] == "-12.40"


# --- quiz -----------------------------------------------------------------------------------------------------------


def test_a_quiz_hides_its_answers_until_they_are_found(show):
    made = quiz(product(), hide=["x"])
    page = show(made)
    assert written(page) == drawn(svg(made, legend=False))
    hidden = page.locator(".part[data-node='0']")
    assert "-4" not in hidden.text_content()
    assert "-4" not in hidden.get_attribute("aria-label")
    answer = page.get_by_role("textbox", name="gradient of x")
    answer.fill("4")
    answer.press("Enter")
    assert "Not yet." in page.locator(".quiz").inner_text()
    answer.fill("−4")
    answer.press("Enter")
    assert "Right." in page.locator(".quiz").inner_text()
    assert "add distributes" in page.locator(".quiz").inner_text()
    assert written(page) == drawn(svg(product(), legend=False))


# --- other views ----------------------------------------------------------------------------------------------------


def test_the_table_has_every_node_sorts_and_filters(show):
    page = show(neuron(), "#view=graph")
    page.get_by_role("tab", name="Table").click()
    rows = page.locator(".grid tbody tr")
    assert rows.count() == 13
    page.get_by_role("button", name="Sort by gradient").click()
    assert "x1" in rows.first.inner_text()
    page.get_by_role("button", name="Sort by gradient").click()
    assert "f" in rows.first.inner_text()
    page.locator(".table-view .search").fill("op:multiply")
    assert rows.count() == 2


def test_the_other_views_show_their_things(show):
    page = show(network(), "#node=3")
    page.get_by_role("tab", name="Network").click()
    assert "6-12-3: 2-layer network: 1 hidden" in page.locator(".page-view").inner_text()
    page.get_by_role("tab", name="Jacobian").click()
    assert "d #3 / d #1: 96 × 48" in page.locator(".page-view").inner_text()
    page.get_by_role("tab", name="Compare").click()
    assert "Nothing to compare with yet." in page.locator(".page-view").inner_text()


def test_a_second_document_is_compared(show, tmp_path):
    from adjoint.view.document import save

    save(document(product(z=-3.0)), tmp_path / "other.json")
    page = show(product(), "#view=graph")
    page.get_by_role("tab", name="Compare").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "other.json")
    page.locator(".compare svg").wait_for()
    assert page.locator(".compare .legend").inner_text().split("\n") == [
        *("same: 0", "changed: 5", "only left: 0", "only right: 0")
    ]
    assert page.locator(".compare svg .changed").count() == 5


# --- hostile names --------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>window.hit=1</script>",
    "</script><script>window.hit=1</script>",
    "<img src=x onerror='window.hit=1'>",
    "<svg onload=window.hit=1>",
    "\"><iframe srcdoc='<script>parent.hit=1</script>'>",
    "' onmouseover='window.hit=1",
    "javascript:window.hit=1",
    "data:text/html,<script>window.hit=1</script>",
    "${window.hit=1}",
    "{{constructor.constructor('window.hit=1')()}}",
    "__proto__",
    "constructor",
    "toString",
    "\u2028window.hit=1\u2029",
    "\u202egnp.exe",
    "]]><![CDATA[",
    "<!--",
    "-->",
    "&lt;b&gt;",
    "&#60;script&#62;",
    "\\u003cscript\\u003e",
    "a\x00b",
    "a" * 5000,
    "漢字" * 200,
    "👩‍👩‍👧‍👦" * 20,
    "<style>*{display:none}</style>",
    "<base href='http://example.invalid/'>",
    "<meta http-equiv=refresh content='0;url=http://example.invalid/'>",
    "<link rel=stylesheet href=http://example.invalid/a.css>",
    "url(http://example.invalid/a.png)",
]


def test_hostile_names_execute_nothing(show):
    total = ad.tensor(0.0, name="start")
    for name in HOSTILE:
        total = (total + ad.tensor(1.0, name=name) * ad.tensor(2.0, name=f"again {name}")).named(f"sum {name}")
    total.backward()
    page = show(total, "#node=1")
    for tab in ("Jacobian", "Compare", "Table", "Graph"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(50)
    page.keyboard.press("Home")
    for _ in range(5):
        page.keyboard.press(".")
    page.keyboard.press("/")
    page.keyboard.type("<script>window.hit=1</script>")
    page.keyboard.press("Enter")
    assert page.evaluate("window.hit") is None
    made = "document.getElementById('adjoint').shadowRoot.querySelectorAll('script,img,iframe,base,meta,link,style,a')"
    assert page.evaluate(f"{made}.length") == 0
    assert page.evaluate("document.title.length") < 6000


def test_compared_networks_are_folded_as_each_is_and_walked_through_with_keys(show, tmp_path):
    from adjoint.view.document import save

    save(document(deep(90)), tmp_path / "other.json")
    page = show(deep(88), "#view=graph")
    page.get_by_role("tab", name="Compare").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "other.json")
    picture = page.locator(".compare svg").first
    picture.wait_for()
    folds = picture.locator(".gate.fold")
    before = folds.count()
    assert before > 0
    part = picture.locator(".part:has(.gate.fold)").first
    title = part.locator("text").first.text_content()
    part.dispatch_event("pointerdown", {"button": 0})
    picture.focus()
    assert picture.evaluate("picture => picture.getRootNode().activeElement === picture")
    assert 0 <= part.bounding_box()["x"] < 1280
    page.keyboard.press("Enter")
    picture.locator("text", has_text=re.compile(f"^{re.escape(title)}$")).wait_for(state="detached")
    assert f"{title} opened" in page.locator("[role=status].silent").inner_text()


def test_numeric_slopes_stand_beside_gradients_also_arm_by_arm(show):
    page = show(branches())
    page.get_by_role("tab", name="Compare").click()
    rows = [row.split("\t") for row in page.locator(".compare section tbody tr").all_inner_texts()]
    found = {" ".join(row[0].split()): row[1:] for row in rows}
    assert found["x"][:2] == ["6.000000", "6.000000"]
    assert found["x via p"][:2] == ["2.000000", "2.000000"]
    assert found["y"][2] == "differs on purpose: a gate stops the gradient"


# --- budgets --------------------------------------------------------------------------------------------------------


@pytest.mark.timing
def test_a_hundred_thousand_nodes_open_and_expand_in_time(show):
    x = ad.tensor(1.0, name="x")
    y = x
    for _ in range(50_000):
        y = (y * 0.5) + x
    y.backward()
    page = show(document(y))
    assert page.evaluate("performance.getEntriesByName('adjoint-first-picture')[0].startTime") < 1500
    times = []
    for _ in range(8):
        fold = page.locator(".part:has(.gate.fold)").first
        box = fold.get_attribute("data-node")
        times.append(page.evaluate(EXPAND, int(box)))
    assert statistics.median(times) < 100


#: Opens the fold that ends in a node and measures until the page has drawn it.
EXPAND = """async node => {
    const root = document.getElementById('adjoint').shadowRoot;
    const part = root.querySelector(`.part[data-node='${node}']`);
    const start = performance.now();
    part.dispatchEvent(new MouseEvent('dblclick', { bubbles: true }));
    await new Promise(done => requestAnimationFrame(done));
    return performance.now() - start;
}"""
