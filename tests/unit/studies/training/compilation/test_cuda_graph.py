"""A recorded program does what the program itself does, call after call."""

import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from studies.training.compilation.cuda_graph import ReplayedProgram


class Adding:
    """Adds up in place; its results are at the same addresses every time, as a recording's are."""

    def __init__(self, device: str = "cpu") -> None:
        self.losses, self.rates = torch.zeros(2, device=device), torch.zeros(2, device=device)

    def __call__(self, total: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        total += given
        torch.mul(total, 2, out=self.losses)
        self.rates.copy_(given)
        return self.losses, self.rates


class Tape:
    """Records on the CPU.

    Args:
        error: What comes of trying, if it fails.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.recorded = self.replayed = 0

    def __call__(self, once: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1
        if self._error is not None:
            raise self._error

        def replay() -> None:
            self.replayed += 1
            once()

        return replay


@pytest.mark.parametrize("fails", [False, True])
def test_does_what_the_program_does(fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    tape = Tape(RuntimeError("operation not permitted when stream is capturing") if fails else None)
    total = torch.zeros(2)
    replayed = ReplayedProgram(Adding(), (total,), tape)
    replayed(torch.zeros(2))
    with caplog.at_level(logging.WARNING):
        found = [replayed(torch.tensor([float(step), 1.0])) for step in range(4)]
    assert [losses.tolist() for losses, _ in found] == [[0.0, 2.0], [2.0, 4.0], [6.0, 6.0], [12.0, 8.0]]
    assert [rates.tolist() for _, rates in found] == [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]
    assert total.tolist() == [6.0, 4.0]
    assert (tape.recorded, tape.replayed) == (1, 0 if fails else 4)
    assert ("not permitted when stream is capturing" in caplog.text) == fails


@pytest.mark.parametrize(
    "given", [torch.arange(3.0).expand(2, 3), torch.arange(6.0).view(3, 2).mT, torch.arange(6.0).view(2, 3)]
)
def test_the_program_is_given_the_strides_that_it_was_made_for(given: Tensor) -> None:
    met: list[tuple[int, ...]] = []

    def program(seen: Tensor) -> tuple[Tensor, Tensor]:
        met.append(seen.stride())
        return seen.sum(), seen.sum()

    replayed = ReplayedProgram(program, (), Tape())
    assert [replayed(given)[0].item() for _ in range(3)] == [given.sum().item()] * 3
    assert met == [given.stride()] * 3


def test_running_out_of_memory_is_not_hidden() -> None:
    replayed = ReplayedProgram(Adding(), (torch.zeros(2),), Tape(torch.OutOfMemoryError("CUDA out of memory")))
    replayed(torch.ones(2))
    with pytest.raises(torch.OutOfMemoryError):
        replayed(torch.ones(2))


@pytest.mark.gpu
def test_a_cuda_graph_replays_as_the_program_does() -> None:
    kept, plain = torch.zeros(2, device="cuda"), torch.zeros(2)
    replayed = ReplayedProgram(Adding("cuda"), (kept,))
    given = [torch.tensor([float(step), 1.0]) for step in range(5)]
    found = [replayed(each.cuda()) for each in given]
    for (losses, rates), each in zip(found, given, strict=True):
        expected, same = Adding()(plain, each)
        torch.testing.assert_close((losses.cpu(), rates.cpu()), (expected, same))
    torch.testing.assert_close(kept.cpu(), plain)


@pytest.mark.gpu
def test_what_cannot_be_recorded_leaves_the_stream_as_it_was() -> None:
    def waiting(kept: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        kept += float(given.sum().item())  # waits for the GPU, which a recording must not
        return kept.clone(), given.clone()

    before, kept = torch.cuda.current_stream(), torch.zeros(2, device="cuda")
    replayed = ReplayedProgram(waiting, (kept,))
    for _ in range(3):
        replayed(torch.ones(2, device="cuda"))
    assert torch.cuda.current_stream() == before
    assert kept.tolist() == [6.0, 6.0]
