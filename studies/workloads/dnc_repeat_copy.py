"""The paper's DNC experiment (section 3.3): a Differentiable Neural Computer learns to repeat a pattern.

The task and its sizes are the defaults of DeepMind's implementation, which the paper trained: patterns of 4 bits and
length 1 or 2, to be repeated once or twice. There, every episode is drawn independently. Since only 544 differ, the
data list them in proportion to their probability, and batches are drawn with replacement. Shorter episodes are padded
to 9 steps; only the steps of the answer count.
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
#: Divisor of the number of repeats in the inputs.
REPEAT_SCALE = 10
TIME = max(LENGTHS) * (max(REPEATS) + 1) + 3


def episode(pattern: Tensor, repeats: int) -> tuple[Tensor, Tensor]:
    """Return the inputs and the targets of an episode.

    The inputs are a start flag, the pattern and the number of repeats. The targets follow: the repeated pattern and an
    end flag.

    Args:
        pattern: Bits, (length, 4).
        repeats: Number of repeats.

    Returns:
        Inputs, (9, 6), whose last two channels are the start flag and the repeats; targets, (9, 6), whose last two
        channels are the end flag and whether the step counts.
    """
    length = len(pattern)
    inputs, targets = torch.zeros(TIME, BITS + 2), torch.zeros(TIME, BITS + 2)
    inputs[0, BITS] = 1
    inputs[1 : 1 + length, :BITS] = pattern
    inputs[1 + length, BITS + 1] = repeats / REPEAT_SCALE
    start, end = length + 2, length + 2 + length * repeats
    targets[start:end, :BITS] = pattern.repeat(repeats, 1)
    targets[end, BITS] = 1
    targets[start : end + 1, BITS + 1] = 1
    return inputs, targets


def data(options: Options, data_dir: Path, generator: torch.Generator) -> Data:
    """List every episode, with copies of the shorter ones so that all lengths are equally frequent."""
    pattern_count = 2 ** (BITS * max(LENGTHS))
    episodes: list[tuple[Tensor, Tensor]] = []
    for length, repeats in product(LENGTHS, REPEATS):
        patterns = [torch.tensor(bits).reshape(length, BITS).float() for bits in product((0, 1), repeat=BITS * length)]
        for pattern in patterns * (pattern_count // len(patterns)):
            episodes.append(episode(pattern, repeats))
    return Data(
        train=Examples(
            inputs=torch.stack([inputs for inputs, _ in episodes]),
            targets=torch.stack([targets for _, targets in episodes]),
        )
    )


def model(options: Options) -> nn.Module:
    """Return the network: LSTM 64, memory 16 x 16, 4 read heads, 1 write head."""
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
