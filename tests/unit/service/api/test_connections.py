"""The limit of open files, in a process of its own."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.heavy
@pytest.mark.parametrize(("limits", "files"), [("-Sn 300; ulimit -Hn 900", 900), ("-n 300", 300), ("-Sn 300", None)])
def test_a_process_may_open_as_many_files_as_its_hard_limit_allows(limits: str, files: int | None) -> None:
    program = (
        "import resource; from service.api.connections import raise_file_limit; "
        "before = resource.getrlimit(resource.RLIMIT_NOFILE); print(before[1], raise_file_limit(), "
        "*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    command = ["bash", "-c", f'ulimit {limits}; exec "$0" -c "$1"', sys.executable, program]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    hard, returned, soft, hard_after = map(int, printed.split())
    assert hard_after == hard
    assert returned == soft
    assert soft == files if files is not None else soft > 300
