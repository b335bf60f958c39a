"""What a study knows of its packs' speeds, and what it asks for."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from studies.errors import PackFailedError
from studies.execution.jobs import FailureKind, TrainingSite
from studies.execution.ledger import Ledger
from studies.execution.probes import MAX_RETRIES, ThroughputProbes
from studies.planning.throughput import Speed, Subject
from studies.records.rows import Mode
from studies.registry import build_catalogue
from studies.spec.study import StudySpec
from studies.validation.resolver import resolve
from tests.support.training.throughput import eager

PLACE = TrainingSite(data_dir=Path("unused"), programs=Path("unused"), hardware="here")
SLOW = (Speed(lanes=4, mode=Mode.EAGER, seconds=1000.0),)


class Speeds:
    """The part of a ledger that keeps speeds."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Speed, ...]] = {}

    def speeds(self, subject: Subject) -> tuple[Speed, ...]:
        return self.kept.get(subject.key, ())

    def save_speeds(self, subject: Subject, speeds: Sequence[Speed]) -> None:
        self.kept[subject.key] = tuple(speeds)


@pytest.fixture
def speeds() -> Speeds:
    return Speeds()


def spec(**workload: object) -> StudySpec:
    return resolve(
        {
            "name": "paced",
            "workloads": [{"name": "digits_mlp", "steps": 6, **workload}],
            "arms": [
                {"name": "l4mom"},
                {"name": "l4mom_0.25", "optimizer": "l4mom", "fixed": {"alpha": 0.25}},
                {"name": "sgd", "search": {"lr": {}}},
            ],
            "protocol": {"trials": 20, "batch": 20, "confirm_seeds": 6},
        },
        build_catalogue(),
    )


def pacing(speeds: Speeds, of: StudySpec, place: TrainingSite = PLACE) -> ThroughputProbes:
    ledger: Ledger = speeds  # pyright: ignore[reportAssignmentType]
    return ThroughputProbes(of, ledger, place)


def test_asks_once_for_arms_that_train_alike(speeds: Speeds) -> None:
    own = pacing(speeds, spec())
    first, second = own.next_probe(), own.next_probe()
    assert own.next_probe() is None
    assert first is not None
    assert second is not None
    assert (first.optimizer, first.max_lanes, first.lane_steps) == ("l4mom", 6, 2 * (1 + 6) * 6)
    assert (second.optimizer, second.max_lanes, second.lane_steps) == ("sgd", 20, (20 + 6) * 6)
    assert not own.speeds
    own.record_speeds(first.number, eager(6))
    assert set(own.speeds) == {("digits_mlp", "l4mom"), ("digits_mlp", "l4mom_0.25")}
    assert own.is_pending
    own.record_speeds(second.number, eager(8))
    assert not own.is_pending


def answered(speeds: Speeds, of: StudySpec, found: Sequence[Speed]) -> None:
    own = pacing(speeds, of)
    while (probe := own.next_probe()) is not None:
        own.record_speeds(probe.number, found)


def test_the_next_study_knows_what_one_measured(speeds: Speeds) -> None:
    answered(speeds, spec(), (Speed(lanes=4, mode=Mode.EAGER, seconds=1e-3),))
    assert not pacing(speeds, spec()).is_pending
    assert len(pacing(speeds, spec()).speeds) == 3
    assert pacing(speeds, spec(options={"hidden": 5})).is_pending
    assert pacing(speeds, spec(), TrainingSite(data_dir=Path(), programs=Path(), hardware="elsewhere")).is_pending


def test_asks_again_where_compiling_would_pay_and_was_not_tried(speeds: Speeds) -> None:
    answered(speeds, spec(), SLOW)
    assert pacing(speeds, spec()).is_pending
    answered(speeds, spec(), (*SLOW, Speed(lanes=4, mode=Mode.COMPILED, seconds=900.0)))
    assert not pacing(speeds, spec()).is_pending


def test_a_study_may_say_how_many_lanes(speeds: Speeds) -> None:
    answered(speeds, spec(), eager(8))
    own = pacing(speeds, spec(lanes=3))
    probe = own.next_probe()
    assert probe is not None
    assert (probe.start_lanes, probe.min_lanes, probe.max_lanes) == (3, 3, 3)


def test_a_lost_probe_is_sent_again_a_few_times(speeds: Speeds) -> None:
    own = pacing(speeds, spec())
    first = own.next_probe()
    assert first is not None
    for _ in range(MAX_RETRIES):
        own.handle_failure(first.number, "the worker died", FailureKind.LOST)
        assert own.next_probe() == first
    with pytest.raises(PackFailedError, match="measuring l4mom on digits_mlp: the worker died"):
        own.handle_failure(first.number, "the worker died", FailureKind.LOST)


def test_a_probe_that_fails_for_good_ends_the_study(speeds: Speeds) -> None:
    own = pacing(speeds, spec())
    first = own.next_probe()
    assert first is not None
    with pytest.raises(PackFailedError, match="no data"):
        own.handle_failure(first.number, "no data", FailureKind.FAULT)


def test_too_large_a_pack_takes_its_size_out_of_what_is_known(speeds: Speeds) -> None:
    found = tuple(Speed(lanes=lanes, mode=Mode.EAGER, seconds=1e-3) for lanes in (2, 4, 8))
    answered(speeds, spec(), found)
    own = pacing(speeds, spec())
    own.exclude_lanes("digits_mlp", "sgd", 8)
    assert own.speeds["digits_mlp", "sgd"] == found[:2]
    assert pacing(speeds, spec()).speeds["digits_mlp", "sgd"] == found[:2]
    assert own.speeds["digits_mlp", "l4mom"] == found


def test_a_pack_of_an_earlier_driver_may_be_too_large_before_anything_was_measured(speeds: Speeds) -> None:
    own = pacing(speeds, spec())
    own.exclude_lanes("digits_mlp", "sgd", 8)
    assert not own.speeds
    assert own.is_pending
