"""Parameters that are spread over processes (DTensor): their local parts, and sums over all of them."""

from torch import Tensor
from torch.nn import Parameter


def is_dtensor(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor; asked of every parameter in every step, and so without an import."""
    kind = type(tensor)
    return kind is not Parameter and kind is not Tensor and any(each.__name__ == "DTensor" for each in kind.__mro__)


def dtensor_layout(tensor: Tensor) -> tuple[object, ...]:
    """Return how a DTensor is spread."""
    from torch.distributed.tensor import DTensor  # noqa: PLC0415 - half a second that few need

    assert isinstance(tensor, DTensor)
    return tensor.device_mesh, tensor.placements


def to_local(tensor: Tensor, like: Tensor) -> Tensor:
    """Return the part of a tensor that this process holds.

    Args:
        tensor: A gradient or a buffer of a parameter.
        like: The parameter; the tensor is spread as it is.
    """
    from torch.distributed.tensor import DTensor  # noqa: PLC0415

    assert isinstance(tensor, DTensor)
    assert isinstance(like, DTensor)
    if tensor.placements != like.placements:
        tensor = tensor.redistribute(placements=like.placements)
    return tensor.to_local()


def sum_over_shards(part: Tensor, like: Tensor) -> Tensor:
    """Return the sum of what every process found for its part of a parameter.

    Args:
        part: This process's; 0-dim.
        like: The parameter.
    """
    from torch.distributed.tensor import DTensor, Partial, Replicate  # noqa: PLC0415

    assert isinstance(like, DTensor)
    placements = [Partial() if each.is_shard() else Replicate() for each in like.placements]
    return DTensor.from_local(part, like.device_mesh, placements, run_check=False).full_tensor()
