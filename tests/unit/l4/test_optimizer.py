"""What every L4 optimizer does with its loss, its parameters and its state."""

import copy
import io
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import Embedding, Parameter
from torch.optim.lr_scheduler import LambdaLR

from l4 import BadHyperparameterError, BadLossError, L4Adam, L4Mom, SparseGradientError
from l4.reference import Reference
from tests.support.training.l4_problem import MAKERS, problem, train, values

pytestmark = pytest.mark.heavy

every = pytest.mark.parametrize("name", MAKERS)
named = pytest.mark.parametrize("name", ["L4Mom", "L4Adam"])


@every
@pytest.mark.parametrize("given", ["tensor", "one element", "float", "closure", "closure of a float"])
def test_a_loss_may_be_given_in_every_form(name: str, given: str) -> None:
    expected, loss_of = problem()
    train(MAKERS[name](expected), loss_of, 3)

    params, loss_of = problem()
    optimizer = MAKERS[name](params)

    def closure() -> torch.Tensor:
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    for _ in range(3):
        if given == "closure":
            returned = optimizer.step(closure)
            assert isinstance(returned, torch.Tensor)
        elif given == "closure of a float":
            assert isinstance(optimizer.step(lambda: float(closure().detach())), float)
        else:
            loss = closure()
            form = {"tensor": loss, "one element": loss.reshape(1, 1), "float": float(loss.detach())}[given]
            assert optimizer.step(loss=form) is form
    assert values(params) == values(expected)


@named
def test_a_step_needs_exactly_one_loss(name: str) -> None:
    params, loss_of = problem()
    optimizer = MAKERS[name](params)
    loss_of().backward()
    with pytest.raises(BadLossError, match=r"neither a closure nor a loss: .*step\(loss=loss\)"):
        optimizer.step()
    with pytest.raises(BadLossError, match="both a closure and a loss"):
        optimizer.step(loss_of, loss=1.0)


@named
@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (torch.ones(3), r"shape \(3,\).*mean\(\)"),
        (torch.ones(0), r"shape \(0,\)"),
        (torch.ones((), dtype=torch.complex64), "complex64"),
        ("0.5", "'0.5' .str."),
        (True, "True .bool."),
    ],
)
def test_what_is_no_loss_is_refused_and_nothing_moves(name: str, loss: object, message: str) -> None:
    params, loss_of = problem()
    before = values(params)
    loss_of().backward()
    with pytest.raises(BadLossError, match=message):
        MAKERS[name](params).step(loss=loss)  # pyright: ignore[reportArgumentType]
    assert values(params) == before


@named
def test_a_closure_without_a_loss_is_refused(name: str) -> None:
    params, loss_of = problem()
    loss_of().backward()
    with pytest.raises(BadLossError, match=r"None .*closure has to return the loss"):
        MAKERS[name](params).step(lambda: None)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("name", "direction"), [("L4Mom", "momentum"), ("L4Adam", "adam")])
@pytest.mark.parametrize("tau_m", [10.0, 4.0])
def test_steps_are_those_of_the_reference(name: str, direction: str, tau_m: float) -> None:
    (w, b), loss_of = problem()
    optimizer = MAKERS[name]([w, b], tau_m=tau_m)
    reference = Reference(size=5, direction=direction, tau_m=tau_m)  # pyright: ignore[reportArgumentType]
    for _ in range(60):
        theta = [*w.tolist(), b.item()]
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        assert w.grad is not None
        assert b.grad is not None
        theta = reference.step(theta, [*w.grad.tolist(), b.grad.item()], loss.item())
        optimizer.step(loss=loss)
        assert [*w.tolist(), b.item()] == pytest.approx(theta, rel=1e-9, abs=1e-12)
        assert optimizer.eta.item() == pytest.approx(reference.eta, rel=1e-9)
        assert optimizer.l_min.item() == pytest.approx(reference.l_min, rel=1e-12)


@pytest.mark.parametrize(("name", "count"), [("L4Mom", 1), ("L4Adam", 2)])
def test_buffers_are_as_few_as_the_timescales_allow(name: str, count: int) -> None:
    for tau_m, expected in ((10.0, count), (5.0, count + 1)):
        params, loss_of = problem()
        optimizer = MAKERS[name](params, tau_m=tau_m)
        train(optimizer, loss_of, 1)
        for p in params:
            assert sum(each.shape == p.shape for key, each in optimizer.state[p].items() if key != "step") == expected


@every
def test_lr_is_a_factor_on_the_step_and_may_differ_between_groups(name: str) -> None:
    (w, b), loss_of = problem()
    optimizer = MAKERS[name]([{"params": [w], "lr": 0.5}, {"params": [b]}])
    (w1, b1), loss_of_1 = problem()
    plain = MAKERS[name]([w1, b1])
    train(optimizer, loss_of, 1)
    train(plain, loss_of_1, 1)
    torch.testing.assert_close(w.detach(), 0.5 * w1.detach())
    torch.testing.assert_close(b, b1)
    assert optimizer.eta == plain.eta


@named
def test_a_schedule_warms_up(name: str) -> None:
    params, loss_of = problem()
    optimizer = MAKERS[name](params)
    schedule = LambdaLR(optimizer, lambda epoch: min(1.0, epoch / 3))
    before = values(params)
    train(optimizer, loss_of, 1)
    assert values(params) == before
    schedule.step()
    train(optimizer, loss_of, 1)
    assert values(params) != before


@every
def test_weight_decay_is_decoupled(name: str) -> None:
    (w, b), loss_of = problem()
    with torch.no_grad():
        w.fill_(2.0)
    optimizer = MAKERS[name]([{"params": [w], "weight_decay": 0.1, "lr": 0.5}, {"params": [b]}])
    loss_of().backward()
    start = w.detach().clone()
    optimizer.step(loss=0.0)  # no loss, no step: only the decay is left
    torch.testing.assert_close(w.detach(), start * (1 - 0.5 * 0.1))
    assert b.item() == 0.0


@every
def test_parameters_may_have_no_gradient_come_late_and_be_frozen(name: str) -> None:
    drawn = torch.Generator().manual_seed(1)
    grads = [torch.randn(3, dtype=torch.float64, generator=drawn) for _ in range(12)]

    def alone(steps: list[int]) -> list[torch.Tensor]:
        """The vectors of a parameter that has gradients in these steps only: what its averages would be."""
        p = Parameter(torch.zeros(3, dtype=torch.float64))
        optimizer, found = MAKERS[name]([p], alpha=1.0, gamma=0.0), []
        for step in steps:
            p.grad, before = grads[step], p.detach().clone()
            optimizer.step(loss=1.0)
            found.append((before - p.detach()) / optimizer.eta)
        return found

    always, sometimes, late = (Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(3))
    optimizer = MAKERS[name]([always, sometimes], alpha=1.0, gamma=0.0)
    seen: dict[int, list[torch.Tensor]] = {0: [], 1: [], 2: []}
    active = {0: list(range(12)), 1: [0, 1, 2, 5, 6, 9], 2: [4, 5, 6, 7, 8, 9, 10, 11]}
    for step in range(12):
        if step == 4:
            optimizer.add_param_group({"params": [late]})
        before = [p.detach().clone() for p in (always, sometimes, late)]
        for i, p in enumerate((always, sometimes, late)):
            p.grad = grads[step] if step in active[i] else None
        optimizer.step(loss=1.0)
        for i, p in enumerate((always, sometimes, late)):
            if step in active[i]:
                seen[i].append((before[i] - p.detach()) / optimizer.eta)
            else:
                assert torch.equal(before[i], p)
    for i, steps in active.items():
        for found, expected in zip(seen[i], alone(steps), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@named
def test_parameters_of_one_age_share_their_count_also_after_loading(name: str) -> None:
    params, loss_of = problem()
    optimizer = MAKERS[name](params)
    train(optimizer, loss_of, 3)
    other_params, other_loss = problem()
    other = MAKERS[name](other_params)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, of in ((optimizer, params), (other, other_params)):
        assert each.state[of[0]]["step"] is each.state[of[1]]["step"]
        assert each.state[of[0]]["step"] == 3
    train(other, other_loss, 1)
    assert optimizer.state[params[0]]["step"] == 3


@named
def test_sparse_gradients_are_refused_with_the_remedy(name: str) -> None:
    layer = Embedding(5, 2, sparse=True)
    optimizer = MAKERS[name](layer.parameters())
    loss = layer(torch.tensor([1, 3])).square().sum()
    loss.backward()
    with pytest.raises(SparseGradientError, match="sparse=False"):
        optimizer.step(loss=loss)


@named
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_state_is_saved_and_loaded_exactly(name: str, dtype: torch.dtype) -> None:
    params, loss_of = problem(dtype)
    optimizer = MAKERS[name](params)
    train(optimizer, loss_of, 5)
    saved = io.BytesIO()
    torch.save(optimizer.state_dict(), saved)
    saved.seek(0)
    other = MAKERS[name](params)
    other.load_state_dict(torch.load(saved, weights_only=True))
    assert other.l_min.dtype == torch.float64
    assert (other.l_min, other.eta, other.inner) == (optimizer.l_min, optimizer.eta, optimizer.inner)
    for p in params:
        for key, each in optimizer.state[p].items():
            assert other.state[p][key].dtype == each.dtype
            assert torch.equal(other.state[p][key], each)


@every
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_go_on_as_the_original(name: str, how: str) -> None:
    params, loss_of = problem()
    optimizer = MAKERS[name](params)
    train(optimizer, loss_of, 5)
    other = copy.deepcopy(optimizer) if how == "deepcopy" else pickle.loads(pickle.dumps(optimizer))
    copied = other.param_groups[0]["params"]
    for _ in range(5):
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        for p, q in zip(params, copied, strict=True):
            q.grad = None if p.grad is None else p.grad.clone()
        optimizer.step(loss=loss)
        other.step(loss=loss.detach().clone())
    assert values(copied) == values(params)
    assert set(vars(other)) >= {key for key in vars(optimizer) if not key.startswith("_")}


@named
def test_before_the_first_step_there_is_nothing_to_read(name: str) -> None:
    params, _ = problem()
    optimizer = MAKERS[name](params)
    assert math.isnan(optimizer.eta)
    assert math.isnan(optimizer.l_min)
    assert optimizer.skipped == 0
    optimizer.check()


@named
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": -0.1}, "Invalid alpha value: -0.1"),
        ({"gamma": 1.5}, "Invalid gamma value: 1.5; it has to be between 0 and 1"),
        ({"gamma0": math.nan}, "gamma0"),
        ({"tau": 0.5}, "tau"),
        ({"eps": -1e-9}, "eps"),
        ({"tau_m": 0.0}, "tau_m"),
        ({"lr": -1.0}, "lr"),
        ({"lr": torch.ones(2)}, "Tensor lr must be 1-element"),
        ({"weight_decay": math.inf}, "weight_decay"),
        ({"max_eta": -1.0}, "max_eta"),
        ({"loss_floor": "guess"}, "loss_floor"),
        ({"on_nonfinite": "ignore"}, "on_nonfinite is 'ignore', and has to be one of propagate, skip, raise"),
        ({"on_negative": None}, "on_negative"),
    ],
)
def test_a_bad_hyperparameter_is_named(name: str, given: dict[str, object], message: str) -> None:
    params, _ = problem()
    with pytest.raises(BadHyperparameterError, match=message):
        MAKERS[name](params, **given)
    with pytest.raises(ValueError, match=message):
        MAKERS[name]([{"params": params, **given}])


@named
def test_there_is_one_step_size_for_all_groups(name: str) -> None:
    (w, b), _ = problem()
    optimizer = MAKERS[name]([w])
    with pytest.raises(BadHyperparameterError, match=r"alpha is 0.3 in one group and 0.15 .* use lr"):
        optimizer.add_param_group({"params": [b], "alpha": 0.3})
    assert len(optimizer.param_groups) == 1


# --- what the paper claims (section 2.2 and equation 4) -----------------------------------------------------------

losses = st.floats(min_value=1e-3, max_value=1e3)
factors = st.floats(min_value=1e-2, max_value=1e2)
vectors = st.lists(st.floats(min_value=-10, max_value=10), min_size=4, max_size=4)


def path(name: str, given: list[list[float]], *, scale: float = 1.0, **hyperparameters: float) -> torch.Tensor:
    """Return where a parameter goes on gradients, the loss and they times a scale."""
    p = Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = MAKERS[name]([p], eps=0.0, **hyperparameters)
    for t, grad in enumerate(given):
        p.grad = scale * (torch.tensor(grad, dtype=torch.float64) + 0.1)
        optimizer.step(loss=scale * (2.0 + math.sin(t)))
    return p.detach()


@named
@settings(max_examples=30)
@given(grads=st.lists(vectors, min_size=1, max_size=8), scale=factors)
def test_scaling_the_loss_changes_nothing(name: str, grads: list[list[float]], scale: float) -> None:
    free = {"adam_eps": 0.0} if name == "L4Adam" else {}
    torch.testing.assert_close(path(name, grads, scale=scale, **free), path(name, grads, **free), rtol=1e-6, atol=1e-9)


@named
@settings(max_examples=30)
@given(grads=st.lists(vectors, min_size=1, max_size=8), offset=st.floats(min_value=-100, max_value=100))
def test_an_offset_of_the_loss_that_is_known_changes_nothing(
    name: str, grads: list[list[float]], offset: float
) -> None:
    def end(offset: float) -> torch.Tensor:
        p = Parameter(torch.zeros(4, dtype=torch.float64))
        optimizer = MAKERS[name]([p], loss_floor=offset)
        for t, grad in enumerate(grads):
            p.grad = torch.tensor(grad, dtype=torch.float64) + 0.1
            optimizer.step(loss=offset + 2.0 + math.sin(t))
        return p.detach()

    torch.testing.assert_close(end(offset), end(0.0), rtol=1e-6, atol=1e-9)


@settings(max_examples=30)
@given(grads=st.lists(vectors, min_size=1, max_size=8), size=factors)
def test_the_length_of_the_direction_does_not_matter(grads: list[list[float]], size: float) -> None:
    from dataclasses import dataclass

    from l4 import L4, Momentum
    from l4.directions import Tensors

    @dataclass(frozen=True, kw_only=True)
    class Longer(Momentum):
        def advance(
            self, grads: Tensors, buffers: tuple[Tensors, ...], t: torch.Tensor
        ) -> tuple[Tensors, tuple[Tensors, ...]]:
            v, following = super().advance(grads, buffers, t)
            return tuple(size * each for each in v), following

    ends: list[torch.Tensor] = []
    for direction in (Momentum(), Longer()):
        p = Parameter(torch.zeros(4, dtype=torch.float64))
        optimizer = L4([p], direction, eps=0.0)
        for grad in grads:
            p.grad = torch.tensor(grad, dtype=torch.float64) + 0.1
            optimizer.step(loss=1.5)
        ends.append(p.detach())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-6, atol=1e-9)


@named
@settings(max_examples=50)
@given(grads=st.lists(vectors, min_size=1, max_size=20))
def test_the_inner_product_is_never_negative(name: str, grads: list[list[float]]) -> None:
    p = Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = {"L4Mom": L4Mom, "L4Adam": L4Adam}[name]([p])
    for grad in grads:
        p.grad = torch.tensor(grad, dtype=torch.float64)
        optimizer.step(loss=1.0)
        assert optimizer.inner >= 0
