"""Fast forms of the averages and directions: in place, on whole lists of tensors, without synchronizing the device.

torch.compile stores the results of functions of lists, but fuses operations on single tensors. When compiling, values
that are used only once are therefore computed tensor by tensor.
"""

# torch has no public names for its functions of lists of tensors
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

import torch
from torch import Tensor

from l4.averages import correction

#: Dtypes whose sums need a wider dtype.
_HALF_PRECISION = (torch.float16, torch.bfloat16)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; a copy does not block.

    Args:
        tensor: Any tensor.
        device: The device.
    """
    # a call of `to` without effect costs as much as an addition of two scalars
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
        values: The new values, squared here.
        tau: Timescale in steps.
    """
    torch._foreach_mul_(averages, 1 - 1 / tau)
    torch._foreach_addcmul_(averages, values, values, 1 / tau)


def fusion_barrier(scalar: Tensor) -> Tensor:
    """Return a scalar that a compiled step computes once, not again for every element that uses it.

    Args:
        scalar: A 0-dim tensor.
    """
    # the compiler never fuses a cumulative sum into another loop
    return scalar.view(1).cumsum(0).view(()) if torch.compiler.is_compiling() else scalar


def adam_denominators(s: list[Tensor], tau: float, eps: float, t: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return sqrt(s) + eps sqrt(c) and sqrt(c), whose quotient is sqrt(s / c) + eps.

    c is the bias correction of s: applied to the quotient, it divides one scalar and not every element.

    Args:
        s: Averages of squared gradients.
        tau: Their timescale in steps.
        eps: Added to the corrected root.
        t: The number of this step; 0-dim float64.
    """
    root = fusion_barrier(correction(tau, t).sqrt())
    if torch.compiler.is_compiling():
        return [average.sqrt() + (eps * root).to(average.dtype) for average in s], root
    denominators = list(torch._foreach_sqrt(s))
    # without alpha torch converts the tensor to a number, and waits for its value
    torch._foreach_add_(denominators, (eps * root).to(denominators[0].dtype), alpha=1)
    return denominators, root


def divide_into(numerators: list[Tensor], denominators: list[Tensor]) -> list[Tensor]:
    """Return the quotients, in the memory of the denominators.

    Args:
        numerators: Tensors of any shapes.
        denominators: As many, of the same shapes; overwritten with the quotients.
    """
    for numerator, denominator in zip(numerators, denominators, strict=True):
        torch.div(numerator, denominator, out=denominator)
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
        norm_dtype = torch.float32 if left[0].dtype in _HALF_PRECISION else left[0].dtype
        norms = torch.stack(torch._foreach_norm(left, 2, dtype=norm_dtype)).double()
        return torch.dot(norms, norms)
    return torch.stack([_dot(a, b) for a, b in zip(left, right, strict=True)]).sum(dtype=torch.float64)


def sum_elements(tensors: list[Tensor]) -> Tensor:
    """Return the sum of all elements of all tensors; 0-dim float64.

    Args:
        tensors: Tensors of any shapes.
    """
    return torch.stack([tensor.sum() for tensor in tensors]).sum(dtype=torch.float64)


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
    elif params[0].is_cpu:  # on a CPU broadcasting avoids a copy of all vectors; on a GPU it prevents the fused kernel
        torch._foreach_addcmul_(params, vectors, [rate] * len(params), -1)
    else:
        torch._foreach_sub_(params, torch._foreach_mul(vectors, rate))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype not in _HALF_PRECISION and a.is_contiguous() and b.is_contiguous():
        return torch.dot(a.view(-1), b.view(-1))
    return (_upcast(a) * _upcast(b)).sum()


def _upcast(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in _HALF_PRECISION else tensor
