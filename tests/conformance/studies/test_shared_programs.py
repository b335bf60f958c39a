"""Compiled programs in a folder that machines with different processors share."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from studies import environment

pytestmark = pytest.mark.slow

#: Trains a compiled pack, on a machine whose processor has one flag more than this one where `newer` is given.
TRAIN = """
import sys
from dataclasses import replace
from pathlib import Path
from studies import environment
from studies.execution.worker import train_pack
from studies.records.rows import Mode
from tests.unit.studies.execution.test_worker import job
folder, *newer = sys.argv[1:]
read = environment.cpu_info
if newer:
    environment.cpu_info = lambda field: read(field) + (" amx_tile" if field in ("flags", "Features") else "")
trained = train_pack(replace(job(), mode=Mode.COMPILED, width=2, programs=Path(folder)), "cpu")
assert trained.mode is Mode.COMPILED
"""


def train(folder: Path, *newer: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TRAIN, str(folder), *newer]
    return subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=600)


@pytest.mark.skipif(
    "amx_tile" in environment.cpu_info("flags") or "avx" not in environment.cpu_info("flags"),
    reason="the compiler must know an x86 processor with more instructions than this one",
)
def test_an_older_processor_does_not_run_the_programs_of_a_newer_one(tmp_path: Path) -> None:
    compiler, binaries = shutil.which("g++"), tmp_path / "bin"
    if compiler is None:
        pytest.skip("g++ is not installed")
    binaries.mkdir()
    wrapper = binaries / "g++"  # `-march=native` as it is on a newer machine
    wrapper.write_text(f'#!/bin/bash\nexec {shlex.quote(compiler)} "${{@/#-march=native/-march=sapphirerapids}}"\n')
    wrapper.chmod(0o755)
    programs = tmp_path / "programs"
    train(programs, "newer", path=f"{binaries}:{os.environ['PATH']}")  # dies here, as its program has AVX-512
    assert len(list(programs.rglob("*.program"))) == 1
    older = train(programs)
    assert older.returncode == 0, older.stderr  # -4 is an illegal instruction
    assert len(list(programs.rglob("*.program"))) == 2
