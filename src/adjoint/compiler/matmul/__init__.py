"""Matrix products emitted as LLVM IR, specialised on their static shapes.

A product is planned (`plan`: register tile, blocks of k, whether B is packed, how workers share it), B is packed where
that pays (`packing`), and loops over register tiles (`emit`) run a micro-kernel (`kernel`) for each. Kernels and
packing routines are internal functions of the module, shared by all products in it.

Invariant: every element of C is one chain of fused multiply-adds in rising k, so its bits depend on its row of A and
its column of B alone: not on the number of workers, the tile, the blocks or the place of the element.

Numbers rounded to bfloat16 are multiplied in pairs (`pairs`) where the CPU can: each step of the chain then adds two
products, exact ones of neighbours along k, in the CPU's order, with denormal numbers as 0. So there bits depend on
the kind of CPU as well, and on nothing more. `pairing` rounds and packs both operands.
"""

from adjoint.compiler.matmul.emit import Worker, emit_product
from adjoint.compiler.matmul.pairs import FEW_COLUMNS, has_pairs
from adjoint.compiler.matmul.plan import scratch_bytes
from adjoint.compiler.matmul.product import Product
from adjoint.compiler.matmul.tiling import whole_columns

__all__ = ["FEW_COLUMNS", "Product", "Worker", "emit_product", "has_pairs", "scratch_bytes", "whole_columns"]
