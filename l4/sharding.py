"""Parameters that are sharded over processes (DTensor): their local parts, and sums over all shards."""

from torch import Tensor
from torch.nn import Parameter


def is_dtensor(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor; called for every parameter in every step, so it imports nothing."""
    cls = type(tensor)
    return cls is not Parameter and cls is not Tensor and any(base.__name__ == "DTensor" for base in cls.__mro__)


def dtensor_layout(tensor: Tensor) -> tuple[object, ...]:
    """Return the device mesh and the placements of a DTensor."""
    from torch.distributed.tensor import DTensor  # noqa: PLC0415 - takes half a second, and few programs use it

    assert isinstance(tensor, DTensor)
    return tensor.device_mesh, tensor.placements


def to_local(tensor: Tensor, like: Tensor) -> Tensor:
    """Return the part of a tensor that this process holds.

    Args:
        tensor: A gradient or a buffer of a parameter.
        like: The parameter, whose placements the tensor gets.
    """
    from torch.distributed.tensor import DTensor  # noqa: PLC0415 - as above

    assert isinstance(tensor, DTensor)
    assert isinstance(like, DTensor)
    if tensor.placements != like.placements:
        tensor = tensor.redistribute(placements=like.placements)
    return tensor.to_local()


def sum_over_shards(part: Tensor, like: Tensor) -> Tensor:
    """Return the sum of all processes' values for their shards of a parameter.

    Args:
        part: This process's value; 0-dim.
        like: The parameter.
    """
    from torch.distributed.tensor import DTensor, Partial, Replicate  # noqa: PLC0415 - as above

    assert isinstance(like, DTensor)
    placements = [Partial() if placement.is_shard() else Replicate() for placement in like.placements]
    return DTensor.from_local(part, like.device_mesh, placements, run_check=False).full_tensor()
