"""A pack's checkpoint file: written atomically at intervals, and loaded only by the same training."""

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
#: Length of a digest in bytes.
_DIGEST_SIZE = hashlib.sha256().digest_size


@final
class CheckpointWriter:
    """Writes a training's checkpoints and loads the last one.

    The file begins with two digests: one of the training's fingerprint, one of the rest of the file. If either differs,
    the file is damaged or of another training, and is not read.

    Args:
        file: The checkpoint file.
        fingerprint: Everything that the training's results depend on; JSON-serializable.
        interval: Seconds between checkpoints, and from the start to the first.
        max_time_share: The largest share of the time that checkpoints after the first may take.
    """

    def __init__(self, file: Path, fingerprint: object, *, interval: float, max_time_share: float) -> None:
        """Start the clock."""
        self._file, self._interval, self._max_time_share = file, interval, max_time_share
        self._fingerprint = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).digest()
        self._started = self._due_checked = time.monotonic()
        self._next_due = self._started + interval
        self._earlier_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of this training so far, including those of earlier processes up to the checkpoint."""
        return self._earlier_seconds + time.monotonic() - self._started

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint of this training, None if there is none."""
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read (%s): the pack is trained whole", self._file, error)
            return None
        header, body = content[: 2 * _DIGEST_SIZE], content[2 * _DIGEST_SIZE :]
        if header != self._header(body):
            log.warning("%s is torn, or of another training or version: the pack is trained whole", self._file)
            return None
        saved = torch.load(io.BytesIO(body), weights_only=True)
        checkpoint, self._earlier_seconds = Checkpoint.from_dict(saved["training"]), saved["seconds"]
        log.warning("%s: training goes on after %s steps", self._file, checkpoint.steps)
        return checkpoint

    def is_due(self) -> bool:
        """Whether it is time for the next checkpoint; the time that it takes is measured from here."""
        self._due_checked = time.monotonic()
        return self._due_checked >= self._next_due

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the last checkpoint atomically; if that fails, log a warning.

        Args:
            checkpoint: The training's current state.
        """
        # serialized in memory first, since torch hides errors of the file system
        body = io.BytesIO()
        torch.save({"training": checkpoint.to_dict(), "seconds": self.seconds}, body)
        partial = self._file.with_suffix(f".{os.getpid()}.partial")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                stream.write(self._header(body.getbuffer()))
                stream.write(body.getbuffer())
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, self._file)
        except OSError as error:
            log.warning("the checkpoint after %s steps is not kept: %s", checkpoint.steps, error)
            with contextlib.suppress(OSError):
                partial.unlink()
        ended = time.monotonic()
        self._next_due = ended + max(self._interval, (ended - self._due_checked) / self._max_time_share)

    def _header(self, body: bytes | memoryview) -> bytes:
        return self._fingerprint + hashlib.sha256(body).digest()


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a pack's training; with its task it determines the rest of the training.

    Args:
        steps: Steps taken.
        active_runs: The runs still in training, in lane order.
        width: Number of lanes of the step; None for as many as runs.
        lanes: Every tensor of the lanes, on the CPU.
        stream_states: The state of every random stream.
        history: What was measured so far.
    """

    steps: int
    active_runs: list[int]
    width: int | None
    lanes: list[Tensor]
    stream_states: list[Tensor]
    history: HistorySnapshot

    @classmethod
    def capture(
        cls,
        steps: int,
        active_runs: Sequence[int],
        width: int | None,
        lanes: Lanes,
        batches: Batches,
        history: History,
    ) -> Checkpoint:
        """Return a training's current state; it is valid only until the next step, which may write into the lanes.

        Args:
            steps: Steps taken.
            active_runs: The runs still in training.
            width: Number of lanes of the step.
            lanes: The lanes now.
            batches: Their batches.
            history: What the loop recorded.
        """
        return cls(
            steps=steps,
            active_runs=list(active_runs),
            width=width,
            lanes=[tensor.cpu() for tensor in tree_flatten(lanes)[0]],
            stream_states=batches.stream_states(),
            history=history.snapshot(active_runs),
        )

    def restore(self, start: InitialState, history: History) -> InitialState:
        """Return the state that a loop continues from.

        Args:
            start: The state before the first step.
            history: Its history, still empty; it gets what was measured so far.
        """
        history.restore(self.history)
        resumed = start.select_lanes(start.lanes, self.active_runs, self.width or len(self.active_runs))
        resumed.batches.load_stream_states(self.stream_states)
        device, tree = resumed.lanes.alive.device, tree_flatten(resumed.lanes)[1]
        return replace(resumed, lanes=tree_unflatten([tensor.to(device) for tensor in self.lanes], tree))

    def to_dict(self) -> dict[str, Any]:
        """Return the checkpoint as tensors, numbers, lists and dicts of them."""
        return {**vars(self), "history": vars(self.history)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Checkpoint:
        """Return the checkpoint that `to_dict` converted."""
        fields: dict[str, Any] = {**values, "history": HistorySnapshot(**values["history"])}
        return cls(**fields)
