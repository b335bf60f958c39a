"""L4 in the training stacks that people use, each the real one, on CPU: the same steps as the plain loop's."""

import copy
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from l4 import BadLossError, L4Adam, L4Mom
from l4.optimizer import L4Optimizer

CLASSES = {"L4Mom": L4Mom, "L4Adam": L4Adam}
named = pytest.mark.parametrize("name", CLASSES)
STEPS = 5


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)


def batches(dtype: torch.dtype = torch.float64, size: int = 8) -> list[tuple[Tensor, Tensor]]:
    drawn = torch.Generator().manual_seed(1)
    return [
        (torch.randn(size, 6, dtype=dtype, generator=drawn), torch.randn(size, 3, dtype=dtype, generator=drawn))
        for _ in range(STEPS)
    ]


def plain(name: str, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return where the plain loop ends."""
    model = network(dtype)
    optimizer = CLASSES[name](model.parameters())
    for x, y in batches(dtype):
        optimizer.zero_grad()
        loss = mse_loss(model(x), y)
        loss.backward()
        optimizer.step(loss=loss)
    return [p.detach() for p in model.parameters()]


def assert_same(model: nn.Module, expected: list[Tensor], rtol: float = 1e-9) -> None:
    for p, q in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach(), q, rtol=rtol, atol=1e-12 if rtol < 1e-6 else 1e-6)


@named
def test_gradient_accumulation(name: str) -> None:
    model = network()
    optimizer = CLASSES[name](model.parameters())
    for x, y in batches():
        optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for xs, ys in zip(x.chunk(4), y.chunk(4), strict=True):
            loss = mse_loss(model(xs), ys) / 4
            loss.backward()
            total += loss.detach()
        optimizer.step(loss=total)
    assert_same(model, plain(name))


@named
def test_a_gradient_scaler(name: str) -> None:
    model = network(torch.float32)
    optimizer = CLASSES[name](model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for x, y in batches(torch.float32):
        optimizer.zero_grad()
        loss = mse_loss(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer, loss=loss)
        scaler.update()
    assert_same(model, plain(name, torch.float32), rtol=1e-4)


@named
def test_a_gradient_scaler_leaves_out_a_step_that_overflows(name: str) -> None:
    model = network(torch.float32)
    optimizer = CLASSES[name](model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    before = [p.detach().clone() for p in model.parameters()]
    loss = mse_loss(model(batches(torch.float32)[0][0]), batches(torch.float32)[0][1])
    scaler.scale(loss).backward()
    first = next(model.parameters())
    assert first.grad is not None
    first.grad[0, 0] = torch.inf
    scaler.step(optimizer, loss=loss)
    scaler.update()
    assert_same(model, before)
    assert scaler.get_scale() == 2.0**9


@named
def test_bfloat16_autocast(name: str) -> None:
    model = network(torch.float32)
    optimizer = CLASSES[name](model.parameters())
    losses: list[float] = []
    x, y = batches(torch.float32)[0]
    for _ in range(60):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = mse_loss(model(x), y)
        loss.backward()
        optimizer.step(loss=loss)
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


@named
def test_clipped_gradients(name: str) -> None:
    model = network()
    optimizer = CLASSES[name](model.parameters())
    x, y = batches()[0]
    loss = mse_loss(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    optimizer.step(loss=loss)
    assert all(p.isfinite().all() for p in model.parameters())


# --- several processes --------------------------------------------------------------------------------------------


def _spread(rank: int, port: int, work: Callable[[str, Path, int], None], name: str, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        work(name, folder, rank)
    finally:
        torch.distributed.destroy_process_group()
    # gloo's threads outlive their group, and now and then one of them drops a tensor while the interpreter ends, which
    # aborts the process (torch 2.13): it ends without that
    os._exit(0)


def in_two_processes(work: Callable[[str, Path, int], None], name: str, folder: Path) -> list[list[Tensor]]:
    """Run work in two gloo processes, and return what each saved."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    spawn(_spread, (port, work, name, folder), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def _ddp(name: str, folder: Path, rank: int) -> None:
    model = nn.parallel.DistributedDataParallel(network())
    optimizer = CLASSES[name](model.parameters(), average_loss=True)
    for x, y in batches():
        optimizer.zero_grad()
        loss = mse_loss(model(x.chunk(2)[rank]), y.chunk(2)[rank])
        loss.backward()
        optimizer.step(loss=loss)
    torch.save([p.detach() for p in model.parameters()], folder / f"{rank}.pt")


def _fsdp(name: str, folder: Path, rank: int) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor

    model: Any = network()
    mesh = init_device_mesh("cpu", (2,))
    for layer in (model[0], model[2], model):
        fully_shard(layer, mesh=mesh)
    optimizer = CLASSES[name](model.parameters(), average_loss=True, on_nonfinite="skip")
    for x, y in batches():
        optimizer.zero_grad()
        loss = mse_loss(model(x.chunk(2)[rank]), y.chunk(2)[rank])
        loss.backward()
        optimizer.step(loss=loss)
    # a gradient that is bad in one process's part leaves the step out in both
    first = next(model.parameters())
    if rank == 0:
        first.grad.to_local().fill_(torch.nan)
    optimizer.step(loss=1.0)
    assert optimizer.skipped == 1
    found: list[Tensor] = []
    for p in model.parameters():
        assert isinstance(p, DTensor)
        assert all(isinstance(each, DTensor) for key, each in optimizer.state[p].items() if key != "step")
        found.append(p.full_tensor().detach())
    torch.save(found, folder / f"{rank}.pt")


@pytest.mark.slow
@named
@pytest.mark.parametrize("work", [_ddp, _fsdp])
def test_two_processes_take_the_single_ones_steps(
    name: str, work: Callable[[str, Path, int], None], tmp_path: Path
) -> None:
    first, second = in_two_processes(work, name, tmp_path)
    for a, b, q in zip(first, second, plain(name), strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(a, q, rtol=1e-9, atol=1e-12)


@named
def test_a_distributed_checkpoint_after_one_step(name: str) -> None:
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

    def steps(model: nn.Module, optimizer: L4Optimizer, count: int) -> None:
        for x, y in batches()[:count]:
            optimizer.zero_grad()
            loss = mse_loss(model(x), y)
            loss.backward()
            optimizer.step(loss=loss)

    (model, other) = (network(), network())
    optimizer, loaded = (CLASSES[name](each.parameters()) for each in (model, other))
    steps(model, optimizer, 4)
    saved = copy.deepcopy(get_optimizer_state_dict(model, optimizer))
    with pytest.raises(BadLossError, match="neither a closure nor a loss"):
        set_optimizer_state_dict(other, loaded, copy.deepcopy(saved))
    steps(other, loaded, 1)
    other.load_state_dict(model.state_dict())
    set_optimizer_state_dict(other, loaded, saved)
    steps(model, optimizer, 3)
    steps(other, loaded, 3)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


def test_averaging_needs_processes() -> None:
    model = network()
    optimizer = L4Mom(model.parameters(), average_loss=True)
    x, y = batches()[0]
    loss = mse_loss(model(x), y)
    loss.backward()
    with pytest.raises(BadLossError, match="init_process_group"):
        optimizer.step(loss=loss)


# --- frameworks ---------------------------------------------------------------------------------------------------


@named
def test_accelerate(name: str) -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model: nn.Module = network()
    model, optimizer = accelerator.prepare(model, CLASSES[name](model.parameters()))
    for x, y in batches():

        def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
            optimizer.zero_grad()
            loss = mse_loss(model(x), y)
            accelerator.backward(loss)
            return loss

        optimizer.step(closure)
    assert_same(model, plain(name))


@named
@pytest.mark.filterwarnings("ignore")  # Lightning's own, about workers and loggers
def test_lightning_automatic_optimization(name: str, tmp_path: Path) -> None:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            return mse_loss(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> L4Optimizer:
            return CLASSES[name](self.parameters())

    module = Module()
    data = TensorDataset(*(torch.cat(each) for each in zip(*batches(), strict=True)))
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(data, batch_size=8))
    assert_same(module.model, plain(name))


def test_classification_with_schedules_and_groups_learns() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
    x = torch.randn(60, 6, generator=torch.Generator().manual_seed(2))
    y = x[:, :3].argmax(1)
    biases = [p for p in model.parameters() if p.ndim == 1]
    weights = [p for p in model.parameters() if p.ndim == 2]
    optimizer = L4Adam([{"params": weights, "weight_decay": 1e-5}, {"params": biases, "lr": 0.5}])
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=10),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 190),
        ],
        milestones=[10],
    )
    for _ in range(200):
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step(loss=loss)
        schedule.step()
    assert (model(x).argmax(1) == y).float().mean() > 0.95
