"""Which machines of a Ray cluster take packs, read in the background."""

import logging
import threading
from collections.abc import Callable
from typing import final

from studies.errors import ClusterError
from studies.validation.catalogue import ClusterState

log = logging.getLogger(__name__)

#: Seconds between two readings.
_INTERVAL_SECONDS = 5.0


@final
class ClusterWatch:
    """Reads a cluster's state every few seconds in a thread, since a head that is lost answers late.

    Args:
        read: Reads the state.
    """

    def __init__(self, read: Callable[[], ClusterState]) -> None:
        """Start the thread."""
        self._read = read
        self._state: ClusterState | None = None
        self._last_message = ""
        threading.Thread(target=self._run, name="cluster watch", daemon=True).start()

    def state(self) -> ClusterState | None:
        """Return the state at the last reading; None if the cluster did not answer."""
        return self._state

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self._state = self._read()
            except ClusterError as error:
                self._state = None
                self._log_once(str(error))
            except Exception:  # a thread that ended would leave its last state for ever
                self._state = None
                log.exception("the machines of the cluster cannot be read")
            else:
                faults = [f"{machine.host} takes no packs: {machine.reason}" for machine in self._state.unusable]
                self._log_once("; ".join(faults))
            pause.wait(_INTERVAL_SECONDS)

    def _log_once(self, message: str) -> None:
        if message != self._last_message and message:
            log.warning("%s", message)
        self._last_message = message
