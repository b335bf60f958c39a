"""What PyTorch's generic optimizer suite demands of torch.optim, demanded of L4Mom and L4Adam.

Own tests of the properties that test/test_optim.py of PyTorch checks, on the machinery in the wheel
(torch/testing/_internal/common_optimizers.py): one `OptimizerInfo` for each. What does not apply is in LEFT_OUT.
"""

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
from torch import Tensor
from torch.nn import Parameter
from torch.optim import lr_scheduler as schedules
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.testing._internal.common_optimizers import (
    ErrorOptimizerInput,
    OptimizerErrorEnum,
    OptimizerInfo,
    OptimizerInput,
    get_error_inputs_for_all_optims,
)

from l4 import L4, Adam, L4Adam, L4Mom, Momentum

#: Tests of torch's suite that do not apply, and why.
LEFT_OUT: dict[str, str] = {
    "test_optim_infos_do_not_specify_global_cliquey_kwargs": "about torch's own table",
    "test_forloop_goes_right_direction_multigpu": "needs two GPUs",
    "test_rosenbrock_sparse_with_lrsched": "sparse gradients are refused (tests/unit/l4/test_optimizer.py)",
    "test_fused_matches_forloop": "no fused implementation",
    "test_fused_large_tensor": "no fused implementation",
    "test_fused_does_not_step_if_foundinf": "no fused implementation",
    "test_fused_cpu_matches_cuda": "no fused implementation",
    "test_grad_scaling_autocast_fused_optimizers": "no fused implementation",
    "test_foreach_large_tensor": "needs a tensor of more than 2^32 elements",
    "test_peak_memory_foreach": "needs a GPU's memory statistics",
    "test_mixed_device_dtype": "devices: needs a GPU; types: test_foreach_equals_the_for_loop",
    "test_capturable_flag": "no flag: a step can always be captured (marker gpu, tests/unit/l4/test_waiting.py)",
    "test_cpu_load_state_dict": "needs a GPU",
    "test_state_dict_with_cuda_params": "needs a GPU",
    "test_can_load_older_state_dict": "there are no older ones",
    "test_load_nontensor_step": "steps have always been tensors",
    "test_defaults_changed_to_foreach": "foreach is not a choice",
    "test_maximize": "the step size is towards a small loss",
    "test_differentiable": "no differentiable step",
    "test_complex_2d_with_maximize": "no maximize",
}


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


# --- construction and direction -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "case"),
    [
        pytest.param(info, case, id=f"{info.name}-{case.optimizer_error_input.desc}")
        for info in INFOS
        for case in error_inputs(CPU, torch.float32)
    ],
)
def test_bad_construction_is_refused(info: OptimizerInfo, case: ErrorOptimizerInput) -> None:
    given = case.optimizer_error_input
    assert case.error_on == OptimizerErrorEnum.CONSTRUCTION_ERROR
    params = given.params if given.params is not None else Problem().params
    if case.error_type is UserWarning:
        with pytest.warns(UserWarning, match=case.error_regex):
            make(info, params, **given.kwargs)
    else:
        with pytest.raises(case.error_type, match=case.error_regex):
            make(info, params, **given.kwargs)


@of_every_input
@pytest.mark.parametrize("contiguous", [True, False])
def test_goes_in_the_right_direction(info: OptimizerInfo, given: OptimizerInput, contiguous: bool) -> None:
    problem = Problem(contiguous=contiguous)
    optimizer = make(info, problem.params, **given.kwargs)
    start = problem.closure(optimizer)()
    problem.train(optimizer, 200)
    assert problem.closure(optimizer)() < 0.5 * start


@of_each
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("number", range(len(INFOS[0].scheduler_inputs)))
@pytest.mark.parametrize("lr", [1.0, torch.tensor(1.0)], ids=["float lr", "tensor lr"])
def test_goes_in_the_right_direction_with_schedules(
    info: OptimizerInfo, number: int, grouped: bool, lr: float | Tensor
) -> None:
    problem = Problem()
    groups = [{"params": [problem.weight]}, {"params": [problem.bias], "lr": 0.5}] if grouped else problem.params
    optimizer = make(info, groups, lr=lr)
    scheduled = [each(optimizer) for each in info.scheduler_inputs[number]]  # pyright: ignore[reportCallIssue]
    start = problem.closure(optimizer)()
    for _ in range(200):
        optimizer.step(problem.closure(optimizer))
        for schedule in scheduled:
            if isinstance(schedule, schedules.ReduceLROnPlateau):
                schedule.step(float(problem.closure(optimizer)().detach()))
            else:
                schedule.step()
    assert problem.closure(optimizer)() < start
    assert float(optimizer.param_groups[0]["lr"]) < 1 + 1e-6


@of_each
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_tensor_lr_is_as_a_float(info: OptimizerInfo, shape: tuple[int, ...]) -> None:
    plain, other = Problem(), Problem()
    plain.train(make(info, plain.params, lr=0.25, weight_decay=0.5), 5)
    other.train(make(info, other.params, lr=torch.full(shape, 0.25), weight_decay=0.5), 5)
    assert other.values() == plain.values()


@of_each
def test_groups_may_differ_in_lr_and_weight_decay(info: OptimizerInfo) -> None:
    problem = Problem()
    still = problem.values()[1]
    optimizer = make(info, [{"params": [problem.weight], "weight_decay": 0.1}, {"params": [problem.bias], "lr": 0.0}])
    before = problem.weight.detach().clone()
    for p in problem.params:
        p.grad = torch.zeros_like(p)
    optimizer.step(loss=1.0)
    torch.testing.assert_close(problem.weight.detach(), before * 0.9)
    problem.train(optimizer, 3)
    assert problem.values()[1] == still


# --- numbers ------------------------------------------------------------------------------------------------------


@of_every_input
def test_complex_parameters_are_pairs_of_real_ones(info: OptimizerInfo, given: OptimizerInput) -> None:
    drawn = torch.Generator().manual_seed(0)
    whole = Parameter(torch.randn(5, 5, dtype=torch.complex128, generator=drawn))
    pairs = Parameter(torch.view_as_real(whole.detach()).clone())
    parts = [Parameter(each.clone()) for each in torch.view_as_real(whole.detach()).unbind(-1)]
    forms = [[whole], [pairs], parts]
    optimizers = [make(info, form, **given.kwargs) for form in forms]
    for step in range(6):
        grad = torch.randn(5, 5, dtype=torch.complex128, generator=drawn)
        whole.grad, pairs.grad = grad, torch.view_as_real(grad).clone()
        parts[0].grad, parts[1].grad = grad.real.clone(), grad.imag.clone()
        for optimizer in optimizers:
            optimizer.step(loss=3.0 - 0.2 * step)
        assert whole.is_complex()
        torch.testing.assert_close(torch.view_as_real(whole.detach()), pairs.detach())
        torch.testing.assert_close(torch.view_as_real(whole.detach()), torch.stack(parts, -1).detach())


@of_each
@pytest.mark.parametrize("tau_m", [10.0, 4.0])
def test_foreach_equals_the_for_loop(info: OptimizerInfo, tau_m: float) -> None:
    drawn = torch.Generator().manual_seed(0)
    kinds = [
        ((4, 3), torch.float32),
        ((), torch.float32),
        ((0,), torch.float32),
        ((2, 3, 4), torch.float64),
        ((7,), torch.bfloat16),
        ((5,), torch.float64),
    ]
    fast = [Parameter(torch.randn(shape, generator=drawn).to(dtype)) for shape, dtype in kinds]
    slow = [Parameter(each.detach().clone()) for each in fast]
    optimizer = make(info, fast, tau_m=tau_m, weight_decay=0.01)
    loop = L4(slow, Momentum(tau=tau_m) if info.optim_cls is L4Mom else Adam(tau_m=tau_m), weight_decay=0.01)
    for step in range(10):
        for p, q in zip(fast, slow, strict=True):
            p.grad = torch.randn(p.shape, generator=drawn).to(p.dtype)
            q.grad = p.grad.clone()
        optimizer.step(loss=2.0 + 0.1 * step)
        loop.step(loss=2.0 + 0.1 * step)
        for p, q in zip(fast, slow, strict=True):
            tolerance = 0.03 if p.dtype == torch.bfloat16 else 2e-3  # bfloat16's rounding is in g.v of all of them
            torch.testing.assert_close(p, q, rtol=tolerance, atol=tolerance)


@of_each
@pytest.mark.parametrize("default", [torch.float16, torch.float32, torch.float64])
def test_torchs_default_type_does_not_matter(info: OptimizerInfo, default: torch.dtype) -> None:
    expected = Problem()
    expected.train(make(info, expected.params), 5)
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        problem = Problem()
        problem.train(make(info, problem.params), 5)
    finally:
        torch.set_default_dtype(before)
    assert problem.values() == expected.values()


@of_every_input
def test_nothing_happens_without_gradients(info: OptimizerInfo, given: OptimizerInput) -> None:
    problem = Problem()
    before = problem.values()
    optimizer = make(info, problem.params, **given.kwargs)
    optimizer.step(loss=1.0)
    assert problem.values() == before
    assert not optimizer.state


@of_every_input
def test_zero_gradients_move_nothing(info: OptimizerInfo, given: OptimizerInput) -> None:
    problem = Problem()
    before = problem.values()
    optimizer = make(info, problem.params, **given.kwargs | {"weight_decay": 0.0})
    for _ in range(3):
        for p in problem.params:
            p.grad = torch.zeros_like(p)
        optimizer.step(loss=1.0)
    assert problem.values() == before
    assert optimizer.state


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
