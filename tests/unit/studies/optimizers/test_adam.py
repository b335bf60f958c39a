"""adam takes the steps of torch's own, lane by lane."""

import torch
from torch import Tensor

from tests.support.training.optimizer_trajectory import assert_same, stacked_trajectory, torch_trajectory

SETTINGS: tuple[dict[str, float], ...] = (
    {},
    {"lr": 0.05, "eps": 1e-4},
    {"lr": 0.2, "beta1": 0.5, "beta2": 0.9},
    {"lr": 0.01, "clip_norm": 0.05},
)


def torchs(
    lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, clip_norm: float = 0.0
) -> list[Tensor]:
    return torch_trajectory(
        lambda params: torch.optim.Adam(params, lr=lr, betas=(beta1, beta2), eps=eps), clip_norm=clip_norm
    )


def test_takes_torchs_steps() -> None:
    for found, setting in zip(stacked_trajectory("adam", SETTINGS), SETTINGS, strict=True):
        assert_same(found, torchs(**setting))
