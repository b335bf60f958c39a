"""A complete spec against a catalogue: as it was, and with everything changed that a spec depends on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from studies.spec.parameters import Direction, Hyperparameter, Metric, Option
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue, OptimizerEntry
from studies.validation.compatibility import check_compatibility
from studies.validation.faults import InvalidStudyError
from studies.validation.resolver import resolve

Change = Callable[[Catalogue], Catalogue]


def of_workload(**changes: Any) -> Change:
    """Return what changes the first workload."""

    def change(catalogue: Catalogue) -> Catalogue:
        first, *others = catalogue.workloads
        return catalogue.model_copy(update={"workloads": (first.model_copy(update=changes), *others)})

    return change


def of_optimizer(place: int, change: Callable[[OptimizerEntry], OptimizerEntry]) -> Change:
    """Return what changes an optimizer."""

    def changed(catalogue: Catalogue) -> Catalogue:
        found = [change(each) if i == place else each for i, each in enumerate(catalogue.optimizers)]
        return catalogue.model_copy(update={"optimizers": tuple(found)})

    return changed


def with_momentum(entry: OptimizerEntry) -> OptimizerEntry:
    added = Hyperparameter(name="momentum", default=0.9, summary="M.", at_least=0, search_low=0.1, search_high=0.99)
    return entry.model_copy(update={"hyperparameters": (*entry.hyperparameters, added)})


def with_lr(**changes: Any) -> Callable[[OptimizerEntry], OptimizerEntry]:
    def change(entry: OptimizerEntry) -> OptimizerEntry:
        first, *others = entry.hyperparameters
        return entry.model_copy(update={"hyperparameters": (replace(first, **changes), *others)})

    return change


CHANGES: dict[str, tuple[Change, list[str]]] = {
    "a workload is gone": (of_workload(name="another"), ["/workloads/0/workload"]),
    "an optimizer is gone": (
        of_optimizer(1, lambda each: each.model_copy(update={"name": "x"})),
        ["/arms/1/optimizer"],
    ),
    "an option is gone": (of_workload(options=()), ["/workloads/0/options/batch_size"]),
    "an option is new": (
        of_workload(
            options=(
                Option(name="batch_size", default=64, summary="B.", low=1, high=1000),
                Option(name="hidden", default=10, summary="H.", low=1, high=1000),
            )
        ),
        ["/workloads/0/options"],
    ),
    "an option's bounds are narrower": (
        of_workload(options=(Option(name="batch_size", default=8, summary="B.", low=1, high=16),)),
        ["/workloads/0/options/batch_size"],
    ),
    "an epoch is longer": (of_workload(epoch_examples=2000), ["/workloads/0/steps_per_epoch"]),
    "a hyperparameter is new": (of_optimizer(1, with_momentum), ["/arms/1/fixed"]),
    "a searched one has another scale": (of_optimizer(1, with_lr(log=False)), ["/arms/1/search/lr"]),
    "a searched one has other bounds": (of_optimizer(1, with_lr(at_most=1.0)), ["/arms/1/search/lr"]),
    "a fixed one has other bounds": (
        of_optimizer(0, with_lr(at_most=0.1, default=0.1, search_high=0.1)),
        ["/arms/0/fixed/alpha"],
    ),
}


def test_a_spec_is_as_good_as_it_was(spec: StudySpec, catalogue: Catalogue) -> None:
    check_compatibility(spec, catalogue)
    # what else a catalogue may get or change does not matter
    check_compatibility(spec, of_workload(summary="Others.", default_steps=7, lanes=1)(catalogue))
    check_compatibility(spec, of_optimizer(1, with_lr(search_low=1e-6, default=0.5))(catalogue))


@pytest.mark.parametrize("case", CHANGES)
def test_what_changed_is_named_in_the_spec(spec: StudySpec, catalogue: Catalogue, case: str) -> None:
    change, pointers = CHANGES[case]
    with pytest.raises(InvalidStudyError) as refused:
        check_compatibility(spec, change(catalogue))
    assert sorted({fault.pointer for fault in refused.value.faults}) == pointers


def test_an_objective_that_goes_the_other_way_is_named(definition: dict[str, Any], catalogue: Catalogue) -> None:
    definition["workloads"] = definition["workloads"][:1]
    definition["protocol"]["objective"] = "validation_accuracy"
    spec = resolve(definition, catalogue)
    check_compatibility(spec, catalogue)
    metric = Metric(name="accuracy", direction=Direction.MINIMIZE, summary="A.")
    with pytest.raises(InvalidStudyError, match="was to maximize, and is to minimize now"):
        check_compatibility(spec, of_workload(metrics=(metric,))(catalogue))


@pytest.mark.parametrize(
    "protocol",
    [
        {"scale": 0.01},
        {"scale": 0.3, "pruner": "asha", "trials": 8, "batch": 3},
        {"sampler": "tpe", "search_length": 0.5, "search_seeds": 3},
        {"trials": 1, "sampler": "random"},
    ],
)
def test_any_spec_that_was_made_complete_passes(
    definition: dict[str, Any], catalogue: Catalogue, protocol: dict[str, Any]
) -> None:
    definition["protocol"] = protocol
    definition["workloads"][0]["epochs"] = 1_000_000
    definition["arms"][0]["schedule"] = {"alpha": {"kind": "piecewise", "milestones": [0.5], "gamma": 1}}
    check_compatibility(resolve(definition, catalogue), catalogue)
