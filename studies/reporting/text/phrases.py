"""Phrases that several parts of the report use: a difference's size, an arm with its tuning, a usable range's width."""

import math

from studies.analysis.arm_report import ArmReport
from studies.analysis.comparison import Verdict
from studies.analysis.tuning import UsableHyperparameterRange
from studies.formatting import count, signed
from studies.spec.study import StudySpec

#: Factors above this are stated in decades.
MAX_FACTOR = 1000.0


def difference_size(spec: StudySpec, verdict: Verdict, difference: float) -> str:
    """Return the size of a difference in words, as in `loss 3.2 times lower`.

    Args:
        spec: The study.
        verdict: The comparison's verdict.
        difference: On the comparison scale, positive if the arm is better.
    """
    if not spec.objective.is_loss:
        return f"by {signed(difference)}"
    if verdict is Verdict.TIE:
        return f"by {signed(difference)} decades"
    relation = "lower" if difference > 0 else "higher"
    decades = abs(difference)
    if decades < math.log10(MAX_FACTOR):
        return f"loss {10.0**decades:.3g} times {relation}"
    return f"loss {decades:.1f} decades {relation}"


def describe_arm(arm: ArmReport) -> str:
    """Return an arm with its tuning, as in `adam, tuned with 15 trials,` or `l4adam, untuned,`.

    Args:
        arm: The arm.
    """
    if arm.kind == "fixed":
        return f"{arm.arm}, untuned,"
    return f"{arm.arm}, tuned with {count(len(arm.search.trials), 'trial')},"


def usable_range_width(usable: UsableHyperparameterRange) -> str:
    """Return the width of a usable range in words, as in `at least 1.2 decades`, or `one value`.

    Args:
        usable: The range.
    """
    if usable.low == usable.high:
        return "one value"
    return f"{'at least ' if usable.open_below or usable.open_above else ''}{usable.decades:.2g} decades"
