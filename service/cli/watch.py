"""A live view of a study in the terminal: progress, pace, and a table of workloads and arms."""

import collections
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol, final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from service.cli.display import duration, elapsed_text, state_text
from service.schemas.display import best_score, best_setting
from service.schemas.studies import ArmProgressResponse, StudyResponse
from service.states import ENDED, State
from studies.formatting import label, number
from studies.spec.study import StudySpec

#: The pace is averaged over this time: the runs of a pack end together, and long packs end rarely.
_WINDOW_SECONDS = 300.0
#: Lines that are not rows of the table: header, facts, the table's own header and footer, and the prompt.
_OTHER_LINES = 7
_BAR_WIDTH = 30


class StudyObserver(Protocol):
    """Called with each state of a study."""

    def __call__(self, study: StudyResponse) -> None:
        """Show the study."""
        ...


@final
class Pace:
    """The pace of a study, from its recent samples."""

    def __init__(self) -> None:
        """Start without samples."""
        self._samples: collections.deque[tuple[float, int]] = collections.deque()

    def sample(self, at: float, done: int) -> None:
        """Add a sample.

        Args:
            at: The time, in seconds.
            done: Completed runs.
        """
        self._samples.append((at, done))
        while len(self._samples) > 2 and self._samples[1][0] <= at - _WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def per_minute(self) -> float | None:
        """Runs per minute; None if none was completed meanwhile."""
        if not self._samples:
            return None
        (first, before), (last, done) = self._samples[0], self._samples[-1]
        return 60 * (done - before) / (last - first) if done > before and last > first else None


@contextmanager
def live_view(console: Console) -> Generator[StudyObserver]:
    """Yield a function that shows a study live; the last view remains. Without a terminal it prints each new state.

    Args:
        console: The console.
    """
    if not console.is_terminal:
        yield _StatePrinter(console)
        return
    pace, started = Pace(), False
    with Live(console=console, refresh_per_second=4) as live:

        def update(study: StudyResponse) -> None:
            nonlocal started
            now = datetime.now(UTC)
            if not started and study.started_at is not None:
                # the pace before this view began counts too
                pace.sample(time.monotonic() - max(0.0, (now - study.started_at).total_seconds()), 0)
                started = True
            if started:
                pace.sample(time.monotonic(), study.progress.done)
            max_rows = None if study.state in ENDED else max(1, console.height - _OTHER_LINES - len(study.conditions))
            live.update(render_study(study, pace.per_minute, now, max_rows))

        yield update


@final
class _StatePrinter:
    """Prints a line for each new state."""

    def __init__(self, console: Console) -> None:
        """Start with no state printed."""
        self._console = console
        self._printed: State | None = None

    def __call__(self, study: StudyResponse) -> None:
        """Print the study's state if it is new."""
        if study.state is not self._printed:
            self._printed = study.state
            progress = study.progress
            self._console.print(f"{study.state}: {progress.done} of {progress.total} runs", highlight=False)


def render_study(study: StudyResponse, per_minute: float | None, now: datetime, max_rows: int | None) -> RenderableType:
    """Return the view of a study.

    Args:
        study: The study.
        per_minute: Runs per minute, if known.
        now: The current time.
        max_rows: Maximum number of the table's rows; None for all.
    """
    arms = _select_arms(study.progress.arms, max_rows)
    facts = " · ".join(_facts(study, per_minute, now))
    notes = [note for note in (facts, *study.conditions) if note]
    omitted = len(study.progress.arms) - len(arms)
    return Group(
        _header(study),
        *(Text(f"  {note}", "dim") for note in notes),
        Text(),
        _table(study.spec, arms),
        *([Text(f"… and {omitted} more", "dim")] if omitted else []),
    )


def _header(study: StudyResponse) -> Table:
    done, total = study.progress.done, study.progress.total
    header = Table.grid(padding=(0, 1))
    header.add_row(
        Text("●") if study.state in ENDED else Spinner("dots"),
        state_text(study.state),
        ProgressBar(total=max(1, total), completed=done, width=_BAR_WIDTH),
        f"{done} of {total} runs",
    )
    return header


def _facts(study: StudyResponse, per_minute: float | None, now: datetime) -> Iterator[str]:
    left = study.progress.total - study.progress.done
    if study.state is State.RUNNING and per_minute is not None and left > 0:
        seconds = 60 * left / per_minute
        yield f"{number(per_minute)} runs a minute"
        # rounded, as it is an estimate
        yield f"about {duration(60 * round(seconds / 60) if seconds > 120 else seconds)} left"
    if study.ended_at is not None:
        yield f"took {elapsed_text(study.started_at, study.ended_at)}"
    elif study.started_at is not None:
        yield f"{elapsed_text(study.started_at, now)} since its start"


def _table(spec: StudySpec, arms: Sequence[ArmProgressResponse]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("workload", no_wrap=True)
    table.add_column("arm", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("runs", justify="right", no_wrap=True)
    table.add_column(f"best {label(spec.protocol.objective)}", justify="right")
    table.add_column("its setting", overflow="fold")
    previous = ""
    for arm in arms:
        table.add_row(
            "" if arm.workload == previous else escape(arm.workload),
            escape(arm.arm),
            f"{arm.trials_done}/{arm.trials_total}",
            f"{arm.done}/{arm.total}",
            best_score(arm, spec),
            escape(best_setting(arm, spec)),
            style="dim" if arm.done == 0 else "",
        )
        previous = arm.workload
    return table


def _select_arms(arms: Sequence[ArmProgressResponse], max_rows: int | None) -> list[ArmProgressResponse]:
    """Return the arms to show, in order: arms in progress take precedence, then unstarted, then completed ones."""
    if max_rows is None or len(arms) <= max_rows:
        return list(arms)

    def precedence(index: int) -> int:
        arm = arms[index]
        return 2 if arm.done == arm.total else int(arm.done == 0)

    selected = sorted(range(len(arms)), key=precedence)[:max_rows]
    return [arms[index] for index in sorted(selected)]
