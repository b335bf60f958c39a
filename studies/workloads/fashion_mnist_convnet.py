"""The paper's Fashion-MNIST experiment (section 3.5): a small convolutional network with dropout, batch 100.

A reconstruction: the paper describes the network in a supplement that is not available. This is the network of
TensorFlow's tutorial at that time (5x5x32, pool, 5x5x64, pool, dense 1024, dropout 0.4, dense 10), with TensorFlow's
default initialisation. As in its loader, the first 5,000 images are for validation. The paper's number of steps is
unknown.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d, relu

from studies.spec.parameters import Option
from studies.workloads._base import ACCURACY, Data, DataFile, Examples, Options, Workload
from studies.workloads.datasets import idx
from studies.workloads.models.layers import Pixels

SOURCE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FOLDER = "FashionMNIST/raw/"
#: MD5 of the published files.
MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
VALIDATION = 5000
HIDDEN, DROPOUT = 1024, 0.4


class ConvNet(nn.Module):
    """Two convolutions with pooling, a dense layer with dropout, and the logits."""

    def __init__(self) -> None:
        """Create the layers; `initialise` draws their weights."""
        super().__init__()
        self.pixels = Pixels()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.dense1 = nn.Linear(7 * 7 * 64, HIDDEN)
        self.dense2 = nn.Linear(HIDDEN, 10)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map images, (batch, 1, 28, 28) bytes, to logits.

        Args:
            x: The images, scaled to [0, 1] here.
            keep: The dropout factors of the hidden units, (batch, 1024); None for no dropout.
        """
        x = max_pool2d(relu(self.conv1(self.pixels(x))), 2)
        x = max_pool2d(relu(self.conv2(x)), 2)
        x = relu(self.dense1(x.flatten(1)))
        return self.dense2(x if keep is None else x * keep)


def files(options: Options) -> tuple[DataFile, ...]:
    """Return the four files."""
    return tuple(DataFile(path=FOLDER + name, url=SOURCE + name, md5=md5) for name, md5 in MD5.items())


def data(options: Options, data_dir: Path, generator: torch.Generator) -> Data:
    """Read the images as bytes: 5,000 for validation, up to 55,000 to train, 10,000 to test."""
    train_x, train_y, test_x, test_y = (idx.read(data_dir / FOLDER / name) for name in MD5)
    inputs, targets = train_x[:, None], train_y.long()
    train = slice(VALIDATION, VALIDATION + int(options["train_examples"]))
    return Data(
        train=Examples(inputs=inputs[train], targets=targets[train]),
        validation=Examples(inputs=inputs[:VALIDATION], targets=targets[:VALIDATION]),
        test=Examples(inputs=test_x[:, None], targets=test_y.long()),
    )


def noise(options: Options, generator: torch.Generator) -> Tensor:
    """Draw the dropout factors of a step: 1 / 0.6 for a kept unit, otherwise 0."""
    kept = torch.rand(int(options["batch_size"]), HIDDEN, generator=generator) >= DROPOUT
    return kept.float() / (1 - DROPOUT)


def model(options: Options) -> nn.Module:
    """Return the network."""
    return ConvNet()


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw Xavier-uniform weights; all biases are zero."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.xavier_uniform_(parameter, generator=generator)


WORKLOAD = Workload(
    summary="Fashion-MNIST by a convolutional network with dropout (section 3.5 of the paper; a reconstruction).",
    options=(
        Option(name="batch_size", default=100, low=1, high=55_000, summary="Examples of a step."),
        Option(name="train_examples", default=55_000, low=1, high=55_000, summary="Train on the first so many."),
    ),
    default_steps=30 * 550,
    epoch_examples=55_000,
    lanes=1,
    step_seconds=0.045,
    has_validation=True,
    files=files,
    data=data,
    noise=noise,
    model=model,
    initialise=initialise,
    loss=cross_entropy,
    measures=(ACCURACY,),
)
