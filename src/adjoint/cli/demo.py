"""`adjoint demo`: the lecture's circuits with their gradients, then a network that learns handwritten digits.

The settings of the network are chosen so that every seed tried, not a lucky one, reaches 97 % on the digits held out:
inputs centred and scaled, dropout before and behind the hidden layer, which no other choice made up for.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Final, NamedTuple

import click
import numpy as np
from rich.console import Console
from rich.text import Text

from adjoint import nn, optim, train
from adjoint.cli import HELP
from adjoint.cli.explain import Answer, writes_signs
from adjoint.data import digits
from adjoint.formats import Architecture
from adjoint.tensor import Array
from adjoint.view.html import to_html
from adjoint.view.text import text

ARCHITECTURE: Final = Architecture((64, 100, 10), "relu", dropout=0.3, input_dropout=0.2)
LEARNING_RATE: Final = 0.05
MOMENTUM: Final = 0.9
EPOCHS: Final = 100
BATCH: Final = 64
#: Digits that the network's picture shows.
SHOWN: Final = 4
SOFTENING: Final = 0.1  # added to each pixel's spread: one that is nearly always blank must not become loud


class Circuit(NamedTuple):
    """A circuit of the lecture."""

    title: str
    sentence: str
    expression: str
    bindings: tuple[str, ...]
    digits: int | None = None


CIRCUITS: Final = (
    Circuit(
        "f = (x + y) z",
        "Each gate multiplies the gradient that arrives from upstream by its local gradient: that is the chain rule.",
        "(x+y)*z",
        ("x=-2", "y=5", "z=-4"),
    ),
    Circuit(
        "A neuron, 1 / (1 + exp(-(w0 x0 + w1 x1 + w2)))",
        "Unfolded into gates, each with a local gradient that is easy to write down; together they are the sigmoid.",
        "1/(1+exp(-(w0*x0+w1*x1+w2)))",
        ("w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3"),
        2,
    ),
    Circuit(
        "f = 2 (x y + max(z, w))",
        "Add gate: gradient distributor. Max gate: gradient router. Multiply gate: gradient switcher.",
        "2*(x*y+max(z,w))",
        ("x=3", "y=-4", "z=2", "w=-1"),
    ),
    Circuit(
        "f = ‖W x‖²",
        "With vectors and matrices nothing changes: the gradient of a value has the shape of the value.",
        "q=W@x; f=sum(q**2)",
        ("W=[[0.1,0.5],[-0.3,0.8]]", "x=[0.2,0.4]"),
        3,
    ),
)
_ASCII: Final = str.maketrans({"‖": "||", "²": "^2"})
PAGE: Final = "adjoint-demo.html"
NEXT: Final = """Next:
  adjoint explain "(x+y)*z" x=-2 y=5 z=-4     every step of a circuit of your own
  adjoint train digits                        the same digits, settings of your own, a model file
  adjoint train FILE.csv --target COLUMN      a table of your own
  adjoint --help"""


@click.command(context_settings=HELP)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights, dropout and order.")
@click.option("--no-color", is_flag=True, help="Print without colours (as does the variable NO_COLOR).")
@click.option("--page", metavar="FILE", default=PAGE, show_default=True, help="Where the network's picture is written.")
def demo(seed: int, no_color: bool, page: str) -> None:
    """Show the lecture's circuits with values and gradients, then train a network on handwritten digits."""
    console = Console(file=sys.stdout, highlight=False, no_color=True if no_color else None)
    show_circuits(console)
    write_page(console, train_on_digits(console, seed), page)
    console.print(Text(f"\n{NEXT}"), soft_wrap=True)


def show_circuits(console: Console) -> None:
    """Every circuit with its title and a sentence."""
    ascii = not writes_signs(sys.stdout)
    color = console.is_terminal and not console.no_color
    mark = "d" if ascii else "∂"
    legend = f"Circuits. Above each wire its value, below it, after {mark}, the gradient of the output."
    console.print(legend, soft_wrap=True)
    for circuit in CIRCUITS:
        answer = Answer.of(circuit.expression, circuit.bindings)
        console.print(f"\n[bold]{circuit.title.translate(_ASCII) if ascii else circuit.title}[/bold]")
        console.print(circuit.sentence, soft_wrap=True)
        picture = text(
            answer.output.graph,
            digits=circuit.digits,
            ascii=ascii,
            width=console.width if console.is_terminal else None,
            color=color,
            ledger=answer.ledger,
        )
        click.echo(f"\n{picture}", file=console.file, color=color)


class Trained(NamedTuple):
    """A trained network, its accuracy on the digits held out, and these."""

    net: nn.Module
    accuracy: float
    x: Array
    y: Array


def train_on_digits(console: Console, seed: int) -> Trained:
    """Train, and say how well it went."""
    data = digits()
    centre, spread = data.x_train.mean(axis=0), data.x_train.std(axis=0) + np.float32(SOFTENING)
    x_test = (data.x_test - centre) / spread
    net = ARCHITECTURE.build(seed)
    sizes = "-".join(map(str, ARCHITECTURE.sizes))
    rows, held = len(data.y_train), len(data.y_test)
    console.print(f"\n[bold]A {sizes} network reads digits[/bold]")
    counts = f"{rows:,} scans of 8 by 8 pixels to learn from, {held} held out, {net_size(net):,} parameters."
    console.print(f"{counts}\n", soft_wrap=True)
    start = perf_counter()
    train.fit(
        net,
        nn.cross_entropy,
        (data.x_train - centre) / spread,
        data.y_train,
        optimizer=optim.SGD(net, LEARNING_RATE, momentum=MOMENTUM),
        epochs=EPOCHS,
        batch_size=BATCH,
        validation=(x_test, data.y_test),
        metrics={"accuracy": train.accuracy},
        seed=seed,
        progress=console,
    )
    seconds = perf_counter() - start
    accuracy = report(console, train.predict(net, x_test), data.y_test, seconds)
    return Trained(net, accuracy, x_test, data.y_test)


def write_page(console: Console, trained: Trained, path: str) -> None:
    """The trained network on a few digits as a page that can be opened in a browser; said if it cannot be written."""
    loss = nn.cross_entropy(trained.net.eval()(trained.x[:SHOWN]), trained.y[:SHOWN]).named("loss")
    loss.backward()
    try:
        to_html(loss, path, title="adjoint: a network that reads digits")
    except OSError as error:
        console.print(Text(f"\nThe network's picture was not written: {error}"), soft_wrap=True)
        return
    what = f"the network on {SHOWN} of them, every value and gradient"
    console.print(Text(f"\npicture: {path}, {what}; open it in a browser"), soft_wrap=True)


def net_size(net: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(p.size for p in net.parameters().values())


def report(console: Console, scores: Array, labels: Array, seconds: float) -> float:
    """Accuracy in words."""
    accuracy = train.accuracy(scores, labels)
    right = round(accuracy * len(labels))
    console.print(
        f"\n[bold]{100 * accuracy:.1f} %[/bold] of the digits held out are read right "
        f"({right} of {len(labels)}), after {seconds:.1f} s of training.",
        soft_wrap=True,
    )
    return accuracy
