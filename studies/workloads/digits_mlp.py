"""A small multilayer perceptron on the handwritten digits that are part of scikit-learn."""

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from studies.seeds import seeded_generator
from studies.spec.parameters import Option
from studies.workloads._base import ACCURACY, Data, Examples, Options, Workload
from studies.workloads.models.layers import initialise_mlp, mlp

#: Number of training and validation images; the rest of the 1797 are test images. All studies use the same split.
TRAIN, VALIDATION = 1200, 297


def data(options: Options, data_dir: Path, generator: torch.Generator) -> Data:
    """Read the images, scaled to [0, 1]."""
    images, classes = load_digits(return_X_y=True)
    inputs = torch.tensor(images, dtype=torch.float32) / 16
    targets = torch.tensor(classes, dtype=torch.int64)
    order = torch.randperm(len(inputs), generator=seeded_generator("digits_mlp", 0, "split"))
    splits = order[:TRAIN], order[TRAIN : TRAIN + VALIDATION], order[TRAIN + VALIDATION :]
    train, validation, test = (Examples(inputs=inputs[split], targets=targets[split]) for split in splits)
    return Data(train=train, validation=validation, test=test)


def model(options: Options) -> nn.Module:
    """Return a 64-hidden-10 perceptron."""
    return mlp((64, int(options["hidden"]), 10))


WORKLOAD = Workload(
    summary="scikit-learn's 8x8 digits by a 64-32-10 ReLU perceptron, mean cross-entropy.",
    options=(
        Option(name="batch_size", default=64, low=1, high=TRAIN, summary="Examples of a step."),
        Option(name="hidden", default=32, low=1, high=10**9, summary="Units of the hidden layer; memory is the limit."),
    ),
    default_steps=900,
    epoch_examples=TRAIN,
    lanes=16,
    step_seconds=0.0001,
    has_validation=True,
    data=data,
    model=model,
    initialise=initialise_mlp,
    loss=cross_entropy,
    measures=(ACCURACY,),
)
