"""How far an arm is, in words: the best score so far and its setting, the same on terminals and on pages."""

from service.schemas.studies import ArmProgressResponse
from studies.formatting import metric, number
from studies.spec.study import StudySpec


def best_score(progress: ArmProgressResponse, spec: StudySpec) -> str:
    """Return the best score of an arm's search so far, a dash where there is none.

    Args:
        progress: The arm's.
        spec: Of the study.
    """
    best = progress.best
    if best is None:
        return "–"
    if best.score is None:
        return "diverged"
    return number(best.score) if spec.objective.is_loss else metric(best.score)


def best_setting(progress: ArmProgressResponse, spec: StudySpec) -> str:
    """Return the searched hyperparameters of the best trial so far, `fixed` where none is searched.

    Args:
        progress: The arm's.
        spec: Of the study.
    """
    searched = spec.arm(progress.arm).search
    if not searched:
        return "fixed"
    if progress.best is None:
        return ""
    return ", ".join(f"{name} {number(progress.best.setting[name])}" for name in searched)
