"""Matrix products of a compiled step on a CPU: as loops, by MKL or by oneDNN, whichever is fastest for the shape."""

from collections.abc import Callable
from functools import cache, reduce

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import GraphModule

from studies import environment

#: Loops replace a library for an inner dimension of at most `_THIN`, and for at most `_THIN` squared results with an
#: inner dimension of at least `_LONG`.
_THIN, _LONG = 8, 256
#: They also do for a batch of at least `_MANY` products, of an inner dimension up to `_SHORT` and `_SMALL` results.
_MANY, _SHORT, _SMALL = 64, 16, 256
#: Multiply-adds of a product from which oneDNN is faster than MKL, although a call costs 5 us more. Measured with 8 to
#: 128 rows: for a quarter of them MKL takes 0.6 of oneDNN's time, for four times as many 1.6.
_LARGE = 2**20


def batched_matmul(left: Tensor, right: Tensor) -> Tensor:
    """Return a batch of matrix products in the fastest operations; `NotImplemented` for torch's own, by MKL.

    Thin products become loops, which the compiler fuses with their surroundings: for (10, 6) (6, 1000) a library runs
    at a fifth of its speed. Large ones use oneDNN where MKL does not use AVX-512.

    Args:
        left: (batch, rows, inner).
        right: (batch, inner, columns).
    """
    rows, inner, columns = left.shape[1], left.shape[2], right.shape[2]
    if 0 < inner <= _THIN or _is_small(left, right):
        terms = (left[:, :, k, None] * right[:, k, None, :] for k in range(inner))
        return reduce(torch.add, terms)
    if rows * columns <= _THIN**2 and inner >= _LONG:
        return (left[:, :, None, :] * right.mT[:, None, :, :]).sum(-1)
    if rows * inner * columns >= _LARGE and left.dtype == right.dtype == torch.float32 and mkl_lacks_avx512():
        return torch.stack([_onednn()(a, b.mT, None, "none", [], "") for a, b in zip(left, right, strict=True)])
    return NotImplemented


def matmul(left: Tensor, right: Tensor) -> Tensor:
    """Return one matrix product, computed as in `batched_matmul`.

    Args:
        left: (rows, inner).
        right: (inner, columns).
    """
    product = batched_matmul(left[None], right[None])
    return product if product is NotImplemented else product[0]


def addmm(bias: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return bias + one matrix product, computed as in `batched_matmul`.

    Args:
        bias: (columns,) or (rows, columns).
        left: (rows, inner).
        right: (inner, columns).
        beta: Factor of the bias; `NotImplemented` unless 1.
        alpha: Factor of the product; likewise.
    """
    product = matmul(left, right) if beta == alpha == 1 else NotImplemented
    return product if product is NotImplemented else bias + product


#: Decompositions of matrix products, applied when a step is traced.
DECOMPOSITIONS: dict[OpOverload, Callable[..., Tensor]] = {
    torch.ops.aten.bmm.default: batched_matmul,
    torch.ops.aten.mm.default: matmul,
    torch.ops.aten.addmm.default: addmm,
}


def call_onednn_eagerly(graph: GraphModule) -> None:
    """Mark oneDNN's products in a traced step to be called eagerly: Inductor would pack their weights as constants.

    Args:
        graph: The step; its nodes are marked in place.
    """
    for node in graph.graph.find_nodes(op="call_function", target=_onednn()) if mkl_lacks_avx512() else ():
        node.meta["custom"] = {"fallback_to_eager": True}


def _is_small(left: Tensor, right: Tensor) -> bool:
    """Return whether a library's calls cost more than the products; not for transposed ones, which compile slowly."""
    batch, rows, inner = left.shape
    few_terms = inner <= _SHORT and rows * right.shape[2] <= _SMALL
    return batch >= _MANY and inner > 0 and few_terms and left.is_contiguous() and right.is_contiguous()


@cache
def mkl_lacks_avx512() -> bool:
    """Return whether MKL does not use the processor's AVX-512, as it does on Intel's processors only."""
    has_libraries = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return has_libraries and has_avx512 and environment.cpu_info("vendor_id") not in ("GenuineIntel", "")


def _onednn() -> OpOverload:
    """Return torch's operation for a product by oneDNN, which some builds lack."""
    return torch.ops.mkldnn._linear_pointwise.default
