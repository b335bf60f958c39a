"""The first sentences of a report: an arm beside the best tuned one, on each workload and over all of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from studies.analysis.arm_report import ArmReport
from studies.analysis.comparison import Comparison, Verdict
from studies.analysis.statistics.power import MAX_SEEDS, MIN_SEEDS
from studies.analysis.time_to_target import StepsToTarget, Target, target_setters
from studies.formatting import count, label, number
from studies.reporting.text.verdicts import difference_size, owed_to_luck
from studies.spec.study import StudySpec

#: A comparison's verdict as the other arm has it.
TURNED = {Verdict.WIN: Verdict.LOSS, Verdict.LOSS: Verdict.WIN}


@dataclass(frozen=True, kw_only=True)
class Duel:
    """The two arms that a workload's headline is about.

    Args:
        subject: The reference; the fastest other arm where the reference is the rival.
        rival: The arm that sets the target; without a target the one of those in question that diverges least.
        comparison: Of the two.
        verdict: The subject's.
        better: By how much the subject is better, on the comparison scale; None where that is not known.
        target: Of the workload; None where more than half of the rival's seeds do not end.
    """

    subject: ArmReport
    rival: ArmReport
    comparison: Comparison
    verdict: Verdict
    better: float | None
    target: Target | None

    @property
    def speed(self) -> StepsToTarget | None:
        """When the subject reaches the target; None where there is none, or the subject is incomplete."""
        return self.target.of(self.subject.arm) if self.target is not None and self.subject.complete else None


def duel(arms: Sequence[ArmReport], target: Target | None) -> Duel | None:
    """Return the two arms that a workload's headline is about, None where there are not two or runs are missing.

    Args:
        arms: Every arm on that workload.
        target: The workload's.
    """
    setters = target_setters(arms)
    if len(arms) < 2 or not setters:
        return None
    rival = next((arm for arm in setters if target and arm.arm == target.arm), None)
    rival = rival or min(setters, key=lambda arm: arm.diverged)
    reference = next((arm for arm in arms if arm.is_reference), None)
    if reference is None:
        return None
    if reference.arm != rival.arm:
        found = rival.comparison
        if found is None:
            return None
        verdict = TURNED.get(found.verdict, found.verdict)
        better = None if found.mean_difference is None else -found.mean_difference
        return Duel(subject=reference, rival=rival, comparison=found, verdict=verdict, better=better, target=target)
    others = [arm for arm in arms if arm.arm != rival.arm and arm.comparison is not None]
    subject = min(others, key=lambda arm: (arm.kind == "searched", _steps(target, arm), arm.diverged))
    if subject.comparison is None:
        return None
    return Duel(
        subject=subject,
        rival=rival,
        comparison=subject.comparison,
        verdict=subject.comparison.verdict,
        better=subject.comparison.mean_difference,
        target=target,
    )


def _steps(target: Target | None, arm: ArmReport) -> float:
    """Return an arm's median steps to a target, infinite where there are none."""
    median = None if target is None else target.of(arm.arm).median
    return math.inf if median is None else median


def headline(spec: StudySpec, found: Duel | None) -> str:
    """Return a workload's first sentence.

    Args:
        spec: The study.
        found: The two arms that it is about.
    """
    if found is None:
        return "No arm is complete with another one to compare it with, so there is no verdict."
    subject, objective = named(found.subject), label(spec.protocol.objective)
    speed = found.speed
    if found.target is None or speed is None:
        return f"{subject} against {named(found.rival)} on final {objective}: {_finding(spec, found)}."
    return f"{subject} {_speed(found, found.target, speed, objective)}; on final {objective}: {_finding(spec, found)}."


def overall(spec: StudySpec, duels: Sequence[Duel | None]) -> str:
    """Return the report's first sentence.

    Args:
        spec: The study.
        duels: Of each workload.
    """
    if len(duels) == 1:
        return headline(spec, duels[0])
    known = [found for found in duels if found is not None]
    if not known:
        return headline(spec, None)
    subjects = list(dict.fromkeys(found.subject.arm for found in known))
    who = named(known[0].subject) if len(subjects) == 1 else "the best other arm"
    objective = label(spec.protocol.objective)
    timed = [speed for found in known if (speed := found.speed) is not None]
    ratios = [speed.ratio for speed in timed if speed.ratio]
    tuned = f"the best {_tuned(known)} arm"
    against = f"{who} against {tuned}"
    if timed:
        some = f"{count(len(timed), 'workload')}{'' if len(timed) == len(duels) else ' with a target'}"
        against = f"{who} got to where {tuned} ends on {len(ratios)} of {some}"
    if ratios:
        mean = 10.0 ** (math.fsum(map(math.log10, ratios)) / len(ratios))
        spread = f", {number(min(ratios))} to {number(max(ratios))}" if len(ratios) > 1 else ""
        against += f", in {number(mean)} times its steps{f' (geometric mean{spread})' if len(ratios) > 1 else ''}"
    against += "; against it" if timed else ""
    words = {
        Verdict.WIN: "won",
        Verdict.LOSS: "lost",
        Verdict.TIE: "tied",
        Verdict.UNDECIDED: "undecided",
        Verdict.INCOMPLETE: "incomplete",
    }
    amounts = [(words[kind], sum(found.verdict is kind for found in known)) for kind in Verdict]
    missing = len(duels) - len(known)
    counts = [f"{amount} {word}" for word, amount in (*amounts, ("without a verdict", missing)) if amount]
    return f"{against} on final {objective}: {', '.join(counts)}."


def named(arm: ArmReport) -> str:
    """Return an arm with how it was set, as in `adam, tuned with 15 trials,` or `l4adam, untuned,`.

    Args:
        arm: The arm.
    """
    if arm.kind == "fixed":
        return f"{arm.arm}, untuned,"
    return f"{arm.arm}, tuned with {count(len(arm.search.trials), 'trial')},"


def _tuned(duels: Sequence[Duel]) -> str:
    return "tuned" if all(found.rival.kind == "searched" for found in duels) else "other"


def _speed(found: Duel, target: Target, own: StepsToTarget, objective: str) -> str:
    ends = f"where {named(found.rival)} ends (a {objective} of {number(target.value)})"
    seeds = count(len(own.seeds), "seed")
    if own.ratio is not None:
        partly = "" if own.reached == len(own.seeds) else f" on {own.reached} of {seeds}"
        return f"got{partly} to {ends} in {number(own.ratio)} times its steps"
    if own.reached:
        return f"got to {ends} on {own.reached} of {seeds} only"
    return f"did not get to {ends} on any of {seeds}"


def _finding(spec: StudySpec, found: Duel) -> str:
    seeds = count(spec.protocol.confirm_seeds, "seed")
    match found.verdict:
        case Verdict.INCOMPLETE:
            return "not all seeds are done"
        case Verdict.UNDECIDED if found.comparison.diverged_pairs:
            return f"undecided with {seeds}, of which {found.comparison.diverged_pairs} diverged for one or the other"
        case Verdict.UNDECIDED:
            needed = found.comparison.seeds_needed
            if needed is None and len(found.comparison.differences) < MIN_SEEDS:
                return f"undecided with {seeds}"
            would = f"more than {MAX_SEEDS:,}" if needed is None else f"about {needed:,}"
            return f"undecided with {seeds}; it would take {would}"
        case verdict:
            words = {Verdict.WIN: "it wins", Verdict.LOSS: "it loses", Verdict.TIE: "a tie"}
            size = "" if found.better is None else f" ({difference_size(spec, verdict, found.better)})"
            if found.comparison.diverged_pairs:
                pairs = count(len(found.comparison.differences), "pair")
                size = f" (a run diverged in {found.comparison.diverged_pairs} of {pairs})"
            luck = ", by less than the search owes to luck" if owed_to_luck(found.comparison) else ""
            return f"{words[verdict]}{size} with {seeds}{luck}"
