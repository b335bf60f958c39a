"""Response model of a plan."""

from service.schemas.problems import ResponseModel
from studies.planning.estimate import Estimate


class PlanResponse(ResponseModel):
    """The plan of a study.

    Args:
        spec_hash: SHA-256 of the spec without the name.
        warnings: The warnings that the study would have.
        beyond_budget: The time budgets that the estimate exceeds.
        estimate: Runs, steps and time, for each workload and arm and in total.
    """

    spec_hash: str
    warnings: tuple[str, ...]
    beyond_budget: tuple[str, ...]
    estimate: Estimate
