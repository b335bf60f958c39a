"""A report's files stay in their folder."""

from pathlib import Path

import pytest

from studies.errors import BundleError
from studies.reporting.bundle.files import write_files


def test_files_are_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    write_files(tmp_path / "a" / "b", {"report.md": b"one", "digits-train_loss.svg": b"two"})
    found = {path.name: path.read_bytes() for path in (tmp_path / "a" / "b").iterdir()}
    assert found == {"report.md": b"one", "digits-train_loss.svg": b"two"}


@pytest.mark.parametrize("name", ["{elsewhere}/evil.svg", "../evil.svg", "a/evil.svg", "a\\evil.svg", "..", ""])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="nothing was written"):
        write_files(tmp_path / "out", {"report.md": b"", name.format(elsewhere=tmp_path): b""})
    assert list(tmp_path.iterdir()) == []
