"""What the terminal shows of a study: its summary, lists of studies, errors."""

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urljoin

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.auth.api_key import ApiKeyRow
from service.schemas.studies import CancelledResponse, QueuedResponse, StudyResponse, StudySummary
from service.schemas.webhooks import WebhookResponse
from service.states import State
from studies.spec.definition import Pruner
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec

_COLOURS = {
    State.QUEUED: "yellow",
    State.RUNNING: "cyan",
    State.PAUSED: "yellow",
    State.CANCELLING: "yellow",
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.CANCELLED: "yellow",
}


def show_error(error: Exception) -> None:
    """Print an error's message on standard error.

    Args:
        error: The error.
    """
    Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)


def state_text(state: State) -> str:
    """Return a state in its colour, as Rich markup.

    Args:
        state: The state.
    """
    return f"[{_COLOURS[state]}]{state}[/]"


def study_table(studies: Iterable[StudySummary]) -> Table:
    """Return studies as a table, with their owners where any has one.

    Args:
        studies: In the order to show.
    """
    found = tuple(studies)
    owned = any(study.owner is not None for study in found)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "state", "posted", "took", *(["owner"] if owned else []), "name"):
        table.add_column(column, no_wrap=column == "id")
    for study in found:
        table.add_row(
            study.id,
            state_text(study.state),
            f"{study.created_at.astimezone():%Y-%m-%d %H:%M}",
            took(study.started_at, study.ended_at),
            *([escape(study.owner or "-")] if owned else []),
            escape(study.name),
        )
    return table


def queue_table(studies: Iterable[QueuedResponse]) -> Table:
    """Return the queue as a table.

    Args:
        studies: In the order in which they will be taken up.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("place", "id", "priority", "owner", "name"):
        table.add_column(column, no_wrap=column == "id", justify="right" if column in ("place", "priority") else "left")
    for place, study in enumerate(studies, 1):
        table.add_row(str(place), study.id, str(study.priority), escape(study.owner or "-"), escape(study.name))
    return table


def key_table(keys: Iterable[ApiKeyRow]) -> Table:
    """Return API keys as a table.

    Args:
        keys: In the order to show.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "name", "role", "made", "revoked"):
        table.add_column(column, no_wrap=column == "id")
    for key in keys:
        revoked = "" if key.revoked_at is None else f"{key.revoked_at.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(key.id, escape(key.name), key.role, f"{key.created_at.astimezone():%Y-%m-%d %H:%M}", revoked)
    return table


def cancelled_table(studies: Iterable[CancelledResponse]) -> Table:
    """Return what became of studies that were to be cancelled, as a table.

    Args:
        studies: In the order to show.
    """
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for study in studies:
        said = "" if study.problem is None else escape(study.problem.detail)
        table.add_row(escape(study.id), said if study.state is None else state_text(study.state))
    return table


def webhook_table(webhooks: Iterable[WebhookResponse]) -> Table:
    """Return webhooks as a table.

    Args:
        webhooks: In the order to show.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "is told of", "waiting", "dropped", "how it is", "url"):
        table.add_column(column, no_wrap=column == "id", overflow="fold")
    for each in webhooks:
        since = "" if each.failing_since is None else f"failing since {each.failing_since.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(
            each.id,
            ", ".join(each.states) or "all",
            str(each.waiting),
            str(each.dropped),
            f"[red]{since}[/]: {escape(each.trouble)}" if since else "[green]well[/]",
            escape(each.url),
        )
    return table


def study_summary(study: StudyResponse, url: str) -> Table:
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
    if study.owner is not None:
        table.add_row("owner", escape(study.owner))
    table.add_row("state", state_text(study.state))
    if study.reason:
        table.add_row("reason", escape(study.reason))
    if study.archived_at is not None:
        table.add_row("archived", f"{study.archived_at.astimezone():%Y-%m-%d %H:%M}")
    for condition in study.conditions:
        table.add_row("", escape(condition))
    table.add_row("runs", f"{study.progress.done} of {study.progress.total}")
    table.add_row("took", took(study.started_at, study.ended_at))
    for name, value in _spec_rows(study.spec):
        table.add_row(name, escape(value))
    for warning in study.warnings:
        table.add_row("[yellow]warning[/]", escape(warning))
    table.add_row("page", url + study.links.page)
    if study.links.report is not None:
        table.add_row("report", url + study.links.report)
    if study.links.mlflow is not None:
        table.add_row("MLflow", urljoin(url, study.links.mlflow))
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


def took(start: datetime | None, end: datetime | None) -> str:
    """Return how long something took, in words.

    Args:
        start: None where it has not begun.
        end: None where it goes on.
    """
    if start is None:
        return "-"
    return "running" if end is None else duration((end - start).total_seconds())


def duration(seconds: float) -> str:
    """Return a duration in words, its two largest units.

    Args:
        seconds: How long.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes and rest:
        return f"{minutes} min {rest} s"
    return f"{minutes} min" if minutes else f"{rest} s"
