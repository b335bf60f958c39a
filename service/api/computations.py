"""What takes the processor long, in few threads of its own, so that other requests find a thread and their share."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import ParamSpec, TypeVar, final

import anyio
import anyio.to_thread

#: Computations at a time; as Python runs one thread at a time, more would only take from other requests.
MAX_CONCURRENT = 2

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@final
class Computations:
    """The computations of one application; those beyond the limit wait in order, without a thread."""

    async def run(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run a function in a thread, and return its result.

        Args:
            function: The function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
        """
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._limiter)

    @cached_property
    def _limiter(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(MAX_CONCURRENT)  # made in the event loop that it belongs to
