"""Training steps as one compiled program that updates the lanes in place and is cached in a file."""

import os
from functools import lru_cache, partial
from pathlib import Path
from typing import final

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from studies.errors import CompilationError
from studies.optimizers._base import Setting
from studies.training.compilation.cuda_graph import Program, ReplayedProgram
from studies.training.compilation.matmul import DECOMPOSITIONS, call_onednn_eagerly
from studies.training.lanes import Inputs, Lanes, StackedStep

#: Axes of the filters of two-dimensional convolutions, with the lane axis.
_FILTER_AXES = 5

#: Inductor's options: compute a lane's scalars once, not again for every element that uses them, and keep the memory
#: layout of images equal to that of the filters.
INDUCTOR_OPTIONS = {"realize_reads_threshold": 1, "layout_optimization": False}


@final
class CompiledStepper:
    """Takes steps with a compiled program, which the first step compiles unless its file exists.

    Args:
        step: The step.
        lanes: The lanes before the first step.
        file: The program's file; programs that differ need different names.
    """

    def __init__(self, step: StackedStep, lanes: Lanes, file: Path) -> None:
        """Copy the lanes, since steps write into them."""
        self.lanes = clone_lanes(lanes)
        self._step, self._file = step, file
        self._leaves = tree_flatten(self.lanes)[0]
        self._program: Program | None = None

    @torch.no_grad()
    def advance(self, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        """Take a step, and return the losses before it and the effective learning rates, (lanes,) each.

        Raises:
            CompilationError: On the first step, if there is no compiler or it failed.
        """
        if self._program is None:
            if not self._file.exists():
                save_program(trace_step(self._step, self.lanes, inputs, targets, setting), self._file)
            program = load_program(self._file)
            self._program = (
                ReplayedProgram(program, self._leaves) if targets.is_cuda else partial(program, *self._leaves)
            )
        losses, rates = self._program(*inputs, targets, *setting.values())
        return losses, rates


def clone_lanes(lanes: Lanes) -> Lanes:
    """Copy lanes so that steps can write into them: an optimizer's state may hold one tensor twice, its copy does not.

    On the CPU, tensors with the axes of filters get the channels-last layout. In a step traced with them all images
    have that layout too, so that oneDNN does not reorder them.

    Args:
        lanes: The lanes.
    """

    def clone(tensor: Tensor) -> Tensor:
        if tensor.ndim != _FILTER_AXES or tensor.device.type != "cpu":
            return tensor.clone()
        return tensor.movedim(2, -1).clone(memory_format=torch.contiguous_format).movedim(-1, 2)

    return tree_map(clone, lanes)


@torch.no_grad()
def trace_step(step: StackedStep, lanes: Lanes, inputs: Inputs, targets: Tensor, setting: Setting) -> GraphModule:
    """Trace a step into a graph of operations, the last of which write into the lanes.

    Args:
        step: The step.
        lanes: Lanes of the right shapes, from `clone_lanes`.
        inputs: Inputs of the right shapes.
        targets: Targets of the right shapes.
        setting: Hyperparameters of the right shapes.
    """
    tensors, tree = tree_flatten((lanes, inputs, targets, setting))
    step_function = step.call_single_lane if len(lanes.alive) == 1 else step

    def in_place(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        lanes, inputs, targets, setting = tree_unflatten(list(tensors), tree)
        new_lanes, losses, rates = step_function(lanes, inputs, targets, setting)
        for old, new in zip(tree_flatten(lanes)[0], tree_flatten(new_lanes)[0], strict=True):
            old.copy_(new)
        return losses, rates

    decompositions = DECOMPOSITIONS if tensors[0].device.type == "cpu" else {}
    graph = make_fx(in_place, decompositions, tracing_mode="fake")(*tensors)
    call_onednn_eagerly(graph)
    return graph


def save_program(graph: GraphModule, file: Path) -> None:
    """Compile a traced step, and write the program to a file atomically.

    Args:
        graph: The traced step; consumed by the compiler.
        file: The program's file.

    Raises:
        CompilationError: There is no compiler, or it failed.
    """
    # imported here because it takes more than a second, and most processes never compile
    from torch._inductor import standalone_compile  # noqa: PLC0415
    from torch._inductor.exc import CppCompileError, InductorError, InvalidCxxCompiler  # noqa: PLC0415

    _set_inductor_cache(file)
    tensors = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
    try:
        program = standalone_compile(
            graph,
            tensors,
            dynamic_shapes="from_example_inputs",
            options={"config_patches": INDUCTOR_OPTIONS},
            aot=True,
            donate_graph_module=True,
        )
    except (InductorError, CppCompileError, InvalidCxxCompiler) as error:
        raise CompilationError(f"the step could not be compiled: {str(error).strip().splitlines()[0]}") from error
    program.save(path=str(file))


@lru_cache(maxsize=32)
def load_program(file: Path) -> Program:
    """Load a program from its file, once in a process.

    Args:
        file: The program's file.
    """
    from torch._inductor.standalone_compile import CompiledArtifact  # noqa: PLC0415 - as in save_program

    _set_inductor_cache(file)
    return CompiledArtifact.load(path=str(file))


def _set_inductor_cache(file: Path) -> None:
    """Keep Inductor's cache beside the program's file, which only refers to the machine code in it."""
    folder = file.parent / "inductor"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder.absolute())
