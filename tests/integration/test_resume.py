"""Saved at step 50 and loaded in a new process, training goes on bitwise as if it had never stopped."""

import subprocess
import sys
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from l4 import L4Adam, L4Mom
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

CLASSES = {"L4Mom": L4Mom, "L4Adam": L4Adam}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def train(name: str, kind: str, start: int, stop: int, saved: dict[str, Any] | None) -> dict[str, Any]:
    """Train from one step to another, and return the state that a file takes."""
    torch.manual_seed(0)
    dtype = DTYPES[kind]
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5)).to(dtype)
    optimizer = CLASSES[name](model.parameters())
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    for step in range(start, stop):
        drawn = torch.Generator().manual_seed(step)
        x, y = (torch.randn(16, n, generator=drawn).to(dtype) for n in (20, 5))
        optimizer.zero_grad()
        loss: Tensor = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step(loss=loss)
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """All states after 100 steps: without a stop, and of a process that went on at step 50."""
    folder = tmp_path_factory.mktemp("resume")
    whole, half, rest = (folder / each for each in ("whole.pt", "half.pt", "rest.pt"))
    for start, stop, before, after in ((0, 100, "", whole), (0, 50, "", half), (50, 100, half, rest)):
        arguments = [str(each) for each in (start, stop, before, after)]
        subprocess.run([sys.executable, "-m", __name__, *arguments], check=True, cwd=ROOT)
    return [torch.load(path, weights_only=True) for path in (whole, rest)]


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("name", CLASSES)
def test_a_new_process_goes_on_bitwise(name: str, kind: str, states: list[dict[str, Any]]) -> None:
    expected, found = (each[f"{name} {kind}"] for each in states)
    for key, each in expected["model"].items():
        assert torch.equal(found["model"][key], each)
    for key, state in expected["optimizer"]["state"].items():
        for part, each in state.items():
            assert found["optimizer"]["state"][key][part].dtype == each.dtype
            assert torch.equal(found["optimizer"]["state"][key][part], each)
    for part in ("l_min", "eta", "inner"):
        assert expected["optimizer"]["param_groups"][0][part] == found["optimizer"]["param_groups"][0][part]


if __name__ == "__main__":
    torch.set_num_threads(1)
    first, last, before, after = sys.argv[1:]
    old = torch.load(before, weights_only=True) if before else {}
    trained: dict[str, Any] = {}
    for name, kind in product(CLASSES, DTYPES):
        case = f"{name} {kind}"
        trained[case] = train(name, kind, int(first), int(last), old.get(case))
    torch.save(trained, after)
