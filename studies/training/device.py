"""Device settings of a training process: memory allocation, out-of-memory errors and matrix product precision."""

import ctypes
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager

import torch

from studies.errors import OutOfMemoryError
from studies.spec.parameters import Precision

#: Parameter numbers of glibc's `mallopt`.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Make this process keep freed memory, and use large pages; call before creating the first tensor.

    A step frees all memory that it allocates. If the allocator returns it, the kernel maps and clears every page again
    in the next step, which takes a tenth of the ResNet's step. No effect except on Linux with glibc.
    """
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"  # read by torch, for tensors of at least 2 MB
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, -1)  # never return memory to the system
        libc.mallopt(_MMAP_MAX, 0)  # allocate from the heap only, as mapped memory is returned


@contextmanager
def raise_out_of_memory(lanes: int, workload: str, device: str) -> Generator[None]:
    """Turn all out-of-memory errors of a block into `OutOfMemoryError`.

    Args:
        lanes: Number of lanes of the pack.
        workload: Name of its workload.
        device: Its device, as torch names it.

    Raises:
        OutOfMemoryError: The block ran out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's CPU allocator raises a plain RuntimeError, recognisable only by its text
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise OutOfMemoryError(
                f"a pack of {lanes} lanes of {workload} did not fit into the memory of {describe_host(device)}; "
                "make the workload smaller or give the worker more memory"
            ) from error
        raise


def describe_host(device: str) -> str:
    """Return the names of the machine and the device, to show to users.

    Args:
        device: The device, as torch names it.
    """
    device_name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return f"{platform.node()} ({device_name})"


def set_matmul_precision(precision: Precision) -> None:
    """Set the precision of CUDA's matrix products and convolutions, for which torch's defaults differ.

    Args:
        precision: The study's precision; with `bfloat16`, operations outside autocast are computed in float32.
    """
    fp32_precision = "tf32" if precision is Precision.TF32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = fp32_precision
    # torch's type stubs do not declare these two
    torch.backends.cudnn.conv.fp32_precision = fp32_precision  # pyright: ignore[reportAttributeAccessIssue]
    torch.backends.cudnn.rnn.fp32_precision = fp32_precision  # pyright: ignore[reportAttributeAccessIssue]
