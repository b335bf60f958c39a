"""Hands five packs to a Ray cluster, each of them half a GPU, and trains them by waiting for a file.

python -m tests.support.training.gpu_packs RAY_ADDRESS FOLDER

FOLDER gets `waits` with what the source is told, and a file for each pack with its CUDA_VISIBLE_DEVICES; the packs end
when `go` is there.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from studies.execution import ray_cluster, ray_tune
from studies.execution.jobs import FailureKind, Job, PackResult
from studies.planning.throughput import Speed
from studies.records.rows import Mode
from tests.unit.studies.execution.test_worker import job

PACKS = 5


def wait(job: Job, device: str) -> PackResult:
    """Train a pack: say which GPU it has, and wait."""
    (job.data_dir / f"pack-{job.number}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
    while not (job.data_dir / "go").exists():
        time.sleep(0.05)
    return PackResult(measurements=(), parameters=(), mode=Mode.EAGER, seconds=0.0, host=device)


class Source:
    """Five packs.

    Args:
        folder: Where they write.
    """

    def __init__(self, folder: Path) -> None:
        """Start with all of them."""
        self._folder = folder
        self._left = list(range(PACKS))
        self._out: set[int] = set()

    def is_finished(self) -> bool:
        """Whether all came back."""
        return not self._left and not self._out

    def next_job(self) -> Job | None:
        """Hand out the next."""
        if not self._left:
            return None
        number = self._left.pop(0)
        self._out.add(number)
        return replace(job(), number=number, data_dir=self._folder)

    def record_result(self, pack: int, result: PackResult) -> None:
        """Take one back."""
        assert result.host == "cuda"
        self._out.remove(pack)

    def record_speeds(self, probe: int, speeds: Sequence[Speed]) -> None:
        """No probes are handed out."""
        raise AssertionError(probe)

    def handle_failure(self, number: int, reason: str, failure: FailureKind) -> None:
        """None may fail."""
        raise AssertionError(reason)

    def poll(self) -> None:
        """There is nothing to look at."""

    def record_wait(self, reason: str) -> None:
        """Write what is told."""
        with (self._folder / "waits").open("a") as file:
            file.write(reason + "\n")


if __name__ == "__main__":
    address, folder = sys.argv[1], Path(sys.argv[2])
    with ray_cluster.connected(address):
        ray_tune.run_experiment(
            Source(folder), name="gpus", storage=folder / "tune", stopping=lambda: False, gpus_per_pack=0.5, train=wait
        )
