"""Whether torch can use the GPUs that Ray offers on this machine, and the remedy where it cannot.

python -m studies.training.gpu_check GPUS

prints the fault as a Ray label; nothing without one. CUDA's errors are on standard error.
"""

import ctypes
import logging
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch

from studies.errors import UnusableGpuError

log = logging.getLogger("studies.training.gpu_check")  # as a program its name is `__main__`

#: The oldest branch of NVIDIA's driver for each major version of CUDA, any minor one:
#: https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
LEAST_DRIVER = {"11": "450", "12": "525", "13": "580"}
#: Seconds for torch to load CUDA's libraries and use every GPU, on a busy machine.
_TIMEOUT_SECONDS = 300.0
_REMEDY_WITHOUT_GPUS = (
    "or set L4_GPUS_PER_PACK=0 (in containers GPUS_PER_PACK, on every machine) to train on processors"
)


class GpuFaultKind(StrEnum):
    """Why torch cannot use the GPUs."""

    #: torch is built without CUDA.
    CPU_TORCH = "cpu-torch"
    #: The driver is missing, or older than torch's CUDA needs.
    OLD_DRIVER = "old-driver"
    #: Some GPU cannot be used, for another reason.
    UNUSABLE = "unusable"


@dataclass(frozen=True, kw_only=True)
class GpuFault:
    """Why torch cannot use the GPUs that Ray offers on a machine.

    Args:
        kind: The kind of fault.
        found: Of torch without CUDA its version, of an old driver the latest CUDA that it supports (0 without a
            driver), else the number of usable GPUs.
        needed: For an old driver the version of CUDA that torch is built for, else the number of offered GPUs.
    """

    kind: GpuFaultKind
    found: str
    needed: str

    @property
    def message(self) -> str:
        """The fault and its remedy."""
        match self.kind:
            case GpuFaultKind.CPU_TORCH:
                return (
                    f"Ray offers {_gpus(self.needed)}, but torch {self.found} is built without CUDA: install torch's "
                    f"CUDA build (in containers, build the images without TORCH_INDEX), {_REMEDY_WITHOUT_GPUS}"
                )
            case GpuFaultKind.OLD_DRIVER:
                driver = (
                    "there is no NVIDIA driver"
                    if self.found == "0"
                    else f"the NVIDIA driver supports CUDA up to {self.found}"
                )
                least = LEAST_DRIVER.get(self.needed.partition(".")[0], "")
                return (
                    f"{driver}, but torch is built for CUDA {self.needed}: install "
                    f"{f'driver {least} or newer' if least else 'a newer driver'}, {_REMEDY_WITHOUT_GPUS}"
                )
            case GpuFaultKind.UNUSABLE:
                return (
                    f"torch can use {self.found} of the {_gpus(self.needed)} that Ray offers: see CUDA's error in this "
                    "machine's log, mend it, or offer the others only (CUDA_VISIBLE_DEVICES)"
                )

    @property
    def label(self) -> str:
        """The fault in the characters that a Ray label allows."""
        return f"{self.kind}_{self.found}_{self.needed}"


def parse_fault(label: str) -> GpuFault:
    """Return the fault of a label.

    Args:
        label: As `GpuFault.label` returns it.
    """
    kind, found, needed = label.split("_")
    return GpuFault(kind=GpuFaultKind(kind), found=found, needed=needed)


def check_gpus(offered: int) -> GpuFault | None:
    """Return why torch cannot use this machine's GPUs, None if it can; found in a process that ends, and frees them.

    Args:
        offered: Number of GPUs that Ray offers.
    """
    command = [sys.executable, "-m", "studies.training.gpu_check", str(offered)]
    try:
        check = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        log.error("%s: %s", error, error.stderr.strip())
    except subprocess.TimeoutExpired as error:
        log.error("%s", error)
    else:
        if not check.stdout:
            return None
        if check.stderr:
            log.error("%s", check.stderr.strip())
        return parse_fault(check.stdout.strip())
    return GpuFault(kind=GpuFaultKind.UNUSABLE, found="0", needed=str(offered))


def require_gpu() -> None:
    """Check that torch can use a GPU in this process.

    Raises:
        UnusableGpuError: It cannot; the message has the machine and the remedy.
    """
    if (fault := find_fault(1)) is not None:
        raise UnusableGpuError(f"{platform.node()} cannot train: {fault.message}")


def find_fault(offered: int) -> GpuFault | None:
    """Return why torch cannot use GPUs in this process; None if it can.

    Args:
        offered: Number of GPUs.
    """
    return describe_fault(
        offered,
        torch_version=torch.__version__,
        torch_cuda=torch.version.cuda or "",
        driver_cuda=_driver_cuda_version(),
        usable=count_usable,
    )


def describe_fault(
    offered: int, *, torch_version: str, torch_cuda: str, driver_cuda: str, usable: Callable[[int], int]
) -> GpuFault | None:
    """Return why torch cannot use GPUs, by versions and, where they fit, by use.

    Args:
        offered: Number of GPUs.
        torch_version: As torch has it.
        torch_cuda: The version of CUDA that torch is built for; empty without CUDA.
        driver_cuda: The latest version of CUDA that the driver supports; 0 without a driver.
        usable: Returns how many of so many GPUs torch can use.
    """
    if not torch_cuda:
        public_version = torch_version.partition("+")[0]
        return GpuFault(kind=GpuFaultKind.CPU_TORCH, found=public_version, needed=str(offered))
    # within a major version, a driver serves all of CUDA's minor ones
    if _major(driver_cuda) < _major(torch_cuda):
        return GpuFault(kind=GpuFaultKind.OLD_DRIVER, found=driver_cuda, needed=torch_cuda)
    if (count := usable(offered)) < offered:
        return GpuFault(kind=GpuFaultKind.UNUSABLE, found=str(count), needed=str(offered))
    return None


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _gpus(count: str) -> str:
    return f"{count} GPU" if count == "1" else f"{count} GPUs"


def _driver_cuda_version() -> str:
    """Return the latest version of CUDA that the driver supports; 0 without a driver."""
    version = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "0"
    driver.cuDriverGetVersion(ctypes.byref(version))
    return f"{version.value // 1000}.{version.value % 1000 // 10}" if version.value else "0"


def count_usable(offered: int) -> int:
    """Return how many GPUs torch can compute on; log why it cannot on the others.

    Args:
        offered: Number of GPUs.
    """
    count = 0
    for index in range(offered):
        try:
            torch.ones(1, device=f"cuda:{index}").add(1).item()
        except torch.OutOfMemoryError:  # it computes, but others use it: a pack that does not fit is made smaller
            count += 1
        except (RuntimeError, AssertionError) as error:  # torch asserts that there is a driver
            log.error("GPU %s: %s", index, error)
        else:
            count += 1
    return count


def main(arguments: list[str]) -> int:
    """Print the fault of this machine's GPUs as a label; nothing if there is none.

    Args:
        arguments: The number of GPUs that Ray offers.
    """
    fault = find_fault(int(arguments[0]))
    sys.stdout.write(f"{fault.label}\n" if fault is not None else "")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
