"""Registries of workloads and optimizers: folders whose modules are listed without an import and loaded by name."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

from studies.errors import UnknownNameError
from studies.optimizers._base import AnyOptimizer
from studies.validation.catalogue import Catalogue, OptimizerEntry, WorkloadEntry
from studies.workloads._base import Workload
from studies.workloads.datasets.download import download_files

_FOLDER = Path(__file__).parent


def list_names(kind: str) -> tuple[str, ...]:
    """Return the registered names of a folder, in alphabetical order.

    Args:
        kind: The folder, `workloads` or `optimizers`.
    """
    return tuple(sorted(path.stem for path in (_FOLDER / kind).glob("*.py") if not path.stem.startswith("_")))


def load_workload(name: str) -> Workload:
    """Return a registered workload.

    Args:
        name: The name of its module.

    Raises:
        UnknownNameError: There is no such module.
    """
    return cast(Workload, _load("workloads", name, "WORKLOAD"))


def load_optimizer(name: str) -> AnyOptimizer:
    """Return a registered optimizer.

    Args:
        name: The name of its module.

    Raises:
        UnknownNameError: There is no such module.
    """
    return cast(AnyOptimizer, _load("optimizers", name, "OPTIMIZER"))


def _load(kind: str, name: str, constant: str) -> object:
    if name not in list_names(kind):
        raise UnknownNameError(f"no {kind[:-1]} {name!r}; known are {', '.join(list_names(kind))}")
    return getattr(import_module(f"studies.{kind}.{name}"), constant)


def build_catalogue() -> Catalogue:
    """Return the catalogue of all registered workloads and optimizers."""
    return Catalogue(
        workloads=tuple(_workload_entry(name) for name in list_names("workloads")),
        optimizers=tuple(_optimizer_entry(name) for name in list_names("optimizers")),
    )


def _workload_entry(name: str) -> WorkloadEntry:
    workload = load_workload(name)
    return WorkloadEntry(
        name=name,
        summary=workload.summary,
        options=workload.options,
        default_steps=workload.default_steps,
        epoch_examples=workload.epoch_examples,
        has_validation=workload.has_validation,
        metrics=tuple(measure.metric for measure in workload.measures),
        lanes=workload.lanes,
        step_seconds=workload.step_seconds,
    )


def _optimizer_entry(name: str) -> OptimizerEntry:
    optimizer = load_optimizer(name)
    return OptimizerEntry(name=name, summary=optimizer.summary, hyperparameters=optimizer.hyperparameters)


def download_workloads(workload_names: Sequence[str], data_dir: Path) -> None:
    """Download missing files of the data sets that workloads use with their default options.

    Args:
        workload_names: Names of the workloads.
        data_dir: The data directory.

    Raises:
        UnknownNameError: There is no such workload.
        DataMissingError: As from `download_files`.
    """
    for workload in map(load_workload, workload_names):
        download_files(workload.files({option.name: option.default for option in workload.options}), data_dir)
