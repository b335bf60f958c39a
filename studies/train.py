"""Training a pack: all its lanes together, as one stacked program, in one loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from studies.lanes import Eager, Inputs, Lanes, MakeStepper, stacked_step
from studies.measurements import Measurement, Record, measurements
from studies.optimizer import AnyOptimizer, Tensors
from studies.order import batches, independent_batches
from studies.schedule import Schedule
from studies.seeds import generator
from studies.workload import Data, Examples, Options, Workload

#: At most this often are validation and test data measured, at ends of epochs.
EVALUATIONS = 40
#: Examples measured at once; more take longer, since a network's activations no longer fit in a processor's caches.
CHUNK = 100


@dataclass(frozen=True, kw_only=True)
class LaneTask:
    """What one lane trains.

    Args:
        setting: Every hyperparameter of the optimizer by name.
        seed: The run's seed.
    """

    setting: Mapping[str, float]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a pack trains.

    Args:
        workload: The registered workload's name; it names the seeds' axis.
        options: The workload's options, complete.
        steps: Length of a run.
        steps_per_epoch: Steps of an epoch.
        test: Whether test data are measured; only confirm runs may.
        lanes: The runs, in lane order.
        schedules: How hyperparameters change over the run, by name; those not given are constant.
    """

    workload: str
    options: Options
    steps: int
    steps_per_epoch: int
    test: bool
    lanes: tuple[LaneTask, ...]
    schedules: Mapping[str, Schedule] = field(default_factory=dict[str, Schedule])


def train(
    task: Task,
    workload: Workload,
    optimizer: AnyOptimizer,
    data_dir: Path,
    *,
    device: str = "cpu",
    make: MakeStepper = Eager,
) -> tuple[Measurement, ...]:
    """Train all lanes of a pack and return what was measured, in lane order.

    A lane that diverges is frozen at that step; the others go on untouched. Each lane draws its initial parameters,
    its data order and, where the workload draws one, its problem from its own seed, so that it is the same run in
    whatever pack it sits.

    Args:
        task: What to train.
        workload: The workload.
        optimizer: The optimizer of all lanes.
        data_dir: Where data sets are.
        device: Where to train.
        make: What takes the steps.
    """
    data = _data(task, workload, data_dir, device)
    model, params, buffers = _initial(task, workload, device)

    def batch_loss(at: Tensors, kept: Tensors, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensors]:
        kept = tuple(each.clone() for each in kept)  # the module writes into them
        value = workload.loss(model(at, kept, *inputs), targets)
        return (value if workload.penalty is None else value + workload.penalty(at)), kept

    step = stacked_step(batch_loss, optimizer)
    setting = {
        name: torch.tensor([lane.setting[name] for lane in task.lanes], dtype=torch.float64, device=device)
        for name in (hyperparameter.name for hyperparameter in optimizer.hyperparameters)
    }
    factors = {
        name: torch.tensor([each.factor(t, task.steps) for t in range(task.steps)], dtype=torch.float64, device=device)
        for name, each in task.schedules.items()
    }
    alive = torch.ones(len(task.lanes), dtype=torch.bool, device=device)
    stepper = make(step, Lanes(params, buffers, vmap(optimizer.init)(params), alive))
    losses = torch.full((task.steps, len(task.lanes)), float("nan"), dtype=torch.float64, device=device)
    rates = torch.full_like(losses, float("nan"))
    evaluated: list[tuple[int, dict[str, Tensor]]] = []
    batch = _batches(task, workload, data.train, device)
    for t in range(task.steps):
        now = setting | {name: setting[name] * factor[t] for name, factor in factors.items()}
        losses[t], rates[t] = stepper.advance(*batch(), now)
        if _evaluates(t + 1, task):
            model.module.eval()
            evaluated.append((t + 1, _evaluate(model, stepper.lanes, data, workload, test=task.test)))
            model.module.train()
    lanes = stepper.lanes
    finite = torch.stack([p.reshape(len(p), -1).isfinite().all(1) for p in lanes.params]).all(0)
    return measurements(
        Record(
            steps=task.steps,
            steps_per_epoch=task.steps_per_epoch,
            losses=losses,
            rates=rates,
            evaluated=evaluated,
            survived=lanes.alive & finite,
            names=(*model.params, *model.buffers),
            params=(*lanes.params, *lanes.buffers),
        )
    )


@dataclass(frozen=True, kw_only=True)
class _Model:
    """A module as a function of its parameters and buffers.

    Args:
        module: Without values.
        params: Its parameters' names.
        buffers: Its buffers' names.
    """

    module: nn.Module
    params: tuple[str, ...]
    buffers: tuple[str, ...]

    def __call__(self, params: Tensors, buffers: Tensors, *inputs: Tensor) -> Tensor:
        """Return the module's output."""
        values = dict(zip((*self.params, *self.buffers), (*params, *buffers), strict=True))
        return functional_call(self.module, values, inputs)


def _data(task: Task, workload: Workload, data_dir: Path, device: str) -> Data:
    """Return the data with a lane axis in front of every tensor: drawn lane by lane, or one set seen by all."""
    if workload.drawn:

        def stack(*parts: Tensor) -> Tensor:
            return torch.stack(parts).to(device)

        seeds = [generator(task.workload, lane.seed, "problem") for lane in task.lanes]
        return _each_part(stack, [workload.data(task.options, data_dir, seed) for seed in seeds])

    def share(part: Tensor) -> Tensor:
        return part.to(device).expand(len(task.lanes), *part.shape)

    return _each_part(share, [_common(workload.data, tuple(task.options.items()), data_dir, task.workload)])


@lru_cache(maxsize=2)
def _common(
    data: Callable[[Options, Path, Generator], Data],
    options: tuple[tuple[str, float | int | str], ...],
    data_dir: Path,
    name: str,
) -> Data:
    """Return the data that every lane sees, read once for all packs that a process trains."""
    return data(dict(options), data_dir, generator(name, 0, "problem"))


def _each_part(change: Callable[..., Tensor], found: Sequence[Data]) -> Data:
    def part(parts: Sequence[Examples | None]) -> Examples | None:
        present = [each for each in parts if each is not None]
        if not present:
            return None
        return Examples(
            inputs=change(*(each.inputs for each in present)), targets=change(*(each.targets for each in present))
        )

    train = part([each.train for each in found])
    assert train is not None
    return Data(
        train=train, validation=part([each.validation for each in found]), test=part([each.test for each in found])
    )


def _initial(task: Task, workload: Workload, device: str) -> tuple[_Model, Tensors, Tensors]:
    """Return the module, and every lane's initial parameters and buffers, stacked."""
    with torch.device("meta"):
        module = workload.model(task.options).to(workload.dtype)
    model = _Model(
        module=module,
        params=tuple(name for name, _ in module.named_parameters()),
        buffers=tuple(name for name, _ in module.named_buffers()),
    )
    params: list[Tensors] = []
    buffers: list[Tensors] = []
    for lane in task.lanes:
        own = module.to_empty(device="cpu")
        workload.initialise(own, generator(task.workload, lane.seed, "init"))
        params.append(tuple(each.detach().clone() for each in own.parameters()))
        buffers.append(tuple(each.clone() for each in own.buffers()))

    def stacked(lanes: list[Tensors]) -> Tensors:
        return tuple(torch.stack(each).to(device) for each in zip(*lanes, strict=True))

    return model, stacked(params), stacked(buffers)


def _batches(task: Task, workload: Workload, train: Examples, device: str) -> Callable[[], tuple[Inputs, Tensor]]:
    """Return a function that gives every lane's next inputs and targets, stacked."""
    if "batch_size" not in task.options:
        return lambda: ((train.inputs,), train.targets)
    size, examples = int(task.options["batch_size"]), train.inputs.shape[1]
    drawn = independent_batches if workload.replacement else batches

    def streams(name: str) -> list[Generator]:
        return [generator(task.workload, lane.seed, name) for lane in task.lanes]

    orders = [drawn(examples, size, each) for each in streams("order")]
    augmenting, noises = streams("augment"), streams("noise")
    lane = torch.arange(len(orders), device=device)[:, None]

    def chosen(part: Tensor, at: Tensor) -> Tensor:
        if workload.drawn:
            return part[lane, at]
        return part[0].index_select(0, at.flatten()).unflatten(0, at.shape)  # all lanes see one set

    def following() -> tuple[Inputs, Tensor]:
        at = torch.stack([next(order) for order in orders]).to(device)
        inputs, targets = chosen(train.inputs, at), chosen(train.targets, at)
        if workload.augment is not None:
            changed = [workload.augment(own, each) for own, each in zip(inputs, augmenting, strict=True)]
            inputs = torch.stack(changed)
        if workload.noise is None:
            return (inputs,), targets
        return (inputs, torch.stack([workload.noise(task.options, each) for each in noises]).to(device)), targets

    return following


def _evaluates(step: int, task: Task) -> bool:
    """Whether to measure after this step: at ends of epochs, evenly spaced, and at the last step."""
    epochs = -(-task.steps // task.steps_per_epoch)
    stride = task.steps_per_epoch * -(-epochs // EVALUATIONS)
    return step % stride == 0 or step == task.steps


def _evaluate(model: _Model, lanes: Lanes, data: Data, workload: Workload, *, test: bool) -> dict[str, Tensor]:
    """Return the loss and metrics of every lane on the validation data, and on the test data where allowed."""
    parts = {"validation": data.validation, "test": data.test if test else None}
    measured = {"loss": workload.loss} | {measure.metric.name: measure.of for measure in workload.measures}

    def lane(params: Tensors, buffers: Tensors, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        outputs = model(params, buffers, inputs)
        return {name: of(outputs, targets).double() * len(inputs) for name, of in measured.items()}

    found: dict[str, Tensor] = {}
    for part, examples in parts.items():
        if examples is None:
            continue
        count = examples.inputs.shape[1]
        chunks = [slice(start, start + CHUNK) for start in range(0, count, CHUNK)]
        sums = [
            vmap(lane)(lanes.params, lanes.buffers, examples.inputs[:, chunk], examples.targets[:, chunk])
            for chunk in chunks
        ]
        # one division at the end: of 10,000 images, 9,842 right are 0.9842
        found |= {f"{part}_{name}": torch.stack([each[name] for each in sums]).sum(0) / count for name in measured}
    return found
