"""The measured speeds of a study's packs, and probes for those that are missing."""

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
#: How often a probe is retried after its worker died.
MAX_RETRIES = 2


@dataclass(frozen=True, kw_only=True)
class _ProbeRequest:
    """A probe with its subject and the arms that need it.

    Args:
        probe: The probe.
        subject: The subject of the measured speeds.
        pairs: The (workload, arm) pairs of the study with this subject.
        attempts: How often its worker died.
    """

    probe: Probe
    subject: Subject
    pairs: tuple[tuple[str, str], ...]
    attempts: int = 0


class ThroughputProbes:
    """The speeds of a study's packs: those measured earlier, in any study, and probes for the others.

    Args:
        spec: The study.
        ledger: Stores speeds.
        site: Where the study is trained.
    """

    def __init__(self, spec: StudySpec, ledger: Ledger, site: TrainingSite) -> None:
        """Read the stored speeds."""
        self._ledger = ledger
        self._speeds: dict[tuple[str, str], tuple[Speed, ...]] = {}
        self._waiting: list[_ProbeRequest] = []
        self._measuring: dict[int, _ProbeRequest] = {}
        self._requests = _probe_requests(spec, site)
        for number, request in enumerate(self._requests, 1):
            lanes = spec.workload(request.pairs[0][0]).lanes
            speeds = [speed for speed in ledger.speeds(request.subject) if lanes is None or speed.lanes == lanes]
            if is_sufficient(speeds, request.probe.lane_steps):
                self._speeds |= dict.fromkeys(request.pairs, tuple(speeds))
            else:
                self._waiting.append(replace(request, probe=replace(request.probe, number=-number)))

    @property
    def speeds(self) -> Mapping[tuple[str, str], Sequence[Speed]]:
        """Measured speeds, by (workload, arm)."""
        return self._speeds

    @property
    def is_pending(self) -> bool:
        """Whether a probe is waiting or running."""
        return bool(self._waiting or self._measuring)

    @property
    def is_measuring(self) -> bool:
        """Whether a probe is running."""
        return bool(self._measuring)

    def next_probe(self) -> Probe | None:
        """Return the next probe; None if none is waiting."""
        if not self._waiting:
            return None
        request = self._waiting.pop(0)
        self._measuring[request.probe.number] = request
        return request.probe

    def record_speeds(self, number: int, speeds: Sequence[Speed]) -> None:
        """Store the speeds that a probe measured, for this study and later ones.

        Args:
            number: The probe's number.
            speeds: At least one.
        """
        request = self._measuring.pop(number)
        self._ledger.save_speeds(request.subject, speeds)
        self._speeds |= dict.fromkeys(request.pairs, tuple(speeds))
        for speed in speeds:
            log.info(
                "%s by %s, %s lanes, %s: %.3g ms a step of a lane%s",
                request.subject.workload,
                request.subject.optimizer,
                speed.lanes,
                speed.mode,
                1000 * speed.lane_seconds,
                f", {speed.compile_seconds:.0f} s to compile" if speed.compile_seconds else "",
            )

    def handle_failure(self, number: int, reason: str, failure: FailureKind) -> None:
        """Retry a failed probe: a lost one as it was, one that ran out of memory with half the lanes.

        Args:
            number: The probe's number.
            reason: The reason, in plain words.
            failure: The kind of failure.

        Raises:
            PackFailedError: A retry would not help.
        """
        request = self._measuring.pop(number)
        probe = request.probe
        lanes = min(probe.start_lanes, probe.max_lanes)
        if failure is FailureKind.MEMORY and lanes > probe.min_lanes:
            smaller = max(probe.min_lanes, lanes // 2)
            self._waiting.insert(0, replace(request, probe=replace(probe, start_lanes=smaller, max_lanes=smaller)))
        elif failure is FailureKind.LOST and request.attempts < MAX_RETRIES:
            self._waiting.insert(0, replace(request, attempts=request.attempts + 1))
        else:
            raise PackFailedError(f"measuring {request.subject.optimizer} on {request.subject.workload}: {reason}")

    def exclude_lanes(self, workload: str, arm: str, lanes: int) -> None:
        """Drop the speeds of packs with at least so many lanes, since they do not fit into memory.

        Nothing happens if no speeds are known yet.

        Args:
            workload: The workload's name within the study.
            arm: The arm's name.
            lanes: Lanes of the pack that did not fit; more than one.
        """
        known = self._speeds.get((workload, arm))
        if known is None:
            return  # the pack is from an earlier driver, and its speeds are not measured yet
        request = next(request for request in self._requests if (workload, arm) in request.pairs)
        feasible = tuple(speed for speed in known if speed.lanes < lanes)
        if not feasible:
            largest = fastest(known)
            half = -(-lanes // 2)
            feasible = (replace(largest, lanes=half, seconds=half * largest.lane_seconds),)
        self._ledger.save_speeds(request.subject, feasible)
        self._speeds |= dict.fromkeys(request.pairs, feasible)


def _probe_requests(spec: StudySpec, site: TrainingSite) -> list[_ProbeRequest]:
    """Return a probe for every workload and optimizer of a study."""
    requests: dict[tuple[str, int | None], _ProbeRequest] = {}
    for workload in spec.workloads:
        for arm in spec.arms:
            request = _probe_request(spec, workload, arm, site)
            key = (request.subject.key, workload.lanes)
            existing = requests.get(key)
            if existing is not None:
                probe = replace(
                    existing.probe,
                    max_lanes=max(existing.probe.max_lanes, request.probe.max_lanes),
                    lane_steps=existing.probe.lane_steps + request.probe.lane_steps,
                )
                request = replace(existing, probe=probe, pairs=existing.pairs + request.pairs)
            requests[key] = request
    return list(requests.values())


def _probe_request(spec: StudySpec, workload: WorkloadSpec, arm: ArmSpec, site: TrainingSite) -> _ProbeRequest:
    protocol = spec.protocol
    trials = protocol.trials if arm.search else 1
    max_runs = max(min(trials, protocol.batch) * protocol.search_seeds, protocol.confirm_seeds)
    setting = dict(arm.fixed) | {name: searched.low for name, searched in arm.search.items()}
    probe = Probe(
        number=0,
        optimizer=arm.optimizer,
        task=build_task(spec, workload, arm, [LaneTask(setting=setting, seed=spec.search_seeds[0])], Stage.SEARCH),
        start_lanes=workload.lanes or registry.load_workload(workload.workload).lanes,
        min_lanes=workload.lanes or 1,
        max_lanes=workload.lanes or max_runs,
        lane_steps=trials * protocol.search_seeds * workload.search_steps + protocol.confirm_seeds * workload.steps,
        threads=1,
        data_dir=site.data_dir,
        programs=site.programs,
    )
    subject = subject_of(spec, workload, arm, hardware=site.hardware, code=sources_digest())
    return _ProbeRequest(probe=probe, subject=subject, pairs=((workload.name, arm.name),))
