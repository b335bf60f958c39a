"""The runner: publishes what can be trained, claims studies, and keeps a driver for each of them and one recorder."""

import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.exc import OperationalError

from service.errors import UnknownStudyError
from service.processes.child_process import ChildProcess, ProcessSpec
from service.processes.json_logging import configure_json_logging
from service.processes.log_files import last_lines
from service.settings import Settings, read_settings
from service.states import State
from service.storage.engine import open_engine
from service.storage.entities import Claim
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.errors import StoppedError
from studies.execution import ray_cluster as cluster
from studies.execution.ray_cluster import machines
from studies.registry import build_catalogue

log = logging.getLogger("service.runner")  # as a program its name is `__main__`

_POLL_SECONDS = 0.5
#: Exit statuses from here on are of processes that a signal ended.
_SIGNAL_EXIT_BASE = 128
#: So much of an exception is told.
_MAX_REASON_CHARS = 300
#: A study has the machine for itself so long before the next driver is made ready.
_STANDBY_DELAY_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class ActiveStudy:
    """A study that this runner drives.

    Args:
        claim: Its lease.
        driver: Its driver process.
        started: When it got the study, in seconds of `time.monotonic`.
    """

    claim: Claim
    driver: ChildProcess
    started: float


class Runner:
    """Claims studies and keeps their drivers.

    Args:
        settings: The deployment's.
        store: The database.
        ray_address: The Ray cluster that drivers train on.
    """

    def __init__(self, settings: Settings, store: Store, ray_address: str) -> None:
        """Start with no study."""
        self._settings, self._store, self._ray_address = settings, store, ray_address
        self._runners = Runners(store)
        self._active: list[ActiveStudy] = []
        self._recorder: ChildProcess | None = None
        self._standby: ChildProcess | None = None
        self._id = secrets.token_hex(8)

    def run_once(self) -> None:
        """Renew the leases and the runner's own, end what ended or was cancelled, and claim what there is room for."""
        self._ensure_recorder()
        self._runners.heartbeat(self._id, datetime.now(UTC), self._settings.lease_seconds)
        self._active = [driven for driven in self._active if self._check(driven)]
        self._store.end_abandoned_cancellations(datetime.now(UTC))
        while len(self._active) < self._settings.concurrent_studies:
            most = self._settings.concurrent_studies_per_owner
            claim = self._store.claim(datetime.now(UTC), self._settings.lease_seconds, most)
            if claim is None:
                break
            self._active.append(self._start_study(claim))
        self._ensure_standby()

    def stop(self, reason: str = "") -> None:
        """Stop the recorder and all drivers, and give their studies back to the queue.

        Args:
            reason: Of what this runner dies, empty where it was asked to stop.
        """
        helpers = [child for child in (self._recorder, self._standby) if child is not None]
        for child in (*helpers, *(driven.driver for driven in self._active)):
            child.terminate()
        self._try(lambda: self._runners.remove(self._id))
        for driven in self._active:
            driven.driver.wait()
            self._try(lambda driven=driven: self._release(driven, reason))
        self._active = []
        for child in helpers:
            child.wait()

    def _try(self, write: Callable[[], None]) -> None:
        """Do what a lease that runs out would do as well, later."""
        try:
            write()
        except OperationalError:
            log.exception("the database does not answer")

    def _check(self, driven: ActiveStudy) -> bool:
        claim, now = driven.claim, datetime.now(UTC)
        if driven.driver.exit_status is not None:
            driven.driver.wait()
            self._release(driven, self._failure_reason(driven))
            return False
        try:
            state = self._store.heartbeat(claim.study_id, claim.token, now, self._settings.lease_seconds)
        except StoppedError:
            # the driver has ended the study and is about to exit, or another runner holds it
            driven.driver.terminate()
            return True
        if state is State.CANCELLING:
            driven.driver.terminate()
        return True

    def _release(self, driven: ActiveStudy, reason: str = "") -> None:
        """Put a study whose driver has ended where it belongs; most drivers have done so themselves.

        Args:
            driven: The study.
            reason: Of what its driver died, empty where it was asked to stop.
        """
        claim = driven.claim
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

    def _failure_reason(self, driven: ActiveStudy) -> str:
        """Return of what a driver died, for people; the log gets more."""
        tail, status = self._log_tail(driven), driven.driver.exit_status
        assert status is not None  # it has ended
        if status == 0 or driven.driver.stopped_on_request:
            return ""
        reason = f"the driver process died (exit status {status})"
        study_id = driven.claim.study_id
        log.error("study %s: %s\n%s", study_id, reason, tail, extra={"study": study_id})
        if status < _SIGNAL_EXIT_BASE and tail:
            last = "".join(each for each in tail.splitlines()[-1] if each.isprintable())
            reason += f": {last[:_MAX_REASON_CHARS]}"  # the exception's
        return reason

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

    def _log_tail(self, driven: ActiveStudy) -> str:
        """Return the end of a study's log, or of the drivers' where its own did not come to write one."""
        study_log = self._settings.driver_log(driven.claim.study_id)
        return last_lines(study_log if study_log.exists() else driven.driver.spec.log)

    def _start_study(self, claim: Claim) -> ActiveStudy:
        log.info("study %s is driven", claim.study_id, extra={"study": claim.study_id})
        if self._standby is not None and self._standby.exit_status is not None:
            self._ensure_standby()
        child = self._standby or self._new_driver()
        self._standby = None
        child.write_line(f"{claim.study_id} {claim.token}")
        return ActiveStudy(claim=claim, driver=child, started=time.monotonic())

    def _ensure_standby(self) -> None:
        """Have a driver wait for the next study, made ready while none is starting: its imports take seconds."""
        if self._standby is not None and self._standby.exit_status is not None:
            self._standby.wait()
            log.error("a driver that waited died\n%s", last_lines(self._standby.spec.log))
            self._standby = None
        if self._standby is None and all(
            time.monotonic() - each.started > _STANDBY_DELAY_SECONDS for each in self._active
        ):
            self._standby = self._new_driver()

    def _new_driver(self) -> ChildProcess:
        return ChildProcess(
            ProcessSpec(
                name="driver",
                arguments=(sys.executable, "-m", "service.runner.driver", self._ray_address),
                environment=os.environ | cluster.ENVIRONMENT,
                log=self._settings.home / "logs" / "driver.log",
                grace_seconds=30.0,  # a study that is cancelled gets its report
            )
        )


def main() -> int:
    """Run until SIGTERM or Ctrl-C."""
    configure_json_logging("runner")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopping.set())
    settings = read_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    store = Store(open_engine(settings.database_url))
    store.migrate()
    ray_address = settings.ray_address or cluster.start_local(settings.cpus)
    try:
        # of a cluster elsewhere, which may not answer yet, the first driver tells
        local_machines = None if settings.ray_address else machines(settings.gpus_per_pack)
        Runners(store).publish(build_catalogue().model_copy(update={"machines": local_machines}))
        runner, failure = Runner(settings, store, ray_address), ""
        try:
            while not stopping.wait(_POLL_SECONDS):
                if not settings.ray_address and not cluster.is_local_ray_alive():
                    failure = "a process of Ray died"
                    log.error("%s; this runner ends, for another one to start with a new Ray", failure)
                    return 1
                try:
                    runner.run_once()
                except OperationalError:
                    log.exception("the database does not answer; it is asked again")
        finally:
            runner.stop(failure)
    finally:
        cluster.disconnect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
