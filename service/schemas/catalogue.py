"""Response models of the catalogue."""

from service.schemas.problems import ResponseModel
from studies.spec.parameters import Direction, Metric, Option


class WorkloadResponse(ResponseModel):
    """A workload that a study can use; fields as in `studies.validation.catalogue.WorkloadEntry`.

    Args:
        objectives: The possible objectives with their direction.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    default_steps: int
    epoch_examples: int
    has_validation: bool
    metrics: tuple[Metric, ...]
    objectives: dict[str, Direction]
