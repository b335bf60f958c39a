"""The paper's MNIST experiment (section 3.2): 784-300-100-10, ReLU, batch 64."""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from studies.spec.parameters import Option
from studies.workloads._base import ACCURACY, Data, DataFile, Examples, Options, Workload
from studies.workloads.datasets import idx
from studies.workloads.models.layers import Pixels, initialise_mlp, mlp

SOURCE = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FOLDER = "MNIST/raw/"
#: MD5 of the published files.
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
#: Number of validation images; as in the authors' loader, they are the first ones.
VALIDATION = 5000


def files(options: Options) -> tuple[DataFile, ...]:
    """Return the four files."""
    return tuple(DataFile(path=FOLDER + name, url=SOURCE + name, md5=md5) for name, md5 in MD5.items())


def data(options: Options, data_dir: Path, generator: torch.Generator) -> Data:
    """Read the images as bytes: 5,000 for validation, 55,000 to train, 10,000 to test."""
    train_x, train_y, test_x, test_y = (idx.read(data_dir / FOLDER / name) for name in MD5)
    inputs, targets = train_x.reshape(-1, 784), train_y.long()
    return Data(
        train=Examples(inputs=inputs[VALIDATION:], targets=targets[VALIDATION:]),
        validation=Examples(inputs=inputs[:VALIDATION], targets=targets[:VALIDATION]),
        test=Examples(inputs=test_x.reshape(-1, 784), targets=test_y.long()),
    )


def model(options: Options) -> nn.Module:
    """Return the 784-300-100-10 perceptron."""
    return nn.Sequential(Pixels(), *mlp((784, 300, 100, 10)))


WORKLOAD = Workload(
    summary="MNIST by a 784-300-100-10 ReLU perceptron, mean cross-entropy (section 3.2 of the paper).",
    options=(Option(name="batch_size", default=64, low=1, high=55_000, summary="Examples of a step."),),
    default_steps=30 * 937,
    # the authors' epoch has 937 steps of 64, that is 60,000 examples, though they train on 55,000
    epoch_examples=60_000,
    lanes=2,
    step_seconds=0.0006,
    has_validation=True,
    files=files,
    data=data,
    model=model,
    initialise=initialise_mlp,
    loss=cross_entropy,
    measures=(ACCURACY,),
)
