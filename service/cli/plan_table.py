"""A plan as a table for the terminal, with one row per arm and workload."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from service.schemas.plans import PlanResponse
from studies.formatting import duration
from studies.planning.estimate import Basis, TrainingCost


def plan_table(plan: PlanResponse) -> RenderableType:
    """Return the table of runs, steps and time, then the sources of guesses, and the warnings.

    Args:
        plan: The service's response.
    """
    estimate = plan.estimate
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("workload", "arm"):
        table.add_column(heading, no_wrap=True, vertical="bottom")
    for heading in ("search\nruns", "confirm\nruns", "steps", "time of\npacks", "GPU-\nhours"):
        table.add_column(heading, justify="right", vertical="bottom")
    table.add_column("by", vertical="bottom")
    for arm in estimate.arms:
        table.add_row(escape(arm.workload), escape(arm.arm), *_amounts(arm.expected, arm.most), arm.basis.value)
    table.add_section()
    table.add_row("in total", "", *_amounts(estimate.expected, estimate.most), "", style="bold")
    workers = "1 pack" if estimate.workers == 1 else f"{estimate.workers} packs"
    blocks: list[RenderableType] = [
        table,
        Text(
            f"\nabout {_up_to(duration(estimate.expected.seconds), duration(estimate.most.seconds))} "
            f"with {workers} at a time and no other study"
        ),
        Text("… to what it is with every range extended as often as it can be", "dim"),
    ]
    blocks += [Text(f"guess: {source}", "dim") for source in dict.fromkeys(_guesses(plan))]
    blocks += [Text.assemble(("Warning: ", "yellow"), warning) for warning in (*plan.warnings, *plan.beyond_budget)]
    blocks.append(Text(f"spec hash {plan.spec_hash}"))
    return Group(*blocks)


def _guesses(plan: PlanResponse) -> list[str]:
    return [arm.source for arm in plan.estimate.arms if arm.basis is Basis.GUESS]


def _amounts(expected: TrainingCost, most: TrainingCost) -> tuple[str, ...]:
    return (
        _up_to(f"{expected.search_runs:,}", f"{most.search_runs:,}"),
        f"{expected.confirm_runs:,}",
        _up_to(f"{expected.run_steps:,}", f"{most.run_steps:,}"),
        _up_to(duration(expected.pack_seconds), duration(most.pack_seconds)),
        _up_to(f"{expected.gpu_hours:.3g}", f"{most.gpu_hours:.3g}"),
    )


def _up_to(expected: str, most: str) -> str:
    return expected if expected == most else f"{expected} … {most}"
