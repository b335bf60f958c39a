"""A step does not wait for the device: nothing in it asks a tensor for its value; and it can be compiled."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils._python_dispatch import TorchDispatchMode

from l4 import L4Adam, L4Mom
from l4.optimizer import L4Optimizer
from tests.support.training.l4_problem import MAKERS, problem, train, values

pytestmark = pytest.mark.heavy


class NoWaiting(TorchDispatchMode):
    """Fails where the value of a tensor is asked for, as .item(), float() and bool() do."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run everything but that."""
        if func is torch.ops.aten._local_scalar_dense.default:
            raise AssertionError("the step waits for the value of a tensor")
        return func(*args, **(kwargs or {}))


GUARDS: dict[str, dict[str, Any]] = {
    "as the paper": {},
    "guards": {"max_eta": 1.0, "on_nonfinite": "skip", "on_negative": "skip", "loss_floor": -1.0},
    "estimate": {"loss_floor": "estimate"},
    "own timescales": {"tau_m": 4.0, "weight_decay": 0.1, "lr": torch.tensor(0.5)},
}


@pytest.mark.parametrize("ask", [float, bool, int, Tensor.item])
def test_the_check_sees_every_way_of_asking(ask: Any) -> None:
    with NoWaiting(), pytest.raises(AssertionError, match="waits"):
        ask(torch.ones(()))


@pytest.mark.parametrize(
    ("name", "guards"),
    # the general L4 has its timescales in its directions
    [(name, guards) for name in MAKERS for guards in GUARDS if "(" not in name or "tau_m" not in GUARDS[guards]],
)
def test_a_step_asks_no_tensor_for_its_value(name: str, guards: str) -> None:
    params, loss_of = problem()
    optimizer = MAKERS[name](params, **GUARDS[guards])
    for _ in range(3):
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        with NoWaiting():
            optimizer.step(loss=loss)
            _ = optimizer.eta, optimizer.l_min, optimizer.inner, optimizer.skipped, optimizer.floor


@pytest.mark.slow
@pytest.mark.parametrize("cls", [L4Mom, L4Adam])
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's compiler imports deprecated parts of torch
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")
def test_a_compiled_step_is_the_eager_one(cls: type[L4Mom] | type[L4Adam]) -> None:
    (expected, loss_1), (params, loss_2) = problem(), problem()
    eager, optimizer = cls(expected), cls(params)

    @torch.compile
    def step(loss: Tensor) -> None:
        optimizer.step(loss=loss)

    for _ in range(8):
        train(eager, loss_1, 1)
        optimizer.zero_grad()
        loss = loss_2()
        loss.backward()
        step(loss.detach())
    for p, q in zip(params, expected, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)
    assert optimizer.eta.item() == pytest.approx(eager.eta.item(), rel=1e-9)


def on_gpu(cls: type[L4Mom] | type[L4Adam]) -> tuple[L4Optimizer, list[Parameter], Tensor]:
    drawn = torch.Generator().manual_seed(0)
    params = [Parameter(torch.randn(64, 64, generator=drawn).cuda()) for _ in range(3)]
    return cls(params), params, torch.randn(64, 64, generator=drawn).cuda()


@pytest.mark.gpu
@pytest.mark.parametrize("cls", [L4Mom, L4Adam])
def test_twenty_steps_on_a_gpu_do_not_synchronise(cls: type[L4Mom] | type[L4Adam]) -> None:
    optimizer, params, x = on_gpu(cls)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(20):
            optimizer.zero_grad()
            loss = torch.stack([(p @ x).square().mean() for p in params]).sum()
            loss.backward()
            optimizer.step(loss=loss)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(p.isfinite().all() for p in params)


@pytest.mark.gpu
@pytest.mark.parametrize("cls", [L4Mom, L4Adam])
def test_a_cuda_graph_of_a_step_replays_as_eager_steps(cls: type[L4Mom] | type[L4Adam]) -> None:
    eager, expected, x = on_gpu(cls)
    captured, params, _ = on_gpu(cls)

    def step(optimizer: L4Optimizer, of: list[Parameter]) -> None:
        loss = torch.stack([(p @ x).square().mean() for p in of]).sum()
        for p, grad in zip(of, torch.autograd.grad(loss, of), strict=True):
            if p.grad is None:
                p.grad = grad.clone()
            else:
                p.grad.copy_(grad)
        optimizer.step(loss=loss)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            step(captured, params)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(captured, params)
    for _ in range(100):
        graph.replay()
    for _ in range(103):
        step(eager, expected)
    for p, q in zip(params, expected, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
    assert values(params)  # both have been read back
