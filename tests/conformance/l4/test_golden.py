"""The authors' own L4, step by step: the stacked optimizers follow its float64 records, lane by lane."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, vmap
from torch.nn.functional import cross_entropy

from studies import registry
from studies.optimizers._base import Tensors
from studies.optimizers._l4 import L4State
from studies.training.lanes import Lanes, stacked_step
from tests.support.paths import SHARED
from tests.support.training.stateless_losses import stateless_loss

GOLDEN = SHARED / "golden"
pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the records of the authors' L4 are not here")

RELATIVE = 1e-9
#: From (parameters, inputs, targets) to the loss; 0-dim.
Loss = Callable[[Tensors, Tensor, Tensor], Tensor]
Record = Mapping[str, np.ndarray]
#: From a record and a step to that step's inputs and targets.
Batch = Callable[[Record, int], tuple[Tensor, Tensor]]

#: The settings that the records' tags name; what is not given is the default.
SETTINGS: dict[str, dict[str, dict[str, float]]] = {
    "l4mom": {
        "f64_L4Mom_0.15": {"alpha": 0.15},
        "f64_L4Mom_0.25": {"alpha": 0.25},
        "f64_L4Mom_custom": {"alpha": 0.2, "gamma": 0.8, "gamma0": 0.5, "tau": 50, "eps": 1e-6, "tau_m": 4},
    },
    "l4adam": {
        "f64_L4Adam_0.15": {"alpha": 0.15},
        "f64_L4Adam_0.25": {"alpha": 0.25},
        "f64_L4Adam_custom": {
            "alpha": 0.2,
            "gamma": 0.8,
            "gamma0": 0.5,
            "tau": 50,
            "eps": 1e-6,
            "tau_m": 5,
            "tau_s": 100,
            "adam_eps": 1e-3,
        },
    },
}


def regression_loss(params: Tensors, x: Tensor, y: Tensor) -> Tensor:
    w1, w2 = params
    return (w1 @ w2 @ x - y).square().sum()


def digits_loss(params: Tensors, x: Tensor, y: Tensor) -> Tensor:
    w0, b0, w1, b1 = params
    return cross_entropy((x @ w0 + b0).relu() @ w1 + b1, y)


def quadratic_loss(params: Tensors, a: Tensor, c: Tensor) -> Tensor:
    (x,) = params
    return a * (x - c) ** 2


def whole(record: Record, step: int) -> tuple[Tensor, Tensor]:
    return torch.tensor(record["in_X"]), torch.tensor(record["in_Y"])


def digits(record: Record, step: int) -> tuple[Tensor, Tensor]:
    rows = record["in_batch_idx"][step]
    return torch.tensor(record["in_X"][rows]), torch.tensor(record["in_y"][rows])


def bowl(record: Record, step: int) -> tuple[Tensor, Tensor]:
    assert record["in_b"] == 0
    return torch.tensor(record["in_a"]), torch.tensor(record["in_c"])


PROBLEMS: dict[str, tuple[Loss, Batch, tuple[str, ...]]] = {
    "a_linear_recht": (regression_loss, whole, ("W1", "W2")),
    "b_digits_mlp": (digits_loss, digits, ("W0", "b0", "W1", "b1")),
    "c_quadratic": (quadratic_loss, bowl, ("x",)),
}


def packs(problem: str, optimizer: str) -> list[tuple[str, ...]]:
    """Every tag alone, and all of them in one pack of three lanes."""
    tags = [tag for tag in SETTINGS[optimizer] if problem == "b_digits_mlp" or "custom" not in tag]
    return [*((tag,) for tag in tags), (*tags, tags[0])[:3]]


@pytest.mark.parametrize(
    ("problem", "optimizer", "tags"),
    [
        pytest.param(
            problem,
            optimizer,
            tags,
            id=f"{problem}-{'+'.join(tags)}",
            # seconds each, and the packs of three lanes train each of these lanes too
            marks=[pytest.mark.slow] if problem != "c_quadratic" and len(tags) == 1 else [],
        )
        for problem in PROBLEMS
        for optimizer in SETTINGS
        for tags in packs(problem, optimizer)
    ],
)
def test_follows_the_record(problem: str, optimizer: str, tags: tuple[str, ...]) -> None:
    loss, batch, names = PROBLEMS[problem]
    with np.load(GOLDEN / f"{problem}.npz") as file:
        record = dict(file)
    chosen = registry.load_optimizer(optimizer)
    step = stacked_step(stateless_loss(loss), chosen)
    setting = {
        each.name: torch.tensor(
            [SETTINGS[optimizer][tag].get(each.name, each.default) for tag in tags], dtype=torch.float64
        )
        for each in chosen.hyperparameters
    }
    initial = [torch.tensor(record[f"init_{name}"]) for name in names]
    params = tuple(each.expand(len(tags), *each.shape) for each in initial)
    lanes = Lanes(params, (), vmap(chosen.init)(params), torch.ones(len(tags), dtype=torch.bool))
    compared = 0
    for t in range(len(record[f"{tags[0]}__loss"])):
        for lane, tag in enumerate(tags):
            (held,) = np.nonzero(record[f"{tag}__param_steps"] == t)
            for name, param in zip(names, lanes.params, strict=True):
                for i in held:
                    assert_close(param[lane], record[f"{tag}__param_{name}"][i], f"{name} before step {t}")
                    compared += 1
        inputs, targets = (each.expand(len(tags), *each.shape) for each in batch(record, t))
        lanes, value, eta = step(lanes, (inputs,), targets, setting)
        assert isinstance(lanes.state, L4State)
        for lane, tag in enumerate(tags):
            assert_close(value[lane], record[f"{tag}__loss"][t], f"loss before step {t}")
            assert_close(eta[lane], record[f"{tag}__eta"][t], f"eta of step {t}")
            assert_close(lanes.state.l_min[lane], record[f"{tag}__min_loss_after"][t], f"L_min after step {t}")
    assert lanes.alive.all()
    assert compared >= 30 * len(tags) * len(names)


def assert_close(found: Tensor, recorded: np.ndarray, what: str) -> None:
    """Compare by the largest element: an element near zero has no digits of its own."""
    error = float((found - torch.as_tensor(recorded)).abs().max())
    scale = float(np.abs(recorded).max())
    assert error <= RELATIVE * scale, f"{what}: off by {error:g} of {scale:g}"
