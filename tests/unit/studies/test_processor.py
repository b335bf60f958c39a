"""What Linux says of the processor is read from where it says it."""

from pathlib import Path

import pytest

from studies import environment
from studies.environment import cpu_info

CORE = "processor\t: {0}\nvendor_id\t: AuthenticAMD\nmodel\t\t: {0}\nmodel name\t: AMD EPYC: 9B45\n\n"


def test_a_field_is_that_of_the_first_core(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(CORE.format(7) + CORE.format(8))
    assert cpu_info("vendor_id", file) == "AuthenticAMD"
    assert cpu_info("model name", file) == "AMD EPYC: 9B45"
    assert cpu_info("model", file) == "7"


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("CPU implementer\t: 0x41\n")
    assert cpu_info("vendor_id", tmp_path / "cpuinfo") == ""
    assert cpu_info("vendor_id", tmp_path / "none") == ""


@pytest.mark.parametrize("field", ["flags", "model name", "Features", "CPU part"])
def test_processors_that_differ_in_a_field_have_different_instruction_sets(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: set[str] = set()
    for value in ("fpu sse avx2", "fpu sse avx2 avx512f"):
        monkeypatch.setattr(environment, "cpu_info", {field: value}.get)
        found.add(environment.describe_instruction_set())
    assert len(found) == 2
