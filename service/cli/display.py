"""Terminal output: tables of studies, keys and webhooks, a study's summary, and errors."""

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urljoin

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.auth.api_key import ApiKeyRow
from service.schemas.queue import QueuedResponse
from service.schemas.studies import CancelledResponse, StudyResponse, StudySummary
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
    """Return a state with its colour, as Rich markup.

    Args:
        state: The state.
    """
    return f"[{_COLOURS[state]}]{state}[/]"


def study_table(studies: Iterable[StudySummary]) -> Table:
    """Return a table of studies, with a column of owners if any study has one.

    Args:
        studies: The studies, in order.
    """
    rows = tuple(studies)
    has_owners = any(study.owner is not None for study in rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "state", "posted", "took", *(["owner"] if has_owners else []), "name"):
        table.add_column(column, no_wrap=column == "id")
    for study in rows:
        table.add_row(
            study.id,
            state_text(study.state),
            time_text(study.created_at),
            elapsed_text(study.started_at, study.ended_at),
            *([escape(study.owner or "-")] if has_owners else []),
            escape(study.name),
        )
    return table


def queue_table(studies: Iterable[QueuedResponse]) -> Table:
    """Return a table of the queue.

    Args:
        studies: The studies, in the order in which they will be claimed.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("place", "id", "priority", "owner", "name"):
        table.add_column(column, no_wrap=column == "id", justify="right" if column in ("place", "priority") else "left")
    for place, study in enumerate(studies, 1):
        table.add_row(str(place), study.id, str(study.priority), escape(study.owner or "-"), escape(study.name))
    return table


def key_table(keys: Iterable[ApiKeyRow]) -> Table:
    """Return a table of API keys.

    Args:
        keys: The keys, in order.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "name", "role", "made", "revoked"):
        table.add_column(column, no_wrap=column == "id")
    for key in keys:
        revoked = "" if key.revoked_at is None else time_text(key.revoked_at)
        table.add_row(key.id, escape(key.name), key.role, time_text(key.created_at), revoked)
    return table


def cancelled_table(studies: Iterable[CancelledResponse]) -> Table:
    """Return a table of the results of cancelling several studies.

    Args:
        studies: The studies, in order.
    """
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for study in studies:
        problem = "" if study.problem is None else escape(study.problem.detail)
        table.add_row(escape(study.id), problem if study.state is None else state_text(study.state))
    return table


def webhook_table(webhooks: Iterable[WebhookResponse]) -> Table:
    """Return a table of webhooks.

    Args:
        webhooks: The webhooks, in order.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "is told of", "waiting", "dropped", "how it is", "url"):
        table.add_column(column, no_wrap=column == "id", overflow="fold")
    for webhook in webhooks:
        since = "" if webhook.failing_since is None else f"failing since {time_text(webhook.failing_since)}"
        table.add_row(
            webhook.id,
            ", ".join(webhook.states) or "all",
            str(webhook.waiting),
            str(webhook.dropped),
            f"[red]{since}[/]: {escape(webhook.trouble)}" if since else "[green]well[/]",
            escape(webhook.url),
        )
    return table


def study_summary(study: StudyResponse, url: str) -> Table:
    """Return a study's summary as a table of two columns.

    Args:
        study: The study.
        url: The service's URL, to complete links that are paths.
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
        table.add_row("archived", time_text(study.archived_at))
    for condition in study.conditions:
        table.add_row("", escape(condition))
    table.add_row("runs", f"{study.progress.done} of {study.progress.total}")
    table.add_row("took", elapsed_text(study.started_at, study.ended_at))
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
    yield "workloads", "\n".join(f"{workload.name} ({_lengths(workload)})" for workload in spec.workloads)
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
    return "searched: " + ", ".join(
        f"{name} {interval.low:g} to {interval.high:g}" for name, interval in arm.search.items()
    )


def time_text(at: datetime) -> str:
    """Return the text of a time in this machine's zone, which it names.

    Args:
        at: The time, with a zone.
    """
    return f"{at.astimezone():%Y-%m-%d %H:%M %Z}"


def elapsed_text(start: datetime | None, end: datetime | None) -> str:
    """Return the text of an elapsed time.

    Args:
        start: The start; None if it has not started.
        end: The end; None if it goes on.
    """
    if start is None:
        return "-"
    return "running" if end is None else duration((end - start).total_seconds())


def duration(seconds: float) -> str:
    """Return the text of a duration, in its two largest units.

    Args:
        seconds: The duration.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes and rest:
        return f"{minutes} min {rest} s"
    return f"{minutes} min" if minutes else f"{rest} s"
