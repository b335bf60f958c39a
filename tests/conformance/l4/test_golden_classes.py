"""The authors' own L4, step by step: the optimizer classes follow its float64 records, custom settings included."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from l4 import L4, Adam, L4Adam, L4Mom, Momentum
from l4.optimizer import L4Optimizer
from tests.conformance.l4.test_golden import GOLDEN, PROBLEMS, SETTINGS, assert_close

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the records of the authors' L4 are not here")


def build(form: str, optimizer: str, params: list[Parameter], setting: dict[str, Any]) -> L4Optimizer:
    if form == "named":
        cls: Callable[..., L4Optimizer] = {"l4mom": L4Mom, "l4adam": L4Adam}[optimizer]
        return cls(params, **setting)
    names = ("alpha", "gamma", "gamma0", "tau", "eps")
    shared: dict[str, Any] = {name: value for name, value in setting.items() if name in names}
    tau_m = setting.get("tau_m", 10.0)
    if optimizer == "l4mom":
        return L4(params, Momentum(tau=tau_m), **shared)
    direction = Adam(tau_m=tau_m, tau_s=setting.get("tau_s", 1000.0), eps=setting.get("adam_eps", 1e-4))
    return L4(params, direction, **shared)


@pytest.mark.parametrize("form", ["named", pytest.param("general", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("problem", "optimizer", "tag"),
    [
        (problem, optimizer, tag)
        for problem in PROBLEMS
        for optimizer, settings in SETTINGS.items()
        for tag in settings
        if problem == "b_digits_mlp" or "custom" not in tag
    ],
)
def test_follows_the_record(problem: str, optimizer: str, tag: str, form: str) -> None:
    loss_of, batch, names = PROBLEMS[problem]
    with np.load(GOLDEN / f"{problem}.npz") as file:
        record = dict(file)
    params = [Parameter(torch.tensor(record[f"init_{name}"])) for name in names]
    l4 = build(form, optimizer, params, SETTINGS[optimizer][tag])
    compared = 0
    for t in range(len(record[f"{tag}__loss"])):
        (held,) = np.nonzero(record[f"{tag}__param_steps"] == t)
        for name, param in zip(names, params, strict=True):
            for i in held:
                assert_close(param.detach(), record[f"{tag}__param_{name}"][i], f"{name} before step {t}")
                compared += 1
        l4.zero_grad()
        loss = loss_of(tuple(params), *batch(record, t))
        loss.backward()
        l4.step(loss=loss)
        assert_close(loss.detach(), record[f"{tag}__loss"][t], f"loss before step {t}")
        assert_close(l4.eta, record[f"{tag}__eta"][t], f"eta of step {t}")
        assert_close(
            l4.inner + SETTINGS[optimizer][tag].get("eps", 1e-12), record[f"{tag}__den"][t], f"g.v of step {t}"
        )
        assert_close(l4.l_min, record[f"{tag}__min_loss_after"][t], f"L_min after step {t}")
    assert compared >= 30 * len(names)
