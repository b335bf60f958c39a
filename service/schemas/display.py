"""Display texts of an arm's progress, shared by the command line and the pages."""

from service.schemas.studies import ArmProgressResponse
from studies.formatting import metric, number
from studies.spec.study import StudySpec


def best_score(progress: ArmProgressResponse, spec: StudySpec) -> str:
    """Return the best score of an arm's search so far, or a dash if there is none.

    Args:
        progress: The arm's progress.
        spec: The study's spec.
    """
    best = progress.best
    if best is None:
        return "–"
    if best.score is None:
        return "diverged"
    return number(best.score) if spec.objective.is_loss else metric(best.score)


def best_setting(progress: ArmProgressResponse, spec: StudySpec) -> str:
    """Return the searched hyperparameters of the best trial so far, or `fixed` if none is searched.

    Args:
        progress: The arm's progress.
        spec: The study's spec.
    """
    searched = spec.arm(progress.arm).search
    if not searched:
        return "fixed"
    if progress.best is None:
        return ""
    return ", ".join(f"{name} {number(progress.best.setting[name])}" for name in searched)
