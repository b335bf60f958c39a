"""The basis of estimates: measured speeds, the speeds of similar subjects, or the catalogue."""

from dataclasses import replace
from typing import Any

import pytest

from service.storage.repositories.estimates import estimate_study
from service.storage.repositories.studies import Store
from service.storage.repositories.throughput import read_workload_speeds, replace_speeds
from studies.planning.estimate import STARTUP_SECONDS, Basis
from studies.planning.throughput import Speed, Subject, subject_of
from studies.records.rows import Mode
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue, Machines

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

HERE = Machines(hardware="here", code="now", workers=3, gpus=0.0)


@pytest.fixture
def here(catalogue: Catalogue) -> Catalogue:
    """A catalogue with the runner's machines."""
    return catalogue.model_copy(update={"machines": HERE})


def subject(spec: StudySpec, workload: str = "digits_mlp", arm: str = "sgd", **changed: Any) -> Subject:
    machines = HERE.model_dump(include={"hardware", "code"})
    subject = subject_of(spec, spec.workload(workload), spec.arm(arm), **machines)
    return replace(subject, **changed)


def keep(store: Store, of: Subject, lane_seconds: float, lanes: int = 2) -> None:
    with store.writing() as connection:
        replace_speeds(connection, of, [Speed(lanes=lanes, mode=Mode.EAGER, seconds=lanes * lane_seconds)])


def bases(store: Store, spec: StudySpec, catalogue: Catalogue) -> dict[tuple[str, str], tuple[Basis, str]]:
    return {
        (each.workload, each.arm): (each.basis, each.source) for each in estimate_study(store, spec, catalogue).arms
    }


def trained(store: Store, spec: StudySpec, catalogue: Catalogue, arm: str) -> float:
    arms = estimate_study(store, spec, catalogue).arms
    arm_estimate = next(each for each in arms if (each.workload, each.arm) == ("digits_mlp", arm))
    return arm_estimate.expected.pack_seconds


def test_what_was_measured_here_is_the_measure(store: Store, spec: StudySpec, here: Catalogue) -> None:
    keep(store, subject(spec), 1e-3)
    basis_by_arm = bases(store, spec, here)
    assert basis_by_arm["digits_mlp", "sgd"] == (Basis.MEASURED, "measured on this machine")
    assert basis_by_arm["digits_mlp", "l4adam"][0] is Basis.GUESS
    assert trained(store, spec, here, "sgd") == pytest.approx((4 + 6) * 100 * 1e-3)
    assert estimate_study(store, spec, here).workers == 3


@pytest.mark.parametrize(
    "changed", [{"hardware": "elsewhere"}, {"code": "before"}, {"optimizer": "adam"}, {"options": {"batch_size": 1}}]
)
def test_what_was_measured_of_anything_else_is_no_measurement(
    store: Store, spec: StudySpec, here: Catalogue, changed: dict[str, Any]
) -> None:
    keep(store, subject(spec, **changed), 1e-3)
    basis, source = bases(store, spec, here)["digits_mlp", "sgd"]
    assert basis is Basis.GUESS
    if "hardware" in changed:
        assert source.startswith("what the catalogue says of digits_mlp")
    else:
        with_others = " with other options" if "options" in changed else ""
        assert source == f"the median of what was measured of digits_mlp{with_others} on this machine"


def test_a_guess_is_the_median_of_what_is_most_like_it(store: Store, spec: StudySpec, here: Catalogue) -> None:
    measuring = 1.0  # two pack sizes, half a second each
    for number, lane_seconds in enumerate((1e-3, 2e-3, 9e-3)):
        keep(store, subject(spec, optimizer=f"other{number}"), lane_seconds)
    keep(store, subject(spec, options={"batch_size": 1}), 1e-9)
    keep(store, subject(spec, "linear_regression"), 5.0)
    assert trained(store, spec, here, "sgd") == pytest.approx(measuring + 2 * 100 * 8 * 2e-3)


def test_the_catalogue_is_the_last_resort(store: Store, spec: StudySpec, here: Catalogue, catalogue: Catalogue) -> None:
    step_seconds = catalogue.workloads[0].step_seconds
    keep(store, subject(spec), 1e-9)
    # without the runner's machines no measured speed applies
    estimate = estimate_study(store, spec, catalogue)
    assert estimate.workers == 1
    assert {arm.basis for arm in estimate.arms} == {Basis.GUESS}
    assert trained(store, spec, catalogue, "sgd") == pytest.approx(1.0 + 2 * 100 * 8 * step_seconds)
    assert estimate.expected.seconds >= STARTUP_SECONDS


def test_lanes_that_the_study_gives_are_kept_to(store: Store, spec: StudySpec, here: Catalogue) -> None:
    keep(store, subject(spec), 1e-3, lanes=2)
    for lanes, basis in ((2, Basis.MEASURED), (3, Basis.GUESS)):
        workload = spec.workloads[0].model_copy(update={"lanes": lanes})
        with_lanes = spec.model_copy(update={"workloads": (workload, *spec.workloads[1:])})
        assert bases(store, with_lanes, here)["digits_mlp", "sgd"][0] is basis


def test_speeds_are_read_by_the_whole_name_of_a_workload(store: Store, spec: StudySpec) -> None:
    for name in ("digits_mlp", "digits_mlp2", "digitsxmlp"):
        keep(
            store,
            subject(spec, workload="digits_mlp", arm="sgd")
            if name == "digits_mlp"
            else replace(subject(spec), workload=name),
            1e-3,
        )
    with store.reading() as connection:
        (measured,) = read_workload_speeds(connection, "digits_mlp")
    assert measured.subject == subject(spec)
