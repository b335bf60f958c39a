"""Capture of a compiled step as a CUDA graph, which replays all its kernels with one launch."""

import logging
from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

log = logging.getLogger(__name__)

#: From all tensors of a step to the losses before it and the effective learning rates.
Program = Callable[..., tuple[Tensor, Tensor]]
#: Records the GPU work of a function without running it, and returns a function that replays it.
GraphRecorder = Callable[[Callable[[], None]], Callable[[], None]]


def record_cuda_graph(function: Callable[[], None]) -> Callable[[], None]:
    """Capture a function as a CUDA graph, and return a function that replays it.

    Args:
        function: The function; it must not synchronize with the GPU.

    Raises:
        RuntimeError: The function cannot be captured.
    """
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph):
            function()
    except RuntimeError:
        torch.cuda.synchronize()
        torch.cuda.set_stream(stream)  # torch restores it only after a successful capture
        raise
    return graph.replay


@final
class ReplayedProgram:
    """Calls a program, from the second call on as a CUDA graph; directly if it cannot be captured.

    Args:
        program: The program; it may write into `leaves`.
        leaves: The first arguments of every call, always at the same addresses.
        recorder: Captures the program.
    """

    _outputs: tuple[Tensor, Tensor]

    def __init__(self, program: Program, leaves: Sequence[Tensor], recorder: GraphRecorder = record_cuda_graph) -> None:
        """Store the program; the second call captures it."""
        self._program, self._leaves, self._recorder = program, leaves, recorder
        self._input_buffers: tuple[Tensor, ...] | None = None
        self._replay: Callable[[], None] | None = None

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the program's outputs.

        Args:
            inputs: The arguments after the leaves, with the same shapes and strides at every call.
        """
        if self._input_buffers is None:
            # libraries initialise at the first call, which cannot be captured
            self._input_buffers = tuple(_input_buffer(tensor) for tensor in inputs)
            return self._program(*self._leaves, *inputs)
        for buffer, tensor in zip(self._input_buffers, inputs, strict=True):
            assert buffer.shape == tensor.shape
            if buffer is not tensor:
                buffer.copy_(tensor)
        if self._replay is None:
            self._replay = self._record(self._input_buffers)
        self._replay()
        losses, rates = self._outputs
        return losses.clone(), rates.clone()  # the next replay overwrites the outputs of this one

    def _record(self, inputs: tuple[Tensor, ...]) -> Callable[[], None]:
        def run_program() -> None:
            self._outputs = self._program(*self._leaves, *inputs)

        try:
            return self._recorder(run_program)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            cause = error.__context__ or error
            log.warning("the step cannot be recorded, and is launched kernel by kernel: %s", cause)
            return run_program


def _input_buffer(tensor: Tensor) -> Tensor:
    """Return the buffer, with the same strides, that a tensor is copied to at every call; itself if lanes share it."""
    return tensor if 0 in tensor.stride() else tensor.clone()
