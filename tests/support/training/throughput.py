"""Speeds of packs for tests that do not measure them."""

from collections.abc import Mapping

from studies.execution.driver import Driver
from studies.execution.jobs import Job
from studies.planning.throughput import Speed
from studies.records.rows import Mode
from studies.spec.study import StudySpec


def eager(lanes: int) -> tuple[Speed, ...]:
    """Return that packs of so many lanes train soonest, eagerly.

    Args:
        lanes: Lanes of a pack.
    """
    return (Speed(lanes=lanes, mode=Mode.EAGER, seconds=1.0),)


def all_eager(spec: StudySpec, lanes: Mapping[str, int]) -> dict[tuple[str, str], tuple[Speed, ...]]:
    """Return that of every workload and arm of a study.

    Args:
        spec: The study.
        lanes: Lanes of a pack by workload name.
    """
    return {(workload.name, arm.name): eager(lanes[workload.name]) for workload in spec.workloads for arm in spec.arms}


def next_pack(source: Driver, lanes: int = 4) -> Job | None:
    """Answer all probes before the next pack, and return the pack.

    Args:
        source: The driver.
        lanes: Lanes of a pack, as its probes are answered.
    """
    while (taken := source.next_job()) is not None and not isinstance(taken, Job):
        source.record_speeds(taken.number, eager(lanes))
    return taken
