"""The states of a study and the transitions between them."""

from enum import StrEnum


class State(StrEnum):
    """The state of a study."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


#: Allowed transitions: for each state, the states from which a study may enter it.
SOURCES: dict[State, tuple[State, ...]] = {
    # respectively: the runner stopped or the driver died; resumed; retried
    State.QUEUED: (State.RUNNING, State.PAUSED, State.FAILED),
    # from RUNNING: claimed again after its lease expired; from PAUSED: resumed while a driver held it
    State.RUNNING: (State.QUEUED, State.RUNNING, State.PAUSED),
    State.PAUSED: (State.QUEUED, State.RUNNING),
    State.CANCELLING: (State.RUNNING, State.PAUSED),
    # from PAUSED: the packs in training were the last ones
    State.SUCCEEDED: (State.RUNNING, State.PAUSED),
    State.FAILED: (State.QUEUED, State.RUNNING, State.PAUSED),
    State.CANCELLED: (State.QUEUED, State.PAUSED, State.CANCELLING),
}

#: States in which a driver may hold the study.
HELD = (State.RUNNING, State.PAUSED, State.CANCELLING)
#: States in which the driver that holds the study may write its rows.
WRITABLE = (State.RUNNING, State.PAUSED)
#: Final states; only FAILED can be left, by a retry.
ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
