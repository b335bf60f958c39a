"""An environment of Python that has the packages of an image and no others, made of links into this one."""

import re
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.paths import ROOT


def make_image_environment(folder: Path, stage: str) -> Path:
    """Make the environment, and return its Python.

    Args:
        folder: Where to make it.
        stage: The stage of docker/Dockerfile that installs the packages.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in image_distributions(stage):
        found = distribution(name)
        assert found.files is not None, name
        for top in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
            (packages / top).symlink_to(Path(str(found.locate_file(top))))
    (packages / "this_repository.pth").write_text(f"{ROOT}\n")
    return folder / "bin" / "python"


def image_distributions(stage: str) -> set[str]:
    """Return the names of all distributions that an image installs, those that others need among them.

    Args:
        stage: The stage of docker/Dockerfile that installs them.
    """
    (extras,) = re.findall(
        rf"^FROM build AS {stage}$(?:\n(?!FROM ).*)*?\n.*requirements\.py ([a-z0-9 ]+?) >",
        (ROOT / "docker" / "Dockerfile").read_text(),
        re.MULTILINE,
    )
    command = [sys.executable, "docker/requirements.py", *extras.split()]
    wanted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return _closure(map(Requirement, wanted))


def _closure(wanted: Iterable[Requirement]) -> set[str]:
    pending, found = list(wanted), set[tuple[str, str]]()
    while pending:
        requirement = pending.pop()
        for extra in ("", *requirement.extras):
            if (requirement.name, extra) in found:
                continue
            found.add((requirement.name, extra))
            needed = map(Requirement, distribution(requirement.name).requires or ())
            pending += [each for each in needed if each.marker is None or each.marker.evaluate({"extra": extra})]
    return {distribution(name).name for name, _ in found}
