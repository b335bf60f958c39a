"""Seeds, derived by named axes, so that a run of one seed is the same run in every study and every pack."""

import hashlib

import torch


def derive_seed(*axes: str | int) -> int:
    """Return a seed in [0, 2^63) for a place named by axes, as in `("mnist_mlp", 3, "order")`.

    Args:
        axes: The names, from the outermost in.

    Example:
        >>> derive_seed("mnist_mlp", 3, "order") == derive_seed("mnist_mlp", 3, "order")
        True
    """
    digest = hashlib.sha256("\0".join(f"{type(axis).__name__}:{axis}" for axis in axes).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def seeded_generator(*axes: str | int) -> torch.Generator:
    """Return a CPU generator seeded for a place named by axes.

    Args:
        axes: The names, as for `derive_seed`.
    """
    return torch.Generator().manual_seed(derive_seed(*axes))
