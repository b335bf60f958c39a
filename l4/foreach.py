"""The fast forms of the averages and directions: whole lists of tensors at once, in place, with no waiting."""

# torch has no other names for the functions of lists of tensors
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

import torch
from torch import Tensor

from l4.averages import correction

#: Element types whose sums need a wider type.
_NARROW = (torch.float16, torch.bfloat16)


def ema_(averages: list[Tensor], values: list[Tensor], tau: float) -> None:
    """Advance averages in place, as `l4.averages.ema`.

    Args:
        averages: The averages so far.
        values: The new values.
        tau: Timescale in steps.
    """
    torch._foreach_lerp_(averages, values, 1 / tau)


def ema_of_squares_(averages: list[Tensor], values: list[Tensor], tau: float) -> None:
    """Advance averages of squares in place.

    Args:
        averages: The averages so far.
        values: What is squared and averaged.
        tau: Timescale in steps.
    """
    torch._foreach_mul_(averages, 1 - 1 / tau)
    torch._foreach_addcmul_(averages, values, values, 1 / tau)


def adam(m: list[Tensor], s: list[Tensor], tau_s: float, eps: float, t: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return m / (sqrt(s) + eps sqrt(c)) and sqrt(c), whose product is m / (sqrt(s / c) + eps).

    With the correction c of s outside, only a scalar has to be divided by it, and not every element.

    Args:
        m: Averages of gradients.
        s: Averages of squared gradients.
        tau_s: Timescale of s in steps.
        eps: Added to the corrected root.
        t: The number of this step; 0-dim float64.
    """
    root = correction(tau_s, t).sqrt()
    vectors = torch._foreach_sqrt(s)
    torch._foreach_add_(vectors, (eps * root).to(vectors[0].dtype))
    if torch.compiler.is_compiling():  # a fused kernel makes no copies that could be saved
        return list(torch._foreach_div(m, vectors)), root
    for numerator, each in zip(m, vectors, strict=True):
        torch.div(numerator, each, out=each)
    return list(vectors), root


def inner_product(left: list[Tensor], right: list[Tensor]) -> Tensor:
    """Return the sum over all tensors of the products of their elements; 0-dim float64.

    Args:
        left: Tensors of any shapes.
        right: As many, of the same shapes.
    """
    if torch.compiler.is_compiling():  # what is fused is faster than any library's dot
        return torch.stack(
            [
                (a.float() * b.float()).sum() if a.dtype in _NARROW else (a * b).sum()
                for a, b in zip(left, right, strict=True)
            ]
        ).sum(dtype=torch.float64)
    if left is right:
        wide = torch.float32 if left[0].dtype in _NARROW else left[0].dtype
        norms = torch.stack(torch._foreach_norm(left, 2, dtype=wide)).double()
        return torch.dot(norms, norms)
    return torch.stack([_dot(a, b) for a, b in zip(left, right, strict=True)]).sum(dtype=torch.float64)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype in _NARROW:
        return (a.float() * b.float()).sum()
    if a.is_contiguous() and b.is_contiguous():
        return torch.dot(a.view(-1), b.view(-1))
    return (a * b).sum()


def subtract_(params: list[Tensor], vectors: list[Tensor], rate: Tensor) -> None:
    """Subtract vectors times a rate from parameters, in place.

    Args:
        params: The parameters.
        vectors: As many, of the same shapes.
        rate: 0-dim, on their device.
    """
    rate = rate.to(params[0].dtype)
    if params[0].is_cpu and not torch.compiler.is_compiling():  # saves a copy of all vectors, costs fused kernels
        torch._foreach_addcmul_(params, vectors, [rate] * len(params), -1)
    else:
        torch._foreach_sub_(params, torch._foreach_mul(vectors, rate))
