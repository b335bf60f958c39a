"""momentum takes the steps of torch's own, lane by lane."""

import torch
from torch import Tensor

from tests.support.training.optimizer_trajectory import assert_same, stacked_trajectory, torch_trajectory

SETTINGS: tuple[dict[str, float], ...] = (
    {},
    {"lr": 0.02},
    {"lr": 0.05, "momentum": 0.5},
    {"lr": 0.01, "clip_norm": 0.05},
)


def torchs(lr: float = 1e-3, momentum: float = 0.9, clip_norm: float = 0.0) -> list[Tensor]:
    return torch_trajectory(lambda params: torch.optim.SGD(params, lr=lr, momentum=momentum), clip_norm=clip_norm)


def test_takes_torchs_steps() -> None:
    for found, setting in zip(stacked_trajectory("momentum", SETTINGS), SETTINGS, strict=True):
        assert_same(found, torchs(**setting))
