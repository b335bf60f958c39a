"""Why torch cannot use the GPUs that Ray offers, by versions and by use."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from studies.errors import UnusableGpuError
from studies.execution import ray_cluster
from studies.training import gpu_check
from studies.training.gpu_check import LEAST_DRIVER, GpuFault, GpuFaultKind, describe_fault, parse_fault, require_gpu
from tests.support.paths import ROOT
from tests.support.services.fake_gpu import gpu_environment

pytestmark = pytest.mark.heavy

WITHOUT_GPUS = "or set L4_GPUS_PER_PACK=0 (in containers GPUS_PER_PACK, on every machine) to train on processors"


def fault(
    offered: int = 2, *, version: str = "2.13.0+cu130", cuda: str = "13.0", driver: str = "13.1", usable: int = 2
) -> GpuFault | None:
    return describe_fault(
        offered, torch_version=version, torch_cuda=cuda, driver_cuda=driver, usable=lambda offered: usable
    )


def test_as_many_gpus_as_are_offered_are_well() -> None:
    assert fault() is None
    assert fault(cuda="12.8", driver="13.0") is None  # a driver serves all earlier CUDA
    assert fault(cuda="12.8", driver="12.2") is None  # and all minor versions of its own


@pytest.mark.parametrize(
    ("found", "kind", "message"),
    [
        (
            fault(version="2.13.0+cpu", cuda=""),
            GpuFaultKind.CPU_TORCH,
            "Ray offers 2 GPUs, but torch 2.13.0 is built without CUDA: install torch's CUDA build "
            f"(in containers, build the images without TORCH_INDEX), {WITHOUT_GPUS}",
        ),
        (
            fault(driver="12.2"),
            GpuFaultKind.OLD_DRIVER,
            "the NVIDIA driver supports CUDA up to 12.2, but torch is built for CUDA 13.0: install driver 580 or "
            f"newer, {WITHOUT_GPUS}",
        ),
        (
            fault(driver="0", cuda="12.8"),
            GpuFaultKind.OLD_DRIVER,
            f"there is no NVIDIA driver, but torch is built for CUDA 12.8: install driver 525 or newer, {WITHOUT_GPUS}",
        ),
        (
            fault(usable=1),
            GpuFaultKind.UNUSABLE,
            "torch can use 1 of the 2 GPUs that Ray offers: see CUDA's error in this machine's log, mend it, or offer "
            "the others only (CUDA_VISIBLE_DEVICES)",
        ),
    ],
)
def test_a_fault_says_what_to_do_and_travels_as_a_label(found: GpuFault, kind: GpuFaultKind, message: str) -> None:
    assert found.kind is kind
    assert found.message == message
    assert re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?", found.label)
    assert parse_fault(found.label) == found


@pytest.mark.skipif(torch.version.cuda is not None, reason="needs torch without CUDA")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_machine_is_asked_as_ray_and_torch_see_it(tmp_path: Path) -> None:
    script = "from studies.execution import ray_cluster as c; print(c.check_machine(None), c.check_machine(0), sep='|')"
    environment = gpu_environment(tmp_path / "libraries")
    checked = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    found, without_gpus = checked.stdout.strip().split("|")
    assert "CPU_TORCH" in found
    assert without_gpus == "None"
    with pytest.raises(UnusableGpuError, match=r"cannot train: Ray offers 1 GPU, but torch .* is built without CUDA"):
        require_gpu()


def test_a_gpu_that_others_have_filled_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch, "ones", fill)
    assert gpu_check.count_usable(1) == 1


@pytest.mark.gpu
def test_a_usable_gpu_is_well() -> None:
    assert ray_cluster.check_machine(None) is None
    require_gpu()


def test_the_documents_and_constraints_name_what_the_pinned_torch_needs() -> None:
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    (toolkit,) = [line.partition("==")[2] for line in pinned if line.startswith("cuda-toolkit==")]
    cuda, _, _ = toolkit.partition(".")
    assert f"driver {LEAST_DRIVER[cuda]} or newer" in (ROOT / "docs/deployment.md").read_text()
