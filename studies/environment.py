"""The environment of a study: package versions, source commit and hardware."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

#: Packages whose versions can change results.
PACKAGES = ("l4-studies", "torch", "numpy", "scipy", "scikit-learn", "optuna", "ray", "mlflow")
#: Fields of `/proc/cpuinfo` that tell processors of different instruction sets apart, on x86 and on ARM.
_PROCESSOR_FIELDS = (
    *("vendor_id", "cpu family", "model", "stepping", "model name", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),
)
#: Container images have no repository; this file holds the commit that they were built from.
_COMMIT_FILE = Path(__file__).with_name("commit.txt")


class Environment(BaseModel):
    """The environment of a study.

    Args:
        versions: Versions by package name; Python's own under `python`.
        commit: Commit of this project's source, with `-dirty` appended if there are changes; empty if unknown.
        hardware: Processor, cores and operating system of the driver's machine.
    """

    model_config = ConfigDict(frozen=True)

    versions: dict[str, str]
    commit: str
    hardware: str


def current_environment() -> Environment:
    """Return the environment of this process."""
    return Environment(
        versions={"python": platform.python_version()} | {name: package_version(name) for name in PACKAGES},
        commit=_git_commit(),
        hardware=describe_hardware(),
    )


def pip_constraints() -> str:
    """Return all installed packages except this project as the content of a pip constraints file."""
    installed = {
        distribution.metadata["Name"].lower().replace("_", "-"): distribution.version
        for distribution in distributions()
    }
    # only the public part of `2.13.0+cpu`: the local part names the build of one index
    return "".join(
        f"{name}=={installed[name].partition('+')[0]}\n" for name in sorted(installed) if name != PACKAGES[0]
    )


def describe_hardware() -> str:
    """Return processor, cores and operating system of this machine."""
    name = cpu_info("model name") or platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def describe_instruction_set() -> str:
    """Return what tells this processor's instructions from those of another, which `-march=native` compiles for."""
    fields = (cpu_info(field) for field in _PROCESSOR_FIELDS)
    return ", ".join((platform.machine(), platform.processor(), *filter(None, fields)))


def package_version(name: str) -> str:
    """Return the version of a package, or `not installed`.

    Args:
        name: The package's name.
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _git_commit() -> str:
    if _COMMIT_FILE.exists():
        return _COMMIT_FILE.read_text()
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return result.stdout.strip()


@cache
def cpu_info(field: str, file: Path = Path("/proc/cpuinfo")) -> str:
    """Return a field of the first core in `/proc/cpuinfo`; empty if the file or the field is missing.

    Args:
        field: Its name in the file, such as `vendor_id` or `model name`.
        file: The file to read.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")
