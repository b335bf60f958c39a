"""The training loop of a pack: all its lanes are trained together by one stacked step."""

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

#: The most evaluations on validation and test data, at ends of epochs.
MAX_EVALUATIONS = 40
#: Examples evaluated at once; with more, a network's activations no longer fit into a processor's caches.
EVALUATION_CHUNK = 100


def train(
    task: Task,
    workload: Workload,
    optimizer: AnyOptimizer,
    data_dir: Path,
    *,
    device: str = "cpu",
    make_stepper: StepperFactory = EagerStepper,
    width: int | None = None,
    checkpoint_writer: CheckpointWriter | None = None,
) -> tuple[Measurement, ...]:
    """Train all lanes of a pack and return what was measured, in lane order.

    A lane that diverges is frozen at that step; the others continue. At a rung, runs that diverged or are pruned leave
    the pack.

    Args:
        task: What to train.
        workload: The workload.
        optimizer: The optimizer of all lanes.
        data_dir: Directory of the data sets.
        device: Where to train.
        make_stepper: Makes the object that takes the steps.
        width: Number of lanes of the step, a power of two; lanes beyond the runs are copies of the last one. Halved as
            runs leave. None for as many as runs.
        checkpoint_writer: Loads the last checkpoint of this training, and writes new ones; None for no checkpoints.
    """
    start = build_initial_state(task, workload, optimizer, data_dir, device=device)
    model = start.model
    history = History(task, (*model.params, *model.buffers), device)
    first_step, active_runs = 0, list(range(len(task.lanes)))
    checkpoint = None if checkpoint_writer is None else checkpoint_writer.load()
    if checkpoint is not None:
        first_step, active_runs, width = checkpoint.steps, checkpoint.active_runs, checkpoint.width
        start = checkpoint.restore(start, history)
    elif width is not None:
        start = start.select_lanes(start.lanes, active_runs, width)
    stepper = make_stepper(start.step, start.lanes)
    for t in range(first_step, task.steps):
        if checkpoint_writer is not None and t > first_step and checkpoint_writer.is_due():
            checkpoint_writer.save(Checkpoint.capture(t, active_runs, width, stepper.lanes, start.batches, history))
        history.add_step(active_runs, *stepper.advance(*start.batches(), start.hyperparameters_at(t)))
        if _is_evaluation_step(t + 1, task):
            model.module.eval()
            metrics = _evaluate(model, stepper.lanes, start.data, workload, test=task.test)
            model.module.train()
            history.add_evaluation(t + 1, active_runs, metrics)
        if t + 1 not in task.pruning.steps:
            continue
        remaining_lanes = _prune(history, t + 1, active_runs, stepper.lanes, task.pruning)
        if len(remaining_lanes) == len(active_runs):
            continue
        history.add_final_parameters(active_runs, stepper.lanes)
        if not remaining_lanes:
            break
        if width is not None:
            width = _shrink_width(width, len(remaining_lanes))
        start = start.select_lanes(stepper.lanes, remaining_lanes, width or len(remaining_lanes))
        stepper = make_stepper(start.step, start.lanes)
        active_runs = [active_runs[lane] for lane in remaining_lanes]
    else:
        history.add_final_parameters(active_runs, stepper.lanes)
    return build_measurements(history)


def _prune(history: History, step: int, active_runs: Sequence[int], lanes: Lanes, pruning: Pruning) -> list[int]:
    """Record the scores at a rung, and return the lanes that continue."""
    history.flush(active_runs)
    limit = pruning.limits[pruning.steps.index(step)]
    sign = pruning.direction.sign
    alive: list[bool] = lanes.alive.tolist()
    remaining_lanes: list[int] = []
    for lane, run in enumerate(active_runs):
        score = history.score(step, run, pruning.objective) if alive[lane] else sign * math.inf
        is_behind = limit is not None and sign * score > sign * limit
        history.add_rung_score(run, score, stopped=alive[lane] and is_behind)
        if alive[lane] and not is_behind:
            remaining_lanes.append(lane)
    return remaining_lanes


def _shrink_width(width: int, lanes: int) -> int:
    """Return the width, halved as long as so many lanes fit."""
    while width // 2 >= lanes:
        width //= 2
    return width


def _is_evaluation_step(step: int, task: Task) -> bool:
    """Whether to evaluate after this step: at evenly spaced ends of epochs, at rungs, and at the end."""
    epochs = -(-task.steps // task.steps_per_epoch)
    stride = task.steps_per_epoch * -(-epochs // MAX_EVALUATIONS)
    return step % stride == 0 or step in task.pruning.steps or step == task.steps


def _evaluate(model: FunctionalModel, lanes: Lanes, data: Data, workload: Workload, *, test: bool) -> dict[str, Tensor]:
    """Return the loss and metrics of every lane on the validation data and, if allowed, on the test data."""
    splits = {"validation": data.validation, "test": data.test if test else None}
    functions = {"loss": workload.loss} | {measure.metric.name: measure.function for measure in workload.measures}

    def lane_sums(params: Tensors, buffers: Tensors, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        outputs = model(params, buffers, inputs)
        return {name: function(outputs, targets).double() * len(inputs) for name, function in functions.items()}

    metrics: dict[str, Tensor] = {}
    for split, examples in splits.items():
        if examples is None:
            continue
        count = examples.inputs.shape[1]
        chunks = [slice(start, start + EVALUATION_CHUNK) for start in range(0, count, EVALUATION_CHUNK)]
        sums = [
            vmap(lane_sums)(lanes.params, lanes.buffers, examples.inputs[:, chunk], examples.targets[:, chunk])
            for chunk in chunks
        ]
        # one division at the end: 9,842 of 10,000 images are exactly 0.9842
        metrics |= {
            f"{split}_{name}": torch.stack([chunk_sums[name] for chunk_sums in sums]).sum(0) / count
            for name in functions
        }
    return metrics
