"""The headlines of a report: an arm compared with the best tuned one, on each workload and over all workloads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from studies.analysis.arm_report import ArmReport
from studies.analysis.comparison import Comparison, Verdict
from studies.analysis.statistics.power import MAX_SEEDS, MIN_SEEDS
from studies.analysis.time_to_target import StepsToTarget, Target, target_candidates
from studies.formatting import count, label, number
from studies.reporting.text.phrases import describe_arm, difference_size
from studies.spec.study import StudySpec

#: The verdict from the point of view of the other arm.
FLIPPED = {Verdict.WIN: Verdict.LOSS, Verdict.LOSS: Verdict.WIN}


@dataclass(frozen=True, kw_only=True)
class HeadlinePair:
    """The two arms that a workload's headline is about.

    Args:
        subject: The reference; the fastest other arm if the reference is the best tuned one.
        best_tuned: The arm that sets the target; without a target the candidate that diverges least.
        comparison: The comparison of the two.
        verdict: The subject's verdict.
        improvement: How much better the subject is, on the comparison scale; None if unknown.
        target: The workload's target; None if more than half of the best tuned arm's seeds diverged.
    """

    subject: ArmReport
    best_tuned: ArmReport
    comparison: Comparison
    verdict: Verdict
    improvement: float | None
    target: Target | None

    @property
    def steps_to_target(self) -> StepsToTarget | None:
        """The subject's steps to the target; None without a target, or while the subject is incomplete."""
        return self.target.for_arm(self.subject.arm) if self.target is not None and self.subject.complete else None


def select_headline_pair(arms: Sequence[ArmReport], target: Target | None) -> HeadlinePair | None:
    """Return the two arms that a workload's headline is about, None if there are fewer than two or runs are missing.

    Args:
        arms: Every arm on that workload.
        target: The workload's.
    """
    candidates = target_candidates(arms)
    if len(arms) < 2 or not candidates:
        return None
    best_tuned = next((arm for arm in candidates if target and arm.arm == target.arm), None)
    best_tuned = best_tuned or min(candidates, key=lambda arm: arm.diverged)
    reference = next((arm for arm in arms if arm.is_reference), None)
    if reference is None:
        return None
    if reference.arm != best_tuned.arm:
        comparison = best_tuned.comparison
        if comparison is None:
            return None
        verdict = FLIPPED.get(comparison.verdict, comparison.verdict)
        improvement = None if comparison.mean_difference is None else -comparison.mean_difference
        return HeadlinePair(
            subject=reference,
            best_tuned=best_tuned,
            comparison=comparison,
            verdict=verdict,
            improvement=improvement,
            target=target,
        )
    others = [arm for arm in arms if arm.arm != best_tuned.arm and arm.comparison is not None]
    subject = min(others, key=lambda arm: (arm.kind == "searched", _median_steps(target, arm), arm.diverged))
    if subject.comparison is None:
        return None
    return HeadlinePair(
        subject=subject,
        best_tuned=best_tuned,
        comparison=subject.comparison,
        verdict=subject.comparison.verdict,
        improvement=subject.comparison.mean_difference,
        target=target,
    )


def _median_steps(target: Target | None, arm: ArmReport) -> float:
    """Return an arm's median steps to a target, infinite where there are none."""
    median = None if target is None else target.for_arm(arm.arm).median
    return math.inf if median is None else median


def workload_headline(spec: StudySpec, pair: HeadlinePair | None) -> str:
    """Return the headline of a workload.

    Args:
        spec: The study.
        pair: The two arms of the headline.
    """
    if pair is None:
        return "No arm is complete with another one to compare it with, so there is no verdict."
    subject, objective = describe_arm(pair.subject), label(spec.protocol.objective)
    steps = pair.steps_to_target
    if pair.target is None or steps is None:
        return f"{subject} against {describe_arm(pair.best_tuned)} on final {objective}: {_outcome_phrase(spec, pair)}."
    reached = _steps_phrase(pair, pair.target, steps, objective)
    return f"{subject} {reached}; on final {objective}: {_outcome_phrase(spec, pair)}."


def report_headline(spec: StudySpec, pairs: Sequence[HeadlinePair | None]) -> str:
    """Return the headline of the report.

    Args:
        spec: The study.
        pairs: The pair of each workload.
    """
    if len(pairs) == 1:
        return workload_headline(spec, pairs[0])
    complete = [pair for pair in pairs if pair is not None]
    if not complete:
        return workload_headline(spec, None)
    subjects = list(dict.fromkeys(pair.subject.arm for pair in complete))
    subject = describe_arm(complete[0].subject) if len(subjects) == 1 else "the best other arm"
    objective = label(spec.protocol.objective)
    timed = [steps for pair in complete if (steps := pair.steps_to_target) is not None]
    ratios = [steps.ratio for steps in timed if steps.ratio]
    tuned = f"the best {_tuned_or_other(complete)} arm"
    text = f"{subject} against {tuned}"
    if timed:
        workloads = f"{count(len(timed), 'workload')}{'' if len(timed) == len(pairs) else ' with a target'}"
        text = f"{subject} got to where {tuned} ends on {len(ratios)} of {workloads}"
    if ratios:
        mean = 10.0 ** (math.fsum(map(math.log10, ratios)) / len(ratios))
        spread = f", {number(min(ratios))} to {number(max(ratios))}" if len(ratios) > 1 else ""
        text += f", in {number(mean)} times its steps{f' (geometric mean{spread})' if len(ratios) > 1 else ''}"
    text += "; against it" if timed else ""
    outcomes = {
        Verdict.WIN: "won",
        Verdict.LOSS: "lost",
        Verdict.TIE: "tied",
        Verdict.UNDECIDED: "undecided",
        Verdict.INCOMPLETE: "incomplete",
    }
    amounts = [(outcomes[kind], sum(pair.verdict is kind for pair in complete)) for kind in Verdict]
    missing = len(pairs) - len(complete)
    counts = [f"{amount} {word}" for word, amount in (*amounts, ("without a verdict", missing)) if amount]
    return f"{text} on final {objective}: {', '.join(counts)}."


def _tuned_or_other(pairs: Sequence[HeadlinePair]) -> str:
    return "tuned" if all(pair.best_tuned.kind == "searched" for pair in pairs) else "other"


def _steps_phrase(pair: HeadlinePair, target: Target, steps: StepsToTarget, objective: str) -> str:
    ends = f"where {describe_arm(pair.best_tuned)} ends (a {objective} of {number(target.value)})"
    seeds = count(len(steps.seeds), "seed")
    if steps.ratio is not None:
        partly = "" if steps.reached == len(steps.seeds) else f" on {steps.reached} of {seeds}"
        return f"got{partly} to {ends} in {number(steps.ratio)} times its steps"
    if steps.reached:
        return f"got to {ends} on {steps.reached} of {seeds} only"
    return f"did not get to {ends} on any of {seeds}"


def _outcome_phrase(spec: StudySpec, pair: HeadlinePair) -> str:
    seeds = count(spec.protocol.confirm_seeds, "seed")
    match pair.verdict:
        case Verdict.INCOMPLETE:
            return "not all seeds are done"
        case Verdict.UNDECIDED if pair.comparison.diverged_pairs:
            return f"undecided with {seeds}, of which {pair.comparison.diverged_pairs} diverged for one or the other"
        case Verdict.UNDECIDED:
            needed = pair.comparison.seeds_needed
            if needed is None and len(pair.comparison.differences) < MIN_SEEDS:
                return f"undecided with {seeds}"
            would = f"more than {MAX_SEEDS:,}" if needed is None else f"about {needed:,}"
            return f"undecided with {seeds}; it would take {would}"
        case verdict:
            words = {Verdict.WIN: "it wins", Verdict.LOSS: "it loses", Verdict.TIE: "a tie"}
            size = "" if pair.improvement is None else f" ({difference_size(spec, verdict, pair.improvement)})"
            if pair.comparison.diverged_pairs:
                pairs = count(len(pair.comparison.differences), "pair")
                size = f" (a run diverged in {pair.comparison.diverged_pairs} of {pairs})"
            luck = ", by less than the search owes to luck" if pair.comparison.within_search_luck else ""
            return f"{words[verdict]}{size} with {seeds}{luck}"
