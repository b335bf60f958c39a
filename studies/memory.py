"""Running out of memory, told in one way wherever it happens."""

import platform
from collections.abc import Generator
from contextlib import contextmanager

import torch

from studies.errors import OutOfMemoryError


@contextmanager
def told(lanes: int, workload: str, device: str) -> Generator[None]:
    """Raise what goes wrong inside for want of memory as one error.

    Args:
        lanes: Lanes of the pack.
        workload: Its workload's name.
        device: Where it is, as torch names it.

    Raises:
        OutOfMemoryError: Where memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's CPU allocator raises a plain RuntimeError, which only its text tells apart
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise OutOfMemoryError(
                f"a pack of {lanes} lanes of {workload} did not fit into the memory of {host(device)}; "
                "make the workload smaller or give the worker more memory"
            ) from error
        raise


def host(device: str) -> str:
    """Return machine and device in words.

    Args:
        device: As torch names it.
    """
    named = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return f"{platform.node()} ({named})"
