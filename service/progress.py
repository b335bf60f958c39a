"""How far a study is, as its answer shows it."""

import math

from service.schemas import ArmProgressAnswer, BestAnswer, ProgressAnswer
from studies.choose import Search, selected
from studies.parameters import Direction
from studies.plan import Progress


def progress_answer(found: Progress, direction: Direction) -> ProgressAnswer:
    """Return how far a study is.

    Args:
        found: As its rows tell.
        direction: Which way its objective is better.
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
                trials_done=len(each.search.scores),
                trials_total=each.search.trials,
                best=_best(each.search, direction),
            )
            for (workload, arm), each in found.arms.items()
        ),
    )


def _best(search: Search, direction: Direction) -> BestAnswer | None:
    if all(score.stopped for score in search.scores):
        return None
    best = selected(search.scores, direction)
    return BestAnswer(
        trial=best.trial.number,
        score=best.value if math.isfinite(best.value) else None,
        setting=dict(best.trial.setting),
    )
