"""Joint reports of several studies, computed in a child process: this one does not import the analysis."""

import importlib.util
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

from service.api.bundle import limit_concurrency, open_bundle
from service.errors import CannotCompareError, JointReportError
from service.storage.repositories.studies import Store
from studies.reporting.bundle.merge import merge_faults

_LOG = logging.getLogger(__name__)

#: Packages that the child process imports and this one does not; the extra `report` installs them.
PACKAGES = ("matplotlib", "numpy", "scipy")
_MODULE = "studies.reporting.bundle.joint"
_MAX_CONCURRENT = 2
_TIMEOUT_SECONDS = 120.0
SEMAPHORE = threading.BoundedSemaphore(_MAX_CONCURRENT)


def compute_joint_report(store: Store, ids: Sequence[str], file: str) -> bytes:
    """Return one file of the joint report of several studies.

    Args:
        store: The database.
        ids: At least two different studies.
        file: The file's name, such as `report.html`.

    Raises:
        UnknownStudyError: There is no such study.
        NoReportError: One of them has no report (yet).
        CannotCompareError: They cannot be compared; the error lists every reason.
        TooManyRequestsError: Too many joint reports are being computed.
        JointReportError: The packages for it are not installed, or the computation failed or took too long.
    """
    _require_packages()
    specs = {study_id: store.study(study_id).spec for study_id in ids}
    faults = merge_faults(specs)
    if faults:
        raise CannotCompareError(faults)
    for study_id in ids:
        store.report_file(study_id, "report.json")
    with limit_concurrency(SEMAPHORE, f"{_MAX_CONCURRENT} reports of several studies are being computed"):
        return _compute(store, ids, file)


def _require_packages() -> None:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise JointReportError(
            "a report of several studies is computed beside the HTTP service, whose installation lacks "
            f"{', '.join(missing)}; install them there with `pip install '.[report]'`"
        )


def _compute(store: Store, ids: Sequence[str], file: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="l4-") as folder:
        for study_id in ids:
            with open_bundle(store, study_id) as bundle, ZipFile(bundle) as archive:
                archive.extractall(Path(folder, study_id))
        folders = [str(Path(folder, study_id)) for study_id in ids]
        log = Path(folder, "log.txt")
        status = _run_python(
            "-m",
            _MODULE,
            *folders,
            "--out",
            str(Path(folder, "joint")),
            log=log,
        )
        if status != 0:
            output = log.read_text(encoding="utf-8", errors="replace").strip()
            _LOG.error("the joint report of %s failed with exit status %s:\n%s", ", ".join(ids), status, output)
            raise JointReportError(
                f"the report could not be computed (exit status {status}); the log of the HTTP service says why"
            )
        return Path(folder, "joint", file).read_bytes()


def _run_python(*arguments: str, log: Path) -> int:
    """Run Python under the subreaper, and return its exit status; its output goes into a file."""
    command = [sys.executable, "-m", "service.processes.subreaper", "0", str(log), sys.executable, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            return process.wait(_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise JointReportError(
                f"the report took longer than {_TIMEOUT_SECONDS:.0f} s; compare fewer studies"
            ) from error
        finally:
            if process.stdin is not None:
                process.stdin.close()  # ends the subreaper, and with it any process still running
