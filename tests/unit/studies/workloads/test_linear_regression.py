"""The paper's linear regression: both constructions of A, the shapes, the loss."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from studies.seeds import seeded_generator
from studies.workloads.linear_regression import WORKLOAD, target_matrix


def singular_values(construction: str, condition: float, seed: int = 0) -> Tensor:
    a = target_matrix(construction, condition, seeded_generator("linear_regression", seed, "problem"))
    assert a.shape == (10, 6)
    return torch.linalg.svdvals(a)


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e10])
def test_svd_has_the_condition_number_asked_for(condition: float) -> None:
    values = singular_values("svd", condition)
    assert float(values[0] / values[-1]) == pytest.approx(condition, rel=1e-4)
    assert float(values[0]) == pytest.approx(1.0)


def test_rechts_construction_has_not() -> None:
    conditions = [float(v[0] / v[-1]) for v in (singular_values("recht", 1e10, seed) for seed in range(20))]
    assert 5 < sorted(conditions)[10] < 30
    assert max(conditions) < 100


def test_rechts_rows_shrink_in_equal_steps() -> None:
    a = target_matrix("recht", 1e10, torch.Generator().manual_seed(0))
    uniform = torch.rand(10, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(a[0], uniform[0])
    torch.testing.assert_close(a[3], uniform[3] * (6 / 9), rtol=1e-6, atol=0)
    torch.testing.assert_close(a[9], uniform[9] * 1e-10)


def test_is_the_papers_problem() -> None:
    options = {option.name: option.default for option in WORKLOAD.options}
    data = WORKLOAD.data(options, Path(), seeded_generator("linear_regression", 0, "problem"))
    assert (data.train.inputs.shape, data.train.targets.shape) == ((1, 6, 1000), (1, 10, 1000))
    assert (data.validation, data.test) == (None, None)
    # 6 inputs explain the 10 outputs without a rest: the smallest loss is 0
    fit = torch.linalg.lstsq(data.train.inputs.mT, data.train.targets.mT).solution.mT
    assert float(WORKLOAD.loss(fit @ data.train.inputs, data.train.targets)) < 1e-20
    module = WORKLOAD.model(options).double()
    WORKLOAD.initialise(module, seeded_generator("linear_regression", 0, "init"))
    w1, w2 = module.parameters()
    outputs = module(data.train.inputs)
    torch.testing.assert_close(outputs, w1 @ w2 @ data.train.inputs)
    loss = WORKLOAD.loss(outputs, data.train.targets)
    assert float(loss.detach()) == pytest.approx(float((outputs - data.train.targets).square().sum().detach()))
