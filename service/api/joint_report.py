"""The report of several studies, computed by a process of its own, since this one has none of what that takes."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

from service.api.bundle import open_bundle, slot
from service.errors import CannotCompareError, JointReportError
from service.storage.repositories.studies import Store
from studies.reporting.bundle.merge import join_faults

#: So many are computed at once, and as long as this at most.
_AT_ONCE, _SECONDS = 2, 120.0
SLOTS = threading.BoundedSemaphore(_AT_ONCE)


def compute_joint_report(store: Store, ids: Sequence[str], file: str) -> bytes:
    """Return a file of the joint report of studies.

    Args:
        store: The database.
        ids: The studies, each once, at least two.
        file: As in `report.html`.

    Raises:
        UnknownStudyError: There is no such study.
        NoReportError: One has no report (yet).
        CannotCompareError: They cannot be compared; it has every reason.
        TooManyRequestsError: Others are being computed.
        JointReportError: It could not be computed here.
    """
    specs = {study_id: store.study(study_id).spec for study_id in ids}
    faults = join_faults(specs)
    if faults:
        raise CannotCompareError(faults)
    for study_id in ids:
        store.report_file(study_id, "report.json")
    with slot(SLOTS, f"{_AT_ONCE} reports of several studies are being computed"):
        return _computed(store, ids, file)


def _computed(store: Store, ids: Sequence[str], file: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="l4-") as folder:
        for study_id in ids:
            with open_bundle(store, study_id) as bundle, ZipFile(bundle) as archive:
                archive.extractall(Path(folder, study_id))
        folders = [str(Path(folder, study_id)) for study_id in ids]
        status = _run(
            "-m",
            "studies.reporting.bundle.joint",
            *folders,
            "--out",
            str(Path(folder, "joint")),
            said=Path(folder, "said"),
        )
        if status != 0:
            said = Path(folder, "said").read_text(encoding="utf-8").strip()
            raise JointReportError(f"the report could not be computed here: {said[-500:] or f'exit status {status}'}")
        return Path(folder, "joint", file).read_bytes()


def _run(*arguments: str, said: Path) -> int:
    """Run Python on a leash, and return its exit status; what it says goes into a file."""
    command = [sys.executable, "-m", "service.processes.subreaper", "0", sys.executable, *arguments]
    with said.open("w") as file, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=file) as process:
        try:
            return process.wait(_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise JointReportError(f"the report took longer than {_SECONDS:.0f} s; compare fewer studies") from error
        finally:
            if process.stdin is not None:
                process.stdin.close()  # which ends the leash, and with it what is still at work
