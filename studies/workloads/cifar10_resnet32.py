"""The paper's CIFAR-10 experiment (section 3.4): a pre-activation ResNet-32, batch 128, 250 epochs.

Network, data augmentation and loss are those of TensorFlow's official models at the time of the paper, which used them.
That repository trains with momentum SGD and learning rate 0.1 times 1, 0.1, 0.01, 0.001 from epochs 0, 100, 150 and
200. Its exact commit is unknown: at about that time it changed whether the truncated normal's variance is corrected for
the truncation (here it is not). As there, training uses the whole training set, and there are no validation data. The
running statistics decay by 0.997 in a step, so test metrics mean little before some thousand steps.
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
#: MD5 of the published files: the training batches in order, and the test batch.
TRAIN = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
TEST = {"test_batch": "40351d587109b95175f43aff81a1287e"}
#: Number of examples of a batch file.
FILE_EXAMPLES = 10_000
#: Width in pixels of the zero padding before a random crop.
PADDING = 4
#: Factor of half the squared norm of all parameters, including batch norm's.
WEIGHT_DECAY = 2e-4


def files(options: Options) -> tuple[DataFile, ...]:
    """Return the batch files of the first `train_examples` examples, and the test batch."""
    digests = dict(list(TRAIN.items())[: -(-int(options["train_examples"]) // FILE_EXAMPLES)]) | TEST
    return tuple(
        DataFile(path=FOLDER + name, url=ARCHIVE, md5=md5, archive_md5=ARCHIVE_MD5) for name, md5 in digests.items()
    )


def data(options: Options, data_dir: Path, generator: torch.Generator) -> Data:
    """Read the images, (3, 32, 32) bytes."""
    *train, test = (_examples(data_dir / file.path) for file in files(options))
    count = int(options["train_examples"])
    return Data(
        train=Examples(
            inputs=torch.cat([examples.inputs for examples in train])[:count],
            targets=torch.cat([examples.targets for examples in train])[:count],
        ),
        test=test,
    )


def _examples(path: Path) -> Examples:
    images, classes = cifar.read(path)
    return Examples(inputs=images, targets=classes)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pad every image with 4 pixels of zeros and crop it at random; mirror half of the images.

    Args:
        images: (batch, 3, 32, 32).
        generator: Random number generator.
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
    """Return weight decay as a term of the loss, so that L4 uses the sum."""
    return WEIGHT_DECAY * torch.stack([param.square().sum() / 2 for param in params]).sum()


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
