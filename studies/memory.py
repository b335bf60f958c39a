"""Memory of a training process: kept from step to step, and running out of it told in one way wherever that happens."""

import ctypes
import platform
from collections.abc import Generator
from contextlib import contextmanager

import torch

from studies.errors import OutOfMemoryError

#: glibc's names (malloc.h) for how much free heap is given back, and how many allocations are mapped apart from it.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep() -> None:
    """Have this process keep what it frees for what it allocates next, until it ends.

    A step of a convolutional net takes and frees hundreds of megabytes. Given back to the system each time, they come
    again page by page, a twelfth of the time of a step of the ResNet. Only glibc can be told; others are left.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, _NEVER)
        libc.mallopt(_MMAP_MAX, 0)


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
