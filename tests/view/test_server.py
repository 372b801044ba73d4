"""The studio's server: it refuses whom it should, always answers soon, and computes what the library computes."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from urllib.parse import quote

import numpy as np
import pytest
from click.testing import CliRunner

import adjoint as ad
from adjoint.errors import AdjointError
from adjoint.view import document, save
from adjoint.view.document import checked, to_bytes
from adjoint.view.runs import complete_lines, read_run

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from adjoint.cli.objectives import loss_function
from adjoint.cli.settings import Settings
from adjoint.cli.sources import training_rows
from adjoint.cli.studio import watched
from adjoint.cli.train import Plan, train
from adjoint.cli.view import function_document, view
from adjoint.cli.workshop import FIELDS, task, tools
from adjoint.view.server import guard, pages, serving
from adjoint.view.server.keeper import Keeper
from adjoint.view.server.refusals import words
from adjoint.view.server.serving import Serving
from adjoint.view.server.sets import SETS
from adjoint.view.server.studio import Studio

SMALL = {"source": "moons", "hidden": [4], "epochs": 2, "points": 60}


class Client:
    """Requests as a program with the token makes them; `send` as anybody can."""

    def __init__(self, serving):
        self.serving, self.port = serving, serving.port

    def send(self, method, path, body=None, **headers):
        """Status, headers and body of the answer; the socket is closed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def call(self, method, path, data=None, **headers):
        """Status and data, with the token."""
        body = None if data is None else json.dumps(data)
        kind = {"content_type": "application/json"} if body else {}
        bearer = {"authorization": f"Bearer {self.serving.token}"}
        status, _, content = self.send(method, path, body, **{**bearer, **kind, **headers})
        return status, json.loads(content)

    def get(self, path):
        status, data = self.call("GET", path)
        assert status == 200, data
        return data

    def post(self, path, data=None):
        status, data = self.call("POST", path, {} if data is None else data)
        assert status == 200, data
        return data

    def training(self):
        return self.get("/api/status")["training"]

    def wait(self, *states):
        """The status once the training is in one of these states."""
        deadline = time.monotonic() + 120
        while (status := self.training())["state"] not in states:
            assert time.monotonic() < deadline, status
            time.sleep(0.02)
        return status


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A server that all tests share which open nothing and train nothing."""
    with Serving(Studio(tools(), tmp_path_factory.mktemp("runs"))).beside() as running:
        yield Client(running)


@pytest.fixture
def fresh(tmp_path):
    """A server of one test alone; its runs are in tmp_path / "runs"."""
    with Serving(Studio(tools(), tmp_path / "runs")).beside() as running:
        yield Client(running)


def answers_soon(client):
    start = time.monotonic()
    assert client.get("/api/status")["first"] == {}
    assert time.monotonic() - start < 1.0


# --- who may ask ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost.evil.example:{port}", ""])
def test_a_foreign_host_is_refused(client, host):
    """A page that rebinds its own name to this machine still sends its name."""
    assert client.call("GET", "/api/status", host=host.format(port=client.port))[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:{port}"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_foreign_origin_is_refused(client, origin, method):
    headers = {"origin": origin.format(port=client.port)}
    assert client.call(method, "/api/status", {} if method == "POST" else None, **headers)[0] == 403


def test_a_request_that_another_site_makes_is_refused(client):
    assert client.call("GET", "/api/status", sec_fetch_site="cross-site")[0] == 403


@pytest.mark.parametrize("path", ["/", "/viewer.js", "/studio.js", "/api/status", "/api/documents/1", "/nothing"])
def test_nothing_is_told_without_the_token(client, path):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": f"adjoint-studio-{client.port}=é"}):
        status, _, content = client.send("GET", path, **headers)
        assert status == 401
        assert "token" in json.loads(content)["error"]


def test_the_first_visit_moves_the_token_into_a_cookie(client):
    status, headers, _ = client.send("GET", f"/?token={client.serving.token}")
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    held = cookie.partition(";")[0]
    assert client.send("GET", "/", cookie=f"other=1; {held}")[0] == 200
    assert client.send("GET", "/?token=wrong", cookie=held)[0] == 401


def test_a_cookie_changes_nothing_unless_the_page_is_ours(client):
    cookie, body = f"adjoint-studio-{client.port}={client.serving.token}", '{"expression": "1+x"}'
    headers = {"cookie": cookie, "content_type": "application/json"}
    assert client.send("POST", "/api/playground", body, **headers)[0] == 403
    origin = f"http://127.0.0.1:{client.port}"
    assert client.send("POST", "/api/playground", body, origin=origin, **headers)[0] == 200


def test_every_answer_has_the_strict_headers(client):
    for path in ("/", "/nothing", "/api/status"):
        _, headers, _ = client.send("GET", path, authorization=f"Bearer {client.serving.token}")
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


# --- what may be asked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/status"),
        ("PUT", "/api/playground"),
        ("GET", "/api/playground"),
        ("POST", "/"),
        ("OPTIONS", "/api/status"),
        ("TRACE", "/"),
        ("POST", "/api/runs/1/events"),
        ("PATCH", "/api/training"),
    ],
)
def test_wrong_methods_are_refused(client, method, path):
    assert client.call(method, path)[0] == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/documents/../../etc/passwd",
        "/api/documents/..%2F..%2Fetc%2Fpasswd",
        "/api/runs/%2e%2e/graph",
        "/api/runs/..%5c..%5cx/events",
        "//etc/passwd",
        "/viewer.js/../server/guard.py",
        "/server/",
        "/api/",
        "/api/documents/",
        "/static/",
    ],
)
def test_no_path_leads_to_a_file_or_a_list(client, path):
    status, data = client.call("GET", path)
    assert status == 404
    assert "root:" not in str(data)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'{"expression": NaN}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
    ],
)
def test_bodies_that_are_no_json_object_are_refused(client, body, kind, status):
    bearer = f"Bearer {client.serving.token}"
    got, _, content = client.send("POST", "/api/playground", body, content_type=kind, authorization=bearer)
    assert (got, list(json.loads(content))) == (status, ["error"])


def raw(client, *pieces):
    """What the server answers to bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except (ConnectionResetError, BrokenPipeError):
            return b"closed"


def start_of_post(client, *more):
    lines = ["POST /api/playground HTTP/1.1", f"Host: 127.0.0.1:{client.port}", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Authorization: Bearer {client.serving.token}", *more, "", ""]).encode()


def test_a_body_of_10_mb_is_refused_with_and_without_its_length(client):
    body = b"x" * 10_000_000
    answer = raw(client, start_of_post(client, f"Content-Length: {len(body)}"), body)
    assert answer == b"closed" or answer.startswith(b"HTTP/1.1 413 ")
    chunks = b"%x\r\n%s\r\n" % (100_000, body[:100_000])
    answer = raw(client, start_of_post(client, "Transfer-Encoding: chunked"), *[chunks] * 100)
    assert answer == b"closed" or answer.startswith(b"HTTP/1.1 413 ")
    answers_soon(client)


def test_a_length_of_10_mb_is_answered_with_413_before_the_body_comes(client):
    answer = raw(client, start_of_post(client, "Content-Length: 10000000"))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_50_half_open_connections_are_closed_and_delay_nobody(client, monkeypatch):
    monkeypatch.setattr(serving, "HEAD_SECONDS", 1.0)
    idle = [socket.create_connection(("127.0.0.1", client.port), timeout=10) for _ in range(50)]
    try:
        for place, connection in enumerate(idle):
            connection.sendall((b"", b"GET", b"GET / HTTP/1.1\r\nHost: ")[place % 3])
        for _ in range(5):
            answers_soon(client)
        assert [connection.recv(1) for connection in idle] == [b""] * 50
    finally:
        for connection in idle:
            connection.close()


def test_a_body_that_does_not_come_is_not_waited_for(client, monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    assert raw(client, start_of_post(client, "Content-Length: 100"), b"{").startswith(b"HTTP/1.1 408 ")


def test_what_is_no_http_is_refused(client):
    for hello in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 100_000):
        answer = raw(client, hello, b"\r\n\r\n")
        assert answer == b"closed" or answer.startswith(b"HTTP/1.1 400 ")
    answers_soon(client)


# --- the page -------------------------------------------------------------------------------------------------------


def test_without_a_built_viewer_the_page_says_how_to_build_one(client, monkeypatch):
    monkeypatch.setattr(pages, "viewer", lambda: None)
    bearer = f"Bearer {client.serving.token}"
    status, _, content = client.send("GET", "/", authorization=bearer)
    assert status == 200
    assert b"npm run build" in content
    assert client.send("GET", "/viewer.js", authorization=bearer)[0] == 404


def test_the_page_loads_the_viewer_and_nothing_else(client, monkeypatch):
    monkeypatch.setattr(pages, "viewer", lambda: b"export const mount = () => {};")
    bearer = f"Bearer {client.serving.token}"
    assert b'src="/studio.js"' in client.send("GET", "/", authorization=bearer)[2]
    assert b'from "/viewer.js"' in client.send("GET", "/studio.js", authorization=bearer)[2]
    _, headers, content = client.send("GET", "/viewer.js", authorization=bearer)
    assert headers["content-type"].startswith("text/javascript")
    assert content.startswith(b"export")


# --- playground -----------------------------------------------------------------------------------------------------


def test_the_numbers_of_the_playground_are_the_librarys(client):
    inputs = {"w0": 2, "x0": -1, "w1": -3.0, "x1": -2, "w2": "-3"}
    made = client.post("/api/playground", {"expression": "1/(1+exp(-(w0*x0+w1*x1+w2)))", "inputs": inputs})
    leaves = {name: ad.tensor(float(value), name=name) for name, value in inputs.items()}
    w0, x0, w1, x1, w2 = leaves.values()
    f = 1 / (1 + ad.exp(-(w0 * x0 + w1 * x1 + w2)))
    f.backward()
    nodes, trace = made["document"]["graph"]["nodes"], made["document"]["traces"][0]
    assert checked(made["document"])
    assert trace["values"][made["document"]["graph"]["output"]] == f.item()
    for name, leaf in leaves.items():
        place = nodes["label"].index(name)
        assert (trace["values"][place], trace["gradients"][place]) == (leaf.item(), leaf.grad.item())


def test_names_without_a_value_are_1_and_values_without_a_name_do_not_count(client):
    made = client.post("/api/playground", {"expression": "x*y", "inputs": {"y": "[1, 2]", "gone": 3}})
    assert made["inputs"] == {"x": "1.0", "y": "[1, 2]"}
    assert "shape (2,)" in made["note"]


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('id')",
        "x.__class__",
        "().__class__.__bases__",
        "open('/etc/passwd')",
        "lambda: 1",
        "exec(x)",
        "x; import os",
        "[x for x in y]",
        "f'{x}'",
        "x := 2",
        "eval(x)",
        "<script>alert(1)</script>",
        "x\u202e+1",
        "((((" * 1000,
        "-" * 9_000 + "1",
        "x" * 10_001,
        "9**9**9**9**x[",
        "",
    ],
)
def test_hostile_expressions_are_refused_in_words(client, expression):
    status, data = client.call("POST", "/api/playground", {"expression": expression})
    assert status == 400
    assert data["error"]
    answers_soon(client)


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": "__import__('os')"},
        {"x": "y"},
        {"x": ""},
        {"x": None},
        {"x": [1]},
        {"x": True},
        {"x": "1; y=2"},
        {"x": "1 y=2"},
        [],
        {str(i): 1 for i in range(201)},
    ],
)
def test_hostile_inputs_are_refused_in_words(client, inputs):
    status, data = client.call("POST", "/api/playground", {"expression": "x*2", "inputs": inputs})
    assert status == 400
    assert data["error"]


def test_a_mistake_is_shown_where_it_is(client):
    status, data = client.call("POST", "/api/playground", {"expression": "x + sinn(y)"})
    assert (status, data["column"], data["hint"]) == (400, 4, "did you mean `sin`?")
    assert data["error"] == "there is no function `sinn`"


def test_a_value_that_would_fill_the_memory_is_refused(client):
    vector = "[" + ",".join(["1"] * 2000) + "]"
    status, data = client.call("POST", "/api/playground", {"expression": "sum(outer(x, x))"})
    assert status == 400
    expression = "sum(transpose([x])@[x])"
    status, data = client.call("POST", "/api/playground", {"expression": expression, "inputs": {"x": vector}})
    assert (status, "1,000,000 numbers" in data["error"]) == (400, True)


# --- training -------------------------------------------------------------------------------------------------------


def test_the_spiral_is_learnt_while_the_server_answers(fresh, tmp_path):
    name = fresh.post("/api/training", {"source": "spiral", "epochs": 60, "lr": 0.01, "run": True})["id"]
    slowest = 0.0
    while fresh.training()["state"] == "running":
        start = time.monotonic()
        fresh.get("/api/status")
        slowest = max(slowest, time.monotonic() - start)
        time.sleep(0.02)
    assert fresh.training()["state"] == "finished"
    assert slowest < 1.0
    run = read_run(tmp_path / "runs" / "spiral-1.run.jsonl")
    assert run.of("epoch")[-1]["figures"]["accuracy"] > 0.95
    assert len(run.losses) == fresh.training()["steps"]
    assert len({record["winner"] for record in run.of("boundary")}) > 50, "the boundary moves"
    assert run.of("end")[0]["reason"] == "finished"
    assert name == "1"


def test_run_pause_step_and_stop(fresh, tmp_path):
    fresh.post("/api/training", {**SMALL, "epochs": 100_000})
    assert fresh.training()["state"] == "paused"
    assert fresh.training()["step"] == 0
    for count in (1, 2, 3):
        fresh.post("/api/training/step")
        deadline = time.monotonic() + 10
        while fresh.training()["step"] < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (fresh.training()["step"], fresh.training()["state"]) == (count, "paused")
    fresh.post("/api/training/run")
    while fresh.training()["step"] < 50:
        time.sleep(0.01)
    fresh.post("/api/training/pause")
    time.sleep(0.2)
    step = fresh.training()["step"]
    time.sleep(0.2)
    assert fresh.training()["step"] == step
    fresh.post("/api/training/stop")
    fresh.wait("stopped")
    status, data = fresh.call("POST", "/api/training/run")
    assert (status, "it is over (stopped)" in data["error"]) == (400, True)
    run = read_run(tmp_path / "runs" / "moons-1.run.jsonl")
    assert run.of("end")[0]["reason"] == "stopped"
    assert len(run.losses) == step
    assert [record["step"] for record in run.of("strips")][:4] == [0, 1, 2, 3], "single steps are looked at"


def test_there_is_one_training_at_a_time(fresh):
    fresh.post("/api/training", SMALL)
    assert fresh.call("POST", "/api/training", SMALL)[0] == 409
    fresh.post("/api/training/stop")
    fresh.wait("stopped")
    assert fresh.post("/api/training", SMALL) == {"kind": "run", "id": "2"}


def test_a_training_that_diverges_says_so(fresh, tmp_path):
    fresh.post("/api/training", {**SMALL, "optimizer": "sgd", "lr": 1e6, "loss": "squared", "epochs": 50, "run": True})
    status = fresh.wait("failed", "finished")
    assert status["state"] == "failed"
    assert "try a smaller one" in status["reason"]
    run = read_run(tmp_path / "runs" / "moons-1.run.jsonl")
    assert "not finite" in {record["what"] for record in run.of("finding")}


def test_the_pace_is_kept(fresh):
    fresh.post("/api/training", {**SMALL, "epochs": 1000, "pace": 20, "run": True})
    time.sleep(1.0)
    assert fresh.training()["step"] <= 25
    fresh.post("/api/training/stop")
    fresh.wait("stopped")


@pytest.mark.parametrize(
    "wish",
    [
        {"source": "/etc"},
        {"source": "no-such-file.csv", "target": "y"},
        {"source": "/etc/hostname", "target": "y"},
        {"source": "a\0b.csv", "target": "y"},
        {"source": 3},
        {"hidden": [0]},
        {"hidden": [10**9]},
        {"hidden": [1] * 9},
        {"hidden": "32"},
        {"hidden": [True]},
        {"activation": "__class__"},
        {"activation": ["relu"]},
        {"loss": "none"},
        {"optimizer": "eval"},
        {"lr": 0},
        {"lr": "0.1"},
        {"lr": 1e400},
        {"epochs": 10**9},
        {"epochs": 1.5},
        {"validation": 1},
        {"seed": -1},
        {"points": 10**8},
        {"pace": -1},
        {"run": 1},
        {"unknown": 1},
    ],
)
def test_bad_settings_are_refused_in_words(client, wish):
    body = json.dumps(wish).replace("Infinity", "1e400")
    bearer = f"Bearer {client.serving.token}"
    status, _, content = client.send(
        "POST", "/api/training", body, authorization=bearer, content_type="application/json"
    )
    assert status == 400
    assert json.loads(content)["error"]
    assert client.training() is None


def test_the_choices_and_their_defaults_are_told(client):
    choices = client.get("/api/status")["choices"]
    assert choices["sources"] == ["spiral", "moons", "circles", "digits"]
    assert choices["defaults"].keys() == FIELDS.keys()
    assert all(field.fits(field.default) for field in FIELDS.values())


@pytest.mark.parametrize("source", ["moons", "circles", "digits"])
def test_the_other_sets_are_learnt(fresh, source):
    fresh.post("/api/training", {"source": source, "epochs": 25 if source != "digits" else 3, "lr": 0.01, "run": True})
    fresh.wait("finished")
    path = fresh.serving.studio.run("1")
    run = read_run(path)
    assert run.of("epoch")[-1]["figures"]["accuracy"] > 0.85
    assert bool(run.of("boundary")) == (source != "digits")


def test_a_table_is_learnt_with_a_boundary_where_it_has_two_features(fresh, tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{a},{b},{'big' if a + b > 0 else 'small'}" for a, b in rng.normal(size=(100, 2)).round(3)]
    table = tmp_path / "sizes.csv"
    table.write_text("\n".join(["a,b,kind", *rows]))
    fresh.post("/api/training", {"source": str(table), "target": "kind", "hidden": [], "lr": 0.1, "run": True})
    fresh.wait("finished")
    run = read_run(tmp_path / "runs" / "sizes-1.run.jsonl")
    assert run.head["classes"] == ["big", "small"]
    assert run.head["plane"]["names"] == ["a", "b"]
    assert run.of("epoch")[-1]["figures"]["accuracy"] > 0.9
    status, data = fresh.call("POST", "/api/training", {"source": str(table)})
    assert (status, "expected the column to predict" in data["error"], "--" in data["error"]) == (400, True, False)


def test_a_regression_of_two_features_is_learnt_with_a_surface(fresh, tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{a},{b},{2 * a - b:.3f}" for a, b in rng.normal(size=(100, 2)).round(3)]
    table = tmp_path / "slope.csv"
    table.write_text("\n".join(["a,b,height", *rows]))
    wishes = {"source": str(table), "target": "height", "hidden": [], "lr": 0.1, "loss": "squared", "run": True}
    fresh.post("/api/training", wishes)
    fresh.wait("finished")
    run = read_run(tmp_path / "runs" / "slope-1.run.jsonl")
    assert run.head["plane"]["names"] == ["a", "b"]
    assert run.of("surface")
    status, data = fresh.call("POST", "/api/training", {**wishes, "loss": "hinge"})
    assert (status, "expected squared for a regression" in data["error"]) == (400, True)


# --- runs and graphs ------------------------------------------------------------------------------------------------


def listened(client, path, until=b'"kind":"end"', **headers):
    """The events of a stream up to a piece of text: pairs of id and data, statuses left out."""
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
    sent = {"authorization": f"Bearer {client.serving.token}", **headers}
    connection.request("GET", path, headers=sent)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    content = b""
    while until not in content or not content.endswith(b"\n\n"):
        content += answer.read1(65536)
    connection.close()
    events = [event.split(b"\n") for event in content.split(b"\n\n") if event.startswith(b"id: ")]
    return [(int(number.removeprefix(b"id: ")), data.removeprefix(b"data: ")) for number, data in events]


def test_the_events_are_the_log_and_a_reload_goes_on_exactly(fresh, tmp_path):
    fresh.post("/api/training", {**SMALL, "run": True})
    live = listened(fresh, "/api/runs/1/events")
    assert live == list(complete_lines((tmp_path / "runs" / "moons-1.run.jsonl").read_bytes()))
    for place in (0, len(live) // 2, len(live) - 2):
        offset = live[place][0]
        assert listened(fresh, "/api/runs/1/events", **{"last-event-id": str(offset)}) == live[place + 1 :]
        assert listened(fresh, f"/api/runs/1/events?from={offset}") == live[place + 1 :]


@pytest.mark.parametrize("offset", ["-1", "x", "1.5", "9" * 30, "１"])
def test_an_offset_that_is_none_is_refused(fresh, offset):
    fresh.post("/api/training", SMALL)
    assert fresh.call("GET", f"/api/runs/1/events?from={quote(offset)}")[0] == 400


def test_the_graph_of_any_step_is_that_of_the_network_then(fresh, tmp_path):
    fresh.post("/api/training", {**SMALL, "hidden": [4, 3], "run": True})
    fresh.wait("finished")
    run = read_run(tmp_path / "runs" / "moons-1.run.jsonl")
    steps = [record["step"] for record in run.of("strips")]
    layer = run.head["layers"][2]["path"]
    made = fresh.get(f"/api/runs/1/graph?step={steps[3]}&layer={layer}")
    assert checked(made)
    assert made["traces"][0]["title"] == f"step {steps[3]}"
    assert [key.partition("@")[0] for key in made["view"]["open"]] == ["net", "net.layers.2"]
    again = fresh.get(f"/api/runs/1/graph?step={steps[-1]}&layer=")
    assert again["traces"][0]["values"] != made["traces"][0]["values"]
    assert fresh.call("GET", "/api/runs/7/graph?step=1")[0] == 404
    assert fresh.call("GET", "/api/runs/1/graph?step=-1")[0] == 400


def test_a_saved_run_shows_the_networks_that_its_log_holds(fresh, tmp_path):
    fresh.post("/api/training", {**SMALL, "hidden": [4, 3], "epochs": 5, "run": True})
    fresh.wait("finished")
    path = tmp_path / "runs" / "moons-1.run.jsonl"
    run = read_run(path)
    again = fresh.post("/api/open", {"path": str(path)})["id"]
    for step in [record["step"] for record in run.of("weights")]:
        live = fresh.get(f"/api/runs/1/graph?step={step}&layer=net.layers.0")
        assert fresh.get(f"/api/runs/{again}/graph?step={step}&layer=net.layers.0") == live
    lines = path.read_bytes().splitlines(keepends=True)
    for old, new in ((b'"relu"', b'"evil"'), (b'"cross_entropy"', b'"eval"'), (b'"sizes":[2,4', b'"sizes":[2,9')):
        (tmp_path / "damaged.run.jsonl").write_bytes(b"".join([lines[0].replace(old, new), *lines[1:]]))
        damaged = fresh.post("/api/open", {"path": str(tmp_path / "damaged.run.jsonl")})["id"]
        status, data = fresh.call("GET", f"/api/runs/{damaged}/graph?step=1")
        assert (status, list(data)) == (400, ["error"])


def test_a_keeper_lets_steps_go_when_its_budget_is_full():
    made = task({**FIELDS_DEFAULT, "hidden": [8], "points": 60})
    arrays = made.net.arrays()
    size = sum(array.nbytes for array in arrays.values())
    keeper = Keeper(made.another(), made.loss, made.x, made.y, budget=10 * size)
    for step in range(100):
        keeper.keep(step, arrays)
    assert len(keeper.kept) <= 10
    assert {0, 99} <= keeper.kept.keys()


FIELDS_DEFAULT = {name: field.default for name, field in FIELDS.items()}


# --- opening --------------------------------------------------------------------------------------------------------


def test_documents_runs_and_models_are_opened_by_path(fresh, tmp_path):
    f = ad.tensor(2.0, name="x") ** 2
    f.backward()
    save(document(f), tmp_path / "f.json")
    opened = fresh.post("/api/open", {"path": str(tmp_path / "f.json")})
    assert opened["kind"] == "document"
    assert fresh.get(f"/api/documents/{opened['id']}") == json.loads(to_bytes(document(f)))
    fresh.post("/api/training", {**SMALL, "run": True})
    fresh.wait("finished")
    run = fresh.post("/api/open", {"path": str(tmp_path / "runs" / "moons-1.run.jsonl")})
    assert run["kind"] == "run"
    assert listened(fresh, f"/api/runs/{run['id']}/events") == listened(fresh, "/api/runs/2/events")


@pytest.mark.parametrize("path", ["", "/", "/etc/passwd", "/no/such/file", "a\0b", 3, None, ["x"]])
def test_what_cannot_be_opened_is_refused_in_words(client, path):
    status, data = client.call("POST", "/api/open", {"path": path})
    assert status == 400
    assert data["error"]
    assert "root:" not in data["error"]


# --- what surrounds it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_the_same_for_the_same_seed_and_has_every_class(name):
    first, again, other = SETS[name](90, 0.1, 1), SETS[name](90, 0.1, 1), SETS[name](90, 0.1, 2)
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)
    assert len(set(np.bincount(first.y).tolist())) == 1


def test_a_port_that_is_taken_is_said(client, tmp_path):
    with pytest.raises(AdjointError, match="expected a free port"):
        Serving(Studio(tools(), tmp_path), client.port)


def test_the_end_of_the_server_is_the_end_of_its_training(tmp_path):
    studio = Studio(tools(), tmp_path)
    with Serving(studio).beside() as running:
        Client(running).post("/api/training", {**SMALL, "epochs": 100_000, "run": True})
    assert studio.session.over
    assert "training" not in {thread.name for thread in threading.enumerate()}


def test_messages_are_told_without_places_and_dashes():
    assert words(AdjointError("f: expected --target, got a--b, at a/b.py:3 in net.x; try -- 1")) == (
        "f: expected target, got a--b; try -- 1"
    )


LESSON = """
def f(x, y):
    return x * y
def bad(x):
    return 1 // 0
def three():
    return 3
"""


def test_a_function_of_the_users_own_is_called_with_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"lesson_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text(LESSON)
    try:
        made = function_document(f"{name}:f", ["x=3", "y=-4"])
        assert made["traces"][0]["gradients"] == [-4.0, 3.0, 1.0]
        for subject, bindings, message in (
            (f"{name}:f", ["x=3"], "missing a required argument: 'y'"),
            (f"{name}:g", [], "expected a function 'g'"),
            (f"{name}:bad", ["x=1"], rf"ZeroDivisionError: .*\({name}\.py, line 5\)"),
            (f"{name}:three", [], "returns a Tensor, got a int"),
            ("no_such_module_here:f", [], "got no module named"),
        ):
            with pytest.raises(AdjointError, match=message):
                function_document(subject, bindings)
    finally:
        sys.modules.pop(name, None)


@pytest.fixture
def served(monkeypatch):
    """What a command would serve, in place of serving it."""
    made = []
    monkeypatch.setattr("adjoint.cli.view.serve", lambda studio, port, browser: made.append(studio))
    return made


def test_the_command_view_opens_each_kind_of_thing(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(document(ad.tensor(2.0, name="x") ** 2), "f.json")
    runner = CliRunner()
    for arguments in (["f.json"], ["math:sqrt"], ["no-such-file"], ["f.json", "x=1"]):
        result = runner.invoke(view, arguments)
        assert (result.exit_code == 0) == (arguments == ["f.json"]), result.output
    assert [studio.first for studio in served] == [{"kind": "document", "id": "1"}]


def test_a_model_is_opened_with_the_history_of_its_training(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(train, ["digits", "--epochs", "2", "--quiet", "-o", "m.adjoint.safetensors"])
    assert result.exit_code == 0, result.output
    assert CliRunner().invoke(view, ["m.adjoint.safetensors"]).exit_code == 0
    made = json.loads(served[0].document("1"))
    assert [module["type"] for module in made["graph"]["modules"]] == ["Sequential", "Linear", "ReLU", "Linear"]
    assert len(made["runs"][0]["series"]["loss"]) == 2


def test_a_training_of_the_command_line_is_watched_until_ctrl_c(tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr("adjoint.cli.studio.until_interrupted", lambda wait: seen.append(read_run(log)))
    settings = Settings(hidden=(4,), epochs=2)
    plan = Plan.of(training_rows("digits", None, settings), settings)
    log = tmp_path / "d-1.run.jsonl"
    with watched(plan, str(tmp_path / "d.adjoint.safetensors"), browser=False) as callbacks:
        x, y = plan.model.encoder.encode(plan.parts.train)
        loss = loss_function(plan.model.loss, plan.model.encoder)
        ad.train.fit(
            plan.model.net, loss, x, y, optimizer=plan.optimizer, epochs=2, progress=False, callbacks=callbacks
        )
    assert [record["epoch"] for record in seen[0].of("epoch")] == [1, 2]
    assert seen[0].of("end")[0]["reason"] == "finished"
    assert "studio: http://127.0.0.1:" in capsys.readouterr().out


def test_the_command_studio_serves_until_ctrl_c_and_ends_well(tmp_path):
    code = "from adjoint.cli.studio import studio; studio()"
    command = [sys.executable, "-c", code, "--no-browser", "--runs", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().split()[1]
        visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with visitor.open(address, timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)
        assert (process.returncode, said[1]) == (0, "")
    finally:
        process.kill()
        process.communicate()
