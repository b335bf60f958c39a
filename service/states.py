"""The states of a study and the transitions between them."""

from enum import StrEnum


class State(StrEnum):
    """Where a study is."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


#: Which states a study may come from, for each state it may go to; terminal states lead nowhere.
SOURCES: dict[State, tuple[State, ...]] = {
    State.QUEUED: (State.RUNNING,),  # a runner that stops gives its study back
    State.RUNNING: (State.QUEUED, State.RUNNING),  # RUNNING again: taken up after its lease ran out
    State.CANCELLING: (State.RUNNING,),
    State.SUCCEEDED: (State.RUNNING,),
    State.FAILED: (State.QUEUED, State.RUNNING),
    State.CANCELLED: (State.QUEUED, State.CANCELLING),
}

#: States that a study never leaves.
TERMINAL = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
