"""L4Mom and L4Adam as rows of the table on which PyTorch's generic optimizer suite runs, and a problem for them."""

# the machinery is not typed, or not as it is used
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportUnknownLambdaType=false, reportArgumentType=false, reportUnnecessaryComparison=false

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import lr_scheduler as schedules
from torch.optim.optimizer import Optimizer
from torch.testing._internal.common_optimizers import (
    ErrorOptimizerInput,
    OptimizerInfo,
    OptimizerInput,
    get_error_inputs_for_all_optims,
)

from l4 import L4Adam, L4Mom


def inputs(cls: type[Optimizer]) -> Callable[..., list[OptimizerInput]]:
    """Return the function that gives the constructions of a class to test."""
    own: list[dict[str, Any]] = [{"tau_s": 100.0, "adam_eps": 1e-3}] if cls is L4Adam else [{"gamma": 0.8}]
    given: list[dict[str, Any]] = [
        {},
        {"lr": 0.5},
        {"lr": torch.tensor(0.5)},
        {"weight_decay": 0.01},
        {"alpha": 0.05, "tau": 100.0},
        {"tau_m": 4.0},
        {"max_eta": 1.0},
        {"loss_floor": "estimate"},
        {"on_nonfinite": "skip", "on_negative": "skip"},
        *own,
    ]

    def inputs_func(device: object, dtype: object = None) -> list[OptimizerInput]:
        return [OptimizerInput(params=None, kwargs=dict(each), desc=str(each)) for each in given]

    return inputs_func


def error_inputs(device: str, dtype: torch.dtype) -> list[ErrorOptimizerInput]:
    """Return constructions that have to be refused: those of all of torch's optimizers, and our own."""
    bad: dict[str, dict[str, Any]] = {
        "Invalid alpha": {"alpha": -1.0},
        "Invalid gamma": {"gamma": 2.0},
        "Invalid tau": {"tau": 0.0},
        "Invalid eps": {"eps": float("nan")},
        "Invalid weight_decay": {"weight_decay": -1},
        "on_nonfinite is": {"on_nonfinite": "ignore"},
    }
    own = [
        ErrorOptimizerInput(
            OptimizerInput(params=None, kwargs=kwargs, desc=message), error_type=ValueError, error_regex=message
        )
        for message, kwargs in bad.items()
    ]
    return [*get_error_inputs_for_all_optims(device, dtype), *own]


INFOS = [
    OptimizerInfo(
        cls,
        optim_inputs_func=inputs(cls),
        optim_error_inputs_func=error_inputs,
        scheduler_inputs=(
            [lambda opt: schedules.StepLR(opt, gamma=0.9, step_size=10)],
            [lambda opt: schedules.LinearLR(opt, start_factor=0.4, total_iters=4)],
            [
                lambda opt: schedules.StepLR(opt, gamma=0.9, step_size=10),
                lambda opt: schedules.ReduceLROnPlateau(opt),
            ],
            [
                lambda opt: schedules.ExponentialLR(opt, gamma=0.99),
                lambda opt: schedules.ConstantLR(opt, total_iters=4),
            ],
            [lambda opt: schedules.PolynomialLR(opt, power=0.9, total_iters=400)],
        ),
        supported_impls=("foreach",),
        step_requires_closure=True,
    )
    for cls in (L4Mom, L4Adam)
]
CPU = "cpu"
of_each = pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
of_every_input = pytest.mark.parametrize(
    ("info", "given"),
    [pytest.param(info, each, id=f"{info.name}-{each.desc}") for info in INFOS for each in info.optim_inputs_func(CPU)],
)


def make(info: OptimizerInfo, params: Any, **kwargs: Any) -> Any:
    copied = {key: each.clone() if isinstance(each, Tensor) else each for key, each in kwargs.items()}
    return info.optim_cls(params, **copied)  # pyright: ignore[reportCallIssue]


class Problem:
    """A weight and a bias whose product with an input should be zero."""

    def __init__(self, *, contiguous: bool = True, dtype: torch.dtype = torch.float64) -> None:
        drawn = torch.Generator().manual_seed(5)
        weight = torch.randn(10, 5, 2, dtype=dtype, generator=drawn)[..., 0]
        bias = torch.randn(10, 2, dtype=dtype, generator=drawn)[..., 0]
        self.weight = Parameter(weight.contiguous() if contiguous else weight)
        self.bias = Parameter(bias.contiguous() if contiguous else bias)
        self.x = torch.randn(5, dtype=dtype, generator=drawn)

    @property
    def params(self) -> list[Parameter]:
        return [self.weight, self.bias]

    def closure(self, optimizer: Optimizer) -> Callable[[], Tensor]:
        def evaluate() -> Tensor:
            optimizer.zero_grad()
            loss = (self.weight @ self.x + self.bias).square().sum()
            loss.backward()
            return loss

        return evaluate

    def train(self, optimizer: Any, steps: int) -> None:
        for _ in range(steps):
            optimizer.step(self.closure(optimizer))

    def values(self) -> list[Any]:
        return [each.detach().tolist() for each in self.params]
