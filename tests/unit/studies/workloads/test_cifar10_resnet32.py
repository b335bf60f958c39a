"""The paper's CIFAR-10 experiment: files, data, augmentation, weight decay."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from studies.seeds import seeded_generator
from studies.workloads.cifar10_resnet32 import WORKLOAD, augment, penalty
from tests.support.paths import data_dir

OPTIONS = {option.name: option.default for option in WORKLOAD.options} | {"train_examples": 10_000}


@pytest.mark.parametrize(("examples", "batches"), [(1, 1), (10_000, 1), (10_001, 2), (50_000, 5)])
def test_needs_only_the_batches_that_have_the_examples(examples: int, batches: int) -> None:
    found = WORKLOAD.files(OPTIONS | {"train_examples": examples})
    names = [file.path.rpartition("/")[2] for file in found]
    assert names == [*(f"data_batch_{i + 1}" for i in range(batches)), "test_batch"]


def test_reads_the_first_examples() -> None:
    found = data_dir(WORKLOAD.files(OPTIONS))
    if found is None:
        pytest.skip("CIFAR-10 is not here; set L4_DATA_DIR to a directory that has it")
    data = WORKLOAD.data(OPTIONS, found, seeded_generator("cifar10_resnet32", 0, "problem"))
    assert data.test is not None
    assert data.train.inputs.shape == data.test.inputs.shape == (10_000, 3, 32, 32)
    assert data.train.targets[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
    means = torch.tensor([0.4914, 0.4822, 0.4465])  # of all 50,000
    torch.testing.assert_close(data.train.inputs.float().mean((0, 2, 3)) / 255, means, rtol=0, atol=0.005)


def numbered(count: int) -> Tensor:
    """Return images whose pixels all differ, and are not 0."""
    return 1 + torch.arange(count * 3 * 32 * 32, dtype=torch.float64).reshape(count, 3, 32, 32)


def test_augmented_images_are_crops_some_mirrored() -> None:
    images = numbered(64)
    found = augment(images, torch.Generator().manual_seed(0))
    padded = pad(images, (4, 4, 4, 4))
    kinds: set[tuple[int, int, bool]] = set()
    for image, own in zip(found, padded, strict=True):
        places = [
            (down, right, mirrored)
            for down in range(9)
            for right in range(9)
            for mirrored in (False, True)
            if torch.equal(image.flip(2) if mirrored else image, own[:, down : down + 32, right : right + 32])
        ]
        assert len(places) == 1
        kinds.add(places[0])
    assert {down for down, _, _ in kinds} == {right for _, right, _ in kinds} == set(range(9))
    assert 15 < sum(mirrored for _, _, mirrored in kinds) < 49


def test_augmentation_comes_from_its_generator() -> None:
    images = numbered(8)
    first, again, other = (augment(images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_loss_has_half_the_squared_norm_of_all_trainables() -> None:
    params = (torch.full((2, 3), 2.0), torch.full((4,), 3.0))
    assert float(penalty(params)) == pytest.approx(2e-4 * (6 * 4 + 4 * 9) / 2)


def test_the_policys_epochs_are_those_of_the_repository() -> None:
    assert WORKLOAD.default_steps == 250 * (WORKLOAD.epoch_examples // 128)
