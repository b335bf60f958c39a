"""Prints what `pip` must install for some extras of pyproject.toml, so that images keep it in a layer of its own."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras: dict[str, list[str]] = project["optional-dependencies"]


def wanted(extra: str) -> list[str]:
    """Return the packages of an extra, those of the extras that it names among them."""
    prefix = f"{project['name']}["
    found: list[str] = []
    for each in extras[extra]:
        inner = each.removeprefix(prefix).removesuffix("]").split(",") if each.startswith(prefix) else []
        found += [package for name in inner for package in wanted(name)] or [each]
    return found


sys.stdout.write("".join(f"{each}\n" for each in sorted({each for extra in sys.argv[1:] for each in wanted(extra)})))
