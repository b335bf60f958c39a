"""What a study knows of the speeds of its packs, and what it still asks workers to measure."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from studies import registry
from studies.errors import PackFailedError
from studies.execution.jobs import FailureKind, Probe, TrainingSite, build_task
from studies.execution.ledger import Ledger
from studies.planning.throughput import Speed, Subject, fastest, is_sufficient, subject_of
from studies.spec.parameters import Stage
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from studies.training.compilation.program_cache import sources_digest
from studies.training.task import LaneTask

log = logging.getLogger(__name__)
#: A probe whose worker died is sent again this often.
MAX_RETRIES = 2


@dataclass(frozen=True, kw_only=True)
class _ProbeRequest:
    """A probe and what its answer is for.

    Args:
        probe: The probe.
        subject: What it measures.
        pairs: The (workload, arm) pairs of the study that train so.
        attempts: How often its worker died.
    """

    probe: Probe
    subject: Subject
    pairs: tuple[tuple[str, str], ...]
    attempts: int = 0


class ThroughputProbes:
    """The speeds of a study's packs: those measured before, in any study, and probes for the others.

    Args:
        spec: The study.
        ledger: Where speeds are kept.
        place: Where the study is trained.
    """

    def __init__(self, spec: StudySpec, ledger: Ledger, place: TrainingSite) -> None:
        """Read what is known."""
        self._ledger = ledger
        self._speeds: dict[tuple[str, str], tuple[Speed, ...]] = {}
        self._waiting: list[_ProbeRequest] = []
        self._measuring: dict[int, _ProbeRequest] = {}
        self._requests = _probe_requests(spec, place)
        for number, asked in enumerate(self._requests, 1):
            chosen = spec.workload(asked.pairs[0][0]).lanes
            found = [each for each in ledger.speeds(asked.subject) if chosen is None or each.lanes == chosen]
            if is_sufficient(found, asked.probe.lane_steps):
                self._speeds |= dict.fromkeys(asked.pairs, tuple(found))
            else:
                self._waiting.append(replace(asked, probe=replace(asked.probe, number=-number)))

    @property
    def speeds(self) -> Mapping[tuple[str, str], Sequence[Speed]]:
        """What was measured, by (workload, arm)."""
        return self._speeds

    @property
    def is_pending(self) -> bool:
        """Whether something is still to be measured."""
        return bool(self._waiting or self._measuring)

    @property
    def is_measuring(self) -> bool:
        """Whether a worker is measuring."""
        return bool(self._measuring)

    def next_probe(self) -> Probe | None:
        """Return the next probe, None where all are out."""
        if not self._waiting:
            return None
        asked = self._waiting.pop(0)
        self._measuring[asked.probe.number] = asked
        return asked.probe

    def record_speeds(self, number: int, speeds: Sequence[Speed]) -> None:
        """Take what a probe found, for this study and those to come.

        Args:
            number: The probe's.
            speeds: At least one.
        """
        asked = self._measuring.pop(number)
        self._ledger.save_speeds(asked.subject, speeds)
        self._speeds |= dict.fromkeys(asked.pairs, tuple(speeds))
        for speed in speeds:
            log.info(
                "%s by %s, %s lanes, %s: %.3g ms a step of a lane%s",
                asked.subject.workload,
                asked.subject.optimizer,
                speed.lanes,
                speed.mode,
                1000 * speed.lane_seconds,
                f", {speed.compile_seconds:.0f} s to compile" if speed.compile_seconds else "",
            )

    def handle_failure(self, number: int, reason: str, failure: FailureKind) -> None:
        """Send a probe again, a lost one as it was and one that took too much memory with half the lanes.

        Args:
            number: The probe's.
            reason: Why, in plain words.
            failure: Of which kind.

        Raises:
            PackFailedError: Where trying again is of no use.
        """
        asked = self._measuring.pop(number)
        probe = asked.probe
        lanes = min(probe.start_lanes, probe.max_lanes)
        if failure is FailureKind.MEMORY and lanes > probe.min_lanes:
            smaller = max(probe.min_lanes, lanes // 2)
            self._waiting.insert(0, replace(asked, probe=replace(probe, start_lanes=smaller, max_lanes=smaller)))
        elif failure is FailureKind.LOST and asked.attempts < MAX_RETRIES:
            self._waiting.insert(0, replace(asked, attempts=asked.attempts + 1))
        else:
            raise PackFailedError(f"measuring {asked.subject.optimizer} on {asked.subject.workload}: {reason}")

    def exclude_lanes(self, workload: str, arm: str, lanes: int) -> None:
        """Note, for this study and those to come, that packs of so many lanes do not fit into memory.

        Nothing where what was measured is not known yet.

        Args:
            workload: The workload's name within the study.
            arm: The arm's.
            lanes: Lanes of the pack that did not fit, more than one.
        """
        known = self._speeds.get((workload, arm))
        if known is None:
            return  # a pack that an earlier driver left; its speeds are still to be measured
        asked = next(asked for asked in self._requests if (workload, arm) in asked.pairs)
        feasible = tuple(speed for speed in known if speed.lanes < lanes)
        if not feasible:
            largest = fastest(known)
            half = -(-lanes // 2)
            feasible = (replace(largest, lanes=half, seconds=half * largest.lane_seconds),)
        self._ledger.save_speeds(asked.subject, feasible)
        self._speeds |= dict.fromkeys(asked.pairs, feasible)


def _probe_requests(spec: StudySpec, place: TrainingSite) -> list[_ProbeRequest]:
    """Return a probe for every workload and optimizer of a study."""
    found: dict[tuple[str, int | None], _ProbeRequest] = {}
    for workload in spec.workloads:
        for arm in spec.arms:
            own = _probe_request(spec, workload, arm, place)
            key = (own.subject.key, workload.lanes)
            before = found.get(key)
            if before is not None:
                probe = replace(
                    before.probe,
                    max_lanes=max(before.probe.max_lanes, own.probe.max_lanes),
                    lane_steps=before.probe.lane_steps + own.probe.lane_steps,
                )
                own = replace(before, probe=probe, pairs=before.pairs + own.pairs)
            found[key] = own
    return list(found.values())


def _probe_request(spec: StudySpec, workload: WorkloadSpec, arm: ArmSpec, place: TrainingSite) -> _ProbeRequest:
    protocol = spec.protocol
    trials = protocol.trials if arm.search else 1
    most = max(min(trials, protocol.batch) * protocol.search_seeds, protocol.confirm_seeds)
    setting = dict(arm.fixed) | {name: searched.low for name, searched in arm.search.items()}
    probe = Probe(
        number=0,
        optimizer=arm.optimizer,
        task=build_task(spec, workload, arm, [LaneTask(setting=setting, seed=spec.search_seeds[0])], Stage.SEARCH),
        start_lanes=workload.lanes or registry.load_workload(workload.workload).lanes,
        min_lanes=workload.lanes or 1,
        max_lanes=workload.lanes or most,
        lane_steps=trials * protocol.search_seeds * workload.search_steps + protocol.confirm_seeds * workload.steps,
        threads=1,
        data_dir=place.data_dir,
        programs=place.programs,
    )
    subject = subject_of(spec, workload, arm, hardware=place.hardware, code=sources_digest())
    return _ProbeRequest(probe=probe, subject=subject, pairs=((workload.name, arm.name),))
