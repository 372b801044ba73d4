"""A chain of a million scalar nodes: no recursion anywhere, the right numbers, and little memory.

Each step is y ← y · a, so that y = x · aⁿ and dy/dx = aⁿ. It runs in a process of its own, whose memory is its own.
"""

import json
import math
import subprocess
import sys

import pytest

CODE = """
import gc, json, os, resource, sys
import adjoint as ad

def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None

n = int(sys.argv[1])
x = ad.tensor(2.0)
x.backward()
before = resident()
y = x
for _ in range(n):
    y = y * 1.0000001
y.backward()
after = resident()
result = {"value": y.item(), "gradient": x.grad.item(), "bytes": None if before is None else (after - before) / n}
del y
gc.collect()
left = resident()
result["freed"] = None if before is None else (after - left) / (after - before)
print(json.dumps(result))
"""


@pytest.mark.timing
def test_a_chain_of_a_million_nodes():
    n = 1_000_000
    done = subprocess.run([sys.executable, "-c", CODE, str(n)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    expected = math.exp(n * math.log1p(1e-7))
    assert math.isclose(result["gradient"], expected, rel_tol=1e-9)
    assert math.isclose(result["value"], 2.0 * expected, rel_tol=1e-9)
    if result["bytes"] is None:
        pytest.skip("this system does not tell the memory of a process")
    assert result["bytes"] <= 400
    assert result["freed"] > 0.5
