"""The paper's CIFAR-10 experiment (section 3.4): a pre-activation ResNet-32, batch 128, 250 epochs.

Network, data augmentation and loss are those of TensorFlow's official models at the time of the paper, which it used;
the repository's own policy is momentum SGD with learning rate 0.1 times 1, 0.1, 0.01, 0.001 from epochs 0, 100, 150
and 200. Not known is which commit it was: whether the truncated normal's variance was corrected for the truncation
(here it is not) changed about then. The whole training set is trained on, as there; nothing is held out to validate.
The running statistics keep 0.997 of themselves a step, so that test data say little before some thousand steps.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from studies.optimizers._base import Tensors
from studies.spec.parameters import Option
from studies.workloads._base import ACCURACY, Data, DataFile, Examples, Options, Workload
from studies.workloads.datasets import cifar
from studies.workloads.models.resnet import ResNet, initialise_resnet

ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
FOLDER = "cifar-10-batches-py/"
#: The published files' MD5, of the training batches in their order and of the test batch.
TRAIN = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
TEST = {"test_batch": "40351d587109b95175f43aff81a1287e"}
#: Examples of a batch file.
BATCH = 10_000
#: Pixels of zeros around an image that is cropped at random.
PADDING = 4
#: Of half the squared norm of every trainable, batch norm's included.
WEIGHT_DECAY = 2e-4


def files(options: Options) -> tuple[DataFile, ...]:
    """Return the batches that hold the first training examples, and the test batch."""
    needed = dict(list(TRAIN.items())[: -(-int(options["train_examples"]) // BATCH)]) | TEST
    return tuple(
        DataFile(path=FOLDER + name, url=ARCHIVE, md5=md5, archive_md5=ARCHIVE_MD5) for name, md5 in needed.items()
    )


def data(options: Options, data_dir: Path, generator: torch.Generator) -> Data:
    """Read the images, (3, 32, 32) bytes."""
    *train, test = (_examples(data_dir / file.path) for file in files(options))
    count = int(options["train_examples"])
    return Data(
        train=Examples(
            inputs=torch.cat([each.inputs for each in train])[:count],
            targets=torch.cat([each.targets for each in train])[:count],
        ),
        test=test,
    )


def _examples(path: Path) -> Examples:
    images, classes = cifar.read(path)
    return Examples(inputs=images, targets=classes)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Crop every image at random out of itself with 4 pixels of zeros around it, and mirror half of them.

    Args:
        images: (batch, 3, 32, 32).
        generator: Where to draw from.
    """
    count, _, height, width = images.shape
    down, right = torch.randint(2 * PADDING + 1, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    rows, columns = down + torch.arange(height), right + torch.arange(width)
    columns = torch.where(mirrored, columns.flip(1), columns)
    device = images.device
    padded = pad(images, (PADDING,) * 4).permute(0, 2, 3, 1)
    image = torch.arange(count, device=device)[:, None, None]
    return padded[image, rows.to(device)[:, :, None], columns.to(device)[:, None, :]].permute(0, 3, 1, 2).contiguous()


def penalty(params: Tensors) -> Tensor:
    """Return the weight decay as a part of the loss, so that L4 sees the sum."""
    return WEIGHT_DECAY * torch.stack([each.square().sum() / 2 for each in params]).sum()


def model(options: Options) -> nn.Module:
    """Return the network."""
    return ResNet()


WORKLOAD = Workload(
    summary="CIFAR-10 by a pre-activation ResNet-32, cross-entropy and weight decay (section 3.4 of the paper).",
    options=(
        Option(name="batch_size", default=128, low=1, high=50_000, summary="Examples of a step."),
        Option(name="train_examples", default=50_000, low=1, high=50_000, summary="Train on the first so many."),
    ),
    default_steps=250 * 390,
    epoch_examples=50_000,
    lanes=1,
    step_seconds=0.3,
    files=files,
    data=data,
    augment=augment,
    model=model,
    initialise=initialise_resnet,
    loss=cross_entropy,
    penalty=penalty,
    measures=(ACCURACY,),
)
