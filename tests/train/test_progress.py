"""What a person sees while a network trains: a bar on a terminal, a few lines elsewhere, nothing where unwanted."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from adjoint import nn, optim, train

X = np.linspace(-1, 1, 16)[:, None]
Y = X**2


def shown(*, terminal=False, loss=nn.squared_loss, **settings):
    """Everything that a training writes."""
    net = nn.Linear(1, 1)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100)
    settings = {"epochs": 25, "validation": (X, Y)} | settings
    train.fit(net, loss, X, Y, optimizer=optim.SGD(net, 1e-3), progress=console, **settings)
    return stream.getvalue()


def test_lines_elsewhere():
    lines = shown().splitlines()
    assert [int(re.match(r"epoch (\d+)/25: ", line)[1]) for line in lines] == [1, 3, 6, 9, 12, 15, 18, 21, 24, 25]
    assert re.fullmatch(r"epoch 25/25: loss 0\.\d+, val_loss 0\.\d+", lines[-1])
    assert len(shown(epochs=3).splitlines()) == 3


def test_lines_are_not_wrapped():
    metrics = {f"a metric with a long name {i}": lambda output, y: 0.5 for i in range(9)}
    assert len(shown(epochs=1, metrics=metrics).splitlines()) == 1


def test_why_training_ended():
    lines = shown(early_stopping=2, epochs=9, metrics={"accuracy": lambda output, y: 0.25}).splitlines()
    assert "accuracy 25.0 %" in lines[0]
    assert re.fullmatch(r"training ended after epoch 9; the network is that of epoch 9, the best", lines[-1])


class Stop:
    """Asks for an end at once."""

    def on_epoch_end(self, history, net):
        return True


def test_an_end_before_the_last_epoch():
    assert shown(callbacks=[Stop()]).splitlines()[-1] == "training ended after epoch 1: stopped by a callback"
    assert shown(callbacks=[Stop()], early_stopping=3).splitlines()[-1] == (
        "training ended after epoch 1 (stopped by a callback); the network is that of epoch 1, the best"
    )


def test_a_live_bar_on_a_terminal():
    screen = shown(terminal=True)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen)
    assert "\x1b[2K" in screen, "the line is drawn anew in place"
    assert "━" in plain
    assert re.search(r"epoch +25/25 ━+ loss 0\.\d+, val_loss 0\.\d+ 0:00:0\d", plain)
    assert "epoch 1/25:" not in plain, "no lines beside the bar"
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h"), "the cursor is shown again"


def test_the_end_is_told_below_the_bar():
    screen = shown(terminal=True, epochs=4, early_stopping=9)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen)
    assert plain.rindex("4/4") < plain.index("training ended after epoch 4; the network is that of epoch 4, the best")


def test_the_terminal_is_given_back_after_an_error():
    def fails(output, y):
        if len(output) == 1:
            raise ValueError("mine")
        return nn.squared_loss(output, y)

    stream = io.StringIO()
    net = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="mine"):
        train.fit(
            net, fails, X, Y, optimizer=optim.SGD(net), batch_size=5, progress=Console(file=stream, force_terminal=True)
        )
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1


def test_progress_goes_to_stdout_by_default_and_nowhere_if_unwanted(capsys):
    net = nn.Linear(1, 1)
    train.fit(net, nn.squared_loss, X, Y, optimizer=optim.SGD(net), epochs=1)
    assert capsys.readouterr().out.startswith("epoch 1/1: loss ")
    train.fit(net, nn.squared_loss, X, Y, optimizer=optim.SGD(net), epochs=1, progress=False)
    assert capsys.readouterr() == ("", "")
