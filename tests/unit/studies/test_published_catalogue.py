"""The published catalogue says what the registries can do."""

from studies import registry
from studies.registry import build_catalogue
from studies.validation.catalogue import Catalogue


def test_has_every_workload_and_optimizer() -> None:
    published = build_catalogue()
    assert tuple(each.name for each in published.workloads) == registry.list_names("workloads")
    assert tuple(each.name for each in published.optimizers) == registry.list_names("optimizers")
    for entry in published.workloads:
        workload = registry.load_workload(entry.name)
        assert (entry.options, entry.default_steps, entry.lanes) == (
            workload.options,
            workload.default_steps,
            workload.lanes,
        )
        assert [metric.name for metric in entry.metrics] == [each.metric.name for each in workload.measures]
    for entry in published.optimizers:
        assert entry.hyperparameters == registry.load_optimizer(entry.name).hyperparameters


def test_survives_the_database() -> None:
    published = build_catalogue()
    assert Catalogue.model_validate_json(published.model_dump_json()) == published
