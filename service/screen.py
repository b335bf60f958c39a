"""What the terminal shows of a study: its summary, its progress, lists of studies, errors."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from service.schemas import StudyAnswer, StudySummary
from service.states import ENDED, State
from studies.spec import ArmSpec, Pruner, StudySpec, WorkloadSpec

_COLOURS = {
    State.QUEUED: "yellow",
    State.RUNNING: "cyan",
    State.PAUSED: "yellow",
    State.CANCELLING: "yellow",
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.CANCELLED: "yellow",
}


class Follow(Protocol):
    """Shows one more look at a study."""

    def __call__(self, study: StudyAnswer) -> None:
        """Show it."""
        ...


def show_error(error: Exception) -> None:
    """Print an error's message on standard error.

    Args:
        error: The error.
    """
    Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(console: Console) -> Generator[Follow]:
    """Show a study's progress as a live bar; as a line for each new state where this is no terminal.

    Args:
        console: Where.
    """
    columns = (
        SpinnerColumn(finished_text="●"),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
    )
    shown: list[State] = []
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("waiting", total=None)

        def follow(study: StudyAnswer) -> None:
            done = study.progress.done
            # finished early (failed, cancelled): the bar stays where it is
            bar.update(task, description=state_text(study.state), completed=done, total=study.progress.total)
            if study.state in ENDED:
                bar.stop_task(task)
            if not console.is_terminal and study.state not in shown:
                shown.append(study.state)
                console.print(f"{study.state}: {done} of {study.progress.total} runs", highlight=False)

        yield follow


def state_text(state: State) -> str:
    """Return a state in its colour, as Rich markup.

    Args:
        state: The state.
    """
    return f"[{_COLOURS[state]}]{state}[/]"


def study_list(studies: Iterable[StudySummary]) -> Table:
    """Return studies as a table.

    Args:
        studies: In the order to show.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "state", "posted", "took", "name"):
        table.add_column(column, no_wrap=column == "id")
    for study in studies:
        table.add_row(
            study.id,
            state_text(study.state),
            f"{study.created_at.astimezone():%Y-%m-%d %H:%M}",
            _took(study.started_at, study.ended_at),
            escape(study.name),
        )
    return table


def study_summary(study: StudyAnswer, url: str) -> Table:
    """Return a study as a table of two columns.

    Args:
        study: The study.
        url: Where the service is, for the links that are paths.
    """
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("name", escape(study.name))
    table.add_row("id", study.id)
    table.add_row("state", state_text(study.state))
    if study.reason:
        table.add_row("reason", escape(study.reason))
    for condition in study.conditions:
        table.add_row("", escape(condition))
    table.add_row("runs", f"{study.progress.done} of {study.progress.total}")
    table.add_row("took", _took(study.started_at, study.ended_at))
    for name, value in _spec_rows(study.spec):
        table.add_row(name, escape(value))
    for warning in study.warnings:
        table.add_row("[yellow]warning[/]", escape(warning))
    if study.links.report is not None:
        table.add_row("report", url + study.links.report)
    if study.links.mlflow is not None:
        table.add_row("MLflow", study.links.mlflow)
    return table


def _spec_rows(spec: StudySpec) -> Iterable[tuple[str, str]]:
    yield "workloads", "\n".join(f"{each.name} ({_lengths(each)})" for each in spec.workloads)
    yield "arms", "\n".join(f"{arm.name} ({_arm_text(arm)})" for arm in spec.arms)
    protocol = spec.protocol
    yield "objective", f"{protocol.direction} {protocol.objective}; reference {protocol.reference}"
    pruner = "" if protocol.pruner is Pruner.NONE else f", {protocol.pruner}"
    yield "search", f"{protocol.trials} trials ({protocol.sampler}{pruner}), seeds a trial: {protocol.search_seeds}"
    yield "confirm", f"{protocol.confirm_seeds} seeds"
    if protocol.budget is not None:
        limits = protocol.budget.model_dump(exclude_none=True)
        yield "budget", ", ".join(f"{value:g} {name.replace('_', ' ')}" for name, value in limits.items())
    yield "spec hash", spec.content_hash


def _lengths(workload: WorkloadSpec) -> str:
    searched = "" if workload.search_steps == workload.steps else f", {workload.search_steps} in the search"
    return f"{workload.steps} steps{searched}"


def _arm_text(arm: ArmSpec) -> str:
    if not arm.search:
        return "fixed"
    return "searched: " + ", ".join(f"{name} {each.low:g} to {each.high:g}" for name, each in arm.search.items())


def _took(start: datetime | None, end: datetime | None) -> str:
    if start is None:
        return "-"
    if end is None:
        return "running"
    minutes, seconds = divmod(round((end - start).total_seconds()), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
