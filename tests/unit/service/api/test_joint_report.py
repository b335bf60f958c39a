"""What the HTTP service says that it needs for joint reports is what is installed for them."""

import tomllib

from service.api.joint_report import PACKAGES
from tests.support.paths import ROOT


def test_the_packages_are_those_of_the_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(PACKAGES) == set(extras["report"]) - set(extras["api"])
