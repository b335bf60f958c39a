"""What PyTorch's generic optimizer suite demands of torch.optim, demanded of L4Mom and L4Adam: directions and numbers.

Own tests of the properties that test/test_optim.py of PyTorch checks, on the machinery in the wheel
(torch/testing/_internal/common_optimizers.py): one `OptimizerInfo` for each. What does not apply is in LEFT_OUT; what
is kept between steps, and hooks, are in `test_torch_optimizer_state.py`.
"""

# the machinery is not typed, or not as it is used
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportUnknownLambdaType=false, reportArgumentType=false, reportUnnecessaryComparison=false

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import lr_scheduler as schedules
from torch.testing._internal.common_optimizers import (
    ErrorOptimizerInput,
    OptimizerErrorEnum,
    OptimizerInfo,
    OptimizerInput,
)

from l4 import L4, Adam, L4Mom, Momentum
from tests.conformance.l4.torch_infos import CPU, INFOS, Problem, error_inputs, make, of_each, of_every_input

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
