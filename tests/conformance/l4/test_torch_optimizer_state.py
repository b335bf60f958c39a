"""What PyTorch's generic optimizer suite demands of torch.optim, demanded of L4Mom and L4Adam: state and hooks."""

# the machinery is not typed, or not as it is used
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportUnknownLambdaType=false, reportArgumentType=false, reportUnnecessaryComparison=false

import copy
import io
import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.testing._internal.common_optimizers import OptimizerInfo, OptimizerInput

from tests.conformance.l4.torch_infos import Problem, make, of_each, of_every_input

# --- state --------------------------------------------------------------------------------------------------------


@of_every_input
def test_it_can_be_printed(info: OptimizerInfo, given: OptimizerInput) -> None:
    problem = Problem()
    optimizer = make(info, problem.params, **given.kwargs)
    problem.train(optimizer, 1)
    shown = repr(optimizer)
    assert shown.startswith(info.name)
    for name in ("alpha: ", "gamma: ", "lr: ", "tau_m: "):
        assert name in shown


@of_each
def test_a_state_dict_does_not_depend_on_the_order_of_its_keys(info: OptimizerInfo) -> None:
    problem = Problem()
    optimizer = make(info, problem.params)
    problem.train(optimizer, 3)
    saved = copy.deepcopy(optimizer.state_dict())
    keys = list(saved["state"])
    random.Random(1).shuffle(keys)
    shuffled = {"param_groups": saved["param_groups"], "state": {key: saved["state"][key] for key in reversed(keys)}}
    ends: list[Any] = []
    for each in (saved, shuffled):
        other = Problem()
        with torch.no_grad():
            for p, q in zip(other.params, problem.params, strict=True):
                p.copy_(q)
        loaded = make(info, other.params)
        loaded.load_state_dict(each)
        other.train(loaded, 3)
        ends.append(other.values())
    assert ends[0] == ends[1]


@of_every_input
@pytest.mark.parametrize("way", ["as it is", "weights_only", "pickle"])
def test_a_loaded_optimizer_goes_on_as_the_saved_one(info: OptimizerInfo, given: OptimizerInput, way: str) -> None:
    problem, other = Problem(), Problem()
    optimizer, loaded = (make(info, each.params, **given.kwargs) for each in (problem, other))
    problem.train(optimizer, 10)
    with torch.no_grad():
        for p, q in zip(other.params, problem.params, strict=True):
            p.copy_(q)
    saved = optimizer.state_dict()
    if way == "weights_only":
        file = io.BytesIO()
        torch.save(saved, file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
    elif way == "pickle":
        saved = pickle.loads(pickle.dumps(saved))
    untouched = copy.deepcopy(saved)
    loaded.load_state_dict(saved)
    problem.train(optimizer, 10)
    other.train(loaded, 10)
    assert other.values() == problem.values()
    if way != "as it is":  # what was loaded is not written to
        for key, state in untouched["state"].items():
            for name, each in state.items():
                assert torch.equal(saved["state"][key][name], each)


@of_each
def test_names_of_parameters_are_kept(info: OptimizerInfo) -> None:
    problem = Problem()
    named = make(info, [("weight", problem.weight), ("bias", problem.bias)])
    unnamed = make(info, problem.params)
    problem.train(named, 2)
    assert named.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    unnamed.load_state_dict(copy.deepcopy(named.state_dict()))
    problem.train(unnamed, 2)
    named.load_state_dict(copy.deepcopy(unnamed.state_dict()))
    assert named.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


@of_each
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loading_keeps_types(info: OptimizerInfo, dtype: torch.dtype) -> None:
    problem = Problem(dtype=dtype)
    optimizer = make(info, problem.params)
    problem.train(optimizer, 3)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for p in problem.params:
        for name, each in optimizer.state[p].items():
            assert each.dtype == (torch.float64 if name == "step" else dtype)
            assert each.device == p.device
    assert optimizer.l_min.dtype == torch.float64


@of_every_input
def test_a_deep_copy_has_all_public_attributes(info: OptimizerInfo, given: OptimizerInput) -> None:
    problem = Problem()
    optimizer = make(info, problem.params, **given.kwargs)
    problem.train(optimizer, 2)
    copied = copy.deepcopy(optimizer)

    def public(of: object) -> set[str]:
        return {name for name in vars(of) if not name.startswith("_")}

    assert public(copied) == public(optimizer)
    assert copied.l_min == optimizer.l_min


@of_each
def test_a_derived_class_is_an_optimizer_too(info: OptimizerInfo) -> None:
    class Derived(info.optim_cls):  # pyright: ignore[reportUntypedBaseClass, reportGeneralTypeIssues]
        pass

    problem, other = Problem(), Problem()
    problem.train(make(info, problem.params), 5)
    other.train(Derived(other.params), 5)
    assert other.values() == problem.values()


@of_each
@pytest.mark.parametrize("to_none", [True, False])
def test_gradients_can_be_reset(info: OptimizerInfo, to_none: bool) -> None:
    problem = Problem()
    optimizer = make(info, problem.params)
    problem.closure(optimizer)()
    optimizer.zero_grad(set_to_none=to_none)
    for p in problem.params:
        assert p.grad is None if to_none else not p.grad.any()  # pyright: ignore[reportOptionalMemberAccess]


# --- hooks --------------------------------------------------------------------------------------------------------


@of_each
def test_hooks_of_a_step_are_called_around_it_and_can_be_removed(info: OptimizerInfo) -> None:
    problem = Problem()
    optimizer = make(info, problem.params)
    calls: list[tuple[str, bool]] = []
    start = problem.values()

    def hook(name: str) -> Callable[..., None]:
        return lambda of, args, kwargs: calls.append((name, problem.values() != start))

    handles = [
        register_optimizer_step_pre_hook(hook("global pre")),
        optimizer.register_step_pre_hook(hook("pre")),
        optimizer.register_step_post_hook(hook("post")),
        register_optimizer_step_post_hook(hook("global post")),
    ]
    try:
        problem.train(optimizer, 1)
    finally:
        for handle in handles:
            handle.remove()
    assert calls == [("global pre", False), ("pre", False), ("post", True), ("global post", True)]
    problem.train(optimizer, 1)
    assert len(calls) == 4


@of_each
def test_a_hook_can_change_what_a_step_is_given(info: OptimizerInfo) -> None:
    problem = Problem()
    before = problem.values()
    optimizer = make(info, problem.params)
    problem.closure(optimizer)()
    optimizer.register_step_pre_hook(lambda of, args, kwargs: (args, {"loss": 0.0}))
    optimizer.step(loss=5.0)
    assert problem.values() == before  # a loss of zero takes no step


@of_each
@pytest.mark.parametrize("prepend", [True, False])
def test_hooks_of_state_dicts_are_called_in_order(info: OptimizerInfo, prepend: bool) -> None:
    problem = Problem()
    optimizer = make(info, problem.params)
    problem.train(optimizer, 1)
    calls: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *given: calls.append(name)

    for kind in ("state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post"):
        register = getattr(optimizer, f"register_{kind}_hook")
        register(note(f"{kind} 1"))
        register(note(f"{kind} 2"), prepend=prepend)
    order = ("2", "1") if prepend else ("1", "2")
    optimizer.load_state_dict(optimizer.state_dict())
    kinds = ("state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post")
    assert calls == [f"{kind} {number}" for kind in kinds for number in order]


@of_each
def test_a_hook_can_change_what_is_loaded(info: OptimizerInfo) -> None:
    problem = Problem()
    optimizer = make(info, problem.params)
    problem.train(optimizer, 1)

    def slower(of: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        state["param_groups"] = [group | {"lr": 0.125} for group in state["param_groups"]]
        return state

    optimizer.register_load_state_dict_pre_hook(slower)
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.125
