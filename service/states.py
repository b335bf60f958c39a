"""The states of a study and the transitions between them."""

from enum import StrEnum


class State(StrEnum):
    """Where a study is."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


#: Which states a study may come from, for each state it may go to.
SOURCES: dict[State, tuple[State, ...]] = {
    # its runner stopped, or its driver died; resumed; retried
    State.QUEUED: (State.RUNNING, State.PAUSED, State.FAILED),
    # RUNNING again: taken up after its lease ran out; from PAUSED: resumed while its driver still held it
    State.RUNNING: (State.QUEUED, State.RUNNING, State.PAUSED),
    State.PAUSED: (State.QUEUED, State.RUNNING),
    State.CANCELLING: (State.RUNNING, State.PAUSED),
    # from PAUSED: its last packs were in training
    State.SUCCEEDED: (State.RUNNING, State.PAUSED),
    State.FAILED: (State.QUEUED, State.RUNNING, State.PAUSED),
    State.CANCELLED: (State.QUEUED, State.PAUSED, State.CANCELLING),
}

#: States in which a driver may hold the study.
HELD = (State.RUNNING, State.PAUSED, State.CANCELLING)
#: States in which the driver that holds the study may write its rows.
WRITABLE = (State.RUNNING, State.PAUSED)
#: States in which nothing goes on; only FAILED can be left.
ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
