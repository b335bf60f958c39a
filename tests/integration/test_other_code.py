"""Machines of a cluster whose code is not the same: none joins, and one that did trains nothing."""

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

#: The driver's machine has other code than the worker's.
_DRIVE = """
import runpy, sys
from studies.execution import ray_cluster
ray_cluster.sources_digest = lambda: "f" * 64
sys.argv = ["gpu_packs", *sys.argv[1:]]
runpy.run_module("tests.support.training.gpu_packs", run_name="__main__")
"""
_JOIN = """
import sys
from studies.execution import ray_cluster
from studies.errors import StudiesError
try:
    ray_cluster.require_same_code(sys.argv[1])
except StudiesError as error:
    print(type(error).__name__, error)
"""


def test_a_worker_of_other_code_trains_nothing(tmp_path: Path, environment: dict[str, str], ray_address: str) -> None:
    command = [sys.executable, "-c", _DRIVE, ray_address, str(tmp_path)]
    driver = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert driver.returncode == 1
    assert "and the study is driven by 0.1.0-ffffffffffff: train with the same images" in driver.stderr
    assert not list(tmp_path.glob("pack-*"))


def test_a_machine_of_other_code_or_token_does_not_join(environment: dict[str, str], ray_address: str) -> None:
    def join(**more: str) -> str:
        command = [sys.executable, "-c", _JOIN, ray_address]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=600).stdout

    # the head of this test has no label, as one that others started
    assert join().startswith("CodeMismatchError this machine has 0.1.0-")
    assert "refuses this machine's token" in join(RAY_AUTH_TOKEN=secrets.token_hex(32))
