"""Sentences of the report: verdicts, warnings, and notes on how to read the numbers."""

from collections.abc import Iterator, Mapping, Sequence

from studies.analysis.arm_report import ArmReport
from studies.analysis.comparison import SIGNIFICANCE, Comparison, Verdict
from studies.formatting import count, label, listing, number
from studies.records.rows import Limit
from studies.reporting.text.phrases import difference_size
from studies.spec.definition import Pruner
from studies.spec.parameters import Direction, Precision
from studies.spec.study import StudySpec


def workload_verdict(spec: StudySpec, arms: Sequence[ArmReport]) -> str:
    """Return the finding on one workload in plain sentences.

    Args:
        spec: The study.
        arms: Every arm on that workload.
    """
    sentences = [_best_sentence(spec, arms)]
    compared = [(arm.arm, arm.comparison) for arm in arms if arm.comparison is not None]
    if not compared:
        sentences.append("There is a single arm, so nothing is compared.")
    else:
        clauses = [clause for kind in Verdict if (clause := _verdict_clause(spec, kind, compared))]
        sentences.append(f"Against the reference {spec.protocol.reference}: {'; '.join(clauses)}.")
    cut = [arm.arm for arm in arms if arm.search.cut]
    if cut:
        sentences.append(f"The budget cut the search of {listing(cut)}: not fully tuned.")
    return " ".join(sentences)


def describe_budget_cut(spec: StudySpec, arms: Mapping[str, Sequence[ArmReport]], reached: Limit | None) -> str:
    """Return what the budget left out of a study; empty if nothing.

    Args:
        spec: The study.
        arms: Every arm, by workload.
        reached: The time limit that ended the searches; None if none did.
    """
    named_arms = [
        (f"{arm.arm} on {workload}", arm) for workload, workload_arms in arms.items() for arm in workload_arms
    ]
    searches = [f"{name} {len(arm.search.trials)} of {arm.search.asked}" for name, arm in named_arms if arm.search.cut]
    missing = sum(spec.protocol.confirm_seeds - len(arm.seeds) for _, arm in named_arms) if reached else 0
    if not searches and not missing:
        return ""
    limits = spec.protocol.budget.model_dump(exclude_none=True) if spec.protocol.budget else {}
    named = [
        f"{f'{limits[name]:,}'.removesuffix('.0')} {name.replace('_', ' ')}"
        for name in limits
        if name == reached or (reached is None and name in {"trials", "run_steps"})
    ]
    parts = [f"trials done: {', '.join(searches)}"] if searches else []
    parts += [f"{count(missing, 'confirm run')} missing"] if missing else []
    return f"The budget of {listing(named)} ended the study early; {'; '.join(parts)}"


def workload_warnings(spec: StudySpec, workload: str, arms: Sequence[ArmReport]) -> tuple[str, ...]:
    """Return the warnings about a workload's numbers.

    Args:
        spec: The study.
        workload: The workload's name within the study.
        arms: Every arm on that workload.
    """
    texts = [f"{workload}, {arm.arm}: {text}" for arm in arms for text in _arm_warnings(spec, arm)]
    lucky = [arm.arm for arm in arms if arm.comparison is not None and arm.comparison.within_search_luck]
    if lucky:
        texts.append(
            f"{workload}: {listing(lucky)} {'wins or loses' if len(lucky) == 1 else 'win or lose'} by less than the "
            "searches owe to luck: a difference of the chosen settings, not surely of the optimizers."
        )
    return tuple(texts)


def mixed_hardware_warning(hosts: Sequence[str]) -> str:
    """Return a warning if packs were trained on several kinds of machines; empty otherwise.

    Args:
        hosts: Machines and devices that trained packs.
    """
    if len(hosts) < 2:
        return ""
    return f"Mixed hardware, packs trained on {listing(hosts)}: last digits, and seconds, may differ between them"


def reading_notes(spec: StudySpec) -> tuple[str, ...]:
    """Return notes on how to read the numbers.

    Args:
        spec: The study.
    """
    protocol = spec.protocol
    scale = "decades (log10 of the loss)" if spec.objective.is_loss else "the metric's own unit"
    seeds = spec.confirm_seeds
    return (
        "Intervals cover seeds, not the luck of the search.",
        f"The objective is the final {label(protocol.objective)} ({protocol.direction.value}). Settings were chosen on "
        f"it with {count(protocol.search_seeds, 'search seed')}, no decision read test data, and arms are compared on "
        f"{count(len(seeds), 'fresh confirm seed')} ({seeds[0]} to {seeds[-1]}), the same for every arm.",
        f"Losses below {number(protocol.loss_floor)} count as {number(protocol.loss_floor)}, so that a loss of 0 has a "
        "logarithm. Losses are averaged geometrically; means are over the seeds that did not diverge.",
        f"Win and loss: significant at {SIGNIFICANCE}, two-sided sign-flip permutation tests on paired differences "
        "(a sign test where a run diverged), Holm-adjusted over all arms and workloads. Tie: the 90 % interval of the "
        f"mean difference lies within ±{number(protocol.margin)}. Differences are in {scale}, positive where the arm "
        "is better than the reference.",
        _gap_note(spec),
        *_search_notes(spec),
        *_precision_note(spec),
        "Seconds are wall-clock seconds of packs, which train many runs at once; they are no run's time.",
    )


def _gap_note(spec: StudySpec) -> str:
    if spec.protocol.search_length < 1:
        return (
            f"Search runs have {number(spec.protocol.search_length)} of the length of confirm runs: settings were "
            "chosen by what they reach in that time, and no optimism gap can be stated."
        )
    return (
        "The optimism gap is by how much the chosen setting did worse on the confirm seeds than in its search "
        "(medians, on the scale of the differences)."
    )


def _precision_note(spec: StudySpec) -> tuple[str, ...]:
    if spec.protocol.precision is Precision.FLOAT32:
        return ()
    return (f"Matrix products and convolutions of training steps were computed in {spec.protocol.precision}.",)


def _search_notes(spec: StudySpec) -> tuple[str, ...]:
    if spec.protocol.pruner is Pruner.NONE:
        return ()
    return (
        "Search runs that were behind those of earlier batches were stopped (successive halving): they are charged the "
        "steps that they took, and cannot be chosen.",
    )


def _best_sentence(spec: StudySpec, arms: Sequence[ArmReport]) -> str:
    sign = spec.protocol.direction.sign
    objective = label(spec.protocol.objective)
    candidates = [
        (sign * arm.objective.center, arm.arm) for arm in arms if arm.objective and arm.complete and not arm.diverged
    ]
    if not candidates:
        return f"No arm has a final {objective} on every confirm seed."
    value = min(candidates)[0]
    leaders = [name for center, name in candidates if center == value]
    kind = "lowest" if spec.protocol.direction is Direction.MINIMIZE else "highest"
    some = any(arm.complete and arm.diverged for arm in arms)
    start = f"Of the arms without a diverged seed, the {kind}" if some else f"The {kind}"
    return f"{start} final {objective} is that of {listing(leaders)}, {number(sign * value)}."


def _verdict_clause(spec: StudySpec, kind: Verdict, compared: Sequence[tuple[str, Comparison]]) -> str:
    of_kind = [(name, comparison) for name, comparison in compared if comparison.verdict is kind]
    if not of_kind:
        return ""
    one = len(of_kind) == 1
    verbs = {
        Verdict.WIN: "wins" if one else "win",
        Verdict.LOSS: "loses" if one else "lose",
        Verdict.TIE: "ties" if one else "tie",
        Verdict.UNDECIDED: "is undecided" if one else "are undecided",
        Verdict.INCOMPLETE: "is incomplete" if one else "are incomplete",
    }
    details = [_comparison_detail(spec, comparison) for _, comparison in of_kind]
    named = [f"{name}{f' ({detail})' if detail else ''}" for (name, _), detail in zip(of_kind, details, strict=True)]
    return f"{listing(named)} {verbs[kind]}"


def _comparison_detail(spec: StudySpec, comparison: Comparison) -> str:
    if comparison.verdict is Verdict.INCOMPLETE:
        return ""
    if comparison.diverged_pairs:
        return f"a run diverged in {comparison.diverged_pairs} of {count(len(comparison.differences), 'pair')}"
    if comparison.verdict is Verdict.UNDECIDED:
        return "" if comparison.seeds_needed is None else f"it would take about {comparison.seeds_needed} seeds"
    difference = comparison.mean_difference
    return "" if difference is None else difference_size(spec, comparison.verdict, difference)


def _arm_warnings(spec: StudySpec, arm: ArmReport) -> Iterator[str]:
    search, seeds = arm.search, spec.protocol.confirm_seeds
    if not search.complete:
        yield f"incomplete, its search ended after {count(len(search.trials), 'trial')}."
    elif search.cut:
        yield (
            f"its search was cut by the budget after {len(search.trials)} of {count(search.asked, 'trial')}, "
            "so that it is not fully tuned."
        )
    if search.complete and not arm.complete:
        yield f"incomplete, {len(arm.seeds)} of {count(seeds, 'confirm seed')} done."
    if search.trials and search.diverged == len(search.trials):
        yield "every trial of its search diverged; the chosen setting is the one that lasted longest."
    elif search.closed is False:
        ranges = listing([f"{name} {number(each.low)} to {number(each.high)}" for name, each in search.ranges.items()])
        yield (
            f"range not closed, the best setting is still at an edge of {ranges} after "
            f"{count(search.extensions, 'extension')}; a better one may lie outside."
        )
    if arm.diverged:
        yield f"{arm.diverged} of {count(len(arm.seeds), 'confirm seed')} diverged."
    floored = sum(seed.train_loss is not None and seed.train_loss < spec.protocol.loss_floor for seed in arm.seeds)
    if floored:
        yield f"{floored} of {count(len(arm.seeds), 'confirm seed')} ended below the loss floor and count as it."
