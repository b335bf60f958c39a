"""The paper's DNC experiment (section 3.3): a Differential Neural Computer learns to repeat a pattern.

The task and its sizes are the defaults of DeepMind's program, which the paper trained: patterns of 4 bits and length 1
or 2, to be given back once or twice. Every episode there is drawn anew and independently; as there are only 544
different ones, they are listed here, each as often as is probable, and drawn with replacement. Shorter episodes
are padded to 9 steps, of which only an episode's answer counts.
"""

from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from studies.spec.parameters import Option
from studies.workloads._base import Data, Examples, Options, Workload
from studies.workloads.models.dnc import DNC, initialise_dnc

BITS, LENGTHS, REPEATS = 4, (1, 2), (1, 2)
#: The number of repeats is given divided by it.
REPEAT_SCALE = 10
TIME = max(LENGTHS) * (max(REPEATS) + 1) + 3


def episode(pattern: Tensor, repeats: int) -> tuple[Tensor, Tensor]:
    """Return what is shown and what is to be answered.

    Shown are a start flag, the pattern, and the number of repeats; then the answer is due, the pattern so many times
    and an end flag.

    Args:
        pattern: Bits, (length, 4).
        repeats: How often it is to be given back.

    Returns:
        Inputs, (9, 6), with flag and repeats as the last two channels; targets, (9, 6), with the end flag and whether
        the step counts as the last two.
    """
    length = len(pattern)
    shown, answer = torch.zeros(TIME, BITS + 2), torch.zeros(TIME, BITS + 2)
    shown[0, BITS] = 1
    shown[1 : 1 + length, :BITS] = pattern
    shown[1 + length, BITS + 1] = repeats / REPEAT_SCALE
    start, end = length + 2, length + 2 + length * repeats
    answer[start:end, :BITS] = pattern.repeat(repeats, 1)
    answer[end, BITS] = 1
    answer[start : end + 1, BITS + 1] = 1
    return shown, answer


def data(options: Options, data_dir: Path, generator: torch.Generator) -> Data:
    """List every episode, the shorter ones as often as all longer ones have the same length."""
    longest = 2 ** (BITS * max(LENGTHS))
    found: list[tuple[Tensor, Tensor]] = []
    for length, repeats in product(LENGTHS, REPEATS):
        patterns = [torch.tensor(bits).reshape(length, BITS).float() for bits in product((0, 1), repeat=BITS * length)]
        for pattern in patterns * (longest // len(patterns)):
            found.append(episode(pattern, repeats))
    return Data(
        train=Examples(
            inputs=torch.stack([shown for shown, _ in found]), targets=torch.stack([answer for _, answer in found])
        )
    )


def model(options: Options) -> nn.Module:
    """Return the computer: LSTM 64, memory 16 x 16, 4 read heads, 1 write head."""
    return DNC(BITS + 2, BITS + 1)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the negative log-probability of the answer in nats, summed over time and bits, the mean over the batch."""
    answer, counts = targets[..., :-1], targets[..., -1:]
    surprise = binary_cross_entropy_with_logits(outputs, answer, reduction="none")
    return (surprise * counts).sum((1, 2)).mean()


WORKLOAD = Workload(
    summary="Repeat-copy by a Differential Neural Computer, nats an episode (section 3.3 of the paper).",
    options=(Option(name="batch_size", default=16, low=1, high=1024, summary="Episodes of a step."),),
    default_steps=100_000,
    epoch_examples=1024,
    lanes=8,
    step_seconds=0.0015,
    replacement=True,
    data=data,
    model=model,
    initialise=initialise_dnc,
    loss=loss,
)
