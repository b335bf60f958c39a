"""A recorded program does what the program itself does, call after call."""

import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from studies.recorded import Recorded


def program(total: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    """Add up, in place."""
    total += given
    return total * 2, given.clone()


class Tape:
    """Records as CUDA does, the same tensors written at every replay; on the CPU.

    Args:
        fails: Whether nothing can be recorded.
    """

    def __init__(self, *, fails: bool = False) -> None:
        self._fails = fails
        self.recorded = self.replayed = 0

    def __call__(self, once: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1
        if self._fails:
            raise RuntimeError("operation not permitted when stream is capturing")

        def replay() -> None:
            self.replayed += 1
            once()

        return replay


@pytest.mark.parametrize("fails", [False, True])
def test_does_what_the_program_does(fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    tape, total = Tape(fails=fails), torch.zeros(2)
    recorded = Recorded(program, (total,), tape)
    with caplog.at_level(logging.WARNING):
        found = [recorded(torch.tensor([float(step), 1.0])) for step in range(4)]
    assert [losses.tolist() for losses, _ in found] == [[0.0, 2.0], [2.0, 4.0], [6.0, 6.0], [12.0, 8.0]]
    assert [rates.tolist() for _, rates in found] == [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]
    assert total.tolist() == [6.0, 4.0]
    assert (tape.recorded, tape.replayed) == (1, 0 if fails else 3)
    assert ("cannot be recorded" in caplog.text) == fails


def test_another_shape_is_refused() -> None:
    recorded = Recorded(program, (torch.zeros(2),), Tape())
    recorded(torch.ones(2))
    with pytest.raises(RuntimeError, match="size"):
        recorded(torch.ones(3))


@pytest.mark.gpu
def test_a_cuda_graph_replays_as_the_program_does() -> None:
    plain, kept = torch.zeros(2, device="cuda"), torch.zeros(2, device="cuda")
    recorded = Recorded(program, (kept,))
    for step in range(5):
        given = torch.tensor([float(step), 1.0], device="cuda")
        torch.testing.assert_close(recorded(given), program(plain, given))
    torch.testing.assert_close(kept, plain)
