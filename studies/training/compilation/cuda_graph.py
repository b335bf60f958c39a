"""A program recorded on a GPU and replayed from then on: one launch for a step, however many kernels it has."""

import logging
from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

log = logging.getLogger(__name__)

#: From all tensors of a step to the losses before it and the effective rates.
Program = Callable[..., tuple[Tensor, Tensor]]
#: Records what a function has a GPU do, without having it done, and returns what does it.
GraphRecorder = Callable[[Callable[[], None]], Callable[[], None]]


def record_cuda_graph(once: Callable[[], None]) -> Callable[[], None]:
    """Return what does on the GPU what a function would, recorded now.

    Args:
        once: The function; it must not wait for the GPU.

    Raises:
        RuntimeError: Where that cannot be recorded.
    """
    graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph):
            once()
    except RuntimeError:
        torch.cuda.synchronize()
        torch.cuda.set_stream(before)  # torch leaves it only where recording ends well
        raise
    return graph.replay


@final
class ReplayedProgram:
    """Calls a program, from the second call on as a recording; what cannot be recorded, as it is.

    Args:
        program: The program; it may write into what is kept.
        kept: What every call begins with, at addresses that stay.
        recorder: Records.
    """

    _found: tuple[Tensor, Tensor]

    def __init__(self, program: Program, kept: Sequence[Tensor], recorder: GraphRecorder = record_cuda_graph) -> None:
        """Record nothing yet."""
        self._program, self._kept, self._recorder = program, kept, recorder
        self._given: tuple[Tensor, ...] | None = None
        self._replay: Callable[[], None] | None = None

    def __call__(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the program does.

        Args:
            given: What follows on what is kept, of the same shapes and strides at every call.
        """
        if self._given is None:
            # what libraries set up at the first call cannot be recorded
            self._given = tuple(_input_buffer(each) for each in given)
            return self._program(*self._kept, *given)
        for place, each in zip(self._given, given, strict=True):
            assert place.shape == each.shape
            if place is not each:
                place.copy_(each)
        if self._replay is None:
            self._replay = self._recorded(self._given)
        self._replay()
        losses, rates = self._found
        return losses.clone(), rates.clone()  # the next replay writes where this one did

    def _recorded(self, given: tuple[Tensor, ...]) -> Callable[[], None]:
        def once() -> None:
            self._found = self._program(*self._kept, *given)

        try:
            return self._recorder(once)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            why = error.__context__ or error
            log.warning("the step cannot be recorded, and is launched kernel by kernel: %s", why)
            return once


def _input_buffer(each: Tensor) -> Tensor:
    """Return where a tensor is copied to at every call, of the same strides: itself where lanes share all of it."""
    return each if 0 in each.stride() else each.clone()
