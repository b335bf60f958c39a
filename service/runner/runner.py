"""The runner process: publishes the catalogue, claims studies, and supervises their drivers and the recorder."""

import logging
import os
import platform
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.exc import OperationalError

from service.errors import DiskFullError, ServiceError, UnknownStudyError
from service.home import DISK_FULL_STATUS, prepare_home, require_space
from service.processes.child_process import START_AGAIN, ChildProcess, ProcessSpec
from service.processes.json_logging import configure_json_logging
from service.processes.log_files import last_lines
from service.runner.cluster_watch import ClusterWatch
from service.settings import Settings, read_settings
from service.states import State
from service.storage.engine import describe_failure, open_engine
from service.storage.entities import Claim
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.errors import ClusterError, StoppedError
from studies.execution import ray_cluster as cluster
from studies.execution.ray_cluster import machines
from studies.registry import build_catalogue
from studies.training.gpu_check import GpuFault
from studies.validation.catalogue import ClusterState, UnusableMachine

log = logging.getLogger("service.runner")  # as a program its name is `__main__`

_POLL_SECONDS = 0.5
#: Exit statuses from here on mean that a signal ended the process.
_SIGNAL_EXIT_BASE = 128
#: Maximum length of an exception's message in a study's reason.
_MAX_REASON_CHARS = 300
#: Seconds between a study's start and the start of the next standby driver, whose imports would slow the study down.
_STANDBY_DELAY_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class ActiveStudy:
    """A study that this runner drives.

    Args:
        claim: The runner's claim.
        driver: The driver process.
        started: Time of the start, from `time.monotonic`.
    """

    claim: Claim
    driver: ChildProcess
    started: float


class Runner:
    """Claims studies and supervises their drivers.

    Args:
        settings: The deployment's settings.
        store: The database.
        ray_address: The address of the Ray cluster that drivers train on.
        cluster_state: Returns which machines take packs; None if that is unknown.
    """

    def __init__(
        self, settings: Settings, store: Store, ray_address: str, cluster_state: Callable[[], ClusterState | None]
    ) -> None:
        """Start no process yet."""
        self._cluster_state = cluster_state
        self._settings, self._store, self._ray_address = settings, store, ray_address
        self._runners = Runners(store)
        self._active: list[ActiveStudy] = []
        self._recorder: ChildProcess | None = None
        self._standby: ChildProcess | None = None
        #: Why drivers died whose studies could not be released yet, by the token of the claim.
        self._failure_reasons: dict[str, str] = {}
        self._disk_is_full = False
        self._id = secrets.token_hex(8)

    def run_once(self) -> None:
        """Renew all leases, release ended studies, stop cancelled ones, and claim studies up to the limit."""
        self._ensure_recorder()
        self._runners.heartbeat(self._id, datetime.now(UTC), self._settings.lease_seconds, self._cluster_state())
        self._active = [active_study for active_study in self._active if self._check(active_study)]
        self._store.end_abandoned_cancellations(datetime.now(UTC))
        while self._can_start() and len(self._active) < self._settings.concurrent_studies:
            max_per_owner = self._settings.concurrent_studies_per_owner
            claim = self._store.claim(datetime.now(UTC), self._settings.lease_seconds, max_per_owner)
            if claim is None:
                break
            self._active.append(self._start_study(claim))
        self._ensure_standby()

    def stop(self, reason: str = "") -> None:
        """Stop the recorder and all drivers, and release their studies.

        Args:
            reason: Why this runner fails; empty if it stops on request.
        """
        helpers = [child for child in (self._recorder, self._standby) if child is not None]
        for child in (*helpers, *(active_study.driver for active_study in self._active)):
            child.terminate()
        self._try(lambda: self._runners.remove(self._id))
        for active_study in self._active:
            active_study.driver.wait()
            self._try(lambda active_study=active_study: self._release(active_study, reason))
        self._active = []
        for child in helpers:
            child.wait()

    def _try(self, write: Callable[[], None]) -> None:
        """Write to the database; if it is unreachable, the expiring leases have the same effect later."""
        try:
            write()
        except OperationalError as error:
            log.exception("%s", describe_failure(error))

    def _check(self, active_study: ActiveStudy) -> bool:
        claim, now = active_study.claim, datetime.now(UTC)
        if active_study.driver.exit_status is not None:
            active_study.driver.wait()
            # found once: on a full disk it takes a while until it can be written, when it can be seen no more
            if claim.token not in self._failure_reasons:
                self._failure_reasons[claim.token] = self._failure_reason(active_study)
            self._release(active_study, self._failure_reasons[claim.token])
            del self._failure_reasons[claim.token]
            return False
        try:
            state = self._store.heartbeat(claim.study_id, claim.token, now, self._settings.lease_seconds)
        except StoppedError:
            # the driver has ended the study and is about to exit, or another runner has claimed it
            active_study.driver.terminate()
            return True
        if state is State.CANCELLING:
            active_study.driver.terminate()
        return True

    def _release(self, active_study: ActiveStudy, reason: str = "") -> None:
        """Release a study whose driver has ended, unless the driver did so itself.

        Args:
            active_study: The study.
            reason: Why its driver died; empty if it stopped on request.
        """
        claim = active_study.claim
        try:
            state = self._release_claim(claim, reason)
        except UnknownStudyError:
            log.info("study %s was deleted as soon as it had ended", claim.study_id, extra={"study": claim.study_id})
        else:
            log.info("study %s is %s", claim.study_id, state, extra={"study": claim.study_id})

    def _release_claim(self, claim: Claim, reason: str) -> State:
        try:
            return self._store.release(claim.study_id, claim.token, reason)
        except StoppedError:
            return self._store.state(claim.study_id)

    def _failure_reason(self, active_study: ActiveStudy) -> str:
        """Return why a driver died, empty if it did not; the log gets the details."""
        tail, status = self._log_tail(active_study), active_study.driver.exit_status
        assert status is not None  # it has ended
        if status == 0 or active_study.driver.stopped_on_request:
            return ""
        reason = describe_exit(status, tail, self._disk_full_reason())
        study_id = active_study.claim.study_id
        log.error("study %s: %s\n%s", study_id, reason, tail, extra={"study": study_id})
        return reason

    def _can_start(self) -> bool:
        """Return whether another study can be taken up: one that cannot train would use up its budget of time."""
        cluster_state = self._cluster_state()  # which logs its changes
        blocked = cluster_state is not None and bool(cluster_state.unusable) and not cluster_state.can_train
        return self._has_space() and not blocked

    def _has_space(self) -> bool:
        """Return whether there is room for another study; log when that changes."""
        full = self._disk_full_reason()
        if full is not None and not self._disk_is_full:
            log.error("%s", full)
        if full is None and self._disk_is_full:
            log.info("there is room again, and studies are taken up")
        self._disk_is_full = full is not None
        return full is None

    def _disk_full_reason(self) -> str | None:
        try:
            require_space(self._settings.home)
        except DiskFullError as error:
            return str(error)
        except OSError as error:  # of a network
            return f"the disk of L4_HOME cannot be looked at: {error}"
        return None

    def _ensure_recorder(self) -> None:
        recorder = self._recorder
        if recorder is not None:
            if recorder.exit_status is None:
                return
            recorder.wait()
            log.error("the recorder died and is started again\n%s", last_lines(recorder.spec.log))
        self._recorder = ChildProcess(
            ProcessSpec(
                name="recorder",
                arguments=(sys.executable, "-m", "service.tracking.recorder"),
                environment=os.environ,
                log=self._settings.home / "logs" / "recorder.log",
            )
        )

    def _log_tail(self, active_study: ActiveStudy) -> str:
        """Return the end of the study's log, or of the drivers' common log if the driver died before opening it."""
        study_log = self._settings.driver_log(active_study.claim.study_id)
        return last_lines(study_log if study_log.exists() else active_study.driver.spec.log)

    def _start_study(self, claim: Claim) -> ActiveStudy:
        log.info("study %s is driven", claim.study_id, extra={"study": claim.study_id})
        if self._standby is not None and self._standby.exit_status is not None:
            self._ensure_standby()
        child = self._standby or self._new_driver()
        self._standby = None
        child.write_line(f"{claim.study_id} {claim.token}")
        return ActiveStudy(claim=claim, driver=child, started=time.monotonic())

    def _ensure_standby(self) -> None:
        """Keep a driver on standby, as its imports take seconds; started only while no study is starting."""
        if self._standby is not None and self._standby.exit_status is not None:
            self._standby.wait()
            log.error("a driver that waited died\n%s", last_lines(self._standby.spec.log))
            self._standby = None
        if self._standby is None and all(
            time.monotonic() - study.started > _STANDBY_DELAY_SECONDS for study in self._active
        ):
            self._standby = self._new_driver()

    def _new_driver(self) -> ChildProcess:
        return ChildProcess(
            ProcessSpec(
                name="driver",
                # unbuffered: on a full disk the interpreter's last flush would replace the exit status
                arguments=(sys.executable, "-u", "-m", "service.runner.driver", self._ray_address),
                environment=os.environ | cluster.ENVIRONMENT,
                log=self._settings.home / "logs" / "driver.log",
                grace_seconds=30.0,  # a driver writes the report of a cancelled study
            )
        )


def describe_exit(status: int, log_tail: str, disk_full_reason: str | None) -> str:
    """Return why a driver died.

    Args:
        status: Its exit status.
        log_tail: The end of its log, which is of no use where the log could not be written.
        disk_full_reason: What is wrong with the disk now; None if nothing is.
    """
    if status == DISK_FULL_STATUS:
        return "the driver could not write, since the disk of L4_HOME or of the database was full"
    reason = f"the driver process died (exit status {status})"
    if disk_full_reason is not None:
        return f"{reason}: {disk_full_reason}"
    if status < _SIGNAL_EXIT_BASE and log_tail:
        last = "".join(character for character in log_tail.splitlines()[-1] if character.isprintable())
        return f"{reason}: {last[:_MAX_REASON_CHARS]}"  # the exception's message
    return reason


def main() -> int:
    """Run until SIGTERM or Ctrl-C.

    Returns:
        The exit status: 0 if it stopped on request, `START_AGAIN` if Ray did not start.
    """
    configure_json_logging("runner")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopping.set())
    try:
        return _run(read_settings(), stopping)
    except ServiceError as error:
        log.error("%s", error)
        return 1


def _run(settings: Settings, stopping: threading.Event) -> int:
    prepare_home(settings.home)
    store = Store(open_engine(settings.database_url))
    store.migrate()
    fault = None if settings.ray_address else cluster.check_machine(settings.gpus_per_pack)
    if fault is not None:
        log.error("this machine takes no packs: %s; then start the service again", fault.message)
    try:
        ray_address = settings.ray_address or _start_ray(settings, fault)
    except ClusterError as error:
        log.error("%s", error)
        return START_AGAIN
    try:
        # an external cluster may not answer yet: the first driver publishes its machines
        local_machines = None if settings.ray_address else machines(settings.gpus_per_pack)
        Runners(store).publish(build_catalogue().model_copy(update={"machines": local_machines}))
        runner, failure = Runner(settings, store, ray_address, _cluster_state(settings, fault)), ""
        try:
            while not stopping.wait(_POLL_SECONDS):
                if not settings.ray_address and not cluster.is_local_ray_alive():
                    failure = "a process of Ray died"
                    log.error("%s; this runner ends, for another one to start with a new Ray", failure)
                    return 1
                try:
                    runner.run_once()
                except OperationalError as error:
                    log.exception("%s; it is asked again", describe_failure(error))
        finally:
            runner.stop(failure)
    finally:
        cluster.disconnect()
    return 0


def _start_ray(settings: Settings, fault: GpuFault | None) -> str:
    """Start Ray on this machine, which offers nothing if it takes no packs, and return its address."""
    if fault is not None:
        return cluster.start_local(cpus=0, gpus=0)
    return cluster.start_local(settings.cpus, gpus=0 if settings.gpus_per_pack == 0 else None)


def _cluster_state(settings: Settings, fault: GpuFault | None) -> Callable[[], ClusterState | None]:
    """Return what returns which machines take packs: this one, or those of an external cluster."""
    if settings.ray_address:
        return ClusterWatch(lambda: cluster.read_state(settings.ray_address, settings.gpus_per_pack)).state
    unusable = () if fault is None else (UnusableMachine(host=platform.node(), reason=fault.message),)
    state = ClusterState(can_train=fault is None, unusable=unusable)
    return lambda: state


if __name__ == "__main__":
    sys.exit(main())
