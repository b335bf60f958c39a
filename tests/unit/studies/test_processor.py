"""What Linux says of the processor is read from where it says it."""

from pathlib import Path

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
