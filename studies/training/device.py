"""A process's memory: kept for the next step, and running out of it told in one way wherever it happens."""

import ctypes
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager

import torch

from studies.errors import OutOfMemoryError
from studies.spec.parameters import Precision

#: glibc's numbers of what `mallopt` sets.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Have this process keep what tensors free, and ask Linux for large pages; before the first tensor is made.

    A step frees all that it took. Given back, it comes again in the next step page by page, each emptied: of the
    ResNet's step that is a tenth. Elsewhere than with glibc and on Linux this does nothing.
    """
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"  # torch's own, for tensors of 2 MB and more
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, -1)  # never given back
        libc.mallopt(_MMAP_MAX, 0)  # and nothing taken past what is kept


@contextmanager
def raise_out_of_memory(lanes: int, workload: str, device: str) -> Generator[None]:
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
                f"a pack of {lanes} lanes of {workload} did not fit into the memory of {describe_host(device)}; "
                "make the workload smaller or give the worker more memory"
            ) from error
        raise


def describe_host(device: str) -> str:
    """Return machine and device in words.

    Args:
        device: As torch names it.
    """
    named = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return f"{platform.node()} ({named})"


def set_matmul_precision(precision: Precision) -> None:
    """Have CUDA's products computed so from now on; torch's own default differs between products and convolutions.

    Args:
        precision: As the study says; what `bfloat16` does not reach is computed in float32.
    """
    chosen = "tf32" if precision is Precision.TF32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = chosen
    # torch's own modules do not declare these two
    torch.backends.cudnn.conv.fp32_precision = chosen  # pyright: ignore[reportAttributeAccessIssue]
    torch.backends.cudnn.rnn.fp32_precision = chosen  # pyright: ignore[reportAttributeAccessIssue]
