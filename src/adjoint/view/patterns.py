"""What the lecture says about a gate: how it hands its upstream gradient on, in a few words of English and Chinese.

Add distributes, max routes, multiply swaps; the others likewise, or nothing where there is nothing short to be said.
A pattern is a matter of the op alone: it holds for every use of it, also with a constant among the inputs.

Source: CS231n 2017, lecture 4, "patterns in backward flow".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final = ("en", "zh")
GROUP: Final = "group"  # the op of several gates that are drawn as one

_ROUTED: Final = (
    "{0} routes: the winner gets all of the gradient and the other 0",
    "{0} 是路由器:胜者得到全部梯度,另一个得到 0",
)
_ELEMENT: Final = (
    "{0} routes: the chosen element gets all of the gradient and the others 0",
    "{0} 是路由器:被选中的元素得到全部梯度,其余得到 0",
)
_MOVES: Final = (
    "{0} moves: each gradient goes back to where its value came from",
    "{0} 只搬动:每个梯度回到其值原来的位置",
)
_FLAT: Final = ("{0} is flat: no gradient passes", "{0} 处处平坦:没有梯度通过")
_SWAPPED: Final = (
    "matmul swaps: each side gets the upstream gradient times the other side, transposed",
    "矩阵乘法交换:每一边得到上游梯度乘以另一边的转置",
)


def _named(texts: tuple[str, str], name: str) -> tuple[str, str]:
    """A text of several ops with the name of one."""
    return texts[0].format(name), texts[1].format(name)


_PATTERNS: Final[Mapping[str, tuple[str, str]]] = {
    "add": ("add distributes: each input gets the upstream gradient", "加法门分发:每个输入都得到上游梯度"),
    "subtract": (
        "subtract distributes: the first input gets the upstream gradient, the second its negative",
        "减法门分发:第一个输入得到上游梯度,第二个得到其相反数",
    ),
    "multiply": (
        "multiply swaps: each input gets upstream × the other input",
        "乘法门交换:每个输入得到 上游梯度 × 另一个输入",
    ),
    "divide": (
        "divide scales: the numerator gets upstream / denominator, the denominator upstream × −quotient / denominator",
        "除法门缩放:分子得到 上游梯度 / 分母,分母得到 上游梯度 × −商 / 分母",
    ),
    "matmul": _SWAPPED,
    "negative": ("negative turns the sign of the gradient", "取负门翻转梯度的符号"),
    "exp": ("exp scales by its own output", "exp 按自身的输出缩放"),
    "log": ("log scales by 1 / input", "log 按 1 / 输入 缩放"),
    "sqrt": ("sqrt scales by 1 / (2 × output)", "sqrt 按 1 / (2 × 输出) 缩放"),
    "square": ("square scales by 2 × input", "平方门按 2 × 输入 缩放"),
    "reciprocal": ("reciprocal scales by −output²", "倒数门按 −输出² 缩放"),
    "sigmoid": (
        "sigmoid scales by output × (1 − output), at most 1/4 and nearly 0 where it is saturated",
        "sigmoid 按 输出 × (1 − 输出) 缩放,最多 1/4,饱和处几乎为 0",
    ),
    "tanh": (
        "tanh scales by 1 − output², at most 1 and nearly 0 where it is saturated",
        "tanh 按 1 − 输出² 缩放,最多 1,饱和处几乎为 0",
    ),
    "relu": (
        "relu is a switch: all of the gradient passes where the input is above 0, else none",
        "relu 是开关:输入大于 0 时梯度全部通过,否则为 0",
    ),
    "leaky_relu": (
        "leaky relu is a switch that leaks: all of the gradient passes where the input is above 0, else a small share",
        "leaky relu 是漏电的开关:输入大于 0 时梯度全部通过,否则只通过一小部分",
    ),
    "abs": ("abs gives the gradient the sign of the input", "abs 给梯度乘上输入的符号"),
    "clip": (
        "clip is a switch: the gradient passes where the input is within the limits, else none",
        "clip 是开关:输入在界限之内时梯度通过,否则为 0",
    ),
    "where": (
        "where routes: the input that was taken gets all of the gradient and the other 0",
        "where 是路由器:被选取的输入得到全部梯度,另一个得到 0",
    ),
    "sum": ("sum distributes: each element gets the upstream gradient", "求和分发:每个元素都得到上游梯度"),
    "mean": (
        "mean distributes: each element gets the upstream gradient / how many there are",
        "求平均分发:每个元素得到 上游梯度 / 元素个数",
    ),
    "logsumexp": (
        "logsumexp shares: each element gets upstream × its softmax",
        "logsumexp 分摊:每个元素得到 上游梯度 × 其 softmax",
    ),
    "softmax_cross_entropy": (
        "cross-entropy pulls: each score gets its softmax, less 1 for the right class",
        "交叉熵:每个得分得到其 softmax,正确的类别再减 1",
    ),
    "broadcast_to": ("broadcasting copies: the gradients of the copies add up", "广播即复制:各个副本的梯度相加"),
    GROUP: (
        "a group hands on the product of its local gradients, added up over its paths",
        "组合门传回其内部局部梯度的乘积,并对各条路径求和",
    ),
    "stop_gradient": ("stop_gradient lets no gradient through", "stop_gradient 不让梯度通过"),
    **{name: _named(_ROUTED, called) for name, called in (("maximum", "max"), ("minimum", "min"))},
    **{name: _named(_ELEMENT, name) for name in ("max", "min")},
    **{
        name: _named(_MOVES, name) for name in ("getitem", "take", "reshape", "transpose", "mT", "concatenate", "stack")
    },
    **{name: _named(_FLAT, name) for name in ("sign", "floor", "ceil", "round")},
}


def pattern(op: str, language: str = "en") -> str | None:
    """How a gate hands its upstream gradient on, in a few words; None where there is nothing short to be said.

    Parameters
    ----------
    op : str
        Name of an op.
    language : "en" or "zh"

    Returns
    -------
    str or None

    Example
    -------
    >>> pattern("multiply"), pattern("maximum", "zh"), pattern("erf")
    ('multiply swaps: each input gets upstream × the other input', 'max 是路由器:胜者得到全部梯度,另一个得到 0', None)
    """
    found = _PATTERNS.get(op)
    return None if found is None else found[LANGUAGES.index(language)]


def patterns(op: str) -> dict[str, str] | None:
    """The pattern of an op in every language, as the document has it."""
    found = _PATTERNS.get(op)
    return None if found is None else dict(zip(LANGUAGES, found, strict=True))
