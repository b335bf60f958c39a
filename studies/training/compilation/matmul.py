"""Matrix products of a compiled step on a processor: loops, MKL or oneDNN, whatever is fastest for the shape."""

from collections.abc import Callable
from functools import cache, reduce

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import GraphModule

from studies import environment

#: Products over so few terms, or of so few results from so many terms, are not left to a library.
_THIN, _LONG = 8, 256
#: Neither are so many of so few terms and results.
_MANY, _SHORT, _SMALL = 64, 16, 256
#: Multiply-adds of a product from which on oneDNN repays what a call of it costs, 5 us more than MKL's. Measured with
#: 8 to 128 rows: with a quarter of them MKL takes 0.6 of oneDNN's time, with four times as many 1.6.
_LARGE = 2**20


def batched_matmul(left: Tensor, right: Tensor) -> Tensor:
    """Return a batch of matrix products as the operations that are fastest; `NotImplemented` for torch's own, by MKL.

    Thin ones are loops that can be joined with what stands around them: for (10, 6) (6, 1000) a library is at a fifth
    of its speed. Large ones are oneDNN's where MKL leaves half of the processor idle.

    Args:
        left: (batch, rows, inner).
        right: (batch, inner, columns).
    """
    rows, inner, columns = left.shape[1], left.shape[2], right.shape[2]
    if 0 < inner <= _THIN or _is_small(left, right):
        parts = (left[:, :, k, None] * right[:, k, None, :] for k in range(inner))
        return reduce(torch.add, parts)
    if rows * columns <= _THIN**2 and inner >= _LONG:
        return (left[:, :, None, :] * right.mT[:, None, :, :]).sum(-1)
    if rows * inner * columns >= _LARGE and left.dtype == right.dtype == torch.float32 and mkl_lacks_avx512():
        return torch.stack([_onednn()(a, b.mT, None, "none", [], "") for a, b in zip(left, right, strict=True)])
    return NotImplemented


def matmul(left: Tensor, right: Tensor) -> Tensor:
    """Return one matrix product, as `batched_matmul` does a batch of them.

    Args:
        left: (rows, inner).
        right: (inner, columns).
    """
    found = batched_matmul(left[None], right[None])
    return found if found is NotImplemented else found[0]


def addmm(bias: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return bias + one matrix product, likewise.

    Args:
        bias: As many as columns, or as a product.
        left: (rows, inner).
        right: (inner, columns).
        beta: Only 1 is taken apart.
        alpha: Likewise.
    """
    found = matmul(left, right) if beta == alpha == 1 else NotImplemented
    return found if found is NotImplemented else bias + found


#: How a step's products are taken apart when it is traced.
DECOMPOSITIONS: dict[OpOverload, Callable[..., Tensor]] = {
    torch.ops.aten.bmm.default: batched_matmul,
    torch.ops.aten.mm.default: matmul,
    torch.ops.aten.addmm.default: addmm,
}


def call_onednn_eagerly(graph: GraphModule) -> None:
    """Have a traced step's products by oneDNN called as they are: Inductor packs weights, and expects constant ones.

    Args:
        graph: The step; its nodes are marked.
    """
    for node in graph.graph.find_nodes(op="call_function", target=_onednn()) if mkl_lacks_avx512() else ():
        node.meta["custom"] = {"fallback_to_eager": True}


def _is_small(left: Tensor, right: Tensor) -> bool:
    """Whether a library would begin each product longer than compute it; transposed ones compile too slowly."""
    batch, rows, inner = left.shape
    few = inner <= _SHORT and rows * right.shape[2] <= _SMALL
    return batch >= _MANY and inner > 0 and few and left.is_contiguous() and right.is_contiguous()


@cache
def mkl_lacks_avx512() -> bool:
    """Whether MKL computes with 256 bits where there are 512: AVX-512 it uses on Intel's own processors only."""
    both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return both and wide and environment.cpu_info("vendor_id") not in ("GenuineIntel", "")


def _onednn() -> OpOverload:
    """Return torch's operation for a product by oneDNN, which not every build has."""
    return torch.ops.mkldnn._linear_pointwise.default
