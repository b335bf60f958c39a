"""A worker's process keeps the memory that its steps free."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.heavy

#: Makes and frees tensors as steps do, and prints how many pages Linux had to find for the last of them.
STEPS = """
import resource, torch
from studies.training import device
{keep}
def step():
    tensors = [torch.ones(2**24) for _ in range(4)]
    del tensors
for _ in range(4):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(*, keep: bool) -> int:
    code = STEPS.format(keep="device.keep_freed_memory()" if keep else "")
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_what_a_step_frees_is_there_for_the_next() -> None:
    assert 10 * pages(keep=True) < pages(keep=False)
