"""How many streams one client may have open."""

from contextlib import ExitStack

import pytest

from service.api.streams import MAX_STREAMS, OpenStreams
from service.errors import TooManyRequestsError


def test_each_client_has_its_own_number_and_gets_back_what_it_closes() -> None:
    streams = OpenStreams()
    with ExitStack() as opened:
        for _ in range(MAX_STREAMS):
            opened.enter_context(streams.hold("one"))
        for _ in range(2):  # what is refused is not counted
            with pytest.raises(TooManyRequestsError, match=f"{MAX_STREAMS} streams"), streams.hold("one"):
                pass
        with streams.hold("another"):
            pass
    with pytest.raises(OSError, match="gone"), streams.hold("one"):
        raise OSError("gone")
    with ExitStack() as opened:
        for _ in range(MAX_STREAMS):
            opened.enter_context(streams.hold("one"))
