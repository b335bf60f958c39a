"""What all L4 optimizers share: one step size over all parameter groups, its state, its guards, its bookkeeping."""

# torch has no other names for the functions of lists of tensors
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from l4.batch import Batch, Update, make_batch
from l4.errors import BadHyperparameterError, BadLossError, SparseGradientError
from l4.floor import Floor, follow
from l4.foreach import fusion_barrier, on, subtract_
from l4.guards import find_invalid, raise_if_skipped
from l4.hyperparameters import check_hyperparameters
from l4.loss import Loss, mean_over_processes, to_scalar
from l4.sharding import dtensor_layout, is_dtensor, sum_over_shards
from l4.step_size import step_size

#: Hyperparameters of the one step size; every parameter group has the same.
_SHARED = (
    *("alpha", "gamma", "gamma0", "tau", "eps"),
    *("max_eta", "loss_floor", "on_nonfinite", "on_negative", "average_loss"),
)
#: State of the one step size, in the first parameter group, where `load_state_dict` does not cast it to the parameters'
#: type. Of shape (1,), as counts of steps: torch.compile 2.13 loses what is written into a 0-dim float64 CPU tensor.
_SCALARS = ("l_min", "eta", "inner", "nonfinite", "negative")
_FLOOR = Floor._fields


class L4Optimizer(Optimizer, ABC):
    """The L4 step size along some direction (Rolinek and Martius, 2018, algorithm 1); a subclass has the direction.

    Args:
        params: Parameters or groups of them.
        defaults: Hyperparameters and their values; those of the step size are checked here.

    Raises:
        BadHyperparameterError: A value is not admitted, or differs between groups where there is one step size.
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        """Check the hyperparameters; the state is made at the first step."""
        super().__init__(params, defaults)

    @abstractmethod
    def _buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of the buffers that a group's parameters need."""

    @abstractmethod
    def _update_direction(self, batch: Batch) -> Update:
        """Advance a batch's buffers in place, and return where it goes."""

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride] - every step needs the loss
        self, closure: Callable[[], Loss] | None = None, *, loss: Loss | None = None
    ) -> Loss:
        """Take one step; give exactly one of the two.

        Nothing waits for the device, unless `on_nonfinite` or `on_negative` is "raise".

        Args:
            closure: Evaluates the model, calls backward, and returns the loss.
            loss: L at the parameters that the gradients are of, not scaled; a tensor of one element or a number.

        Returns:
            The loss as it was given.

        Raises:
            BadLossError: None or both were given, or the loss is no number.
            SparseGradientError: A gradient is sparse.
            NonFiniteError: With `on_nonfinite="raise"`.
            NegativeLossError: With `on_negative="raise"`.
        """
        if (closure is None) == (loss is None):
            raise BadLossError(
                f"step() was given {'neither a closure nor a loss' if loss is None else 'both a closure and a loss'}: "
                "L4 needs the loss of the batch; call step(loss=loss) after loss.backward(), or step(closure)"
            )
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._take(loss)
        return loss  # pyright: ignore[reportReturnType] - what a closure returned, None included

    def check(self) -> None:
        """Raise if a step was left out since the optimizer was made; waits for the device.

        Raises:
            NonFiniteError: A loss or gradient was infinite or NaN, with `on_nonfinite="skip"`.
            NegativeLossError: A loss was below its floor, with `on_negative="skip"`.
        """
        head = self.param_groups[0]
        if "l_min" in head:
            raise_if_skipped(int(head["nonfinite"]), int(head["negative"]))

    @property
    def eta(self) -> Tensor:
        """The last step's size, without the groups' `lr`; 0-dim float64, NaN before the first step."""
        return self._scalar("eta")

    @property
    def l_min(self) -> Tensor:
        """The estimate of the smallest loss, as the next step will find it; 0-dim float64."""
        return self._scalar("l_min")

    @property
    def inner(self) -> Tensor:
        """The last step's g.v; 0-dim float64."""
        return self._scalar("inner")

    @property
    def floor(self) -> Tensor:
        """The floor that the loss is counted from; 0-dim float64."""
        head = self.param_groups[0]
        if head["loss_floor"] == "estimate":
            return self._scalar("floor") if "floor" in head else torch.zeros((), dtype=torch.float64)
        return torch.full((), head["loss_floor"], dtype=torch.float64)

    @property
    def skipped(self) -> Tensor:
        """How many steps were left out; 0-dim int64."""
        head = self.param_groups[0]
        return head["nonfinite"] + head["negative"] if "l_min" in head else torch.zeros((), dtype=torch.int64)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its parameters' averages start with their first gradient.

        Args:
            param_group: Parameters and what differs for them.

        Raises:
            BadHyperparameterError: A value is not admitted, or is the step size's and differs from the first group's.
        """
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            check_hyperparameters(group)
            self._check_group(group)
            for name in _SHARED:
                if group[name] != self.param_groups[0][name]:
                    raise BadHyperparameterError(
                        f"{name} is {group[name]} in one group and {self.param_groups[0][name]} in the first; "
                        "there is one step size for all of them: use lr for what differs between groups"
                    )
        except BadHyperparameterError:
            self.param_groups.pop()
            raise

    def _check_group(self, group: dict[str, Any]) -> None:
        """Check what a subclass adds to the hyperparameters."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state exactly; it moves to the parameters' devices.

        Args:
            state_dict: From `state_dict()`.
        """
        super().load_state_dict(state_dict)
        head, device = self.param_groups[0], self.param_groups[0]["params"][0].device
        for name in (*_SCALARS, *_FLOOR):
            if name in head:
                head[name] = head[name].to(device)
        # torch's own keeps the tensors that it was given where nothing has to be converted, and would write to them;
        # parameters of one age share one count, so that they are updated together
        ages: dict[tuple[float, torch.device], Tensor] = {}
        for param, state in self.state.items():
            for name in state.keys() - {"step"}:
                state[name] = state[name].clone()
            key = float(state["step"]), param.device
            state["step"] = ages.setdefault(key, torch.full((1,), key[0], dtype=torch.float64, device=param.device))

    def _scalar(self, name: str) -> Tensor:
        head = self.param_groups[0]
        return head[name].view(()) if name in head else torch.full((), math.nan, dtype=torch.float64)

    def _take(self, loss: object) -> None:
        batches = list(self._batches())
        if not batches:
            return
        head = self.param_groups[0]
        value = to_scalar(loss, head["l_min"].device)
        if head["average_loss"]:
            value = mean_over_processes(value)
        if head["on_nonfinite"] == head["on_negative"] == "propagate":
            self._move(batches, value)
        else:
            self._move_if_it_can(batches, value)

    def _move_if_it_can(self, batches: list[Batch], value: Tensor) -> None:
        head = self.param_groups[0]
        found = find_invalid(
            value - (head["loss_floor"] if head["loss_floor"] != "estimate" else value),
            [grad for batch in batches for grad in batch.grads],
            head["on_nonfinite"],
            head["on_negative"],
        )
        for batch in batches:
            if is_dtensor(batch.reference_param):  # what one process sees in its part, all have to act on
                anywhere = sum_over_shards(found.nonfinite.double(), batch.reference_param) > 0
                found = found._replace(nonfinite=anywhere)
        kept = [head[name] for name in ("l_min", "eta", "inner", *_FLOOR) if name in head]
        for batch in batches:
            kept += [*batch.params, *(each for buffer in batch.buffers for each in buffer)]
        kept += {id(batch.step_count): batch.step_count for batch in batches}.values()
        before = [each.clone() for each in kept]
        self._move(batches, value)
        out = found.nonfinite | found.negative
        for each, old in zip(kept, before, strict=True):
            each.copy_(torch.where(on(each.device, out), old, each))
        head["nonfinite"].add_(found.nonfinite)
        head["negative"].add_(found.negative & ~found.nonfinite)
        raise_if_skipped(
            int(found.nonfinite) if head["on_nonfinite"] == "raise" else 0,
            int(found.negative) if head["on_negative"] == "raise" else 0,
        )

    def _above_floor(self, value: Tensor) -> Tensor:
        head = self.param_groups[0]
        if head["loss_floor"] == "estimate":
            known, l_min = Floor(*(self._scalar(name) for name in _FLOOR)), self._scalar("l_min")
            following, shifted = follow(known, value, self.eta * self.inner, l_min)
            torch._foreach_copy_([*known, l_min], [*following, shifted])
            return value - following.floor
        return value if head["loss_floor"] == 0 else value - head["loss_floor"]

    def _move(self, batches: list[Batch], value: Tensor) -> None:
        head, above = self.param_groups[0], self._above_floor(value)
        for age in {id(batch.step_count): batch.step_count for batch in batches}.values():
            age.add_(1)
        ways = [self._update_direction(batch) for batch in batches]
        parts = [
            on(
                above.device,
                sum_over_shards(way.inner, batch.reference_param) if is_dtensor(batch.reference_param) else way.inner,
            )
            for batch, way in zip(batches, ways, strict=True)
        ]
        inner = parts[0] if len(parts) == 1 else torch.stack(parts).sum()
        l_min = self._scalar("l_min")
        size = step_size(
            above,
            l_min,
            inner,
            l_min.isnan(),
            alpha=head["alpha"],
            gamma=head["gamma"],
            gamma0=head["gamma0"],
            tau=head["tau"],
            eps=head["eps"],
        )
        eta = size.eta if head["max_eta"] is None else size.eta.clamp(max=head["max_eta"])
        torch._foreach_copy_([l_min, self._scalar("eta"), self._scalar("inner")], [size.l_min, eta, inner])
        for batch, way in zip(batches, ways, strict=True):
            lr, weight_decay = batch.group["lr"], batch.group["weight_decay"]
            if isinstance(lr, Tensor):
                lr = lr.view(())
            if weight_decay != 0:
                torch._foreach_mul_(batch.params, 1 - lr * weight_decay)
            rate = on(way.divisor.device, eta) / way.divisor
            if isinstance(lr, Tensor) or lr != 1:
                rate = rate * lr
            subtract_(batch.params, way.vectors, fusion_barrier(rate))

    def _batches(self) -> Iterator[Batch]:
        for group in self.param_groups:
            params: list[Tensor] = []
            grads: list[Tensor] = []
            steps: list[Tensor] = []
            keys: list[int] = []
            buffers: tuple[list[Tensor], ...] = tuple([] for _ in self._buffers(group))
            self._init_group(group, params, grads, steps, keys, *buffers)
            if keys and not any(keys):  # nearly always: all of one kind, in one batch
                yield make_batch(group, params, grads, buffers, steps[0])
                continue
            for key in dict.fromkeys(keys):
                members = [i for i, each in enumerate(keys) if each == key]
                yield make_batch(
                    group,
                    [params[i] for i in members],
                    [grads[i] for i in members],
                    tuple([buffer[i] for i in members] for buffer in buffers),
                    steps[members[0]],
                )

    # torch.compile runs a method of this name once, as it is, and traces the rest of the step
    def _init_group(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        steps: list[Tensor],
        keys: list[int],
        *buffers: list[Tensor],
    ) -> None:
        """Fill the lists with what a group's parameters that have gradients need; make the state that is missing."""
        names = self._buffers(group)
        absent: list[Tensor] = []
        numbers: dict[tuple[object, ...], int] = {}
        fresh: dict[torch.device, Tensor] = {}
        for p in group["params"]:
            grad = p.grad
            if grad is None:
                absent.append(p)
                continue
            if grad.is_sparse:
                raise SparseGradientError(
                    f"a parameter of shape {tuple(p.shape)} has a sparse gradient, and L4's step size needs all of it: "
                    "build its layer with sparse=False"
                )
            state = self.state[p]
            if not state:
                state["step"] = fresh.setdefault(p.device, torch.zeros((1,), dtype=torch.float64, device=p.device))
                for name in names:
                    state[name] = torch.zeros_like(p, memory_format=torch.preserve_format)
            for name, buffer in zip(names, buffers, strict=True):
                if name not in state:  # g and m are one buffer as long as their timescales are one
                    state[name] = state["m"].clone()
                buffer.append(state[name])
            step = state["step"]
            params.append(p)
            grads.append(grad)
            steps.append(step)
            key = (id(step), p.device, p.dtype, dtensor_layout(p) if is_dtensor(p) else None)
            keys.append(numbers.setdefault(key, len(numbers)))
        # what gets no gradient now does not grow older with the others
        left: dict[int, Tensor] = {}
        stepping = {id(step) for step in steps} if absent else set[int]()
        for p in absent:
            if p in self.state and id(step := self.state[p]["step"]) in stepping:
                self.state[p]["step"] = left.setdefault(id(step), step.clone())
        head = self.param_groups[0]
        if params and "l_min" not in head:
            device = params[0].device
            for name in ("l_min", "eta", "inner"):
                head[name] = torch.full((1,), math.nan, dtype=torch.float64, device=device)
            for name in ("nonfinite", "negative"):
                head[name] = torch.zeros((), dtype=torch.int64, device=device)
            if head["loss_floor"] == "estimate":
                for name in _FLOOR:
                    start = math.nan if name == "last" else 0.0
                    head[name] = torch.full((1,), start, dtype=torch.float64, device=device)
