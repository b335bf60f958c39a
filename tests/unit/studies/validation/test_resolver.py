"""From a posted body to a complete spec; the faults themselves are tested over HTTP in tests/conformance."""

from typing import Any

import pytest

from studies.registry import build_catalogue
from studies.spec.definition import MAX_PARTS, Sampler
from studies.validation.catalogue import Catalogue
from studies.validation.faults import MAX_NAMED_FAULTS, InvalidStudyError, json_pointer
from studies.validation.resolver import resolve


def faults(body: object, catalogue: Catalogue) -> list[str]:
    with pytest.raises(InvalidStudyError) as raised:
        resolve(body, catalogue)
    return [fault.pointer for fault in raised.value.faults]


def test_everything_left_out_is_filled_in(definition: dict[str, Any], catalogue: Catalogue) -> None:
    found = resolve(definition, catalogue)
    digits, regression = found.workloads
    assert (digits.options, digits.steps, digits.steps_per_epoch) == ({"batch_size": 64}, 100, 15)
    assert (regression.options, regression.steps, regression.steps_per_epoch) == ({"matrix": "conditioned"}, 20, 1)
    l4adam, sgd = found.arms
    assert (l4adam.kind, l4adam.fixed, l4adam.search) == ("fixed", {"alpha": 0.15}, {})
    assert (sgd.kind, sgd.fixed) == ("searched", {"eps": 1e-8})
    assert (sgd.search["lr"].low, sgd.search["lr"].high, sgd.search["lr"].at_least) == (0.001, 0.1, 0)
    assert (found.protocol.reference, found.protocol.sampler, found.protocol.batch) == ("l4adam", Sampler.GRID, 4)


def test_what_is_complete_stays_as_it_is(definition: dict[str, Any], catalogue: Catalogue) -> None:
    once = resolve(definition, catalogue)
    explicit = definition | {"protocol": once.protocol.model_dump(mode="json", exclude={"direction"})}
    assert resolve(explicit, catalogue).content_hash == once.content_hash


def test_epochs_become_steps(definition: dict[str, Any], catalogue: Catalogue) -> None:
    definition["workloads"] = [{"name": "digits_mlp", "epochs": 3, "options": {"batch_size": 100}}]
    (found,) = resolve(definition, catalogue).workloads
    assert (found.steps, found.steps_per_epoch) == (30, 10)


def test_the_authors_epoch_of_mnist_is_937_steps() -> None:
    body = {"name": "m", "workloads": [{"name": "mnist_mlp", "epochs": 10}], "arms": [{"name": "l4adam"}]}
    (found,) = resolve(body, build_catalogue()).workloads
    assert (found.steps, found.steps_per_epoch) == (9370, 937)


@pytest.mark.parametrize(("trials", "batch"), [(1, 1), (3, 1), (4, 1), (12, 3), (100, 25)])
def test_tpe_is_asked_by_quarters(definition: dict[str, Any], catalogue: Catalogue, trials: int, batch: int) -> None:
    definition["protocol"] = {"sampler": "tpe", "trials": trials}
    assert resolve(definition, catalogue).protocol.batch == batch


def test_successive_halving_is_asked_by_quarters_too(definition: dict[str, Any], catalogue: Catalogue) -> None:
    definition["workloads"] = [{"name": "digits_mlp", "epochs": 18}]
    definition["protocol"] = {"pruner": "asha", "trials": 12, "search_length": 0.5}
    found = resolve(definition, catalogue)
    (workload,) = found.workloads
    assert (found.protocol.batch, workload.search_steps, workload.rungs) == (3, workload.steps // 2, (15, 45))


def test_successive_halving_needs_single_runs_and_an_earlier_batch(
    definition: dict[str, Any], catalogue: Catalogue
) -> None:
    definition["protocol"] = {"pruner": "asha", "trials": 12, "batch": 12, "search_seeds": 2}
    assert faults(definition, catalogue) == ["/protocol/batch", "/protocol/pruner"]
    definition["protocol"] = {"sampler": "random", "pruner": "asha", "trials": 1, "batch": 1}
    assert faults(definition, catalogue) == ["/protocol/trials"]


def test_successive_halving_keeps_an_earlier_batch_where_it_is_shortened(
    definition: dict[str, Any], catalogue: Catalogue
) -> None:
    definition["protocol"] = {"pruner": "asha", "trials": 5, "batch": 4, "scale": 0.9}
    found = resolve(definition, catalogue).protocol
    assert (found.trials, found.batch) == (4, 3)


def test_without_a_fixed_arm_the_first_is_the_reference(definition: dict[str, Any], catalogue: Catalogue) -> None:
    definition["arms"] = definition["arms"][1:]
    assert resolve(definition, catalogue).protocol.reference == "sgd"


def test_faults_of_different_depths_are_named_together(definition: dict[str, Any], catalogue: Catalogue) -> None:
    definition["protcol"] = {}
    definition["workloads"][0] |= {"steps": 10, "epochs": 2}
    definition["arms"][1]["search"] = {"lr": {"low": 1, "high": 0.1}, "lrr": {}}
    definition["arms"].append({"name": "l4adam", "optimizer": "l5"})
    assert faults(definition, catalogue) == [
        "/arms/1/search/lr/low",
        "/arms/1/search/lrr",
        "/arms/2/name",
        "/arms/2/optimizer",
        "/protcol",
        "/protocol/sampler",  # a grid searches one hyperparameter
        "/workloads/0/epochs",
    ]


@pytest.mark.parametrize("body", [None, [], "study", 3, {}])
def test_what_is_no_study_is_refused(body: object, catalogue: Catalogue) -> None:
    assert faults(body, catalogue)


def test_lists_that_are_too_long_are_refused_before_their_items_are_looked_at(
    definition: dict[str, Any], catalogue: Catalogue
) -> None:
    definition |= {"arms": [1] * 5000, "workloads": [{}] * (MAX_PARTS + 1), "protocol": {"trials": 0}}
    with pytest.raises(InvalidStudyError) as raised:
        resolve(definition, catalogue)
    assert [(fault.pointer, fault.detail) for fault in raised.value.faults] == [
        ("/workloads", "51 workloads; give at most 50"),
        ("/arms", "5000 arms; give at most 50"),
    ]


def test_the_text_of_many_faults_names_some_and_counts_the_others(
    definition: dict[str, Any], catalogue: Catalogue
) -> None:
    definition |= {f"field{i}": 1 for i in range(MAX_NAMED_FAULTS + 7)}
    with pytest.raises(InvalidStudyError, match=r"; and 7 more$") as raised:
        resolve(definition, catalogue)
    assert str(raised.value).count("unknown field") == MAX_NAMED_FAULTS


def test_pointers_escape_what_json_pointers_must() -> None:
    assert json_pointer("a/b", 0, "c~d") == "/a~1b/0/c~0d"
    assert json_pointer() == ""


def test_a_scale_shortens_runs_trials_and_seeds_together(definition: dict[str, Any], catalogue: Catalogue) -> None:
    definition["workloads"][0]["steps"] = 1000
    definition["protocol"] |= {"trials": 40, "confirm_seeds": 20, "search_seeds": 3, "scale": 0.1}
    found = resolve(definition, catalogue)
    assert [workload.steps for workload in found.workloads] == [100, 2]
    protocol = found.protocol
    assert (protocol.trials, protocol.batch, protocol.confirm_seeds, protocol.search_seeds) == (4, 4, 2, 1)
    assert found.warnings()[0].startswith("SHORTENED to 0.1 of its length")
    whole = resolve(definition | {"protocol": {}}, catalogue)
    assert whole.shortened == ""


def test_the_smallest_scale_leaves_something_of_everything(definition: dict[str, Any], catalogue: Catalogue) -> None:
    found = resolve(definition | {"protocol": {"scale": 1e-9}}, catalogue)
    assert [workload.steps for workload in found.workloads] == [1, 1]
    assert (found.protocol.trials, found.protocol.search_seeds, found.protocol.confirm_seeds) == (2, 1, 1)


def test_a_schedule_of_any_hyperparameter_is_kept(definition: dict[str, Any], catalogue: Catalogue) -> None:
    definition["arms"][1]["schedule"] = {"lr": {"kind": "piecewise", "milestones": [0.5], "warmup": 0.1}}
    plain, scheduled = resolve(definition, catalogue).arms
    assert plain.schedule == {}
    assert scheduled.schedule["lr"].milestones == (0.5,)
    assert scheduled.schedule["lr"].gamma == 0.1


@pytest.mark.parametrize(
    ("schedule", "place"),
    [
        ({"rate": {"kind": "cosine"}}, "/rate"),
        ({"lr": {"kind": "linear"}}, "/lr/kind"),
        ({"lr": {"kind": "cosine", "milestones": [0.5]}}, "/lr"),
        ({"lr": {"kind": "piecewise"}}, "/lr"),
        ({"lr": {"kind": "piecewise", "milestones": [0.5, 0.4]}}, "/lr"),
        ({"lr": {"kind": "piecewise", "milestones": [0.5], "warmup": 0.6}}, "/lr"),
        ({"lr": {"kind": "piecewise", "milestones": [100]}}, "/lr/milestones/0"),
        ({"lr": {"kind": "cosine", "warmup": 1.0}}, "/lr/warmup"),
    ],
)
def test_a_faulty_schedule_is_named(
    definition: dict[str, Any], catalogue: Catalogue, schedule: dict[str, Any], place: str
) -> None:
    definition["arms"][1]["schedule"] = schedule
    assert faults(definition, catalogue) == [f"/arms/1/schedule{place}"]


@pytest.mark.parametrize(
    ("optimizer", "key", "schedule", "fault"),
    [
        (
            "momentum",
            "momentum",
            {"kind": "piecewise", "milestones": [0.5], "gamma": 1.2},
            "momentum to 1.08: ",
        ),
        ("l4mom", "tau_m", {"kind": "constant", "warmup": 0.1}, "tau_m to 0: "),
        ("adam", "clip_norm", {"kind": "piecewise", "milestones": [0.5], "gamma": 0.0}, "greater than 0"),
    ],
)
def test_a_schedule_that_leaves_the_bounds_is_named(
    definition: dict[str, Any], optimizer: str, key: str, schedule: dict[str, Any], fault: str
) -> None:
    definition["workloads"] = [{"name": "digits_mlp"}]
    definition["arms"] = [{"name": optimizer, "schedule": {key: schedule}}]
    with pytest.raises(InvalidStudyError) as refused:
        resolve(definition, build_catalogue())
    (found,) = refused.value.faults
    assert found.pointer.startswith(f"/arms/0/schedule/{key}")
    assert fault in found.detail
