"""How far a study is, as its answer shows it."""

import math

from service.schemas import ArmProgressAnswer, BestAnswer, ProgressAnswer
from studies.choose import Score
from studies.progress import Progress


def progress_answer(found: Progress) -> ProgressAnswer:
    """Return how far a study is.

    Args:
        found: As its rows tell.
    """
    return ProgressAnswer(
        done=found.done,
        total=found.total,
        arms=tuple(
            ArmProgressAnswer(
                workload=workload,
                arm=arm,
                done=each.done,
                total=each.total,
                trials_done=each.search.trials_done,
                trials_total=each.search.trials,
                best=None if each.search.best is None else _best(each.search.best),
            )
            for (workload, arm), each in found.arms.items()
        ),
    )


def _best(best: Score) -> BestAnswer:
    return BestAnswer(
        trial=best.trial.number,
        score=best.value if math.isfinite(best.value) else None,
        setting=dict(best.trial.setting),
    )
