"""The registries: a folder each, listed without importing, loaded by name."""

from importlib import import_module
from pathlib import Path
from typing import cast

from studies.errors import UnknownNameError
from studies.optimizer import AnyOptimizer
from studies.workload import Workload

_FOLDER = Path(__file__).parent


def names(kind: str) -> tuple[str, ...]:
    """Return the names a folder provides, in alphabetical order.

    Args:
        kind: The folder, `workloads` or `optimizers`.
    """
    return tuple(sorted(path.stem for path in (_FOLDER / kind).glob("*.py") if path.stem != "__init__"))


def workload(name: str) -> Workload:
    """Return a workload.

    Args:
        name: The stem of its file.

    Raises:
        UnknownNameError: Where no file provides it.
    """
    return cast(Workload, _load("workloads", name, "WORKLOAD"))


def optimizer(name: str) -> AnyOptimizer:
    """Return an optimizer.

    Args:
        name: The stem of its file.

    Raises:
        UnknownNameError: Where no file provides it.
    """
    return cast(AnyOptimizer, _load("optimizers", name, "OPTIMIZER"))


def _load(kind: str, name: str, constant: str) -> object:
    if name not in names(kind):
        raise UnknownNameError(f"no {kind[:-1]} {name!r}; known are {', '.join(names(kind))}")
    return getattr(import_module(f"studies.{kind}.{name}"), constant)
