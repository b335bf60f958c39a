"""Making the catalogue from the registries."""

from studies import registry
from studies.catalogue import Catalogue, OptimizerEntry, WorkloadEntry


def catalogue() -> Catalogue:
    """Return everything this process can train."""
    return Catalogue(
        workloads=tuple(_workload(name) for name in registry.names("workloads")),
        optimizers=tuple(_optimizer(name) for name in registry.names("optimizers")),
    )


def _workload(name: str) -> WorkloadEntry:
    found = registry.workload(name)
    return WorkloadEntry(
        name=name,
        summary=found.summary,
        options=found.options,
        default_steps=found.default_steps,
        epoch_examples=found.epoch_examples,
        has_validation=found.has_validation,
        metrics=tuple(measure.metric for measure in found.measures),
        lanes=found.lanes,
        step_seconds=found.step_seconds,
    )


def _optimizer(name: str) -> OptimizerEntry:
    found = registry.optimizer(name)
    return OptimizerEntry(name=name, summary=found.summary, hyperparameters=found.hyperparameters)
