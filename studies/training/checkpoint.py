"""Keeping a pack's checkpoint in a file: about once a minute, whole or not at all, and only for the same training."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from studies.training.batches import Batches
from studies.training.initial_state import InitialState
from studies.training.lanes import Lanes
from studies.training.measurements import History, HistorySnapshot

log = logging.getLogger(__name__)
#: A digest's length in bytes.
_DIGEST = hashlib.sha256().digest_size


@final
class CheckpointWriter:
    """Writes a training's checkpoints and finds the last one.

    The file begins with two digests, of what is trained and how, and of all that follows. Where either differs, it is
    torn or of another training, and nothing of it is read.

    Args:
        file: Where the checkpoint is.
        what: All that another training would differ in, as JSON can hold it.
        every: Seconds from one checkpoint to the next, and from the start to the first.
        share: At most this share of the time goes into checkpoints after the first.
    """

    def __init__(self, file: Path, what: object, *, every: float, share: float) -> None:
        """Start the time."""
        self._file, self._every, self._share = file, every, share
        self._what = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).digest()
        self._started = self._asked = time.monotonic()
        self._next = self._started + every
        self._earlier = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of this training so far, those of earlier processes up to the checkpoint included."""
        return self._earlier + time.monotonic() - self._started

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint, None where there is none of this very training."""
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read (%s): the pack is trained whole", self._file, error)
            return None
        head, body = content[: 2 * _DIGEST], content[2 * _DIGEST :]
        if head != self._head(body):
            log.warning("%s is torn, or of another training or version: the pack is trained whole", self._file)
            return None
        saved = torch.load(io.BytesIO(body), weights_only=True)
        checkpoint, self._earlier = Checkpoint.from_plain(saved["training"]), saved["seconds"]
        log.warning("%s: training goes on after %s steps", self._file, checkpoint.steps)
        return checkpoint

    def due(self) -> bool:
        """Whether it is time for the next checkpoint; what that takes counts from here."""
        self._asked = time.monotonic()
        return self._asked >= self._next

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in place of the last one, whole or not at all; training goes on where that fails.

        Args:
            checkpoint: Where the training is now.
        """
        # in memory first: torch makes another error of what goes wrong with a file
        body = io.BytesIO()
        torch.save({"training": checkpoint.plain(), "seconds": self.seconds}, body)
        partial = self._file.with_suffix(f".{os.getpid()}.partial")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as opened:
                opened.write(self._head(body.getbuffer()))
                opened.write(body.getbuffer())
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(partial, self._file)
        except OSError as error:
            log.warning("the checkpoint after %s steps is not kept: %s", checkpoint.steps, error)
            with contextlib.suppress(OSError):
                partial.unlink()
        ended = time.monotonic()
        self._next = ended + max(self._every, (ended - self._asked) / self._share)

    def _head(self, body: bytes | memoryview) -> bytes:
        return self._what + hashlib.sha256(body).digest()


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
    recorded: HistorySnapshot

    @classmethod
    def of(
        cls, steps: int, going: Sequence[int], width: int | None, lanes: Lanes, batch: Batches, record: History
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

    def restored(self, start: InitialState, record: History) -> InitialState:
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
        fields: dict[str, Any] = {**values, "recorded": HistorySnapshot(**values["recorded"])}
        return cls(**fields)
