"""Base class of the L4 optimizers: one step size over all parameter groups, with its state and its guards."""

# torch has no public names for its functions of lists of tensors
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
from l4.floor import Floor, update_floor
from l4.foreach import fusion_barrier, subtract_, to_device
from l4.guards import find_invalid, raise_if_skipped
from l4.hyperparameters import check_hyperparameters
from l4.loss import Loss, mean_over_processes, to_scalar
from l4.sharding import dtensor_layout, is_dtensor, sum_over_shards
from l4.step_size import step_size

#: Hyperparameters of the step size, which must be equal in all parameter groups.
_SHARED = (
    *("alpha", "gamma", "gamma0", "tau", "eps"),
    *("max_eta", "loss_floor", "on_nonfinite", "on_negative", "average_loss"),
)
#: State of the step size. It is in the first parameter group, since `load_state_dict` casts what is in `state` to the
#: parameters' dtype. Shape (1,), as step counts have: torch.compile 2.13 loses writes to a 0-dim float64 CPU tensor.
_SCALARS = ("l_min", "eta", "inner", "nonfinite", "negative")
_FLOOR = Floor._fields


class L4Optimizer(Optimizer, ABC):
    """The L4 step size (Rolinek and Martius, 2018, algorithm 1) along the direction that a subclass computes.

    Args:
        params: Parameters or groups of them.
        defaults: Hyperparameters and their values.

    Raises:
        BadHyperparameterError: A value is invalid, or one of the step size differs between groups.
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        """Check the hyperparameters; the first step creates the state."""
        super().__init__(params, defaults)

    @abstractmethod
    def _buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of the buffers that a group's parameters need."""

    @abstractmethod
    def _update_direction(self, batch: Batch) -> Update:
        """Advance a batch's buffers in place, and return its update."""

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride] - every step needs the loss
        self, closure: Callable[[], Loss] | None = None, *, loss: Loss | None = None
    ) -> Loss:
        """Take one step, with exactly one of a closure and a loss.

        Synchronizes with the device only if `on_nonfinite` or `on_negative` is "raise".

        Args:
            closure: Evaluates the model, calls backward and returns the loss.
            loss: The unscaled loss at the parameters of the gradients; a tensor of one element, or a number.

        Returns:
            The loss, unchanged.

        Raises:
            BadLossError: Neither or both were passed, or the loss is not a number.
            SparseGradientError: A gradient is sparse.
            NonFiniteError: The loss or a gradient is infinite or NaN, with `on_nonfinite="raise"`.
            NegativeLossError: The loss is below its floor, with `on_negative="raise"`.
        """
        if (closure is None) == (loss is None):
            raise BadLossError(
                f"step() was given {'neither a closure nor a loss' if loss is None else 'both a closure and a loss'}: "
                "L4 needs the loss of the batch; call step(loss=loss) after loss.backward(), or step(closure)"
            )
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._take_step(loss)
        return loss  # pyright: ignore[reportReturnType] - a closure may return None

    def check(self) -> None:
        """Raise if the optimizer has ever skipped a step; synchronizes with the device.

        Raises:
            NonFiniteError: A loss or gradient was infinite or NaN, with `on_nonfinite="skip"`.
            NegativeLossError: A loss was below its floor, with `on_negative="skip"`.
        """
        first_group = self.param_groups[0]
        if "l_min" in first_group:
            raise_if_skipped(int(first_group["nonfinite"]), int(first_group["negative"]))

    @property
    def eta(self) -> Tensor:
        """The step size of the last step, without the groups' `lr`; 0-dim float64, NaN before the first step."""
        return self._scalar("eta")

    @property
    def l_min(self) -> Tensor:
        """The estimate of the smallest loss, relaxed for the next step; 0-dim float64."""
        return self._scalar("l_min")

    @property
    def inner(self) -> Tensor:
        """The last step's g.v; 0-dim float64."""
        return self._scalar("inner")

    @property
    def floor(self) -> Tensor:
        """The floor that is subtracted from the loss; 0-dim float64."""
        first_group = self.param_groups[0]
        if first_group["loss_floor"] == "estimate":
            return self._scalar("floor") if "floor" in first_group else torch.zeros((), dtype=torch.float64)
        return torch.full((), first_group["loss_floor"], dtype=torch.float64)

    @property
    def skipped(self) -> Tensor:
        """Number of skipped steps; 0-dim int64."""
        first_group = self.param_groups[0]
        return (
            first_group["nonfinite"] + first_group["negative"]
            if "l_min" in first_group
            else torch.zeros((), dtype=torch.int64)
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its parameters' averages start with their first gradient.

        Args:
            param_group: Parameters, and their hyperparameters where these differ from the defaults.

        Raises:
            BadHyperparameterError: A value is invalid, or one of the step size differs from the first group's.
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
        """Check the hyperparameters that a subclass adds."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state without a change of precision, onto the parameters' devices.

        Args:
            state_dict: From `state_dict()`.
        """
        super().load_state_dict(state_dict)
        first_group, device = self.param_groups[0], self.param_groups[0]["params"][0].device
        for name in (*_SCALARS, *_FLOOR):
            if name in first_group:
                first_group[name] = first_group[name].to(device)
        # torch keeps the caller's tensors where no conversion is needed, and steps would write to them; parameters with
        # equal step counts share one tensor, so that they are updated together
        step_counts: dict[tuple[float, torch.device], Tensor] = {}
        for param, state in self.state.items():
            for name in state.keys() - {"step"}:
                state[name] = state[name].clone()
            key = float(state["step"]), param.device
            state["step"] = step_counts.setdefault(
                key, torch.full((1,), key[0], dtype=torch.float64, device=param.device)
            )

    def _scalar(self, name: str) -> Tensor:
        first_group = self.param_groups[0]
        return first_group[name].view(()) if name in first_group else torch.full((), math.nan, dtype=torch.float64)

    def _take_step(self, loss: object) -> None:
        batches = list(self._batches())
        if not batches:
            return
        first_group = self.param_groups[0]
        value = to_scalar(loss, first_group["l_min"].device)
        if first_group["average_loss"]:
            value = mean_over_processes(value)
        if first_group["on_nonfinite"] == first_group["on_negative"] == "propagate":
            self._update_params(batches, value)
        else:
            self._update_if_valid(batches, value)

    def _update_if_valid(self, batches: list[Batch], value: Tensor) -> None:
        first_group = self.param_groups[0]
        invalid = find_invalid(
            value - (first_group["loss_floor"] if first_group["loss_floor"] != "estimate" else value),
            [grad for batch in batches for grad in batch.grads],
            first_group["on_nonfinite"],
            first_group["on_negative"],
        )
        for batch in batches:
            if is_dtensor(batch.reference_param):  # all processes have to skip a step that is invalid in any shard
                nonfinite_anywhere = sum_over_shards(invalid.nonfinite.double(), batch.reference_param) > 0
                invalid = invalid._replace(nonfinite=nonfinite_anywhere)
        tensors = [first_group[name] for name in ("l_min", "eta", "inner", *_FLOOR) if name in first_group]
        for batch in batches:
            tensors += [*batch.params, *(tensor for buffer in batch.buffers for tensor in buffer)]
        tensors += {id(batch.step_count): batch.step_count for batch in batches}.values()
        backups = [tensor.clone() for tensor in tensors]
        self._update_params(batches, value)
        skip = invalid.nonfinite | invalid.negative
        for tensor, backup in zip(tensors, backups, strict=True):
            tensor.copy_(torch.where(to_device(skip, tensor.device), backup, tensor))
        first_group["nonfinite"].add_(invalid.nonfinite)
        first_group["negative"].add_(invalid.negative & ~invalid.nonfinite)
        raise_if_skipped(
            int(invalid.nonfinite) if first_group["on_nonfinite"] == "raise" else 0,
            int(invalid.negative) if first_group["on_negative"] == "raise" else 0,
        )

    def _above_floor(self, value: Tensor) -> Tensor:
        first_group = self.param_groups[0]
        if first_group["loss_floor"] == "estimate":
            state, l_min = Floor(*(self._scalar(name) for name in _FLOOR)), self._scalar("l_min")
            new_state, new_l_min = update_floor(state, value, self.eta * self.inner, l_min)
            torch._foreach_copy_([*state, l_min], [*new_state, new_l_min])
            return value - new_state.floor
        return value if first_group["loss_floor"] == 0 else value - first_group["loss_floor"]

    def _update_params(self, batches: list[Batch], value: Tensor) -> None:
        first_group, above_floor = self.param_groups[0], self._above_floor(value)
        for step_count in {id(batch.step_count): batch.step_count for batch in batches}.values():
            step_count.add_(1)
        updates = [self._update_direction(batch) for batch in batches]
        inner_products = [
            to_device(
                sum_over_shards(update.inner, batch.reference_param)
                if is_dtensor(batch.reference_param)
                else update.inner,
                above_floor.device,
            )
            for batch, update in zip(batches, updates, strict=True)
        ]
        inner = inner_products[0] if len(inner_products) == 1 else torch.stack(inner_products).sum()
        l_min = self._scalar("l_min")
        size = step_size(
            above_floor,
            l_min,
            inner,
            l_min.isnan(),
            alpha=first_group["alpha"],
            gamma=first_group["gamma"],
            gamma0=first_group["gamma0"],
            tau=first_group["tau"],
            eps=first_group["eps"],
        )
        eta = size.eta if first_group["max_eta"] is None else size.eta.clamp(max=first_group["max_eta"])
        torch._foreach_copy_([l_min, self._scalar("eta"), self._scalar("inner")], [size.l_min, eta, inner])
        for batch, update in zip(batches, updates, strict=True):
            lr, weight_decay = batch.group["lr"], batch.group["weight_decay"]
            if isinstance(lr, Tensor):
                lr = lr.view(())
            if weight_decay != 0:
                torch._foreach_mul_(batch.params, 1 - lr * weight_decay)
            rate = to_device(eta, update.divisor.device) / update.divisor
            if isinstance(lr, Tensor) or lr != 1:
                rate = rate * lr
            subtract_(batch.params, update.vectors, fusion_barrier(rate))

    def _batches(self) -> Iterator[Batch]:
        for group in self.param_groups:
            params: list[Tensor] = []
            grads: list[Tensor] = []
            steps: list[Tensor] = []
            keys: list[int] = []
            buffers: tuple[list[Tensor], ...] = tuple([] for _ in self._buffers(group))
            self._init_group(group, params, grads, steps, keys, *buffers)
            if keys and not any(keys):  # the common case: all parameters in one batch
                yield make_batch(group, params, grads, buffers, steps[0])
                continue
            for key in dict.fromkeys(keys):
                members = [i for i, other in enumerate(keys) if other == key]
                yield make_batch(
                    group,
                    [params[i] for i in members],
                    [grads[i] for i in members],
                    tuple([buffer[i] for i in members] for buffer in buffers),
                    steps[members[0]],
                )

    # torch.compile runs a method of this name once, untraced, and traces the rest of the step
    def _init_group(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        steps: list[Tensor],
        keys: list[int],
        *buffers: list[Tensor],
    ) -> None:
        """Fill the lists for a group's parameters that have gradients; create missing state."""
        names = self._buffers(group)
        without_grad: list[Tensor] = []
        key_numbers: dict[tuple[object, ...], int] = {}
        new_counts: dict[torch.device, Tensor] = {}
        for p in group["params"]:
            grad = p.grad
            if grad is None:
                without_grad.append(p)
                continue
            if grad.is_sparse:
                raise SparseGradientError(
                    f"a parameter of shape {tuple(p.shape)} has a sparse gradient, and L4's step size needs all of it: "
                    "build its layer with sparse=False"
                )
            state = self.state[p]
            if not state:
                state["step"] = new_counts.setdefault(p.device, torch.zeros((1,), dtype=torch.float64, device=p.device))
                for name in names:
                    state[name] = torch.zeros_like(p, memory_format=torch.preserve_format)
            for name, buffer in zip(names, buffers, strict=True):
                if name not in state:  # g and m share a buffer while their timescales are equal
                    state[name] = state["m"].clone()
                buffer.append(state[name])
            step = state["step"]
            params.append(p)
            grads.append(grad)
            steps.append(step)
            key = (id(step), p.device, p.dtype, dtensor_layout(p) if is_dtensor(p) else None)
            keys.append(key_numbers.setdefault(key, len(key_numbers)))
        # a parameter without a gradient must not share a count that is about to increase
        own_counts: dict[int, Tensor] = {}
        stepping = {id(step) for step in steps} if without_grad else set[int]()
        for p in without_grad:
            if p in self.state and id(step := self.state[p]["step"]) in stepping:
                self.state[p]["step"] = own_counts.setdefault(id(step), step.clone())
        first_group = self.param_groups[0]
        if params and "l_min" not in first_group:
            device = params[0].device
            for name in ("l_min", "eta", "inner"):
                first_group[name] = torch.full((1,), math.nan, dtype=torch.float64, device=device)
            for name in ("nonfinite", "negative"):
                first_group[name] = torch.zeros((), dtype=torch.int64, device=device)
            if first_group["loss_floor"] == "estimate":
                for name in _FLOOR:
                    initial = math.nan if name == "last" else 0.0
                    first_group[name] = torch.full((1,), initial, dtype=torch.float64, device=device)
