"""What a study runs on: package versions, commit, hardware."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

#: Packages whose versions decide results.
PACKAGES = ("l4-studies", "torch", "numpy", "scipy", "scikit-learn", "optuna", "ray", "mlflow")
#: In an image, where there is no repository: the commit that it was built from.
_COMMIT_FILE = Path(__file__).with_name("commit.txt")


class Environment(BaseModel):
    """What a study runs on.

    Args:
        versions: By package; Python's own under `python`.
        commit: Of this project's source, `-dirty` where changed; empty where it is not known.
        hardware: Processor, cores and system of the machine the study is driven from.
    """

    model_config = ConfigDict(frozen=True)

    versions: dict[str, str]
    commit: str
    hardware: str


def current_environment() -> Environment:
    """Return what this process runs on."""
    return Environment(
        versions={"python": platform.python_version()} | {name: package_version(name) for name in PACKAGES},
        commit=_git_commit(),
        hardware=describe_hardware(),
    )


def pip_constraints() -> str:
    """Return every package that this process could import as a file of pip's constraints, this project left out."""
    found = {each.metadata["Name"].lower().replace("_", "-"): each.version for each in distributions()}
    # of `2.13.0+cpu` only the public part: the rest names one index's build of it
    return "".join(f"{name}=={found[name].partition('+')[0]}\n" for name in sorted(found) if name != PACKAGES[0])


def describe_hardware() -> str:
    """Return processor, cores and system of this machine."""
    name = cpu_info("model name") or platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def package_version(name: str) -> str:
    """Return the version of an installed package, `not installed` of one that is not.

    Args:
        name: The package.
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _git_commit() -> str:
    if _COMMIT_FILE.exists():
        return _COMMIT_FILE.read_text()
    described = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(described, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


@cache
def cpu_info(field: str, file: Path = Path("/proc/cpuinfo")) -> str:
    """Return a field of the first core's description, empty where there is no such thing.

    Args:
        field: As Linux names it: `vendor_id`, `model name`.
        file: Where Linux describes all cores.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")
