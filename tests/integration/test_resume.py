"""Saved at step 50 and loaded in a new process, training goes on bitwise as if it had never stopped."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from l4 import L4Adam, L4Mom
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

CLASSES = {"L4Mom": L4Mom, "L4Adam": L4Adam}


def train(name: str, dtype: torch.dtype, start: int, stop: int, before: Path | None, after: Path) -> None:
    """Train from one step to another, from and into a file."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5)).to(dtype)
    optimizer = CLASSES[name](model.parameters())
    if before is not None:
        saved = torch.load(before, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    for step in range(start, stop):
        drawn = torch.Generator().manual_seed(step)
        x, y = (torch.randn(16, n, generator=drawn).to(dtype) for n in (20, 5))
        optimizer.zero_grad()
        loss: Tensor = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step(loss=loss)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, after)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", CLASSES)
def test_a_new_process_goes_on_bitwise(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    whole, half, rest = (tmp_path / each for each in ("whole.pt", "half.pt", "rest.pt"))

    def process(start: int, stop: int, before: Path | None, after: Path) -> None:
        kind = str(dtype).removeprefix("torch.")
        arguments = [name, kind, str(start), str(stop), str(before or ""), str(after)]
        subprocess.run([sys.executable, __file__, *arguments], check=True, cwd=ROOT)

    process(0, 100, None, whole)
    process(0, 50, None, half)
    process(50, 100, half, rest)
    expected, found = (torch.load(path, weights_only=True) for path in (whole, rest))
    for key, each in expected["model"].items():
        assert torch.equal(found["model"][key], each)
    for key, state in expected["optimizer"]["state"].items():
        for part, each in state.items():
            assert found["optimizer"]["state"][key][part].dtype == each.dtype
            assert torch.equal(found["optimizer"]["state"][key][part], each)
    for part in ("l_min", "eta", "inner"):
        assert expected["optimizer"]["param_groups"][0][part] == found["optimizer"]["param_groups"][0][part]


if __name__ == "__main__":
    name, kind, start, stop, before, after = sys.argv[1:]
    train(name, getattr(torch, kind), int(start), int(stop), Path(before) if before else None, Path(after))
