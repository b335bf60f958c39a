"""Training a pack: all its lanes together, as one stacked program, in one loop."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.func import vmap

from studies.optimizers._base import AnyOptimizer, Tensors
from studies.training.checkpoint import Checkpoint, CheckpointWriter
from studies.training.initial_state import FunctionalModel, build_initial_state
from studies.training.lanes import EagerStepper, Lanes, StepperFactory
from studies.training.measurements import History, Measurement, build_measurements
from studies.training.task import Pruning, Task
from studies.workloads._base import Data, Workload

#: At most this often are validation and test data measured, at ends of epochs.
MAX_EVALUATIONS = 40
#: Examples measured at once; more take longer, since a network's activations no longer fit in a processor's caches.
EVALUATION_CHUNK = 100


def train(
    task: Task,
    workload: Workload,
    optimizer: AnyOptimizer,
    data_dir: Path,
    *,
    device: str = "cpu",
    make: StepperFactory = EagerStepper,
    width: int | None = None,
    keeper: CheckpointWriter | None = None,
) -> tuple[Measurement, ...]:
    """Train all lanes of a pack and return what was measured, in lane order.

    A lane that diverges is frozen at that step; the others go on untouched. Where runs are judged, those that diverged
    or are behind leave the pack, and the others move together.

    Args:
        task: What to train.
        workload: The workload.
        optimizer: The optimizer of all lanes.
        data_dir: Where data sets are.
        device: Where to train.
        make: What takes the steps.
        width: Lanes that it is made for, a power of two, those beyond the runs being copies of the last one; halved as
            runs leave. None for as many as runs.
        keeper: Keeps checkpoints of this training, and has the last one, to go on from; None for neither.
    """
    start = build_initial_state(task, workload, optimizer, data_dir, device=device)
    model = start.model
    record = History(task, (*model.params, *model.buffers), device)
    first, going = 0, list(range(len(task.lanes)))
    checkpoint = None if keeper is None else keeper.load()
    if checkpoint is not None:
        first, going, width = checkpoint.steps, checkpoint.going, checkpoint.width
        start = checkpoint.restored(start, record)
    elif width is not None:
        start = start.only(start.lanes, going, width)
    stepper = make(start.step, start.lanes)
    for t in range(first, task.steps):
        if keeper is not None and t > first and keeper.due():
            keeper.save(Checkpoint.of(t, going, width, stepper.lanes, start.batch, record))
        record.step(going, *stepper.advance(*start.batch(), start.now(t)))
        if _is_evaluation_step(t + 1, task):
            model.module.eval()
            found = _evaluate(model, stepper.lanes, start.data, workload, test=task.test)
            model.module.train()
            record.evaluation(t + 1, going, found)
        if t + 1 not in task.judged.steps:
            continue
        staying = _prune(record, t + 1, going, stepper.lanes, task.judged)
        if len(staying) == len(going):
            continue
        record.leave(going, stepper.lanes)
        if not staying:
            break
        if width is not None:
            width = _shrink_width(width, len(staying))
        start = start.only(stepper.lanes, staying, width or len(staying))
        stepper = make(start.step, start.lanes)
        going = [going[place] for place in staying]
    else:
        record.leave(going, stepper.lanes)
    return build_measurements(record)


def _prune(record: History, step: int, going: Sequence[int], lanes: Lanes, judged: Pruning) -> list[int]:
    """Return the places of the lanes that go on, of those in training."""
    record.write(going)
    limit = judged.limits[judged.steps.index(step)]
    sign = judged.direction.sign
    alive: list[bool] = lanes.alive.tolist()
    staying: list[int] = []
    for place, run in enumerate(going):
        score = record.score(step, run, judged.objective) if alive[place] else sign * math.inf
        behind = limit is not None and sign * score > sign * limit
        record.judged(run, score, stopped=alive[place] and behind)
        if alive[place] and not behind:
            staying.append(place)
    return staying


def _shrink_width(width: int, lanes: int) -> int:
    """Return a width halved as often as so many lanes still fit."""
    while width // 2 >= lanes:
        width //= 2
    return width


def _is_evaluation_step(step: int, task: Task) -> bool:
    """Whether to measure after this step: at ends of epochs, evenly spaced, where runs are judged, and at the end."""
    epochs = -(-task.steps // task.steps_per_epoch)
    stride = task.steps_per_epoch * -(-epochs // MAX_EVALUATIONS)
    return step % stride == 0 or step in task.judged.steps or step == task.steps


def _evaluate(model: FunctionalModel, lanes: Lanes, data: Data, workload: Workload, *, test: bool) -> dict[str, Tensor]:
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
        chunks = [slice(start, start + EVALUATION_CHUNK) for start in range(0, count, EVALUATION_CHUNK)]
        sums = [
            vmap(lane)(lanes.params, lanes.buffers, examples.inputs[:, chunk], examples.targets[:, chunk])
            for chunk in chunks
        ]
        # one division at the end: of 10,000 images, 9,842 right are 0.9842
        found |= {f"{part}_{name}": torch.stack([each[name] for each in sums]).sum(0) / count for name in measured}
    return found
