"""Steps as one compiled program that changes the lanes where they are, kept in a file for the processes that follow."""

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

#: Axes of the filters of two-dimensional convolutions, that of lanes included.
_FILTERS = 5

#: What inductor is told: a lane's numbers are computed once a lane, not again for every element that needs them; and
#: images stay as the filters have them.
INDUCTOR_OPTIONS = {"realize_reads_threshold": 1, "layout_optimization": False}


@final
class CompiledStepper:
    """Takes steps by a compiled program, made at the first step unless its file is there.

    Args:
        step: The step.
        lanes: Where to start.
        file: The program's; its name must tell apart whatever makes another program.
    """

    def __init__(self, step: StackedStep, lanes: Lanes, file: Path) -> None:
        """Copy the lanes, since a step writes into them."""
        self.lanes = clone_lanes(lanes)
        self._step, self._file = step, file
        self._leaves = tree_flatten(self.lanes)[0]
        self._program: Program | None = None

    @torch.no_grad()
    def advance(self, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        """Take a step, and return the losses before it and the effective rates, (lanes,) each.

        Raises:
            CompilationError: The first time, where there is no compiler or it failed.
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
    """Return lanes that can be written into: an optimizer's state may hold one tensor twice, which these do not.

    On the CPU filters, as any tensor of so many axes, have their channels last, and so have, in what is traced with
    them, all images: oneDNN need not move them.

    Args:
        lanes: The lanes.
    """

    def copied(each: Tensor) -> Tensor:
        if each.ndim != _FILTERS or each.device.type != "cpu":
            return each.clone()
        return each.movedim(2, -1).clone(memory_format=torch.contiguous_format).movedim(-1, 2)

    return tree_map(copied, lanes)


@torch.no_grad()
def trace_step(step: StackedStep, lanes: Lanes, inputs: Inputs, targets: Tensor, setting: Setting) -> GraphModule:
    """Return a step as a graph of operations, its last ones writing into the lanes.

    Args:
        step: The step.
        lanes: Lanes of the right shapes, no tensor twice.
        inputs: Likewise.
        targets: Likewise.
        setting: Likewise.
    """
    tensors, tree = tree_flatten((lanes, inputs, targets, setting))
    taken = step.call_single_lane if len(lanes.alive) == 1 else step

    def in_place(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        lanes, inputs, targets, setting = tree_unflatten(list(tensors), tree)
        moved, losses, rates = taken(lanes, inputs, targets, setting)
        for old, new in zip(tree_flatten(lanes)[0], tree_flatten(moved)[0], strict=True):
            old.copy_(new)
        return losses, rates

    table = DECOMPOSITIONS if tensors[0].device.type == "cpu" else {}
    graph = make_fx(in_place, table, tracing_mode="fake")(*tensors)
    call_onednn_eagerly(graph)
    return graph


def save_program(graph: GraphModule, file: Path) -> None:
    """Compile a traced step into a file, whole or not at all.

    Args:
        graph: The step; it is used up.
        file: Where to.

    Raises:
        CompilationError: Where there is no compiler or it failed.
    """
    # imported where it is used: it takes more than a second, and most processes never compile
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
    """Return a program from its file, loaded once in a process.

    Args:
        file: Its file.
    """
    from torch._inductor.standalone_compile import CompiledArtifact  # noqa: PLC0415 - as in save_program

    _set_inductor_cache(file)
    return CompiledArtifact.load(path=str(file))


def _set_inductor_cache(file: Path) -> None:
    """Have the machine code, which a program's file only refers to, kept beside it."""
    folder = file.parent / "inductor"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder.absolute())
