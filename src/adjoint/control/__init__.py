"""Control flow as functions: a choice (`cond`), a loop over rows (`scan`), a loop with a condition (`while_loop`).

As long as a condition is known, these run what it says and nothing else: the graph is the operations that ran, and
gradients of any order flow through arguments and through whatever the functions close over. A condition that is not
known, because the function is being traced, makes of both ways *guarded* ones: all of it is computed, and `where` takes
what the condition says. A loop of a trace is recorded once and runs natively; one with a condition has `max_steps`
steps, of which those after its end are left out. Where that cannot be, loops are unrolled, with guarded steps.

Invariant. Of a way that is not taken nothing comes out: no value, no state, no gradient and no tangent of any order. A
choice of results alone would let 0 · ∞ = NaN out of its gradients; so whatever a guarded way takes in passes
`gradient_where`, which selects, too.

`values.py` has conditions and containers, `guarded.py` the guarded ways, `choice.py` and `loops.py` what users call. Of
loops in a trace `repeated.py` has the recording, `loop_op.py` the op that they become, `derivatives.py` its rules.
"""

from adjoint.control.choice import cond
from adjoint.control.loops import scan, while_loop

__all__ = ["cond", "scan", "while_loop"]
