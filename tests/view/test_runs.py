"""The run log: it replays exactly, survives a kill, refuses what is broken, and recording changes no training."""

import base64
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import adjoint as ad
from adjoint.errors import NumericalError
from adjoint.view.recorder import GRID, Plane, Recorder
from adjoint.view.runs import RunError, RunLog, complete_lines, head, read_run, wrong
from adjoint.view.strips import Findings, Probe

X = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def network(activation=ad.nn.ReLU):
    rng = ad.random.Generator(0)
    return ad.nn.Sequential(ad.nn.Linear(2, 8, rng=rng), activation(), ad.nn.Linear(8, 2, rng=rng))


def trained(path, *, epochs=3, compile=False, **settings):
    net = network()
    adam = ad.optim.Adam(net, lr=0.01)
    recorder = Recorder(path, net, ad.nn.cross_entropy, X, Y, optimizer=adam, **settings)
    with recorder:
        ad.train.fit(
            net,
            ad.nn.cross_entropy,
            X,
            Y,
            optimizer=adam,
            epochs=epochs,
            metrics={"accuracy": ad.train.accuracy},
            compile=compile,
            progress=False,
            callbacks=[recorder],
        )
    return net, read_run(path)


def writes_a_log(path, lines):
    """A log of so many records after its head, as bytes."""
    with RunLog(path) as log:
        log.write(head("test", [{"path": "net", "type": "Linear"}]))
        for step in range(lines):
            log.write({"kind": "steps", "first": step + 1, "loss": [0.5], "rate": 0.1})
    return path.read_bytes()


# --- what is recorded -----------------------------------------------------------------------------------------------


def test_a_training_as_records(tmp_path):
    _, run = trained(tmp_path / "a.run.jsonl")
    assert [layer["type"] for layer in run.head["layers"]] == ["Linear", "ReLU", "Linear"]
    assert [layer["path"] for layer in run.head["layers"]] == ["net.layers.0", "net.layers.1", "net.layers.2"]
    assert [record["step"] for record in run.of("strips")] == [0, 7, 14, 21]
    assert [record["epoch"] for record in run.of("epoch")] == [1, 2, 3]
    assert sorted(run.of("epoch")[0]["figures"]) == ["accuracy", "loss"]
    assert run.records[-1] == {"kind": "end", "step": 21, "reason": "finished"}


def test_identical_trainings_give_identical_bytes(tmp_path):
    for name in ("a", "b"):
        trained(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("compile", [False, True])
def test_recording_changes_no_bit_of_a_training(tmp_path, compile):
    watched, _ = trained(tmp_path / "a", epochs=40, compile=compile)
    net = network()
    adam = ad.optim.Adam(net, lr=0.01)
    ad.train.fit(net, ad.nn.cross_entropy, X, Y, optimizer=adam, epochs=40, compile=compile, progress=False)
    for path, array in net.arrays().items():
        assert np.array_equal(array, watched.arrays()[path]), path


def test_the_strips_are_the_networks_own_figures():
    net = network()
    sgd = ad.optim.SGD(net, lr=0.1)
    strips = Probe(net, ad.nn.cross_entropy, sgd, X, Y).look().strips
    weight, bias = net.layers[0].weight, net.layers[0].bias
    hidden = np.maximum(X @ weight.value + bias.value, 0)
    assert strips[1]["mean"] == pytest.approx(hidden.mean(), rel=1e-5)
    assert strips[1]["spread"] == pytest.approx(hidden.std(), rel=1e-5)
    ad.nn.cross_entropy(net(X), Y).backward()
    gradient = np.sqrt(np.sum(weight.grad**2) + np.sum(bias.grad**2))
    size = np.sqrt(np.sum(weight.value**2) + np.sum(bias.value**2))
    assert strips[0]["gradient"] == pytest.approx(gradient, rel=1e-5)
    assert strips[0]["update"] == pytest.approx(0.1 * gradient / size, rel=1e-4)
    assert strips[1]["gradient"] is None


def test_looking_leaves_gradients_and_random_numbers_as_they_were():
    rng = ad.random.Generator(3)
    net = ad.nn.Sequential(ad.nn.Linear(2, 4), ad.nn.Dropout(0.5, rng=rng), ad.nn.Linear(4, 2))
    adam = ad.optim.Adam(net, lr=0.1)
    ad.nn.cross_entropy(net(X), Y).backward()
    kept = {path: p.grad for path, p in net.parameters().items()}
    states = {path: state.value for path, state in {**adam.state(), **net.states()}.items()}
    Probe(net, ad.nn.cross_entropy, adam, X, Y).look()
    assert all(np.array_equal(p.grad, kept[path]) for path, p in net.parameters().items())
    after = {**adam.state(), **net.states()}
    assert all(np.array_equal(after[path].value, value) for path, value in states.items())
    assert net.training


def test_the_boundary_is_where_the_network_changes_its_mind(tmp_path):
    plane = Plane(("a", "b"), X.astype(np.float64), Y, lambda points: points.astype(np.float32))
    net, run = trained(tmp_path / "a", plane=plane)
    last = run.of("boundary")[-1]
    winner = np.frombuffer(base64.b64decode(last["winner"]), np.uint8)
    share = np.frombuffer(base64.b64decode(last["share"]), np.uint8)
    scores = ad.train.predict(net, plane.rows)
    assert len(winner) == GRID * GRID
    assert np.array_equal(winner, scores.argmax(axis=1))
    best = np.asarray(ad.softmax(scores.astype(np.float64), axis=1)).max(axis=1)
    assert np.abs(share / 255 - best).max() < 0.003
    assert run.head["plane"]["points"][0] == [*map(float, X[0].astype(np.float64)), int(Y[0])]


def test_a_regression_has_a_surface_over_the_plane(tmp_path):
    rng = ad.random.Generator(0)
    net = ad.nn.Sequential(ad.nn.Linear(2, 8, rng=rng), ad.nn.Tanh(), ad.nn.Linear(8, 1, rng=rng))
    y = (X[:, :1] * X[:, 1:]).astype(np.float32)
    plane = Plane(("a", "b"), X.astype(np.float64), y, lambda points: points.astype(np.float32))
    sgd = ad.optim.SGD(net, lr=0.1)
    with Recorder(tmp_path / "a", net, ad.nn.squared_loss, X, y, optimizer=sgd, plane=plane) as recorder:
        recorder.look()
    run = read_run(tmp_path / "a")
    surface = run.of("surface")[-1]
    values = np.frombuffer(base64.b64decode(surface["values"]), "<f4")
    np.testing.assert_array_equal(values, ad.train.predict(net, plane.rows)[:, 0])
    assert run.of("boundary") == []
    assert run.head["plane"]["points"][0] == [*map(float, X[0].astype(np.float64)), float(y[0, 0])]


# --- findings -------------------------------------------------------------------------------------------------------


def finding_of(net, lr=0.1, x=X):
    probe = Probe(net, ad.nn.cross_entropy, ad.optim.SGD(net, lr=lr), x, Y)
    findings = Findings(probe.layers)
    look = probe.look()
    found = findings.of(look)
    assert findings.of(look) == [], "a trouble that goes on is said once"
    return {(record["layer"], record["what"]) for record in found}


def test_a_healthy_network_has_no_findings():
    assert finding_of(network()) == set()


def test_dead_units_are_found():
    net = network()
    net.layers[0].bias.assign(np.full(8, -100.0))
    assert (1, "dead units") in finding_of(net)


def test_saturation_is_found():
    net = network(ad.nn.Tanh)
    net.layers[0].weight.assign(net.layers[0].weight.value * 1000)
    assert (1, "saturation") in finding_of(net)


def test_exploding_and_vanishing_gradients_are_found():
    net = network()
    assert (0, "exploding gradient") in finding_of(net, x=X * np.float32(1e6))
    net.layers[2].weight.assign(net.layers[2].weight.value * 1e-6)
    assert (0, "vanishing gradient") in finding_of(net)


def test_what_is_not_finite_is_found_and_written(tmp_path):
    net = network()
    net.layers[0].weight.assign(np.full((2, 8), np.nan))
    assert (0, "not finite") in finding_of(net)
    adam = ad.optim.Adam(net)
    with Recorder(tmp_path / "a", net, ad.nn.cross_entropy, X, Y, optimizer=adam):
        pass
    strip = read_run(tmp_path / "a").of("strips")[0]
    assert strip["gradient"][2] == "nan"
    assert strip["infinite"][0] > 0


def test_a_training_that_fails_ends_its_log_with_the_reason(tmp_path):
    net = network()
    sgd = ad.optim.SGD(net, lr=1e30)
    with (
        pytest.raises(NumericalError),
        Recorder(tmp_path / "a", net, ad.nn.cross_entropy, X, Y, optimizer=sgd) as recorder,
    ):
        ad.train.fit(net, ad.nn.cross_entropy, X, Y, optimizer=sgd, progress=False, callbacks=[recorder])
    assert read_run(tmp_path / "a").of("end")[0]["reason"].startswith("failed: fit: the loss became")


# --- replay ---------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from adjoint.view.runs import RunLog, head
with RunLog(Path(sys.argv[1])) as log:
    log.write(head("killed", [{"path": "net", "type": "Linear"}]))
    step = 0
    while True:
        log.write({"kind": "steps", "first": step + 1, "loss": [0.5] * 2000, "rate": 0.1})
        step += 2000
"""


def test_a_log_survives_a_kill_in_the_middle_of_writing(tmp_path):
    path = tmp_path / "killed.run.jsonl"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > 200_000):
        assert time.monotonic() < deadline, "the writer has not begun"
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    run = read_run(path)
    firsts = [record["first"] for record in run.of("steps")]
    assert firsts == list(range(1, 2000 * len(firsts), 2000))
    assert path.stat().st_size - run.size < 20_000


def test_a_torn_last_line_is_left_out_wherever_it_is_torn(tmp_path):
    whole = writes_a_log(tmp_path / "whole", 2)
    second = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(second, len(whole)):
        (tmp_path / "torn").write_bytes(whole[:cut])
        run = read_run(tmp_path / "torn")
        assert (len(run.records), run.size) == (2, second)


def test_a_replay_from_any_offset_gives_the_rest_of_the_lines(tmp_path):
    whole = writes_a_log(tmp_path / "whole", 5)
    lines = list(complete_lines(whole))
    assert b"".join(line + b"\n" for _, line in lines) == whole
    for place, (offset, _) in enumerate(lines):
        assert list(complete_lines(whole[offset:], offset)) == lines[place + 1 :]


# --- what is refused ------------------------------------------------------------------------------------------------


def test_an_existing_file_is_never_written_to(tmp_path):
    (tmp_path / "there").write_text("mine")
    with pytest.raises(RunError, match="which is there"):
        RunLog(tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"not json", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"\xff", "expected JSON"),
        (b"[]", "expected an object, got an array"),
        (b'"text"', "expected an object"),
        (b'{"kind":"virus"}', "expected a kind of run, steps"),
        (b'{"kind":["run"]}', "expected a kind of run, steps"),
        (b'{"kind":"steps","first":1,"loss":[NaN],"rate":0.1}', "no JSON number"),
        (b'{"kind":"steps","first":1,"loss":[1e999],"rate":0.1}', "expected another loss"),
        (b'{"kind":"steps","first":-1,"loss":[],"rate":0.1}', "expected another first"),
        (b'{"kind":"steps","first":true,"loss":[],"rate":0.1}', "expected another first"),
        (b'{"kind":"steps","first":1,"loss":[]}', "'rate' left out"),
        (b'{"kind":"end","step":1,"reason":"","more":1}', "'more' too"),
        (b'{"kind":"finding","step":1,"layer":-2,"what":"","text":""}', "expected another layer"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, words):
    writes_a_log(tmp_path / "a", 1)
    with (tmp_path / "a").open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(RunError, match=words) as caught:
        read_run(tmp_path / "a")
    assert "line 3 of a" in str(caught.value)


def test_strips_must_have_an_entry_for_each_layer(tmp_path):
    _, run = trained(tmp_path / "a")
    record = run.of("strips")[0]
    assert wrong(record, 3) is None
    assert wrong(record, 2) == "expected 2 entries in gradient, got 3"


def test_the_head_stands_first_and_nowhere_else(tmp_path):
    first = json.dumps(head("a", [])).encode() + b"\n"
    for content in (first + first, b'{"kind":"end","step":0,"reason":""}\n', b"", b"torn"):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(RunError, match=r"in the first line|whole line"):
            read_run(tmp_path / "a")


def test_a_log_that_is_too_large_is_refused_before_it_is_parsed(tmp_path):
    writes_a_log(tmp_path / "a", 3)
    with pytest.raises(RunError, match="expected at most 100 bytes"):
        read_run(tmp_path / "a", limit=100)


def test_a_record_that_is_none_is_not_written(tmp_path):
    with RunLog(tmp_path / "a") as log, pytest.raises(RunError, match="expected another reason"):
        log.write({"kind": "end", "step": 0, "reason": 3})
    assert (tmp_path / "a").read_bytes() == b""
