"""What a person sees of a training: a bar on a terminal, some lines elsewhere, nothing where nothing is wanted."""

import io

import numpy as np
from rich.console import Console

from adjoint import nn, optim, train

X = np.random.default_rng(0).normal(size=(20, 3))
Y = np.arange(20) % 2


def shown(*, terminal, **settings):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, color_system=None, legacy_windows=False)
    net = nn.Linear(3, 2)
    train.fit(net, nn.cross_entropy, X, Y, optimizer=optim.SGD(net, 0.1), progress=console, **settings)
    return file.getvalue()


def test_lines_where_there_is_no_terminal():
    lines = shown(terminal=False, epochs=60, metrics={"accuracy": train.accuracy}).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"epoch {n}/60" for n in (1, *range(6, 61, 6))]
    assert lines[0].count(",") == 1
    assert lines[0].endswith("%")


def test_a_bar_on_a_terminal():
    text = shown(terminal=True, epochs=5, validation=(X, Y))
    assert "5/5" in text
    assert "━" in text
    assert "val_loss" in text


def test_an_early_end_is_told():
    flat = {"validation": (X, Y), "early_stopping": 2, "epochs": 50}

    class Stop:
        def on_epoch_end(self, history, net):
            return history.epochs == 3

    assert "training ended after epoch 3: stopped by a callback" in shown(terminal=False, epochs=9, callbacks=[Stop()])
    text = shown(terminal=False, **flat)
    assert "the network is that of epoch" in text


def test_the_end_is_told_below_the_bar():
    text = shown(terminal=True, epochs=4, validation=(X, Y), early_stopping=9)
    assert text.rindex("4/4") < text.index("training ended after epoch 4; the network is that of epoch")


def test_silence(capsys):
    net = nn.Linear(3, 2)
    train.fit(net, nn.cross_entropy, X, Y, optimizer=optim.SGD(net, 0.1), epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")


def test_by_default_lines_go_to_stdout_where_it_is_no_terminal(capsys):
    net = nn.Linear(3, 2)
    train.fit(net, nn.cross_entropy, X, Y, optimizer=optim.SGD(net, 0.1), epochs=2)
    out, err = capsys.readouterr()
    assert out.startswith("epoch 1/2: loss ")
    assert err == ""
