"""A study as it is watched: its progress, its pace, and a table of workloads and arms, over and over in one place."""

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

from service.cli.display import duration, state_text, took
from service.schemas.display import best_score, best_setting
from service.schemas.studies import ArmProgressResponse, StudyResponse
from service.states import ENDED, State
from studies.formatting import label, number
from studies.spec.study import StudySpec

#: The pace is that of the last so many seconds: packs end together, and long ones seldom.
_WINDOW = 300.0
#: Lines of the screen that are not rows of the table: the header, what is known, the table's own, and the prompt.
_OTHER_LINES = 7
_BAR = 30


class StudyObserver(Protocol):
    """Shows one more look at a study."""

    def __call__(self, study: StudyResponse) -> None:
        """Show it."""
        ...


@final
class Pace:
    """How fast a study goes, by its last looks."""

    def __init__(self) -> None:
        """Start with no look."""
        self._samples: collections.deque[tuple[float, int]] = collections.deque()

    def sample(self, at: float, done: int) -> None:
        """Take a look.

        Args:
            at: When, in seconds.
            done: Runs that are done.
        """
        self._samples.append((at, done))
        while len(self._samples) > 2 and self._samples[1][0] <= at - _WINDOW:
            self._samples.popleft()

    @property
    def per_minute(self) -> float | None:
        """Runs a minute; None where none was done meanwhile."""
        if not self._samples:
            return None
        (first, before), (last, done) = self._samples[0], self._samples[-1]
        return 60 * (done - before) / (last - first) if done > before and last > first else None


@contextmanager
def live_view(console: Console) -> Generator[StudyObserver]:
    """Show a study live, its last look staying; as a line for each new state where this is no terminal.

    Args:
        console: Where.
    """
    if not console.is_terminal:
        yield _Lines(console)
        return
    pace, begun = Pace(), False
    with Live(console=console, refresh_per_second=4) as live:

        def follow(study: StudyResponse) -> None:
            nonlocal begun
            now = datetime.now(UTC)
            if not begun and study.started_at is not None:
                # its pace is the one that it had, until something is seen of it
                pace.sample(time.monotonic() - max(0.0, (now - study.started_at).total_seconds()), 0)
                begun = True
            if begun:
                pace.sample(time.monotonic(), study.progress.done)
            room = None if study.state in ENDED else max(1, console.height - _OTHER_LINES - len(study.conditions))
            live.update(render_study(study, pace.per_minute, now, room))

        yield follow


@final
class _Lines:
    """Prints a line for each new state."""

    def __init__(self, console: Console) -> None:
        """Start with none."""
        self._console = console
        self._shown: list[State] = []

    def __call__(self, study: StudyResponse) -> None:
        """Print one if its state is new."""
        if study.state not in self._shown:
            self._shown.append(study.state)
            progress = study.progress
            self._console.print(f"{study.state}: {progress.done} of {progress.total} runs", highlight=False)


def render_study(study: StudyResponse, per_minute: float | None, now: datetime, room: int | None) -> RenderableType:
    """Return a look at a study.

    Args:
        study: The study.
        per_minute: Runs a minute, where that is known.
        now: The present time.
        room: Rows that the table may have; None for all.
    """
    shown = _shown(study.progress.arms, room)
    facts = " · ".join(_facts(study, per_minute, now))
    notes = [note for note in (facts, *study.conditions) if note]
    left_out = len(study.progress.arms) - len(shown)
    return Group(
        _header(study),
        *(Text(f"  {note}", "dim") for note in notes),
        Text(),
        _table(study.spec, shown),
        *([Text(f"… and {left_out} more", "dim")] if left_out else []),
    )


def _header(study: StudyResponse) -> Table:
    done, total = study.progress.done, study.progress.total
    header = Table.grid(padding=(0, 1))
    header.add_row(
        Text("●") if study.state in ENDED else Spinner("dots"),
        state_text(study.state),
        ProgressBar(total=max(1, total), completed=done, width=_BAR),
        f"{done} of {total} runs",
    )
    return header


def _facts(study: StudyResponse, per_minute: float | None, now: datetime) -> Iterator[str]:
    left = study.progress.total - study.progress.done
    if study.state is State.RUNNING and per_minute is not None and left > 0:
        seconds = 60 * left / per_minute
        yield f"{number(per_minute)} runs a minute"
        # no more exact than it is known
        yield f"about {duration(60 * round(seconds / 60) if seconds > 120 else seconds)} left"
    if study.ended_at is not None:
        yield f"took {took(study.started_at, study.ended_at)}"
    elif study.started_at is not None:
        yield f"{took(study.started_at, now)} since its start"


def _table(spec: StudySpec, arms: Sequence[ArmProgressResponse]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("workload", no_wrap=True)
    table.add_column("arm", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("runs", justify="right", no_wrap=True)
    table.add_column(f"best {label(spec.protocol.objective)}", justify="right")
    table.add_column("its setting", overflow="fold")
    before = ""
    for each in arms:
        table.add_row(
            "" if each.workload == before else escape(each.workload),
            escape(each.arm),
            f"{each.trials_done}/{each.trials_total}",
            f"{each.done}/{each.total}",
            best_score(each, spec),
            escape(best_setting(each, spec)),
            style="dim" if each.done == 0 else "",
        )
        before = each.workload
    return table


def _shown(arms: Sequence[ArmProgressResponse], room: int | None) -> list[ArmProgressResponse]:
    """Return what there is room for: what goes on first, then what is to come, then what is done, in their order."""
    if room is None or len(arms) <= room:
        return list(arms)

    def urgency(place: int) -> int:
        each = arms[place]
        return 2 if each.done == each.total else int(each.done == 0)

    chosen = sorted(range(len(arms)), key=urgency)[:room]
    return [arms[place] for place in sorted(chosen)]
