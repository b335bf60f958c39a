"""A pack's training between two steps: all that changes on the way, to go on from it as if nothing had happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from studies.batches import Batches
from studies.lanes import Lanes
from studies.measurements import Record, Recorded
from studies.setup import Setup


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a pack's training is; together with its task it decides all that follows.

    Args:
        steps: Steps taken.
        going: The runs in training, in the order of their places.
        width: Lanes that the step is made for; None for as many as runs.
        lanes: Every tensor of the lanes, on the CPU.
        streams: Where every stream of random numbers is.
        recorded: What was measured so far.
    """

    steps: int
    going: list[int]
    width: int | None
    lanes: list[Tensor]
    streams: list[Tensor]
    recorded: Recorded

    @classmethod
    def of(
        cls, steps: int, going: Sequence[int], width: int | None, lanes: Lanes, batch: Batches, record: Record
    ) -> Checkpoint:
        """Return where a training is; it holds only until the next step, which may write into the lanes.

        Args:
            steps: Steps taken.
            going: The runs in training.
            width: Lanes that the step is made for.
            lanes: The lanes now.
            batch: What gives their batches.
            record: What its loop records.
        """
        return cls(
            steps=steps,
            going=list(going),
            width=width,
            lanes=[each.cpu() for each in tree_flatten(lanes)[0]],
            streams=batch.streams(),
            recorded=record.so_far(going),
        )

    def restored(self, start: Setup, record: Record) -> Setup:
        """Return what a loop goes on with.

        Args:
            start: What it started from.
            record: Its record, with nothing in it; it gets what was measured so far.
        """
        record.resume(self.recorded)
        following = start.only(start.lanes, self.going, self.width or len(self.going))
        following.batch.go_to(self.streams)
        device, tree = following.lanes.alive.device, tree_flatten(following.lanes)[1]
        return replace(following, lanes=tree_unflatten([each.to(device) for each in self.lanes], tree))

    def plain(self) -> dict[str, Any]:
        """Return it as tensors, numbers, lists and dicts of them."""
        return {**vars(self), "recorded": vars(self.recorded)}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Checkpoint:
        """Return what `plain` was given of."""
        fields: dict[str, Any] = {**values, "recorded": Recorded(**values["recorded"])}
        return cls(**fields)
