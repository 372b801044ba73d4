"""The error function: an odd polynomial up to 1, and beyond it 1 − exp(ln erfc), ln erfc being nearly a parabola."""

from __future__ import annotations

from typing import Final

from adjoint.compiler.mathematics.exponential import exp_polynomial, reduced, two_to
from adjoint.compiler.mathematics.lanes import DOUBLE, SINGLE, Float, horner

__all__ = ["erf"]

#: erf a/a − 1 in a² on a ≤ 1: Remez exchange in 60 digits, relative to erf a.
NEAR: Final = {
    SINGLE: (0.12837917, -0.37612626, 0.112835854, -0.026853811, 0.0051883273, -0.0008010191, 7.8538535e-05),
    DOUBLE: (
        *(0.12837916709551256, -0.3761263890318352, 0.11283791670944185, -0.026866170643111437, 0.005223977606118152),
        *(-0.0008548325929298709, 0.00012055293576479509, -1.4924712295542129e-05, 1.6447131515342055e-06),
        *(-1.6206313523845243e-07, 1.3710980222088798e-08, -7.779469679211721e-10),
    ),
}

#: ln erfc a in a − centre, for a from 1 to where erf a rounds to 1: likewise, weighted by erfc a/erf a.
CENTRE: Final = 1.5
LAST: Final = {SINGLE: 3.95, DOUBLE: 5.95}
FAR: Final = {
    SINGLE: (-3.3844922, -3.5088012, -0.89264166, -0.025820088, 0.0060209283, -0.0012702404, 0.00018637307),
    DOUBLE: (
        *(-3.3844920895515536, -3.508800801779524, -0.8926403306148603, -0.025824140633599797, 0.006006746381028397),
        *(-0.0012572166888676658, 0.00021596336547342963, -2.2473693149714695e-05, -2.647149585020222e-06),
        *(2.3710655539301255e-06, -8.180637518618025e-07, 1.9152425143749405e-07, -2.7916187364526237e-08),
        *(2.1922037515932373e-10, 1.01754651717296e-09, -2.268879137710359e-10, 1.7701967453740825e-11),
    ),
}


def erf(x: Float) -> Float:
    """The error function, 2/√π ∫₀ˣ e^(−t²) dt."""
    size = abs(x)
    near = size.fma(horner(size * size, NEAR[x.format]), size)
    logarithm = horner(size.at_most(LAST[x.format]) - CENTRE, FAR[x.format])
    n, _, r = reduced(logarithm)
    far = (-two_to(n, x)).fma(exp_polynomial(r), 1.0)
    return near.where(size < 1.0, far).signed(x)
