"""The registries: a folder each, listed without importing, loaded by name."""

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
    """Return the names a folder provides, in alphabetical order.

    Args:
        kind: The folder, `workloads` or `optimizers`.
    """
    return tuple(sorted(path.stem for path in (_FOLDER / kind).glob("*.py") if not path.stem.startswith("_")))


def load_workload(name: str) -> Workload:
    """Return a workload.

    Args:
        name: The stem of its file.

    Raises:
        UnknownNameError: Where no file provides it.
    """
    return cast(Workload, _load("workloads", name, "WORKLOAD"))


def load_optimizer(name: str) -> AnyOptimizer:
    """Return an optimizer.

    Args:
        name: The stem of its file.

    Raises:
        UnknownNameError: Where no file provides it.
    """
    return cast(AnyOptimizer, _load("optimizers", name, "OPTIMIZER"))


def _load(kind: str, name: str, constant: str) -> object:
    if name not in list_names(kind):
        raise UnknownNameError(f"no {kind[:-1]} {name!r}; known are {', '.join(list_names(kind))}")
    return getattr(import_module(f"studies.{kind}.{name}"), constant)


def build_catalogue() -> Catalogue:
    """Return everything this process can train."""
    return Catalogue(
        workloads=tuple(_workload_entry(name) for name in list_names("workloads")),
        optimizers=tuple(_optimizer_entry(name) for name in list_names("optimizers")),
    )


def _workload_entry(name: str) -> WorkloadEntry:
    declared = load_workload(name)
    return WorkloadEntry(
        name=name,
        summary=declared.summary,
        options=declared.options,
        default_steps=declared.default_steps,
        epoch_examples=declared.epoch_examples,
        has_validation=declared.has_validation,
        metrics=tuple(measure.metric for measure in declared.measures),
        lanes=declared.lanes,
        step_seconds=declared.step_seconds,
    )


def _optimizer_entry(name: str) -> OptimizerEntry:
    declared = load_optimizer(name)
    return OptimizerEntry(name=name, summary=declared.summary, hyperparameters=declared.hyperparameters)


def download_workloads(workload_names: Sequence[str], data_dir: Path) -> None:
    """Download what is missing of the data sets of workloads, with their default options.

    Args:
        workload_names: The workloads.
        data_dir: The data directory.

    Raises:
        UnknownNameError: Where there is no such workload.
        DataMissingError: As from `download_files`.
    """
    for declared in map(load_workload, workload_names):
        download_files(declared.files({option.name: option.default for option in declared.options}), data_dir)
