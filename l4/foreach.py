"""The fast forms of the averages and directions: whole lists of tensors at once, in place, with no waiting.

torch.compile writes the results of functions of lists to memory, and fuses those of single tensors: what is needed only
once is written for it one by one.
"""

# torch has no other names for the functions of lists of tensors
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

import torch
from torch import Tensor

from l4.averages import correction

#: Element types whose sums need a wider type.
_HALF_PRECISION = (torch.float16, torch.bfloat16)


def on(device: torch.device, tensor: Tensor) -> Tensor:
    """Return a tensor on a device; nothing waits for the copy, where there is one.

    Args:
        device: Where it is needed.
        tensor: Any.
    """
    # a call of `to` that changes nothing costs as much as a sum of two scalars
    return tensor if tensor.device == device else tensor.to(device, non_blocking=True)


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


def fusion_barrier(scalar: Tensor) -> Tensor:
    """Return a scalar that a compiled step computes by itself, and not again for each element that it is used with.

    Args:
        scalar: 0-dim.
    """
    # the compiler never puts a cumulative sum into another loop
    return scalar.view(1).cumsum(0).view(()) if torch.compiler.is_compiling() else scalar


def adam_denominators(s: list[Tensor], tau: float, eps: float, t: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return sqrt(s) + eps sqrt(c) and sqrt(c), whose quotient is sqrt(s / c) + eps.

    With the correction c of s outside, only a scalar has to be divided by it, and not every element.

    Args:
        s: Averages of squared gradients.
        tau: Their timescale in steps.
        eps: Added to the corrected root.
        t: The number of this step; 0-dim float64.
    """
    root = fusion_barrier(correction(tau, t).sqrt())
    if torch.compiler.is_compiling():
        return [each.sqrt() + (eps * root).to(each.dtype) for each in s], root
    found = list(torch._foreach_sqrt(s))
    # without alpha the tensor would be taken for a number, and its value waited for
    torch._foreach_add_(found, (eps * root).to(found[0].dtype), alpha=1)
    return found, root


def divide_into(numerators: list[Tensor], denominators: list[Tensor]) -> list[Tensor]:
    """Return the quotients, in the memory of the denominators.

    Args:
        numerators: Tensors of any shapes.
        denominators: As many, of the same shapes; overwritten.
    """
    for numerator, each in zip(numerators, denominators, strict=True):
        torch.div(numerator, each, out=each)
    return denominators


def inner_product(left: list[Tensor], right: list[Tensor]) -> Tensor:
    """Return the sum over all tensors of the products of their elements; 0-dim float64.

    Args:
        left: Tensors of any shapes.
        right: As many, of the same shapes.
    """
    if torch.compiler.is_compiling():
        return sum_elements([_upcast(a) * _upcast(b) for a, b in zip(left, right, strict=True)])
    if left is right:
        wide = torch.float32 if left[0].dtype in _HALF_PRECISION else left[0].dtype
        norms = torch.stack(torch._foreach_norm(left, 2, dtype=wide)).double()
        return torch.dot(norms, norms)
    return torch.stack([_dot(a, b) for a, b in zip(left, right, strict=True)]).sum(dtype=torch.float64)


def sum_elements(tensors: list[Tensor]) -> Tensor:
    """Return the sum of all elements of all tensors; 0-dim float64.

    Args:
        tensors: Tensors of any shapes.
    """
    return torch.stack([each.sum() for each in tensors]).sum(dtype=torch.float64)


def subtract_(params: list[Tensor], vectors: list[Tensor], rate: Tensor) -> None:
    """Subtract vectors times a rate from parameters, in place.

    Args:
        params: The parameters.
        vectors: As many, of the same shapes.
        rate: 0-dim, on their device.
    """
    rate = rate.to(params[0].dtype)
    if torch.compiler.is_compiling():
        for param, vector in zip(params, vectors, strict=True):
            param.sub_(vector * rate)
    elif params[0].is_cpu:  # broadcasting saves a copy of all vectors there, and costs the fused kernel elsewhere
        torch._foreach_addcmul_(params, vectors, [rate] * len(params), -1)
    else:
        torch._foreach_sub_(params, torch._foreach_mul(vectors, rate))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype not in _HALF_PRECISION and a.is_contiguous() and b.is_contiguous():
        return torch.dot(a.view(-1), b.view(-1))
    return (_upcast(a) * _upcast(b)).sum()


def _upcast(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in _HALF_PRECISION else tensor
