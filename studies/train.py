"""Training a pack: all its lanes together, as one stacked program, in one loop."""

from pathlib import Path

import torch
from torch import Tensor
from torch.func import vmap

from studies.lanes import Eager, Lanes, MakeStepper
from studies.measurements import Measurement, Record, measurements
from studies.optimizer import AnyOptimizer, Tensors
from studies.setup import Model, set_up
from studies.task import Task
from studies.workload import Data, Workload

#: At most this often are validation and test data measured, at ends of epochs.
EVALUATIONS = 40
#: Examples measured at once; more take longer, since a network's activations no longer fit in a processor's caches.
CHUNK = 100


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

    A lane that diverges is frozen at that step; the others go on untouched.

    Args:
        task: What to train.
        workload: The workload.
        optimizer: The optimizer of all lanes.
        data_dir: Where data sets are.
        device: Where to train.
        make: What takes the steps.
    """
    start = set_up(task, workload, optimizer, data_dir, device=device)
    model, data = start.model, start.data
    stepper = make(start.step, start.lanes)
    losses = torch.full((task.steps, len(task.lanes)), float("nan"), dtype=torch.float64, device=device)
    rates = torch.full_like(losses, float("nan"))
    evaluated: list[tuple[int, dict[str, Tensor]]] = []
    for t in range(task.steps):
        losses[t], rates[t] = stepper.advance(*start.batch(), start.now(t))
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


def _evaluates(step: int, task: Task) -> bool:
    """Whether to measure after this step: at ends of epochs, evenly spaced, and at the last step."""
    epochs = -(-task.steps // task.steps_per_epoch)
    stride = task.steps_per_epoch * -(-epochs // EVALUATIONS)
    return step % stride == 0 or step == task.steps


def _evaluate(model: Model, lanes: Lanes, data: Data, workload: Workload, *, test: bool) -> dict[str, Tensor]:
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
