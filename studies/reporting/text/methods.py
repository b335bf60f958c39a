"""The methods section of a report, ready for a paper, from the study's spec alone."""

from collections.abc import Iterator, Sequence

from studies.analysis.comparison import SIGNIFICANCE
from studies.analysis.statistics.intervals import MIN_BOOTSTRAP_VALUES
from studies.formatting import count, label, listing, number, setting
from studies.search.range_extension import MAX_EXTENSIONS, extension_trials
from studies.spec.definition import Pruner, Sampler
from studies.spec.parameters import Direction, Precision
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec

SAMPLERS = {
    Sampler.GRID: "a grid, spaced in the logarithm where the range is",
    Sampler.RANDOM: "random search, uniform in the logarithm where the range is",
    Sampler.TPE: "Optuna's tree-structured Parzen estimator",
}


def methods_paragraphs(spec: StudySpec) -> tuple[str, ...]:
    """Return the methods section, by paragraph.

    Args:
        spec: The study.
    """
    return " ".join(_training_sentences(spec)), " ".join(_search_sentences(spec)), " ".join(_comparison_sentences(spec))


def _training_sentences(spec: StudySpec) -> Iterator[str]:
    kinds = {"untuned": [arm for arm in spec.arms if not arm.search], "tuned": [arm for arm in spec.arms if arm.search]}
    groups = [f"the {kind} {listing([_arm(arm) for arm in arms])}" for kind, arms in kinds.items() if arms]
    workloads = listing([_workload(workload) for workload in spec.workloads])
    yield f"Compared are {', and '.join(groups)}, on {workloads}."
    for arm in spec.arms:
        for name, schedule in arm.schedule.items():
            yield f"The {label(name)} of {arm.name} had a {schedule.kind.value} schedule."
    if spec.protocol.precision is not Precision.FLOAT32:
        yield f"Matrix products of a training step were computed in {spec.protocol.precision.value}."


def _arm(arm: ArmSpec) -> str:
    ranges = [f"{name} searched in {number(each.low)} to {number(each.high)}" for name, each in arm.search.items()]
    optimizer = [] if arm.name == arm.optimizer else [arm.optimizer]
    fixed = [setting(arm.fixed)] if arm.fixed else []
    return f"{arm.name} ({'; '.join((*optimizer, *ranges, *fixed))})"


def _workload(workload: WorkloadSpec) -> str:
    epochs = workload.steps / workload.steps_per_epoch
    length = f"{count(workload.steps, 'step')}{f', {epochs:g} epochs' if workload.steps_per_epoch > 1 else ''}"
    options = ", ".join(
        f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in workload.options.items()
    )
    return f"{workload.name} ({length}{f'; {options}' if options else ''})"


def _search_sentences(spec: StudySpec) -> Iterator[str]:
    protocol = spec.protocol
    if not any(arm.search for arm in spec.arms):
        yield "Nothing was searched."
        return
    seeds = count(protocol.search_seeds, "search seed")
    yield (
        f"Settings were searched by {SAMPLERS[protocol.sampler]}, {count(protocol.trials, 'trial')} for each arm and "
        f"workload, on the final {_objective(spec)}, the median over {seeds}; a run that diverged scores as infinitely "
        "bad. No decision read test data."
    )
    if protocol.search_length < 1:
        yield f"Search runs had {number(protocol.search_length)} of the length of the others."
    if protocol.pruner is Pruner.ASHA:
        yield "Search runs that were behind those of earlier batches were stopped by successive halving."
    yield (
        "Where the best setting lay within (decades / trials) of an end of its range, the range grew tenfold on that "
        f"side with {count(extension_trials(protocol.trials), 'more trial')}, at most {MAX_EXTENSIONS} times; those "
        "trials are counted. Untuned arms ran the search seeds as a single trial."
    )
    if protocol.budget is not None:
        limits = protocol.budget.model_dump(exclude_none=True)
        amounts = [f"{value:,} {name.replace('_', ' ')}" for name, value in limits.items()]
        yield f"The whole study had a budget of {listing(amounts)}."


def _comparison_sentences(spec: StudySpec) -> Iterator[str]:
    protocol, seeds = spec.protocol, spec.confirm_seeds
    tests = (len(spec.arms) - 1) * len(spec.workloads)
    yield (
        f"Each arm then trained on {count(len(seeds), 'fresh seed')} ({_span(seeds)}) that no search had seen, the "
        "same for every arm: the same initial weights, data order and problem."
    )
    if tests:
        scale = f"log10 of the loss (at least {number(protocol.loss_floor)})" if spec.objective.is_loss else "it"
        yield (
            f"The final {_objective(spec)} was compared with that of {protocol.reference} by two-sided sign-flip "
            f"permutation tests on paired differences of {scale}, a sign test where a run diverged, "
            f"{count(tests, 'test')} in all with Holm's correction at {SIGNIFICANCE}. A tie is a 90 % t-interval of "
            f"the mean difference within ±{number(protocol.margin)}; what is neither is undecided."
        )
    yield (
        "Speed is compared by the steps until a run's objective first reaches where more than half of the seeds of the "
        "best tuned arm end; a run that never does counts as infinite, and nothing is put in its place. Intervals are "
        f"t-intervals over seeds, across workloads percentile intervals of a bootstrap stratified by workload, from "
        f"{MIN_BOOTSTRAP_VALUES} seeds up."
    )


def _objective(spec: StudySpec) -> str:
    name = label(spec.protocol.objective)
    kind = "" if spec.protocol.direction is Direction.MINIMIZE else ", which is to be high"
    mean = " (mean over the last epoch)" if spec.protocol.objective == "train_loss" else ""
    return f"{name}{mean}{kind}"


def _span(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
